"""The system calls a journal makes, and none but these.

Everything that can go wrong between us and the disk goes wrong in one of these
methods, so a test that replaces this object can make each of them fail.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
from typing import Protocol

from stationd.errors import JournalLocked, JournalUnwritable
from stationd.journal.cold_reads import read, read_cached, read_fully

LOCK_NAME = "lock"

TEMPORARY_SUFFIX = ".new"
"""After the name of a file that is being written; it means nothing."""


class IDisk(Protocol):
    """File operations. Each raises L{OSError} as the system call beneath does."""

    def create(self, path: str) -> int:
        """A descriptor, open for reading and appending, of a new file (mode 0640)."""

    def open(self, path: str, *, write: bool) -> int:
        """A descriptor of an existing file; if C{write}, for appending too."""

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """Up to C{size} bytes at an offset, fewer only at the end of the file."""

    def write(self, fd: int, data: bytes) -> None:
        """Append all of C{data}."""

    def sync(self, fd: int) -> None:
        """Make the contents and the size of a file durable."""

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file."""

    def size(self, fd: int) -> int:
        """The length of a file in bytes."""

    def close(self, fd: int) -> None:
        """Give a descriptor back."""

    def rename(self, path: str, to: str) -> None:
        """Give a file another name, in place of any file that has it: a reader sees
        the old one or the new one. It is durable after L{sync_directory}."""

    def unlink(self, path: str) -> None:
        """Remove a name. A name that is not there is no error."""

    def names(self, directory: str) -> list[str]:
        """The names in a directory."""

    def sync_directory(self, directory: str) -> None:
        """Make creations, renames and removals in a directory durable."""


class Disk:
    """The real one."""

    def create(self, path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def open(self, path: str, *, write: bool) -> int:
        return os.open(path, (os.O_RDWR | os.O_APPEND if write else os.O_RDONLY) | os.O_CLOEXEC)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        return read(fd, size, offset, read_cached, read_fully)

    def write(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def sync(self, fd: int) -> None:
        os.fdatasync(fd)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def close(self, fd: int) -> None:
        os.close(fd)

    def rename(self, path: str, to: str) -> None:
        os.rename(path, to)

    def unlink(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def names(self, directory: str) -> list[str]:
        return os.listdir(directory)

    def sync_directory(self, directory: str) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def as_unwritable(error: OSError) -> JournalUnwritable:
    """What the system said, as ours."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return JournalUnwritable(error.strerror or str(error), full)


def replace_file(disk: IDisk, path: str, data: bytes) -> None:
    """Make a file with these contents, durable, in place of any of that name: after
    a crash it is the old one or the new one.

    @raise OSError: it is the old one, unless the very last step failed.
    """
    write_file(disk, path, data)
    disk.sync_directory(os.path.dirname(path))


def write_file(disk: IDisk, path: str, data: bytes) -> None:
    """Make a file with these contents, which are durable, in place of any of that name.
    Readers see it from now on; its name is durable after L{IDisk.sync_directory}.

    @raise OSError: they see the old one.
    """
    temporary = path + TEMPORARY_SUFFIX
    disk.unlink(temporary)
    fd = disk.create(temporary)
    try:
        try:
            disk.write(fd, data)
            disk.sync(fd)
        finally:
            disk.close(fd)
        disk.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.unlink(temporary)
        raise


MAX_OPEN_FILES = 1 << 19
"""What systemd lets a service ask for: of sealed records some 600 GB."""


def raise_file_limit() -> None:
    """Let this process have as many files open as it is allowed to ask for, within
    reason: a journal keeps each of its segments open, and most systems give 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Lock:
    """An exclusive lock on a journal: one writer on a host. The kernel gives it
    back however the process ends.

    @raise JournalLocked: somebody else has it.
    @raise OSError: the lock file cannot be made.
    """

    def __init__(self, directory: str) -> None:
        path = os.path.join(directory, LOCK_NAME)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise JournalLocked(directory, self._holder(path)) from None
        except BaseException:
            os.close(self._fd)
            raise
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    @staticmethod
    def _holder(path: str) -> str:
        """The process id that a lock file names, C{""} if none."""
        try:
            with open(path, encoding="ascii") as file:
                return file.read(20).strip()
        except (OSError, ValueError):
            return ""

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._fd)
