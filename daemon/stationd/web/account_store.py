"""The accounts that can log in, and whether a password is theirs."""

from __future__ import annotations

import os

from twisted.logger import Logger

from stationd.errors import InvalidConfiguration
from stationd.messages.log_messages import USERS_FILE_REJECTED
from stationd.web.password_verifier import PasswordVerifier
from stationd.web.users_file import SCRYPT_N, SCRYPT_P, SCRYPT_R, Account, read_users

MAX_PASSWORD_LENGTH = 1024
"""Characters of a password; a longer one is wrong without being looked at."""

_DUMMY_HASH = f"scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${'A' * 22}==${'A' * 43}="
"""What a password of nobody is compared with, so that it takes as long."""


class AccountStore:
    """The users file, read again whenever it has changed."""

    _log = Logger()

    def __init__(self, path: str, hashing: PasswordVerifier) -> None:
        self._path = path
        self._hashing = hashing
        self._accounts: dict[str, Account] = {}
        self._file_state: tuple[int, int, int] | None = None

    def get(self, name: str) -> Account | None:
        """The account of a name as the file has it now, C{None} if it has none."""
        try:
            status = os.stat(self._path)
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            seen = None
        if seen != self._file_state:
            self._file_state = seen
            try:
                self._accounts = read_users(self._path)
            except InvalidConfiguration as error:
                # Nobody is locked out, or let in again, by a slip of the pen.
                USERS_FILE_REJECTED.emit(self._log, error=error)
        return self._accounts.get(name)

    async def authenticate(self, name: str, password: str) -> Account | None:
        """The account with a name and a password, C{None} if there is none such.

        @raise TooManyLogins: too many ask at once, or the daemon is stopping.
        """
        if len(password) > MAX_PASSWORD_LENGTH:
            return None
        account = self.get(name)
        hash = account.hash if account else _DUMMY_HASH
        right = await self._hashing.verify(password, hash)
        return account if right else None
