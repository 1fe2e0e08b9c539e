"""Checking passwords without stopping the world: hashing takes a tenth of a second
of a core, so it happens in threads, few at a time."""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger

from stationd.errors import BadConfiguration, LoginsBusy
from stationd.web.passwords import Account, N, P, R, read, verified

AT_ONCE = 2
"""Passwords that are checked at the same time; each takes 32 MiB meanwhile."""

WAITING = 20
"""Logins that may wait for their turn: two seconds' worth."""

MAX_PASSWORD_LENGTH = 1024
"""Characters of a password; a longer one is wrong without being looked at."""


_NOBODY = f"scrypt${N}${R}${P}${'A' * 22}==${'A' * 43}="
"""What a password of nobody is compared with, so that it takes as long."""


class Accounts:
    """The users file, read again whenever it has changed.

    @param in_thread: runs a function in a thread: L{deferToThread}.
    """

    _log = Logger()

    def __init__(self, path: str, in_thread: Callable[..., Deferred[bool]]) -> None:
        self._path = path
        self._in_thread = in_thread
        self._turns = DeferredSemaphore(AT_ONCE)
        self._accounts: dict[str, Account] = {}
        self._seen: tuple[int, int, int] | None = None

    def get(self, name: str) -> Account | None:
        """The account of a name as the file has it now, C{None} if it has none."""
        try:
            status = os.stat(self._path)
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            seen = None
        if seen != self._seen:
            self._seen = seen
            try:
                self._accounts = read(self._path)
            except BadConfiguration as error:
                # Nobody is locked out, or let in again, by a slip of the pen.
                self._log.warn("the users stay as they were: {error}", error=error)
        return self._accounts.get(name)

    async def check(self, name: str, password: str) -> Account | None:
        """The account with a name and a password, C{None} if there is none such.

        @raise LoginsBusy: too many ask at once.
        """
        if len(self._turns.waiting) >= WAITING:
            raise LoginsBusy()
        account = self.get(name)
        hash = account.hash if account else _NOBODY
        if len(password) > MAX_PASSWORD_LENGTH:
            return None
        right = await self._turns.run(self._in_thread, verified, password, hash)
        return account if right else None
