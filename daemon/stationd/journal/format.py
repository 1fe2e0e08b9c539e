"""The bytes of a journal: file headers, frames, rows. No I/O.

C{docs/journal-format.md} is the contract; a test holds the two together. All
integers are little-endian, all times microseconds since the epoch, UTC.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import attrs

from stationd.records import Draft, Level, Record

MAGIC = b"STATIONJ"
VERSION = 1
KIND_ROWS = 1
"""A segment that is appended to: frames of whole records. 2 is kept for sealed,
columnar segments."""

COMPATIBLE_KNOWN = 0
"""Flags that a reader may ignore and a writer must not."""

INCOMPATIBLE_KNOWN = 0
"""Flags without which a file cannot be read at all."""

FILE_HEADER = struct.Struct("<8sHHIIIQqII")
"""magic, version, kind, compatible flags, incompatible flags, header size, first
number, creation time, salt, checksum of the 44 bytes before."""

FRAME_MARKER = b"\xf5FRM"
"""Begins each frame. UTF-8 has no byte 0xF5, so no text can contain it."""

FRAME_HEADER = struct.Struct("<4sBBHIIQqqqII")
"""marker, kind, flags, zero, payload bytes, records, first number, least and
greatest time, time of the commit, checksum of the payload, checksum of the 52
bytes before."""

ROW = struct.Struct("<qBxHHHHI")
"""time, level, lengths in bytes of category, user, container, origin and text,
which follow in this order without anything between them."""

TOMBSTONE = struct.Struct("<8sQqI")
"""magic, the number through which the journal was cleared, when, checksum of the
24 bytes before."""

TOMBSTONE_MAGIC = b"STATIONC"

FLAG_CONTINUES = 1
"""A frame's flag: the commit goes on in the next frame, and counts only if its
last frame, which has no such flag, is there."""

FRAME_BYTES = 32 << 10
"""The payload a writer aims at: a millisecond's work for a reader."""

MAX_PAYLOAD_BYTES = 128 << 10
"""No payload is longer: one row can have 64 KiB of text and 4 KiB of names. It
bounds what a damaged length can make a reader do."""

assert FILE_HEADER.size == 48
assert FRAME_HEADER.size == 56
assert ROW.size == 22
assert TOMBSTONE.size == 28


@attrs.frozen(kw_only=True)
class FileHeader:
    """What stands at the beginning of a segment.

    @ivar kind: how the rest is laid out, L{KIND_ROWS}.
    @ivar first: the number that the first record in it has or will have.
    @ivar created_us: when it was made, by the clock of that moment.
    @ivar salt: where the checksums of its frames start, so that a frame copied
        from another file, or forged in a text, is not taken for one of this.
    """

    kind: int
    first: int
    created_us: int
    salt: int
    version: int = VERSION
    compatible: int = 0
    incompatible: int = 0


class FrameHeader(NamedTuple):
    """What stands before the records of one group commit.

    @ivar length: bytes of payload after this header.
    @ivar records: how many records are in it, at least 1.
    @ivar first: the number of the first of them.
    @ivar min_us: the least time of them, C{max_us} the greatest.
    @ivar committed_us: when they were written, by the clock of that moment.
    @ivar checksum: of the payload.
    @ivar flags: L{FLAG_CONTINUES} or 0.
    """

    length: int
    records: int
    first: int
    min_us: int
    max_us: int
    committed_us: int
    checksum: int
    flags: int


def pack_file_header(header: FileHeader) -> bytes:
    """The 48 bytes of a header."""
    body = FILE_HEADER.pack(
        MAGIC,
        header.version,
        header.kind,
        header.compatible,
        header.incompatible,
        FILE_HEADER.size,
        header.first,
        header.created_us,
        header.salt,
        0,
    )[:-4]
    return body + struct.pack("<I", zlib.crc32(body))


def unpack_file_header(raw: bytes) -> FileHeader | None:
    """The header in the first 48 bytes of a file, or C{None} if they are not one:
    too short, another magic, a wrong checksum."""
    if len(raw) < FILE_HEADER.size:
        return None
    magic, version, kind, compatible, incompatible, _, first, created_us, salt, checksum = (
        FILE_HEADER.unpack_from(raw)
    )
    if magic != MAGIC or checksum != zlib.crc32(raw[: FILE_HEADER.size - 4]):
        return None
    return FileHeader(
        kind=kind,
        first=first,
        created_us=created_us,
        salt=salt,
        version=version,
        compatible=compatible,
        incompatible=incompatible,
    )


def pack_row(draft: Draft) -> bytes:
    """One row of a payload."""
    strings = [
        text.encode()
        for text in (draft.category, draft.user, draft.container, draft.origin, draft.text)
    ]
    return b"".join((ROW.pack(draft.time_us, draft.level, *map(len, strings)), *strings))


def unpack_rows(payload: bytes, first: int) -> list[Record]:
    """The records of a payload whose checksum is right.

    @param first: the number of the first of them.
    @raise ValueError: the payload is not whole rows all the same, so whoever
        wrote it was at fault.
    """
    records: list[Record] = []
    offset = 0
    try:
        while offset < len(payload):
            time_us, level, *lengths = ROW.unpack_from(payload, offset)
            offset += ROW.size
            strings = []
            for length in lengths:
                end = offset + length
                strings.append(payload[offset:end].decode())
                offset = end
            category, user, container, origin, text = strings
            records.append(
                Record(
                    number=first + len(records),
                    time_us=time_us,
                    level=Level(level),
                    category=category,
                    user=user,
                    container=container,
                    text=text,
                    origin=origin,
                )
            )
    except struct.error as error:
        raise ValueError(str(error)) from error
    if offset != len(payload):
        raise ValueError(f"the last row ends {offset - len(payload)} bytes after the payload")
    return records


def pack_frame(payload: bytes, header: FrameHeader, salt: int) -> bytes:
    """A frame: header (its C{length} and C{checksum} are worked out here) and payload."""
    body = FRAME_HEADER.pack(
        FRAME_MARKER,
        KIND_ROWS,
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
    return b"".join((body, struct.pack("<I", zlib.crc32(body, salt)), payload))


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
    if kind != KIND_ROWS or length > MAX_PAYLOAD_BYTES or not records:
        return None
    return FrameHeader(length, records, first, min_us, max_us, committed_us, checksum, flags)


def pack_tombstone(through: int, cleared_us: int) -> bytes:
    """The file that says up to which number a journal was cleared, and when."""
    body = TOMBSTONE.pack(TOMBSTONE_MAGIC, through, cleared_us, 0)[:-4]
    return body + struct.pack("<I", zlib.crc32(body))


def unpack_tombstone(raw: bytes) -> tuple[int, int] | None:
    """C{(through, cleared_us)}, or C{None} if the bytes are not a tombstone."""
    if len(raw) != TOMBSTONE.size:
        return None
    magic, through, cleared_us, checksum = TOMBSTONE.unpack(raw)
    if magic != TOMBSTONE_MAGIC or checksum != zlib.crc32(raw[:-4]):
        return None
    return through, cleared_us
