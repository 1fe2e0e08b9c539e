"""One writer of a journal on a host: a lock on a file of its directory."""

from __future__ import annotations

import fcntl
import os

from stationd.errors import JournalLocked
from stationd.journal.disk import DISK_FULL, require_regular

LOCK_NAME = "lock"


class Lock:
    """An exclusive lock on a journal: one writer on a host. The kernel gives it
    back however the process ends.

    @raise JournalLocked: somebody else has it.
    @raise OSError: the lock file cannot be made.
    """

    def __init__(self, directory: str) -> None:
        path = os.path.join(directory, LOCK_NAME)
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o640)
        try:
            require_regular(os.fstat(self._fd), path)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write_holder()
        except BlockingIOError:
            os.close(self._fd)
            raise JournalLocked(directory, self._holder(path)) from None
        except OSError as error:
            os.close(self._fd)
            error.filename = path
            raise

    def _write_holder(self) -> None:
        """Say in the lock file who has it. The lock does not depend on it: a full disk is no
        reason not to start."""
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise

    @staticmethod
    def _holder(path: str) -> str:
        """The process id that a lock file names, C{""} if none."""
        try:
            with open(path, encoding="ascii") as file:
                return file.read(20).strip()
        except (OSError, ValueError):
            return ""

    def release(self) -> None:
        """Give the lock up, once."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
