"""Reads of what is in memory only, by RWF_NOWAIT; the rest is left to a thread.

A query runs in the reactor's thread, where nothing may wait for a disk that sleeps. While
L{without_waiting} is in force in a thread, L{read} gives what can be had at once
(C{RWF_NOWAIT}, preadv2(2)), and raises L{NotCached} for the rest. Whoever catches it has
L{NotCached.fetch} called in another thread, and tries the same again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import attrs

Read = Callable[[int, int, int], bytes]
"""Reads from a descriptor so many bytes at an offset, fewer only at the end of the file."""

Fetched = dict[tuple[int, int, int], bytes | OSError]
"""What has been read by descriptor, size and offset, or why not."""


class _Mode(threading.local):
    """Whether a thread may wait.

    @ivar fetched: what others have read for it; C{None} if it may wait.
    """

    fetched: Fetched | None = None


_mode = _Mode()


@attrs.frozen(slots=False)
class NotCached(Exception):
    """Bytes of a file are not in memory.

    @ivar fetched: where L{fetch} puts them.
    @ivar fully: reads them, however long it takes.
    """

    fd: int
    size: int
    offset: int
    fetched: Fetched
    fully: Read

    def fetch(self) -> None:
        """Read them. For a thread of its own."""
        try:
            found: bytes | OSError = self.fully(self.fd, self.size, self.offset)
        except OSError as error:
            found = error
        self.fetched[self.fd, self.size, self.offset] = found


@contextlib.contextmanager
def without_waiting(fetched: Fetched) -> Iterator[None]:
    """Let this thread not wait for a disk in here.

    @param fetched: what was read for it. It has to be kept from try to try: what the page
        cache has may be gone again, and not every file system can say what it has.
    """
    before, _mode.fetched = _mode.fetched, fetched
    try:
        yield
    finally:
        _mode.fetched = before


def read_cached(fd: int, size: int, offset: int) -> bytes | None:
    """So many bytes of a file if they are in memory, C{None} if they are not, if the file has not
    so many, or if its file system cannot say."""
    buffer = bytearray(size)
    try:
        return bytes(buffer) if os.preadv(fd, [buffer], offset, os.RWF_NOWAIT) == size else None
    except OSError:
        # EAGAIN, EOPNOTSUPP; of another error the thread tells.
        return None


def read(
    fd: int,
    size: int,
    offset: int,
    at_once: Callable[[int, int, int], bytes | None],
    fully: Read,
) -> bytes:
    """Up to so many bytes of a file, fewer only at its end.

    @param at_once: reads what can be had without waiting, as L{read_cached}.
    @param fully: waits, as L{read_fully}.
    @raise NotCached: they are not all in memory, and this thread may not wait.
    """
    fetched = _mode.fetched
    if fetched is None or not size:
        return fully(fd, size, offset)
    found = fetched.get((fd, size, offset))
    if isinstance(found, bytes):
        return found
    if found is not None:
        raise found
    cached = at_once(fd, size, offset)
    if cached is not None:
        return cached
    raise NotCached(fd, size, offset, fetched, fully)


def read_fully(fd: int, size: int, offset: int) -> bytes:
    """The same, however long it takes."""
    parts: list[bytes] = []
    while size and (part := os.pread(fd, size, offset)):
        parts.append(part)
        size -= len(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
