"""Encoding of columns into a sealed block. No I/O."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import zstandard

from stationd.journal.block import ALL, CATEGORIES, CONTAINERS, USERS
from stationd.journal.byte_shuffle import byte_width, index_width, shuffle_bytes
from stationd.journal.column_batch import ColumnBatch
from stationd.journal.file_header import TERMINATOR, with_checksum
from stationd.journal.sealed_codec import (
    BLOCK_HEADER,
    BLOCK_MARKER,
    CHUNK,
    COLUMNS,
    COMPRESSION_LEVEL,
    FLAG_ASCII,
    LENGTHS,
    MAX_CHUNK_BYTES,
    NAMES,
    ORIGINS,
    TEXTS,
    TRIGRAMS,
    name_key,
)
from stationd.journal.text_search import trigram_filter

BLOCK_RECORDS = 32768
"""Records in a block. Fewer make questions about one container slower, which have to
look into each block: half of it by a third."""

MAX_NAMES = 1 << 16
"""Different categories, users and containers in a block: two bytes tell which."""

MAX_SPAN = 1 << 16
"""From the first number of a block to the one after its last: two bytes tell which it is
even if damage has taken some of the records."""

BLOCK_TEXT_BYTES = 2 << 20
"""A block is closed when it has so many bytes of text: what a search has to look
through in one step."""

BLOCK_NAME_BYTES = 4 << 20
"""Nor does it take more names than this: they are one chunk, which every question reads."""

GROUP_RECORDS = 4096
"""Records in a group: what is decoded for one container, 20 us' work."""

CHUNK_TEXT_BYTES = 64 << 10
"""Texts go into another chunk then. Half of it costs 4 % in bytes and 15 % in a search
through everything; twice as much makes a single container's texts slower to get."""


def encode_block(columns: ColumnBatch, committed_us: int, salt: int) -> bytes:
    """A sealed block of some records, at most L{BLOCK_RECORDS}, whose numbers span no
    more than L{MAX_SPAN}.

    @raise ValueError: a reader would not take it: the numbers or names are too many, or
        a chunk is longer than L{MAX_CHUNK_BYTES}.
    """
    names = columns.names()
    if len(names) > MAX_NAMES or columns.last - columns.first >= MAX_SPAN:
        span = f"records {columns.first} to {columns.last}"
        raise ValueError(f"a block of {len(names)} names, {span}")
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.uint16)
    rank[order] = np.arange(len(names), dtype=np.uint16)
    table = [names[code] for code in order]
    codes = [rank[columns.codes(field, ALL)] for field in (CATEGORIES, USERS, CONTAINERS)]
    counts = np.bincount(codes[CONTAINERS], minlength=len(table)).astype("<u4")
    times = columns.times(ALL)
    numbers = columns.numbers(ALL) - columns.first
    min_us, max_us = int(times.min()), int(times.max())
    rows = np.argsort(codes[CONTAINERS], kind="stable")
    origins = columns.origins()
    shown = columns.texts(rows)
    width = index_width(len(table))
    chunks = [
        (NAMES, 0, struct.pack("<I", len(table)) + counts.tobytes() + _join_terminated(table)),
        (TRIGRAMS, 0, trigram_filter(shown)),
    ]
    for begin in range(0, columns.records, GROUP_RECORDS):
        group = rows[begin : begin + GROUP_RECORDS]
        different: dict[bytes, int] = {}
        which = [
            different.setdefault(text, len(different))
            for text in shown[begin : begin + GROUP_RECORDS]
        ]
        texts = list(different)
        matrix = [
            shuffle_bytes(numbers[group], 2),
            shuffle_bytes(columns.levels(group), 1),
            shuffle_bytes(codes[CATEGORIES][group], width),
            shuffle_bytes(codes[USERS][group], width),
            shuffle_bytes(np.array(which), 2),
            shuffle_bytes(times[group] - min_us, byte_width(max_us - min_us)),
        ]
        chunks.append((COLUMNS, len(group), np.concatenate(matrix).tobytes()))
        if any(origins):
            chunks.append((ORIGINS, len(group), _join_terminated([origins[row] for row in group])))
        lengths = np.array([len(text) for text in texts])
        width_of_lengths = byte_width(int(lengths.max()))
        chunks.append((LENGTHS, len(texts), shuffle_bytes(lengths, width_of_lengths).tobytes()))
        chunks += [(TEXTS, len(part), _join_terminated(part)) for part in _text_chunks(texts)]
    longest = max(len(raw) for _, _, raw in chunks)
    if longest > MAX_CHUNK_BYTES:
        raise ValueError(f"a chunk of {longest} bytes")
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
    stored = [compressor.compress(raw) for _, _, raw in chunks]
    directory = b"".join(
        CHUNK.pack(kind, len(data), len(raw), records, zlib.crc32(data, salt))
        for data, (kind, records, raw) in zip(stored, chunks, strict=True)
    )
    keys = [
        b"".join(sorted({name_key(table[code]) for code in np.unique(column).tolist()}))
        for column in codes
    ]
    levels = sum(1 << level for level in np.unique(columns.levels(ALL)).tolist())
    header = BLOCK_HEADER.pack(
        BLOCK_MARKER,
        BLOCK_HEADER.size + len(directory) + sum(map(len, keys)) + 4,
        columns.records,
        len(chunks),
        FLAG_ASCII if all(map(bytes.isascii, shown)) else 0,
        columns.first,
        columns.last,
        min_us,
        max_us,
        committed_us,
        levels,
        *[len(found) // 4 for found in keys],
    )
    return with_checksum(header + directory + b"".join(keys), salt) + b"".join(stored)


def _text_chunks(texts: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Texts, as many at a time as go into a chunk."""
    begin = size = 0
    for index, text in enumerate(texts):
        if size and size + len(text) > CHUNK_TEXT_BYTES:
            yield texts[begin:index]
            begin, size = index, 0
        size += len(text) + 1
    yield texts[begin:]


def _join_terminated(strings: Sequence[bytes]) -> bytes:
    return TERMINATOR.join([*strings, b""])
