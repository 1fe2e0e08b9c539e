"""The chunks of one sealed block: read, checked, decompressed, cached."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar, cast

from stationd.journal.block import BlockSummary, BlockUnreadable
from stationd.journal.file_header import SegmentName
from stationd.journal.sealed_codec import (
    CHUNK,
    COLUMNS,
    LENGTHS,
    NAMES,
    ORIGINS,
    TEXTS,
    TRIGRAMS,
    BlockHeader,
    unpack_chunk,
)
from stationd.messages import damaged_parts

_CHUNK_NAMES = {
    NAMES: damaged_parts.NAMES,
    TRIGRAMS: damaged_parts.TEXT_FILTER,
    COLUMNS: damaged_parts.COLUMNS,
    ORIGINS: damaged_parts.ORIGINS,
    LENGTHS: damaged_parts.LENGTHS,
    TEXTS: damaged_parts.TEXTS,
}

T = TypeVar("T")


class ChunkFile(Protocol):
    """The file that chunks are in.

    @ivar name: of the segment.
    """

    name: SegmentName

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of it. Raises L{OSError}."""

    def report_damage(self, part: BlockSummary, what: str) -> None:
        """Report damage in a block."""


class ChunkReader:
    """What has been read of a block, and how to read the rest.

    @ivar directory: the kind of each chunk, and how many records it has.
    @ivar size_bytes: about what is kept.
    """

    def __init__(self, file: ChunkFile, part: BlockHeader) -> None:
        self._file = file
        self._part = part
        self._places: list[tuple[int, int, int, int]] = []
        self._cache: dict[Hashable, object] = {}
        self.directory: list[tuple[int, int]] = []
        self.size_bytes = 2000
        offset = part.offset + part.size
        for kind, stored, size, records, checksum in CHUNK.iter_unpack(part.chunks):
            self.directory.append((kind, records))
            self._places.append((offset, stored, size, checksum))
            offset += stored

    def cached(self, key: Hashable, make: Callable[[], tuple[T, int]]) -> T:
        """Something that is made only once, and about how many bytes it takes."""
        if key not in self._cache:
            self._cache[key], size_bytes = make()
            self.size_bytes += size_bytes
        return cast(T, self._cache[key])

    def read(self, index: int) -> bytes:
        """A chunk, decompressed.

        @raise BlockUnreadable: it is damaged. The segment's damage says so from then on.
        """
        offset, stored, size, checksum = self._places[index]
        try:
            raw = self._file.read(offset, stored)
        except OSError as error:
            raise self.unreadable(index, str(error.strerror)) from error
        found = unpack_chunk(raw, size, checksum, self._file.name.salt)
        if found is None:
            raise self.unreadable(index)
        return found

    def check(self) -> bool:
        """Read every chunk, so that all damage is reported: whether there is none."""
        whole = True
        for index in range(len(self.directory)):
            try:
                self.read(index)
            except BlockUnreadable:
                whole = False
        return whole

    def have_valid_checksums(self) -> bool:
        """Whether every chunk has the right checksum."""
        salt = self._file.name.salt
        for index, (offset, stored, _, checksum) in enumerate(self._places):
            try:
                raw = self._file.read(offset, stored)
            except OSError as error:
                self.unreadable(index, str(error.strerror))
                return False
            if zlib.crc32(raw, salt) != checksum:
                self.unreadable(index)
                return False
        return True

    def has(self, key: Hashable) -> bool:
        """Whether something has been made already."""
        return key in self._cache

    def size(self, index: int) -> int:
        """How long a chunk is when it is decompressed."""
        return self._places[index][2]

    def unreadable(self, index: int, reason: str = "") -> BlockUnreadable:
        """What to raise when a chunk is not what it should be."""
        what = _CHUNK_NAMES.get(self.directory[index][0], damaged_parts.UNKNOWN)
        what = damaged_parts.NOT_READ.format(what=what, error=reason) if reason else what
        self._file.report_damage(self._part, what)
        return BlockUnreadable()
