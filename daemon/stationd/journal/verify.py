"""Verification of a journal: every byte, and what its files say of themselves."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Iterator

import attrs
import numpy as np

from stationd.journal.block import ALL, CATEGORIES, CONTAINERS, USERS, BlockUnreadable
from stationd.journal.block_reader import SealedBlock
from stationd.journal.disk import Disk, IDisk, as_unreadable
from stationd.journal.file_header import FILE_HEADER
from stationd.journal.frame_codec import check_columns
from stationd.journal.row_segment import RowSegment
from stationd.journal.sealed_codec import FLAG_ASCII, BlockHeader, name_key, unpack_block_header
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.segment_catalogue import load_catalogue
from stationd.journal.snapshot import AnySegment, Snapshot, status
from stationd.journal.text_search import trigram_filter
from stationd.messages import damage_messages, damaged_parts

KEPT_COPY = re.compile(r"\.(broken|damaged\d*)$")
"""After the names of files that were set aside; they are no part of the journal."""


@attrs.frozen(kw_only=True)
class VerifyReport:
    """What a look at a journal found.

    @ivar records: how many records there are.
    @ivar first: the oldest number, C{last + 1} if there is none.
    @ivar last: the newest number that was ever given.
    @ivar segments: how many files have them, of C{size_bytes} together.
    @ivar damage: a sentence for each thing that is wrong.
    @ivar notes: a sentence for each that is not, but that one may want to know of.
    """

    records: int
    first: int
    last: int
    segments: int
    size_bytes: int
    damage: tuple[str, ...]
    notes: tuple[str, ...]


def verify(
    directory: str, progress: Callable[[int, int], None], disk: IDisk | None = None
) -> VerifyReport:
    """Read a whole journal. It may be written meanwhile; nothing is changed.

    @param progress: told how many bytes have been looked at, of how many.
    @param disk: where it is, C{None} for the real one.
    @raise JournalUnreadable: the directory cannot be read.
    @raise stationd.errors.JournalTooNew: a newer stationd wrote it.
    """
    disk = disk or Disk()
    try:
        catalogue = load_catalogue(disk, directory)
        kept = sorted(name for name in disk.names(directory) if KEPT_COPY.search(name))
    except OSError as error:
        raise as_unreadable(error, directory) from error
    segments = catalogue.segments
    size_bytes = sum(segment.end for segment in segments)
    damage, notes = list(catalogue.damage), []
    done = 0
    for segment in segments:
        progress(done, size_bytes)
        damage += find_problems(segment)
        notes += find_gaps(segment)
        done += segment.end
    progress(done, size_bytes)
    if catalogue.torn:
        unfinished = damage_messages.COMMIT_UNFINISHED
        notes.append(unfinished.render(path=segments[-1].path, torn=catalogue.torn))
    aside = damage_messages.FILE_SET_ASIDE
    notes += [aside.render(path=os.path.join(directory, name)) for name in kept]
    counts = status(Snapshot(segments, catalogue.last), catalogue.cleared.cleared_us, ())
    return VerifyReport(
        records=counts.records,
        first=counts.first,
        last=counts.last,
        segments=len(segments),
        size_bytes=size_bytes,
        damage=tuple(damage),
        notes=tuple(notes),
    )


def find_problems(segment: AnySegment) -> list[str]:
    """A sentence for each thing that is wrong in a segment."""
    looked = (
        _check_row_segment(segment)
        if isinstance(segment, RowSegment)
        else _check_sealed_segment(segment)
    )
    damaged = damage_messages.CONTENT_DAMAGED
    found = [damaged.render(path=segment.path, offset=at, what=what) for at, what in looked]
    # What reading met on the way has been added to these.
    return [*segment.damage, *found]


def find_gaps(segment: AnySegment) -> list[str]:
    """A sentence for numbers that a sealed segment says it has not got."""
    if isinstance(segment, RowSegment):
        return []
    lost = segment.last - segment.name.first + 1 - segment.records
    return (
        [damage_messages.RECORDS_LOST_IN_REPAIR.render(path=segment.path, lost=lost)]
        if lost
        else []
    )


Finding = tuple[int, str]
"""Where in a file, and what."""


def _check_row_segment(segment: RowSegment) -> Iterator[Finding]:
    if not segment.damage:
        for before, after in itertools.pairwise(segment.parts):
            if before.last + 1 != after.first:
                missing = {"first": before.last + 1, "last": after.first - 1}
                yield after.offset, damage_messages.RECORD_NUMBER_GAP.render(**missing)
    for part in segment.parts:
        records = 0
        times: list[int] = []
        with contextlib.suppress(BlockUnreadable):
            for _, rows, end in segment.frames(part, part.offset, part.end - part.offset):
                try:
                    check_columns(rows)
                except (LookupError, ValueError) as error:
                    yield part.offset, damage_messages.FRAME_MALFORMED.render(end=end, error=error)
                records += len(rows.texts)
                times += rows.times_us
        if times and (records, min(times), max(times)) != (part.records, part.min_us, part.max_us):
            span = {"first": part.first, "last": part.last}
            yield part.offset, damage_messages.FRAME_INDEX_MISMATCH.render(**span)


def _check_sealed_segment(segment: SealedSegment) -> Iterator[Finding]:
    end = FILE_HEADER.size
    last = segment.name.first - 1
    for part in segment.parts:
        span = {"first": part.first, "last": part.last}
        if part.offset != end or part.first <= last:
            yield part.offset, damage_messages.BLOCK_MISPLACED.render(**span)
        end, last = part.end, part.last
        if (
            unpack_block_header(segment.read_header(part), 0, part.offset, segment.name.salt)
            != part
        ):
            yield part.offset, damage_messages.BLOCK_HEADER_DAMAGED.render(**span)
        try:
            block = SealedBlock(segment, part)
            for what in _check_block(block, part) if block.check() else ():
                yield part.offset, damage_messages.BLOCK_SUMMARY_MISMATCH.render(what=what, **span)
        except BlockUnreadable:
            pass
        except (LookupError, ValueError) as error:
            yield part.offset, damage_messages.BLOCK_MALFORMED.render(error=error, **span)
    if last > segment.last:
        yield end, damage_messages.LAST_NUMBER_MISMATCH.render(said=segment.last, last=last)


def _check_block(block: SealedBlock, part: BlockHeader) -> Iterator[str]:
    """What of a block's summary is not so.

    @raise BlockUnreadable: see L{stationd.journal.block.Block}.
    """
    names = block.names()
    if names != sorted(set(names)):
        yield damaged_parts.NAME_ORDER
    block.records_at(block.places_by_number(), part.records)
    numbers, times = block.numbers(ALL), block.times(ALL)
    containers = block.codes(CONTAINERS, ALL)
    if len(np.unique(numbers)) != part.records:
        yield damaged_parts.RECORD_COUNT
    if (int(numbers.min()), int(numbers.max())) != (part.first, part.last):
        yield damaged_parts.FIRST_OR_LAST
    if (np.diff(numbers)[np.diff(containers.astype(np.int64)) == 0] <= 0).any():
        yield damaged_parts.RECORD_ORDER
    if (int(times.min()), int(times.max())) != (part.min_us, part.max_us):
        yield damaged_parts.LEAST_OR_GREATEST
    if sum(1 << level for level in np.unique(block.levels(ALL)).tolist()) != part.levels:
        yield damaged_parts.LEVEL_SET
    for field in (CATEGORIES, USERS, CONTAINERS):
        codes = np.unique(block.codes(field, ALL)).tolist()
        if b"".join(sorted({name_key(names[code]) for code in codes})) != part.keys[field]:
            yield damaged_parts.KEY_SET
    texts = block.texts(np.arange(part.records))
    if part.flags & FLAG_ASCII and not all(map(bytes.isascii, texts)):
        yield damaged_parts.ASCII_NOTE
    needed = int.from_bytes(trigram_filter(texts), "little")
    if needed & ~int.from_bytes(block.trigram_filter(), "little"):
        yield damaged_parts.TEXT_FILTER
