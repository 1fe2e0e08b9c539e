"""Reading what a disk still gives of a file: a sector that it refuses is damage like any
other, and no reason not to read the rest."""

from __future__ import annotations

from typing import NamedTuple

from stationd.journal.disk import IDisk
from stationd.messages.damage_messages import BYTES_UNREAD

SECTOR_BYTES = 4096
"""What a disk refuses to give, if it gives the rest: a sector, or a page."""

UNREAD_BYTE = b"\xff"
"""Stands for what was not read. No marker has it; and it is not zero, which in a row segment
can mean that nothing was written."""


class UnreadRange(NamedTuple):
    """Bytes that the disk did not give.

    @ivar offset: where they begin in the file.
    @ivar size: how many.
    @ivar error: the first error, in the system's words.
    """

    offset: int
    size: int
    error: str


def read_available(disk: IDisk, fd: int, size: int, offset: int) -> tuple[bytes, list[UnreadRange]]:
    """So many bytes of a file, with L{UNREAD_BYTE} for each that the disk does not give or
    that the file has not got; and those it did not give, ascending."""
    unread: list[UnreadRange] = []
    try:
        return disk.read(fd, size, offset).ljust(size, UNREAD_BYTE), unread
    except OSError:
        pieces: list[bytes] = []
    end = offset + size
    while offset < end:
        size = min(end, (offset // SECTOR_BYTES + 1) * SECTOR_BYTES) - offset
        try:
            piece = disk.read(fd, size, offset)
        except OSError as error:
            piece = b""
            before = unread[-1] if unread else None
            if before and before.offset + before.size == offset:
                unread[-1] = before._replace(size=before.size + size)
            else:
                unread.append(UnreadRange(offset, size, error.strerror or str(error)))
        pieces.append(piece.ljust(size, UNREAD_BYTE))
        offset += size
    return b"".join(pieces), unread


def unread_damage(path: str, unread: list[UnreadRange]) -> list[str]:
    """A sentence for each part of a file that the disk did not give."""
    return [BYTES_UNREAD.render(path=path, **part._asdict()) for part in unread]
