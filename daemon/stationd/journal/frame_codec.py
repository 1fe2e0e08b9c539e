"""The format of a row segment: frames, one or more for each commit. No I/O.

A payload is columns of some hundred records at most. Rows, one record after the
other, are what the first writers wrote; they are still read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from stationd.journal.file_header import TERMINATOR, with_checksum
from stationd.messages import damaged_parts
from stationd.records import Draft, Level

FRAME_MARKER = b"\xf5FRM"
"""Begins each frame. UTF-8 has no byte 0xF5, so no text can contain it."""

FRAME_HEADER = struct.Struct("<4sBBHIIQqqqII")
"""marker, kind, flags, zero, payload bytes, records, first number, least and
greatest time, time of the commit, checksum of the payload, checksum of the 52
bytes before."""

KIND_ROW_PAYLOAD = 1
KIND_COLUMN_PAYLOAD = 2

ROW = struct.Struct("<qBxHHHHI")
"""time, level, lengths in bytes of category, user, container, origin and text,
which follow in this order without anything between them."""

FLAG_CONTINUES = 1
"""A frame's flag: the commit goes on in the next frame, and counts only if its
last frame, which has no such flag, is there."""

MAX_FRAME_RECORDS = 1024
"""Records in a frame at most: a millisecond's work for a reader."""

MAX_FRAME_CHARACTERS = 32 << 10
"""A frame is closed before its strings get longer than this, unless it has one
record only."""

MAX_PAYLOAD_BYTES = 256 << 10
"""No payload is longer: a frame of L{MAX_FRAME_CHARACTERS}, four bytes each, has half
of it. It bounds what a damaged length can make a reader do."""

FIXED_BYTES_PER_RECORD = 15
"""Bytes of a record in a column payload, without its strings."""

assert FRAME_HEADER.size == 56
assert ROW.size == 22


class FrameHeader(NamedTuple):
    """What stands before the records of a frame.

    @ivar length: bytes of payload after this header.
    @ivar records: how many records are in it, at least 1.
    @ivar first: the number of the first of them.
    @ivar min_us: the least time of them, C{max_us} the greatest.
    @ivar committed_us: when they were written, by the clock of that moment.
    @ivar checksum: of the payload.
    @ivar flags: L{FLAG_CONTINUES} or 0.
    @ivar kind: L{KIND_ROW_PAYLOAD} or L{KIND_COLUMN_PAYLOAD}.
    """

    length: int
    records: int
    first: int
    min_us: int
    max_us: int
    committed_us: int
    checksum: int
    flags: int
    kind: int


class FrameColumns(NamedTuple):
    """The records of one frame, column by column, as they stand in it.

    @ivar names: the strings that the three columns after it point to, in UTF-8.
    @ivar categories: for each record an index of C{names}; so C{users}, C{containers}.
    @ivar origins: for each record, in UTF-8; so C{texts}.
    """

    times_us: Sequence[int]
    levels: Sequence[int]
    names: list[bytes]
    categories: Sequence[int]
    users: Sequence[int]
    containers: Sequence[int]
    origins: list[bytes]
    texts: list[bytes]


NO_COLUMNS = FrameColumns((), (), [], (), (), (), [], [])
"""Of a frame that cannot be read."""


def pack_columns(drafts: Sequence[Draft]) -> bytes:
    """The payload for some drafts, at most L{MAX_FRAME_RECORDS} of them."""
    count = len(drafts)
    names: dict[str, int] = {}
    index = names.setdefault
    categories = [index(draft.category, len(names)) for draft in drafts]
    users = [index(draft.user, len(names)) for draft in drafts]
    containers = [index(draft.container, len(names)) for draft in drafts]
    fixed = struct.pack(
        f"<{count}q{3 * count}H{count}B",
        *[draft.time_us for draft in drafts],
        *categories,
        *users,
        *containers,
        *[draft.level for draft in drafts],
    )
    strings = [
        *map(str.encode, names),
        *[draft.origin.encode() for draft in drafts],
        *[draft.text.encode() for draft in drafts],
        b"",
    ]
    return fixed + TERMINATOR.join(strings)


def unpack_payload(kind: int, payload: bytes, records: int) -> FrameColumns:
    """The records of a payload whose checksum is right.

    @raise ValueError: it is not what its header says all the same, so whoever
        wrote it was at fault.
    """
    try:
        if kind == KIND_ROW_PAYLOAD:
            return _unpack_rows(payload, records)
        return _unpack_columns(payload, records)
    except (struct.error, IndexError) as error:
        raise ValueError(str(error)) from error


def _unpack_columns(payload: bytes, n: int) -> FrameColumns:
    fixed = struct.unpack_from(f"<{n}q{3 * n}H{n}B", payload)
    strings = payload[FIXED_BYTES_PER_RECORD * n :].split(TERMINATOR)
    names = strings[: -2 * n - 1]
    if strings[-1] or max(fixed[n : 4 * n]) >= len(names):
        raise ValueError(damaged_parts.FRAME_STRINGS)
    return FrameColumns(
        times_us=fixed[:n],
        levels=fixed[4 * n :],
        names=names,
        categories=fixed[n : 2 * n],
        users=fixed[2 * n : 3 * n],
        containers=fixed[3 * n : 4 * n],
        origins=strings[-2 * n - 1 : -n - 1],
        texts=strings[-n - 1 : -1],
    )


def _unpack_rows(payload: bytes, records: int) -> FrameColumns:
    times_us: list[int] = []
    levels: list[int] = []
    columns: tuple[list[bytes], ...] = ([], [], [], [], [])
    offset = 0
    while offset < len(payload):
        time_us, level, *lengths = ROW.unpack_from(payload, offset)
        times_us.append(time_us)
        levels.append(level)
        offset += ROW.size
        for column, length in zip(columns, lengths, strict=True):
            column.append(payload[offset : offset + length])
            offset += length
    if offset != len(payload) or len(times_us) != records:
        ends = {"rows": len(times_us), "offset": offset, "size": len(payload)}
        raise ValueError(damaged_parts.FRAME_ROWS.format(**ends))
    index: dict[bytes, int] = {}
    for name in chain(*columns[:3]):
        index.setdefault(name, len(index))
    categories, users, containers = ([index[name] for name in column] for column in columns[:3])
    return FrameColumns(
        times_us, levels, list(index), categories, users, containers, columns[3], columns[4]
    )


def check_columns(rows: FrameColumns) -> None:
    """Make sure that records can be made of a frame.

    @raise ValueError: not so; or L{LookupError}.
    """
    for strings in (rows.names, rows.origins, rows.texts):
        for string in strings:
            string.decode()
    for level in set(rows.levels):
        Level(level)


def find_frame_header(raw: bytes, offset: int, salt: int) -> int:
    """Where the next frame header is, at or after an offset, or the end of the buffer."""
    while (offset := raw.find(FRAME_MARKER, offset)) >= 0:
        if unpack_frame_header(raw, offset, salt):
            return offset
        offset += 1
    return len(raw)


def pack_frame(payload: bytes, header: FrameHeader, salt: int) -> bytes:
    """A frame: header (its C{length} and C{checksum} are worked out here) and payload.

    @raise ValueError: the payload is longer than any reader takes.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a frame of {len(payload)} bytes")
    body = FRAME_HEADER.pack(
        FRAME_MARKER,
        header.kind,
        header.flags,
        0,
        len(payload),
        header.records,
        header.first,
        header.min_us,
        header.max_us,
        header.committed_us,
        zlib.crc32(payload, salt),
        0,
    )[:-4]
    return with_checksum(body, salt) + payload


def unpack_frame_header(raw: bytes, offset: int, salt: int) -> FrameHeader | None:
    """The frame header at an offset of a buffer, or C{None} if there is none whole
    and right. The payload's checksum is not looked at."""
    end = offset + FRAME_HEADER.size
    if end > len(raw) or not raw.startswith(FRAME_MARKER, offset):
        return None
    _, kind, flags, _, length, records, first, min_us, max_us, committed_us, checksum, own = (
        FRAME_HEADER.unpack_from(raw, offset)
    )
    if own != zlib.crc32(raw[offset : end - 4], salt):
        return None
    if kind not in (KIND_ROW_PAYLOAD, KIND_COLUMN_PAYLOAD):
        return None
    if length > MAX_PAYLOAD_BYTES or not records:
        return None
    return FrameHeader(length, records, first, min_us, max_us, committed_us, checksum, flags, kind)
