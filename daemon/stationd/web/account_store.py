"""The accounts of the users file, and authentication by password."""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from stationd.errors import InvalidConfiguration
from stationd.messages.log_messages import USERS_FILE_NOT_READ, USERS_FILE_REJECTED
from stationd.web.fresh_calls import FreshCalls
from stationd.web.password_verifier import PasswordVerifier
from stationd.web.users_file import SCRYPT_N, SCRYPT_P, SCRYPT_R, Account, read_users

MAX_PASSWORD_LENGTH = 1024
"""Characters of a password; a longer one is wrong without being looked at."""

_DUMMY_HASH = f"scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${'A' * 22}==${'A' * 43}="
"""What a password of nobody is compared with, so that it takes as long."""


@attrs.frozen
class _File:
    """The users file as it was read.

    @ivar state: by which it is seen that it has changed, C{None} if it was not there.
    @ivar accounts: C{None} if it cannot be used, as C{error} says.
    """

    state: tuple[int, int, int] | None
    accounts: Mapping[str, Account] | None
    error: InvalidConfiguration | None = None


def _read(path: str, known: tuple[int, int, int] | None) -> _File | None:
    """Read the users file, if it is not as it was. Blocking."""
    try:
        status = os.stat(path)
        state = (status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError:
        state = None
    if state == known:
        return None
    try:
        return _File(state, read_users(path))
    except InvalidConfiguration as error:
        return _File(state, None, error)


class AccountStore:
    """The users file, read again in a thread whenever it has changed: only who asks
    waits for its disk.

    @param calls: how it is read, but for the first time.
    """

    _log = Logger()

    def __init__(self, path: str, hashing: PasswordVerifier, calls: FreshCalls) -> None:
        self._path = path
        self._hashing = hashing
        self._calls = calls
        self._accounts: Mapping[str, Account] = {}
        self._file_state: tuple[int, int, int] | None = None
        self._take(_read(path, None))

    def get(self, name: str) -> Account | None:
        """The account of a name as the file had it at the last L{refresh}, C{None} if it has
        none."""
        return self._accounts.get(name)

    def refresh(self) -> Deferred[None]:
        """Read the file again if it has changed. Fires when that is done; it fails only if it is
        cancelled: a file that cannot be used changes nothing."""
        reading = self._calls.call(self._path, lambda: _read(self._path, self._file_state))
        return reading.addCallbacks(self._take, self._failed)

    def _take(self, file: _File | None) -> None:
        if file is None or file.state == self._file_state:
            return
        self._file_state = file.state
        if file.accounts is not None:
            self._accounts = file.accounts
        elif file.error is not None:
            # Nobody is locked out, or let in again, by a slip of the pen.
            USERS_FILE_REJECTED.emit(self._log, error=file.error)

    def _failed(self, failure: Failure) -> Failure | None:
        if failure.check(CancelledError):
            # Who asks does not wait any more.
            return failure
        USERS_FILE_NOT_READ.emit(self._log, failure)
        return None

    async def authenticate(self, name: str, password: str) -> Account | None:
        """The account with a name and a password, C{None} if there is none such.

        @raise TooManyLogins: too many ask at once, or the daemon is stopping.
        """
        if len(password) > MAX_PASSWORD_LENGTH:
            return None
        await self.refresh()
        account = self.get(name)
        hash = account.hash if account else _DUMMY_HASH
        right = await self._hashing.verify(password, hash)
        return account if right else None
