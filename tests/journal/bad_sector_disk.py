"""A disk that does not give some sectors of some files, whatever their names become."""

from __future__ import annotations

import errno
import os

from stationd.journal.disk import Disk


class BadSectorDisk(Disk):
    """Refuses to read some bytes with C{EIO}, and to open some files with C{EACCES}."""

    def __init__(self) -> None:
        super().__init__()
        self._bad: list[tuple[int, int, int]] = []
        self._denied: set[str] = set()

    def spoil(self, path: str, begin: int, end: int) -> None:
        """Give no bytes of a file from one offset to another any more."""
        self._bad.append((os.stat(path).st_ino, begin, end))

    def deny(self, path: str) -> None:
        """Do not open a file."""
        self._denied.add(path)

    def open(self, path: str, *, write: bool) -> int:
        if path in self._denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return super().open(path, write=write)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        inode = os.fstat(fd).st_ino
        for bad, begin, end in self._bad:
            if bad == inode and begin < offset + size and offset < end:
                raise OSError(errno.EIO, os.strerror(errno.EIO), self._paths[fd])
        return super().read(fd, size, offset)
