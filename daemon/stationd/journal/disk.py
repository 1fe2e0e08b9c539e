"""The system calls a journal makes, and none but these.

Everything that can go wrong between us and the disk goes wrong in one of these
methods, so a test that replaces this object can make each of them fail.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
from collections.abc import Iterator
from typing import Protocol

from stationd.errors import JournalUnreadable, JournalUnwritable
from stationd.journal.cold_reads import read, read_cached, read_fully
from stationd.messages.damaged_parts import NOT_A_REGULAR_FILE

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a full disk."""

TEMPORARY_SUFFIX = ".new"
"""After the name of a file that is being written; it means nothing."""


class IDisk(Protocol):
    """File operations. Each raises L{OSError} as the system call beneath does, with the
    path of the file or directory as its C{filename}."""

    def create(self, path: str) -> int:
        """A descriptor, open for reading and appending, of a new file (mode 0640)."""

    def open(self, path: str, *, write: bool) -> int:
        """A descriptor of an existing file; if C{write}, for appending too. Never waits, as
        opening a FIFO would: what is no regular file is not opened."""

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

    def size_of_path(self, path: str) -> int:
        """The same of a file that may not be readable, 0 if it is no regular one."""

    def close(self, fd: int) -> None:
        """Give a descriptor back."""

    def rename(self, path: str, to: str) -> None:
        """Give a file another name, in place of any file that has it: a reader sees
        the old one or the new one. It is durable after L{sync_directory}."""

    def link(self, path: str, to: str) -> None:
        """Give a file another name besides, which no file has; not that of what a link
        leads to. It is durable after L{sync_directory}."""

    def unlink(self, path: str) -> None:
        """Remove a name, be it that of an empty directory. A name that is not there is no
        error."""

    def names(self, directory: str) -> list[str]:
        """The names in a directory."""

    def sync_directory(self, directory: str) -> None:
        """Make creations, renames and removals in a directory durable."""


class Disk:
    """The real one."""

    def __init__(self) -> None:
        self._paths: dict[int, str] = {}

    @contextlib.contextmanager
    def _named(self, fd: int) -> Iterator[None]:
        """Give an error of a descriptor the path of its file."""
        try:
            yield
        except OSError as error:
            error.filename = self._paths.get(fd)
            raise

    def create(self, path: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(path, flags, 0o640)
        self._paths[fd] = path
        return fd

    def open(self, path: str, *, write: bool) -> int:
        # Before it is opened, as that can do something to a device, and after, as another
        # file may have taken its place: without O_NONBLOCK a FIFO would be waited for.
        require_regular(os.stat(path), path)
        flags = os.O_RDWR | os.O_APPEND if write else os.O_RDONLY
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            require_regular(os.fstat(fd), path)
        except BaseException:
            os.close(fd)
            raise
        self._paths[fd] = path
        return fd

    def read(self, fd: int, size: int, offset: int) -> bytes:
        return read(fd, size, offset, read_cached, self._read_fully)

    def _read_fully(self, fd: int, size: int, offset: int) -> bytes:
        with self._named(fd):
            return read_fully(fd, size, offset)

    def write(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        with self._named(fd):
            while view:
                view = view[os.write(fd, view) :]

    def sync(self, fd: int) -> None:
        with self._named(fd):
            os.fdatasync(fd)

    def truncate(self, fd: int, size: int) -> None:
        with self._named(fd):
            os.ftruncate(fd, size)

    def size(self, fd: int) -> int:
        with self._named(fd):
            return os.fstat(fd).st_size

    def size_of_path(self, path: str) -> int:
        found = os.stat(path)
        return found.st_size if stat.S_ISREG(found.st_mode) else 0

    def close(self, fd: int) -> None:
        # Before it is closed: then the number may be that of another file at once.
        path = self._paths.pop(fd, None)
        try:
            os.close(fd)
        except OSError as error:
            error.filename = path
            raise

    def rename(self, path: str, to: str) -> None:
        os.rename(path, to)

    def link(self, path: str, to: str) -> None:
        os.link(path, to, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            try:
                os.unlink(path)
            except IsADirectoryError:
                os.rmdir(path)

    def names(self, directory: str) -> list[str]:
        return os.listdir(directory)

    def sync_directory(self, directory: str) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        except OSError as error:
            error.filename = directory
            raise
        finally:
            os.close(fd)


def require_regular(found: os.stat_result, path: str) -> None:
    """Make sure that something is a regular file.

    @raise OSError: it is a directory, a FIFO, a socket or a device.
    """
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, NOT_A_REGULAR_FILE, path)


def describe_error(error: OSError) -> str:
    """What the system said, and of which file."""
    said = error.strerror or str(error)
    return f"{error.filename}: {said}" if error.filename else said


def as_unwritable(error: OSError) -> JournalUnwritable:
    """What the system said, as ours."""
    full = error.errno in DISK_FULL
    return JournalUnwritable(describe_error(error), full)


def as_unreadable(error: OSError, directory: str) -> JournalUnreadable:
    """What the system said of a directory or a file in it, as ours."""
    return JournalUnreadable(error.filename or directory, error.strerror or str(error))


def replace_file(disk: IDisk, path: str, data: bytes) -> None:
    """Make a file with these contents, durable, in place of any of that name: after
    a crash it is the old one or the new one.

    @raise OSError: it is the old one, unless the very last step failed.
    """
    write_file(disk, path, data)
    disk.sync_directory(os.path.dirname(path))


def write_file(disk: IDisk, path: str, data: bytes) -> None:
    """Make a file with these contents, see L{replacing}."""
    with replacing(disk, path) as fd:
        disk.write(fd, data)


@contextlib.contextmanager
def replacing(disk: IDisk, path: str) -> Iterator[int]:
    """A descriptor of a new file. What has been written to it when this ends is durable, and in
    place of any file of that name. Readers see it from then on; its name is durable after
    L{IDisk.sync_directory}.

    @raise OSError: they see the old one, as after any other error in here.
    """
    temporary = path + TEMPORARY_SUFFIX
    disk.unlink(temporary)
    fd = disk.create(temporary)
    try:
        try:
            yield fd
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
