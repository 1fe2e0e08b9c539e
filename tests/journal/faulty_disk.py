"""A disk that refuses: full, failing, or cutting a write short."""

from __future__ import annotations

import errno
import os

from stationd.journal.disk import IDisk

CHANGES = frozenset({"create", "write", "sync", "truncate", "rename", "link", "sync_directory"})

FAULTS: dict[str, tuple[int, frozenset[str]]] = {
    "ENOSPC": (errno.ENOSPC, frozenset({"create", "write", "link"})),
    "EIO of a change": (errno.EIO, CHANGES),
    "EIO of a removal": (errno.EIO, frozenset({"unlink"})),
    "EIO of a close": (errno.EIO, frozenset({"close"})),
    "EMFILE": (errno.EMFILE, frozenset({"create", "open"})),
}
"""The error, and the operations that it can come from."""


class FaultyDisk:
    """Provides C{IDisk} by another one. From an operation on, a number of those that
    the fault is about fail: a write after half of its bytes, a flush after or before
    it has happened (nobody can tell), a close of what was written to after it has, anything
    else without effect.

    @ivar operations: how many there were so far.
    @ivar failed: how many of them failed.
    """

    def __init__(
        self, disk: IDisk, fault: str = "ENOSPC", fail_at: int = 0, length: int = 0
    ) -> None:
        self._disk = disk
        self._number, self._which = FAULTS[fault]
        self._fail_at = fail_at
        self._left = length
        self._written: set[int] = set()
        self._paths: dict[int, str] = {}
        self.operations = 0
        self.failed = 0

    def _fails(self, name: str) -> bool:
        self.operations += 1
        if self.operations < self._fail_at or name not in self._which or not self._left:
            return False
        self._left -= 1
        self.failed += 1
        return True

    def _error(self, path: str) -> OSError:
        return OSError(self._number, os.strerror(self._number), path)

    def _may(self, name: str, path: str) -> None:
        if self._fails(name):
            raise self._error(path)

    def create(self, path: str) -> int:
        self._may("create", path)
        fd = self._disk.create(path)
        self._written.add(fd)
        self._paths[fd] = path
        return fd

    def open(self, path: str, *, write: bool) -> int:
        self._may("open", path)
        fd = self._disk.open(path, write=write)
        self._paths[fd] = path
        if write:
            self._written.add(fd)
        return fd

    def read(self, fd: int, size: int, offset: int) -> bytes:
        return self._disk.read(fd, size, offset)

    def write(self, fd: int, data: bytes) -> None:
        if self._fails("write"):
            self._disk.write(fd, data[: len(data) // 2])
            raise self._error(self._paths[fd])
        self._disk.write(fd, data)

    def sync(self, fd: int) -> None:
        if self._fails("sync"):
            if self.failed % 2:
                self._disk.sync(fd)
            raise self._error(self._paths[fd])
        self._disk.sync(fd)

    def truncate(self, fd: int, size: int) -> None:
        self._may("truncate", self._paths[fd])
        self._disk.truncate(fd, size)

    def size(self, fd: int) -> int:
        return self._disk.size(fd)

    def size_of_path(self, path: str) -> int:
        return self._disk.size_of_path(path)

    def close(self, fd: int) -> None:
        self._disk.close(fd)
        if fd in self._written and "close" in self._which:
            self._written.discard(fd)
            self._may("close", self._paths[fd])

    def rename(self, path: str, to: str) -> None:
        self._may("rename", path)
        self._disk.rename(path, to)

    def link(self, path: str, to: str) -> None:
        self._may("link", path)
        self._disk.link(path, to)

    def unlink(self, path: str) -> None:
        self._may("unlink", path)
        self._disk.unlink(path)

    def names(self, directory: str) -> list[str]:
        return self._disk.names(directory)

    def sync_directory(self, directory: str) -> None:
        self._may("sync_directory", directory)
        self._disk.sync_directory(directory)
