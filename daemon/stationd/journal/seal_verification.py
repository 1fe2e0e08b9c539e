"""Verification of a sealed file against the rows that it was made from, before they may go."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator

import attrs
import numpy as np
import numpy.typing as npt

from stationd.journal.block import ALL, CATEGORIES, CONTAINERS, USERS, BlockUnreadable
from stationd.journal.block_reader import SealedBlock
from stationd.journal.column_batch import ColumnBatch
from stationd.journal.disk import IDisk
from stationd.journal.file_header import SEALED_SUFFIX
from stationd.journal.row_segment import RowSegment
from stationd.journal.seal import gather_blocks, read_frames
from stationd.journal.sealed_codec import FLAG_ASCII, BlockHeader, name_key, unpack_block_header
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.text_search import Indexes, trigram_filter
from stationd.messages import damage_messages, damaged_parts

STEP_RECORDS = 512
"""Records that are compared without a pause."""

_FIELDS = (damaged_parts.CATEGORIES, damaged_parts.USERS, damaged_parts.CONTAINERS)


def verify_sealed_file(
    disk: IDisk, segment: RowSegment, path: str, pause: Callable[[], None]
) -> None:
    """Make sure of a file that was sealed. If it is not what it was made from, or what
    C{pause} raises ends the work, it is removed.

    @param path: what L{stationd.journal.seal.seal_segment} returned.
    @raise ValueError: it is not.
    @raise OSError: the disk refused, or the rows have gone bad.
    """
    try:
        name = attrs.evolve(segment.name, suffix=SEALED_SUFFIX)
        sealed = SealedSegment(disk, disk.open(path, write=False), path, name)
        what = segment_difference(sealed, segment, pause)
        if segment.damage:
            raise OSError(errno.EIO, segment.damage[0])
        if what:
            wrong = damage_messages.SEAL_VERIFICATION_FAILED
            raise ValueError(wrong.render(path=path, rows=segment.path, what=what))
    except BaseException:
        with contextlib.suppress(OSError):
            disk.unlink(path)
        raise


def segment_difference(sealed: SealedSegment, rows: RowSegment, pause: Callable[[], None]) -> str:
    """What of a sealed segment is not as in the row segment, C{""} if all is.

    Every chunk is read as a reader does, every record and field is compared, and so is
    what the summaries say, in the footer and before each block.

    @param pause: called between pieces of a millisecond or two.
    @raise OSError: the disk does not give the rows.
    """
    if sealed.damage:
        return sealed.damage[0]
    if rows.damage:
        return rows.damage[0]
    if (sealed.records, sealed.committed_us) != (rows.records, rows.committed_us):
        has = {"records": sealed.records, "committed_us": sealed.committed_us}
        return damage_messages.SEAL_MISMATCH_COUNT.render(**has)
    if sealed.last < rows.last:
        return damage_messages.SEAL_MISMATCH_END.render(last=sealed.last)
    parts = iter(sealed.parts)
    for columns in gather_blocks(read_frames(rows, pause), pause):
        part = next(parts, None)
        if part is None:
            return damaged_parts.MISSING_BLOCK
        if unpack_block_header(sealed.read_header(part), 0, part.offset, sealed.name.salt) != part:
            return _in(part, damaged_parts.BLOCK_HEADER)
        try:
            what = _block_difference(SealedBlock(sealed, part), part, columns, pause)
        except (BlockUnreadable, LookupError, ValueError) as error:
            what = str(error) or damaged_parts.UNREADABLE_CHUNK
        if what:
            return _in(part, what)
    return damaged_parts.MORE_BLOCKS if next(parts, None) else "".join(rows.damage[:1])


def _in(part: BlockHeader, what: str) -> str:
    return damage_messages.SEAL_MISMATCH_NUMBERS.render(first=part.first, last=part.last, what=what)


def _block_difference(
    block: SealedBlock, part: BlockHeader, columns: ColumnBatch, pause: Callable[[], None]
) -> str:
    """What of a block is not as in the columns it should have been made of.

    @raise BlockUnreadable: a chunk is damaged, or longer than a reader takes.
    """
    if what := _header_difference(part, columns, pause):
        return what
    numbers, times = columns.numbers(ALL), columns.times(ALL)
    index = {name: code for code, name in enumerate(columns.names())}
    # Where each name of the block stands among those of the columns.
    codes = np.array([index.get(name, -1) for name in block.names()], np.int64)
    trigrams = int.from_bytes(block.trigram_filter(), "little")
    seen = np.zeros(len(numbers), np.bool_)
    for places, split in _steps(block, pause):
        rows = np.searchsorted(numbers, block.numbers(places))
        if int(rows.max()) >= len(numbers) or (numbers[rows] != block.numbers(places)).any():
            return damaged_parts.NUMBERS
        seen[rows] = True
        compared: list[tuple[str, npt.NDArray[np.generic], npt.NDArray[np.generic]]] = [
            (damaged_parts.TIMES, block.times(places), times[rows]),
            (damaged_parts.LEVELS, block.levels(places), columns.levels(rows)),
            *[
                (what, codes[block.codes(field, places)], columns.codes(field, rows))
                for field, what in enumerate(_FIELDS)
            ],
        ]
        for what, found, wanted in compared:
            if not np.array_equal(found, wanted):
                return what
        pause()
        if what := _string_difference(block, part, places, split, columns, rows, trigrams):
            return what
    return "" if seen.all() else damaged_parts.MISSING_RECORD


def _header_difference(part: BlockHeader, columns: ColumnBatch, pause: Callable[[], None]) -> str:
    """What of a block's summary is not as in the columns."""
    numbers = columns.numbers(ALL)
    pause()
    times = columns.times(ALL)
    summary = (part.records, part.first, part.last, part.min_us, part.max_us)
    if summary != (len(numbers), columns.first, columns.last, int(times.min()), int(times.max())):
        return damaged_parts.SUMMARY_NUMBERS
    pause()
    if sum(1 << level for level in np.unique(columns.levels(ALL)).tolist()) != part.levels:
        return damaged_parts.SUMMARY_LEVELS
    names = columns.names()
    for field in (CATEGORIES, USERS, CONTAINERS):
        pause()
        used = np.unique(columns.codes(field, ALL)).tolist()
        if b"".join(sorted({name_key(names[code]) for code in used})) != part.keys[field]:
            return damaged_parts.SUMMARY_KEYS
    return ""


def _steps(
    block: SealedBlock, pause: Callable[[], None]
) -> Iterator[tuple[Indexes, list[bytes | None]]]:
    """The places of each group, so many at a time as take a millisecond or two, and their
    texts as L{SealedBlock.split_texts} finds them."""
    for places in block.groups():
        pause()
        split = block.split_texts(places)
        for begin in range(0, len(places), STEP_RECORDS):
            pause()
            yield places[begin : begin + STEP_RECORDS], split[begin : begin + STEP_RECORDS]


def _string_difference(
    block: SealedBlock,
    part: BlockHeader,
    places: Indexes,
    split: list[bytes | None],
    columns: ColumnBatch,
    rows: Indexes,
    trigrams: int,
) -> str:
    texts = columns.texts(rows)
    if block.texts(places) != texts or split != texts:
        return damaged_parts.ALL_TEXTS
    origins = columns.origins()
    if block.origins(places) != [origins[row] for row in rows.tolist()]:
        return damaged_parts.ALL_ORIGINS
    if part.flags & FLAG_ASCII and not all(map(bytes.isascii, texts)):
        return damaged_parts.ASCII_NOTE
    if int.from_bytes(trigram_filter(texts), "little") & ~trigrams:
        return damaged_parts.TEXT_FILTER
    return ""
