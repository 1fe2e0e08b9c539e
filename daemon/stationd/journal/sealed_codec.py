"""The format of a sealed segment: blocks of compressed columns, and the footer. No I/O.

A block is a header, which is also its summary, and chunks, each compressed with
Zstandard (RFC 8878) and under a checksum of its own. Within a block records are
grouped by container, so that everything of one container is read from a few chunks
and not from all of them.
"""

from __future__ import annotations

import functools
import struct
import threading
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import zstandard

from stationd.journal.file_header import with_checksum

BLOCK_MARKER = b"\xf5BLK"

BLOCK_HEADER = struct.Struct("<4sIIHHQQqqqBxHHH")
"""marker, header bytes in all, records, chunks, flags, first and last number, least and
greatest time, greatest time of a commit, set of levels, how many category, user and container
keys follow. Then come the chunks' L{CHUNK}s, the keys, and a checksum."""

CHUNK = struct.Struct("<BxxxIIII")
"""kind, stored bytes, bytes when decompressed, records in it, checksum of the stored
bytes."""

FLAG_ASCII = 1
"""A block's flag: no text in it has any other characters."""

FOOTER_MAGIC = b"STATIONF"

TRAILER = struct.Struct("<8sQQIIIII")
"""magic, offset of the footer, last number that the segment answers for, stored bytes of
the footer, its bytes when decompressed, blocks, checksum of the stored bytes, checksum
of the 40 bytes before. The end of the file."""

NAMES, TRIGRAMS, COLUMNS, ORIGINS, LENGTHS, TEXTS = range(1, 7)
"""Kinds of chunks. A block has one of each of the first two, then for each group one
of columns, one of origins if there are any, one of the lengths of its different texts,
and these."""

COMPRESSION_LEVEL = 9
"""Of Zstandard. 3 takes a sixth of the time, but 15 % more bytes, and is read a quarter
slower; 12 gains nothing more."""

MAX_CHUNK_BYTES = 64 << 20
"""No chunk is longer: 8,192 records with 5,120 bytes of names and origin each have less."""

KEY_BYTES = 19
"""Bytes of a name that count for its key: a Docker container's name in records is as
good as its first 19 characters, C{docker/} and 12 digits."""

assert BLOCK_HEADER.size == 64
assert CHUNK.size == 20
assert TRAILER.size == 44


class _PerThread(threading.local):
    """Making a decompressor costs as much as decompressing a chunk, and one must
    not be used by two threads at a time."""

    def __init__(self) -> None:
        self.decompressor = functools.cache(zstandard.ZstdDecompressor)


_per_thread = _PerThread()


class BlockHeader(NamedTuple):
    """What a block's header says.

    @ivar offset: where the block begins in the file; C{size} is that of the header.
    @ivar first: the number of the first of C{records} records, C{last} that of the last.
    @ivar min_us: the least time, C{max_us} the greatest.
    @ivar committed_us: the greatest time of a commit.
    @ivar flags: L{FLAG_ASCII} or 0.
    @ivar levels: bit N is set if a record has level N.
    @ivar keys: for categories, users and containers the L{name_key}s that occur, four
        bytes each, ascending.
    @ivar chunks: L{CHUNK}s.
    """

    offset: int
    size: int
    first: int
    last: int
    records: int
    min_us: int
    max_us: int
    committed_us: int
    flags: int
    levels: int
    keys: tuple[bytes, bytes, bytes]
    chunks: bytes

    @property
    def end(self) -> int:
        """Where the block ends in the file."""
        stored: int = sum(chunk[1] for chunk in CHUNK.iter_unpack(self.chunks))
        return self.offset + self.size + stored

    def may_contain(self, field: int, wanted: bytes) -> bool:
        """Whether a name with this key may be in a column."""
        keys = self.keys[field]
        at = keys.find(wanted)
        while at % 4 and at > 0:
            at = keys.find(wanted, at + 1)
        return at >= 0


def name_key(name: bytes) -> bytes:
    """Four bytes by which a block that has not got a name is ruled out: the CRC-32
    of the first L{KEY_BYTES} bytes."""
    return zlib.crc32(name[:KEY_BYTES]).to_bytes(4, "little")


def unpack_block_header(raw: bytes, at: int, offset: int, salt: int) -> BlockHeader | None:
    """The block header at a place of a buffer, C{None} if there is none whole and right.

    @param at: where it is in the buffer; C{offset}: where that is in the file.
    """
    if at + BLOCK_HEADER.size > len(raw) or not raw.startswith(BLOCK_MARKER, at):
        return None
    _, size, records, chunks, flags, first, last, min_us, max_us, committed_us, levels, *counts = (
        BLOCK_HEADER.unpack_from(raw, at)
    )
    keys_at = BLOCK_HEADER.size + CHUNK.size * chunks
    if size != keys_at + 4 * sum(counts) + 4 or at + size > len(raw) or not chunks:
        return None
    body = raw[at : at + size - 4]
    if int.from_bytes(raw[at + size - 4 : at + size], "little") != zlib.crc32(body, salt):
        return None
    keys: list[bytes] = []
    for count in counts:
        keys.append(body[keys_at : keys_at + 4 * count])
        keys_at += 4 * count
    return BlockHeader(
        offset=offset,
        size=size,
        first=first,
        last=last,
        records=records,
        min_us=min_us,
        max_us=max_us,
        committed_us=committed_us,
        flags=flags,
        levels=levels,
        keys=(keys[0], keys[1], keys[2]),
        chunks=body[BLOCK_HEADER.size : BLOCK_HEADER.size + CHUNK.size * chunks],
    )


def pack_footer(headers: Sequence[bytes], offset: int, through: int, salt: int) -> bytes:
    """What follows the blocks: their headers once more, and the trailer.

    @param offset: where it begins in the file.
    @param through: the last number that the segment answers for.
    @raise ValueError: it is longer than a reader takes.
    """
    raw = b"".join(headers)
    if len(raw) > MAX_CHUNK_BYTES:
        raise ValueError(f"a footer of {len(raw)} bytes")
    stored = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(raw)
    trailer = TRAILER.pack(
        FOOTER_MAGIC,
        offset,
        through,
        len(stored),
        len(raw),
        len(headers),
        zlib.crc32(stored, salt),
        0,
    )[:-4]
    return stored + with_checksum(trailer, salt)


class Trailer(NamedTuple):
    """Where the footer is; see L{TRAILER}."""

    offset: int
    through: int
    stored: int
    raw: int
    blocks: int
    checksum: int


def unpack_trailer(raw: bytes, salt: int) -> Trailer | None:
    """The trailer in the last bytes of a file, C{None} if they are none."""
    if len(raw) != TRAILER.size:
        return None
    magic, offset, through, stored, size, blocks, checksum, own = TRAILER.unpack(raw)
    if magic != FOOTER_MAGIC or own != zlib.crc32(raw[:-4], salt) or size > MAX_CHUNK_BYTES:
        return None
    return Trailer(offset, through, stored, size, blocks, checksum)


def unpack_footer(
    stored: bytes, trailer: Trailer, begin: int, salt: int
) -> list[BlockHeader] | None:
    """The summaries of all blocks, C{None} if the bytes are not a footer.

    @param begin: where the first block begins in the file.
    """
    raw = unpack_chunk(stored, trailer.raw, trailer.checksum, salt)
    if raw is None:
        return None
    found: list[BlockHeader] = []
    at, offset = 0, begin
    while at < len(raw):
        summary = unpack_block_header(raw, at, offset, salt)
        if summary is None:
            return None
        found.append(summary)
        at += summary.size
        offset = summary.end
    return found if len(found) == trailer.blocks else None


def unpack_chunk(stored: bytes, size: int, checksum: int, salt: int) -> bytes | None:
    """What a chunk holds, C{None} if it is damaged."""
    if zlib.crc32(stored, salt) != checksum or size > MAX_CHUNK_BYTES:
        return None
    try:
        raw = _per_thread.decompressor().decompress(stored, max_output_size=max(size, 1))
    except zstandard.ZstdError:
        return None
    return raw if len(raw) == size else None
