"""Looking at every byte of a journal, and holding what its files say of themselves
against what is in them."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Iterator

import attrs
import numpy as np

from stationd.errors import JournalUnreadable
from stationd.journal.block import ALL, CATEGORIES, CONTAINERS, USERS, Unreadable
from stationd.journal.blocks import ASCII, Summary, key, unpack_summary
from stationd.journal.catalogue import load
from stationd.journal.disk import Disk
from stationd.journal.format import FILE_HEADER
from stationd.journal.frames import check_rows
from stationd.journal.query import AnySegment
from stationd.journal.sealed import SealedSegment
from stationd.journal.sealed_block import SealedBlock
from stationd.journal.search import trigram_filter
from stationd.journal.segment import Segment

KEPT = re.compile(r"\.(broken|damaged\d*)$")
"""After the names of files that were set aside; they are no part of the journal."""


@attrs.frozen(kw_only=True)
class Report:
    """What a look at a journal found.

    @ivar records: how many records there are.
    @ivar segments: how many files have them, of C{size_bytes} together.
    @ivar damage: a sentence for each thing that is wrong.
    @ivar notes: a sentence for each that is not, but that one may want to know of.
    """

    records: int
    segments: int
    size_bytes: int
    damage: tuple[str, ...]
    notes: tuple[str, ...]


def verify(directory: str, progress: Callable[[int, int], None]) -> Report:
    """Read a whole journal. It may be written meanwhile; nothing is changed.

    @param progress: told how many bytes have been looked at, of how many.
    @raise JournalUnreadable: the directory cannot be read.
    @raise stationd.errors.JournalTooNew: a newer stationd wrote it.
    """
    disk = Disk()
    try:
        catalogue = load(disk, directory)
        kept = sorted(name for name in disk.names(directory) if KEPT.search(name))
    except OSError as error:
        raise JournalUnreadable(directory, error.strerror or str(error)) from error
    segments = catalogue.segments
    size_bytes = sum(segment.end for segment in segments)
    damage, notes = list(catalogue.damage), []
    done = 0
    for segment in segments:
        progress(done, size_bytes)
        damage += problems(segment)
        notes += gaps(segment)
        done += segment.end
    progress(done, size_bytes)
    if catalogue.torn:
        unfinished = f"{catalogue.torn} bytes at its end are a commit that is not finished"
        notes.append(f"{segments[-1].path}: {unfinished}")
    notes += [f"{os.path.join(directory, name)} was set aside" for name in kept]
    return Report(
        records=sum(segment.records for segment in segments),
        segments=len(segments),
        size_bytes=size_bytes,
        damage=tuple(damage),
        notes=tuple(notes),
    )


def problems(segment: AnySegment) -> list[str]:
    """A sentence for each thing that is wrong in a segment."""
    looked = _in_rows(segment) if isinstance(segment, Segment) else _in_sealed(segment)
    found = [f"{segment.path}, byte {at}: {what}" for at, what in looked]
    # What reading met on the way has been added to these.
    return [*segment.damage, *found]


def gaps(segment: AnySegment) -> list[str]:
    """A sentence for numbers that a sealed segment says it has not got."""
    if isinstance(segment, Segment):
        return []
    lost = segment.last - segment.name.first + 1 - segment.records
    return [f"{segment.path}: {lost} records were lost before it was sealed"] if lost else []


Finding = tuple[int, str]
"""Where in a file, and what."""


def _in_rows(segment: Segment) -> Iterator[Finding]:
    if not segment.damage:
        for before, after in itertools.pairwise(segment.parts):
            if before.last + 1 != after.first:
                yield after.offset, f"records {before.last + 1} to {after.first - 1} are missing"
    for part in segment.parts:
        records = 0
        times: list[int] = []
        with contextlib.suppress(Unreadable):
            for _, rows, end in segment.frames(part, part.offset, part.end - part.offset):
                try:
                    check_rows(rows)
                except (LookupError, ValueError) as error:
                    yield part.offset, f"the frame that ends at byte {end}: {error}"
                records += len(rows.texts)
                times += rows.times_us
        if times and (records, min(times), max(times)) != (part.records, part.min_us, part.max_us):
            yield part.offset, f"what records {part.first} to {part.last} are is not what is said"


def _in_sealed(segment: SealedSegment) -> Iterator[Finding]:
    end = FILE_HEADER.size
    last = segment.name.first - 1
    for part in segment.parts:
        span = f"records {part.first} to {part.last}"
        if part.offset != end or part.first <= last:
            yield part.offset, f"the block of {span} is not where it should be"
        end, last = part.end, part.last
        if unpack_summary(segment.header_of(part), 0, part.offset, segment.name.salt) != part:
            yield part.offset, f"the header of {span} is damaged, its copy in the footer is not"
        try:
            block = SealedBlock(segment, part)
            for what in _in_block(block, part) if block.check() else ():
                yield part.offset, f"{what} of {span} is not what is in it"
        except Unreadable:
            pass
        except (LookupError, ValueError) as error:
            yield part.offset, f"{span}: {error}"
    if last > segment.last:
        yield end, f"it says that it ends with record {segment.last}, and has {last}"


def _in_block(block: SealedBlock, part: Summary) -> Iterator[str]:
    """What of a block's summary is not so.

    @raise Unreadable: see L{stationd.journal.block.Block}.
    """
    names = block.names()
    if names != sorted(set(names)):
        yield "the order of the names"
    block.take(block.in_order(), part.records)
    numbers, times = block.numbers(ALL), block.times(ALL)
    containers = block.codes(CONTAINERS, ALL)
    if len(np.unique(numbers)) != part.records:
        yield "the number of records"
    if (int(numbers.min()), int(numbers.max())) != (part.first, part.last):
        yield "the first or the last number"
    if (np.diff(numbers)[np.diff(containers.astype(np.int64)) == 0] <= 0).any():
        yield "the order of the records"
    if (int(times.min()), int(times.max())) != (part.min_us, part.max_us):
        yield "the least or the greatest time"
    if sum(1 << level for level in np.unique(block.levels(ALL)).tolist()) != part.levels:
        yield "the set of levels"
    for field in (CATEGORIES, USERS, CONTAINERS):
        codes = np.unique(block.codes(field, ALL)).tolist()
        if b"".join(sorted({key(names[code]) for code in codes})) != part.keys[field]:
            yield "a set of keys"
    texts = block.texts(np.arange(part.records))
    if part.flags & ASCII and not all(map(bytes.isascii, texts)):
        yield "the note that all texts are ASCII"
    needed = int.from_bytes(trigram_filter(texts), "little")
    if needed & ~int.from_bytes(block.text_filter(), "little"):
        yield "the text filter"
