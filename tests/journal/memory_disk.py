"""A disk in memory that loses power: what was not synced is lost, in part or whole.

The model is that of a journalling file system at its worst: C{fdatasync} makes a
file's bytes durable but not its name, syncing a directory makes its names durable,
and of everything since then any part may have reached the disk.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator


class PowerCut(BaseException):
    """The process and the disk's cache are gone. Nothing in the code catches it."""


class Inode:
    """A file: what a reader sees, and what is surely on the disk."""

    def __init__(self, durable: bytes = b"") -> None:
        self.data = bytearray(durable)
        self.durable = durable


TAILS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "lost": lambda durable, data: durable,
    "written": lambda durable, data: data,
    "half": lambda durable, data: data[: (len(durable) + len(data) + 1) // 2],
    "zeros": lambda durable, data: durable + bytes(max(0, len(data) - len(durable))),
    "late": lambda durable, data: (
        durable
        + bytes(max(0, len(data) - len(durable)) // 2)
        + data[len(durable) + max(0, len(data) - len(durable)) // 2 :]
    ),
}
"""What may have become of a file that has grown since it was synced."""

NAMES = ("old", "new")
"""What may have become of names that were made or removed since the last sync."""


class MemoryDisk:
    """Provides C{IDisk} for one directory, whatever it is called; the power goes
    before a given change.

    @ivar changes: how many changes there were so far.
    """

    def __init__(self, cut_at: int | None = None) -> None:
        self.changes = 0
        self.cut_at = cut_at
        self.names_now: dict[str, Inode] = {}
        self.names_durable: dict[str, Inode] = {}
        self._open: dict[int, Inode] = {}
        self._fds = itertools.count(1000)

    def survivors(self) -> Iterator[tuple[str, MemoryDisk]]:
        """The disks that may be found after the cut."""
        for names, (tail, become) in itertools.product(NAMES, TAILS.items()):
            found = self.names_durable if names == "old" else self.names_now
            disk = MemoryDisk()
            left = {i: Inode(become(i.durable, bytes(i.data))) for i in found.values()}
            for path, inode in found.items():
                disk.names_now[path] = disk.names_durable[path] = left[inode]
            yield f"names {names}, tails {tail}", disk

    def key(self, path: str) -> str:
        """What a file is called here."""
        return os.path.basename(path)

    def _change(self) -> None:
        self.changes += 1
        # Nor is anything done after it: what cleans up in the code does not run.
        if self.cut_at is not None and self.changes >= self.cut_at:
            raise PowerCut

    def _descriptor(self, inode: Inode) -> int:
        fd = next(self._fds)
        self._open[fd] = inode
        return fd

    def create(self, path: str) -> int:
        self._change()
        name = self.key(path)
        if name in self.names_now:
            raise FileExistsError(17, "File exists", path)
        self.names_now[name] = Inode()
        return self._descriptor(self.names_now[name])

    def open(self, path: str, *, write: bool) -> int:
        return self._descriptor(self._inode(path))

    def _inode(self, path: str) -> Inode:
        name = self.key(path)
        if name not in self.names_now:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.names_now[name]

    def read(self, fd: int, size: int, offset: int) -> bytes:
        return bytes(self._open[fd].data[offset : offset + size])

    def write(self, fd: int, data: bytes) -> None:
        # A write is not one change: the power may go in the middle of it.
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            self._change()
            self._open[fd].data += part

    def sync(self, fd: int) -> None:
        self._change()
        self._open[fd].durable = bytes(self._open[fd].data)

    def truncate(self, fd: int, size: int) -> None:
        self._change()
        del self._open[fd].data[size:]

    def size(self, fd: int) -> int:
        return len(self._open[fd].data)

    def size_of_path(self, path: str) -> int:
        return len(self._inode(path).data)

    def close(self, fd: int) -> None:
        self._open.pop(fd, None)

    def rename(self, path: str, to: str) -> None:
        self._change()
        inode = self._inode(path)
        del self.names_now[self.key(path)]
        self.names_now[self.key(to)] = inode

    def link(self, path: str, to: str) -> None:
        self._change()
        if self.key(to) in self.names_now:
            raise FileExistsError(17, "File exists", to)
        self.names_now[self.key(to)] = self._inode(path)

    def unlink(self, path: str) -> None:
        self._change()
        self.names_now.pop(self.key(path), None)

    def names(self, directory: str) -> list[str]:
        return list(self.names_now)

    def sync_directory(self, directory: str) -> None:
        self._change()
        self.names_durable = dict(self.names_now)
