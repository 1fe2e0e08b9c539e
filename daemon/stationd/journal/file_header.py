"""The bytes around the records: names and headers of files, the tombstone. No I/O.

C{docs/journal-format.md} is the contract; a test holds the two together. All
integers are little-endian, all times microseconds since the epoch, UTC.
"""

from __future__ import annotations

import struct
import zlib

import attrs

MAGIC = b"STATIONJ"
VERSION = 1

KIND_ROWS = 1
"""A segment that is appended to: frames, one or more for each commit."""

KIND_SEALED = 2
"""A segment that is finished: blocks of compressed columns, and a footer."""

KNOWN_COMPATIBLE = 0
"""Flags that a reader may ignore and a writer must not."""

FLAG_COLUMN_FRAMES = 1
"""An incompatible flag: the segment can have frames of kind 2."""

KNOWN_INCOMPATIBLE = FLAG_COLUMN_FRAMES
"""Flags without which a file cannot be read at all."""

FILE_HEADER = struct.Struct("<8sHHIIIQqII")
"""magic, version, kind, compatible flags, incompatible flags, header size, first
number, creation time, salt, checksum of the 44 bytes before."""

TOMBSTONE = struct.Struct("<8sQqI")
"""What the first writers wrote, before a name said it: magic, the number through which
the journal was cleared, when, checksum of the 24 bytes before."""

TOMBSTONE_MAGIC = b"STATIONC"

TERMINATOR = b"\xff"
"""Ends each string that stands in a list of strings. UTF-8 has no such byte."""

ROWS_SUFFIX = ".rows"
SEALED_SUFFIX = ".sealed"
TOMBSTONE_SUFFIX = ".cleared"

FIRST_TOMBSTONE_NAME = "cleared"
"""The file that the first writers made; see L{TOMBSTONE}."""

assert FILE_HEADER.size == 48
assert TOMBSTONE.size == 28


@attrs.frozen
class SegmentName:
    """What a segment's file name tells; with it a file can be read even if its
    header is destroyed.

    @ivar sequence: 1, 2, 3, … in the order in which segments were made.
    @ivar first: see L{FileHeader.first}.
    @ivar salt: see L{FileHeader.salt}.
    @ivar suffix: L{ROWS_SUFFIX}, or L{SEALED_SUFFIX} for what was made of it.
    """

    sequence: int
    first: int
    salt: int
    suffix: str = ROWS_SUFFIX

    @property
    def stem(self) -> str:
        """What a row segment and the sealed one made of it have in common."""
        return f"{self.sequence:08d}-{self.first:020d}-{self.salt:08x}"

    def __str__(self) -> str:
        return self.stem + self.suffix

    @classmethod
    def parse_kept(cls, name: str) -> SegmentName | None:
        """Whose broken tail or damaged copy a file is, C{None} if it is none."""
        for suffix in (ROWS_SUFFIX, SEALED_SUFFIX):
            stem, found, rest = name.partition(suffix)
            if found and rest.startswith(".") and not rest.endswith(".new"):
                return cls.parse(stem + suffix)
        return None

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """The parts of a file name, C{None} if it is not a segment's."""
        stem, dot, suffix = name.partition(".")
        parts = stem.split("-")
        if dot + suffix not in (ROWS_SUFFIX, SEALED_SUFFIX) or [len(part) for part in parts] != [
            8,
            20,
            8,
        ]:
            return None
        try:
            found = cls(int(parts[0]), int(parts[1]), int(parts[2], 16), dot + suffix)
        except ValueError:
            return None
        return found if str(found) == name else None


@attrs.frozen(order=True)
class TombstoneName:
    """What the name of a tombstone says. What is in the file does not matter: so it takes a
    rename to clear a journal, and no room.

    @ivar through: no record up to this number counts.
    @ivar cleared_us: when the journal was last cleared, 0 if never.
    """

    through: int = 0
    cleared_us: int = 0

    def __str__(self) -> str:
        return f"{self.through:020d}-{self.cleared_us:020d}{TOMBSTONE_SUFFIX}"

    @classmethod
    def parse(cls, name: str) -> TombstoneName | None:
        """The parts of a file name, C{None} if it is not a tombstone's."""
        through, _, cleared_us = name.removesuffix(TOMBSTONE_SUFFIX).partition("-")
        try:
            found = cls(int(through), int(cleared_us))
        except ValueError:
            return None
        return found if str(found) == name else None


@attrs.frozen(kw_only=True)
class FileHeader:
    """What stands at the beginning of a segment.

    @ivar kind: how the rest is laid out: L{KIND_ROWS} or L{KIND_SEALED}.
    @ivar first: the number that the first record in it has or will have.
    @ivar created_us: when it was made, by the clock of that moment.
    @ivar salt: where the checksums in it start, so that bytes copied from another
        file, or forged in a text, are not taken for its own.
    """

    kind: int
    first: int
    created_us: int
    salt: int
    version: int = VERSION
    compatible: int = 0
    incompatible: int = 0


def with_checksum(body: bytes, salt: int = 0) -> bytes:
    """Some bytes, and their checksum after them."""
    return body + struct.pack("<I", zlib.crc32(body, salt))


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
    return with_checksum(body)


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


def unpack_tombstone(raw: bytes) -> TombstoneName | None:
    """What a tombstone of the first writers says, or C{None} if the bytes are not one."""
    if len(raw) != TOMBSTONE.size:
        return None
    magic, through, cleared_us, checksum = TOMBSTONE.unpack(raw)
    if magic != TOMBSTONE_MAGIC or checksum != zlib.crc32(raw[:-4]):
        return None
    return TombstoneName(through, cleared_us)
