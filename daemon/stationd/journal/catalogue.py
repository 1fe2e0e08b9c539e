"""Which segments a journal directory has, and what is in each: what a writer does
at its start and a reader of another process at any time."""

from __future__ import annotations

import os

import attrs

from stationd.journal.disk import IDisk
from stationd.journal.format import TOMBSTONE, unpack_tombstone
from stationd.journal.segment import Segment, SegmentName

TOMBSTONE_NAME = "cleared"


@attrs.frozen(kw_only=True)
class Catalogue:
    """A directory, read.

    @ivar segments: those that count, ascending, scanned.
    @ivar last: the greatest number ever given, as far as the files tell.
    @ivar sequence: the greatest sequence number of any segment's name.
    @ivar cleared_us: when the journal was last cleared, 0 if never.
    @ivar remove: files that a clear or a start left unfinished: they mean nothing.
    @ivar torn: bytes after the last whole frame of the last segment.
    @ivar damage: a sentence for each thing that is wrong between the files.
    """

    segments: tuple[Segment, ...]
    last: int
    sequence: int
    cleared_us: int
    remove: tuple[str, ...]
    torn: int
    damage: tuple[str, ...]


def load(disk: IDisk, directory: str) -> Catalogue:
    """Read a directory; nothing is changed.

    @raise OSError: it cannot be read. A segment that vanishes between the listing
        and the opening (a writer at work) is left out.
    @raise JournalTooNew: a segment is of a kind that this code does not know.
    """
    damage: list[str] = []
    through, cleared_us = _tombstone(disk, directory, damage)
    found = [
        (parsed, name) for name in disk.names(directory) if (parsed := SegmentName.parse(name))
    ]
    found.sort(key=lambda pair: pair[0].sequence)
    remove: list[str] = []
    segments: list[Segment] = []
    for parsed, name in found:
        path = os.path.join(directory, name)
        if parsed.first <= through:
            remove.append(path)
            continue
        try:
            fd = disk.open(path, write=False)
        except FileNotFoundError:
            continue
        segments.append(Segment(disk, fd, path, parsed))
    leftovers: list[int] = []
    for index, segment in enumerate(segments):
        after = segments[index + 1].name.first if index + 1 < len(segments) else None
        leftovers.append(segment.scan(after))
        if after is not None and segment.last + 1 < after:
            damage.append(f"{segment.path}: records {segment.last + 1} to {after - 1} are missing")
    # A file that was being made has no records, but its name has still told which
    # frames of the one before it were taken back.
    remove += [segment.path for segment in segments if segment.unfinished]
    kept = [index for index, segment in enumerate(segments) if not segment.unfinished]
    torn = leftovers[kept[-1]] if kept else 0
    segments = [segments[index] for index in kept]
    return Catalogue(
        segments=tuple(segments),
        last=max((through, *(segment.last for segment in segments))),
        sequence=max((parsed.sequence for parsed, _ in found), default=0),
        cleared_us=cleared_us,
        remove=tuple(remove),
        torn=torn,
        damage=tuple(damage),
    )


def _tombstone(disk: IDisk, directory: str, damage: list[str]) -> tuple[int, int]:
    """C{(through, cleared_us)}: C{(0, 0)} if the journal was never cleared."""
    path = os.path.join(directory, TOMBSTONE_NAME)
    try:
        fd = disk.open(path, write=False)
    except FileNotFoundError:
        return 0, 0
    try:
        found = unpack_tombstone(disk.read(fd, TOMBSTONE.size + 1, 0))
    finally:
        disk.close(fd)
    if found is None:
        damage.append(f"{path}: not a tombstone; records that were cleared may show again")
        return 0, 0
    return found
