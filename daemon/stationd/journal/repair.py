"""Fencing damage: what can be read of a damaged file is sealed, and the file is kept
beside it under another name.

Everything is durable before what it replaces goes, so repair can be cut short at any
time, and begun again.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterator, Sequence

from stationd.journal.block import BlockUnreadable
from stationd.journal.block_reader import SealedBlock
from stationd.journal.directory_lock import Lock
from stationd.journal.disk import (
    TEMPORARY_SUFFIX,
    IDisk,
    as_unreadable,
    as_unwritable,
    replace_file,
)
from stationd.journal.file_header import (
    FIRST_TOMBSTONE_NAME,
    KIND_SEALED,
    ROWS_SUFFIX,
    SEALED_SUFFIX,
    FileHeader,
)
from stationd.journal.frame_codec import FrameColumns, check_columns
from stationd.journal.partial_read import read_available
from stationd.journal.seal import gather_blocks, write_sealed
from stationd.journal.sealed_codec import BlockHeader
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.segment_catalogue import SegmentCatalogue, load_catalogue
from stationd.journal.snapshot import AnySegment
from stationd.journal.verify import find_problems
from stationd.messages import damage_messages
from stationd.records import Record

DAMAGED_SUFFIX = ".damaged"
"""After the name of a file that was repaired."""

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What a file system says on which a file has one name only."""

_READ_ERRORS = (BlockUnreadable, LookupError, ValueError)


def repair(directory: str, disk: IDisk, progress: Callable[[int, int], None]) -> list[str]:
    """Repair a journal that nobody writes.

    @param progress: told how many bytes have been looked at, of how many.
    @return: a sentence for each thing that was done, none if nothing was wrong.
    @raise JournalLocked: somebody writes it.
    @raise JournalUnreadable: the directory cannot be read.
    @raise stationd.errors.JournalTooNew: a newer stationd wrote it.
    @raise JournalUnwritable: the disk refused; what is not repaired is as it was.
    """
    try:
        lock = Lock(directory)
    except OSError as error:
        raise as_unreadable(error, directory) from error
    try:
        return list(_repair(directory, disk, progress))
    except OSError as error:
        raise as_unwritable(error) from error
    finally:
        lock.release()


def _repair(directory: str, disk: IDisk, progress: Callable[[int, int], None]) -> Iterator[str]:
    catalogue = load_catalogue(disk, directory)
    tombstone = os.path.join(directory, FIRST_TOMBSTONE_NAME)
    if any(sentence.startswith(tombstone) for sentence in catalogue.damage):
        kept = _set_aside(disk, tombstone)
        yield damage_messages.INVALID_TOMBSTONE_SET_ASIDE.render(path=tombstone, kept=kept)
    for path in catalogue.excluded:
        kept = _set_aside(disk, path)
        yield damage_messages.CONFLICTING_FILE_SET_ASIDE.render(path=path, kept=kept)
    for file in catalogue.unreadable:
        about = {"path": file.path, "error": file.error}
        if file.denied:
            yield damage_messages.UNREADABLE_FILE_LEFT.render(**about)
            continue
        kept = _set_aside(disk, file.path)
        yield damage_messages.UNREADABLE_FILE_SET_ASIDE.render(kept=kept, **about)
    given = _last_of_unreadable(catalogue)
    if catalogue.excluded or catalogue.unreadable:
        catalogue = load_catalogue(disk, directory)
    size_bytes = sum(segment.end for segment in catalogue.segments)
    done = 0
    for segment, after in itertools.zip_longest(catalogue.segments, catalogue.segments[1:]):
        progress(done, size_bytes)
        through = segment.last
        # What may not be read now may have the numbers that are missing.
        if after and not catalogue.is_followed_by_unreadable(segment, after.name.sequence):
            through = max(through, after.name.first - 1)
        elif not after and not catalogue.is_followed_by_unreadable(segment, catalogue.sequence):
            through = max(segment.last_given, given)
        damaged = bool(find_problems(segment))
        if damaged or segment.last < through:
            yield _rewrite(disk, segment, through, damaged)
        done += segment.end
    progress(done, size_bytes)


def _last_of_unreadable(catalogue: SegmentCatalogue) -> int:
    """The greatest number that a record can have in a file that is the newest and is to be set
    aside, 0 if there is none. It is not given again."""
    newest = catalogue.unreadable[-1] if catalogue.unreadable else None
    before = catalogue.segments[-1].name.sequence if catalogue.segments else 0
    return newest.last_given if newest and newest.name.sequence > before else 0


def _rewrite(disk: IDisk, segment: AnySegment, through: int, damaged: bool) -> str:
    """Seal what can be read of a segment, and have it answer for all numbers up to the
    next one. Between the steps the segment counts in its
    old form, or in its new form beside the old one, which opening then removes."""
    to = os.path.join(os.path.dirname(segment.path), segment.name.stem + SEALED_SUFFIX)
    kept = ""
    if damaged:
        kept = damage_messages.DAMAGED_KEPT.render(kept=_keep_copy(disk, segment.path))
    header = FileHeader(
        kind=KIND_SEALED,
        first=segment.name.first,
        created_us=segment.created_us,
        salt=segment.name.salt,
    )
    read = 0

    def frames() -> Iterator[tuple[int, FrameColumns]]:
        nonlocal read
        for first, rows in _salvage_segment(segment):
            read += len(rows.texts)
            yield first, rows

    blocks = gather_blocks(frames(), lambda: None)
    write_sealed(disk, to + TEMPORARY_SUFFIX, header, blocks, segment.committed_us, through)
    disk.rename(to + TEMPORARY_SUFFIX, to)
    disk.sync_directory(os.path.dirname(to))
    if segment.name.suffix == ROWS_SUFFIX:
        disk.unlink(segment.path)
        disk.sync_directory(os.path.dirname(to))
    lost = through - segment.name.first + 1 - read
    return damage_messages.SEGMENT_REPAIRED.render(path=to, read=read, lost=lost, kept=kept)


def _free_name(disk: IDisk, path: str) -> str:
    """A path beside another one to keep it under, which nothing has."""
    directory, name = os.path.split(path)
    names = disk.names(directory)
    numbers = itertools.chain([""], map(str, itertools.count(2)))
    kept = (name + DAMAGED_SUFFIX + number for number in numbers)
    return os.path.join(directory, next(name for name in kept if name not in names))


def _set_aside(disk: IDisk, path: str) -> str:
    """Rename what does not count; the new name."""
    kept = _free_name(disk, path)
    disk.rename(path, kept)
    disk.sync_directory(os.path.dirname(path))
    return os.path.basename(kept)


def _keep_copy(disk: IDisk, path: str) -> str:
    """Give a file another name besides, under which it is kept; that name. Nothing is
    read for it, unless the file system gives a file one name only."""
    kept = _free_name(disk, path)
    try:
        disk.link(path, kept)
        disk.sync_directory(os.path.dirname(path))
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        fd = disk.open(path, write=False)
        try:
            raw, _ = read_available(disk, fd, disk.size(fd), 0)
        finally:
            disk.close(fd)
        replace_file(disk, kept, raw)
    return os.path.basename(kept)


def _salvage_segment(segment: AnySegment) -> Iterator[tuple[int, FrameColumns]]:
    """Records with consecutive numbers, and the number of the first of them."""
    if isinstance(segment, SealedSegment):
        for part in segment.parts:
            yield from _salvage_block(segment, part)
        return
    for span in segment.parts:
        with contextlib.suppress(BlockUnreadable):
            for first, rows, _ in segment.frames(span, span.offset, span.end - span.offset):
                with contextlib.suppress(*_READ_ERRORS):
                    check_columns(rows)
                    yield first, rows


def _salvage_block(segment: SealedSegment, part: BlockHeader) -> Iterator[tuple[int, FrameColumns]]:
    """Those of a block, as far as whole groups can be read."""
    found: dict[int, Record] = {}
    with contextlib.suppress(*_READ_ERRORS):
        block = SealedBlock(segment, part)
        for places in block.groups():
            with contextlib.suppress(*_READ_ERRORS):
                found.update(
                    (record.number, record) for record in block.records_at(places, part.records)
                )
    numbers = sorted(number for number in found if part.first <= number <= part.last)
    for _, run in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        records = [found[number] for _, number in run]
        yield records[0].number, _frame_columns(records)


def _frame_columns(records: Sequence[Record]) -> FrameColumns:
    names: dict[str, int] = {}
    columns = [
        [names.setdefault(name, len(names)) for name in column]
        for column in (
            [record.category for record in records],
            [record.user for record in records],
            [record.container for record in records],
        )
    ]
    return FrameColumns(
        times_us=[record.time_us for record in records],
        levels=[int(record.level) for record in records],
        names=[name.encode() for name in names],
        categories=columns[0],
        users=columns[1],
        containers=columns[2],
        origins=[record.origin.encode() for record in records],
        texts=[record.text.encode() for record in records],
    )
