"""Which segments a journal directory has, and what is in each: what a writer does
at its start and a reader of another process at any time."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Sequence

import attrs

from stationd.journal.disk import TEMPORARY_SUFFIX, IDisk
from stationd.journal.file_header import (
    FIRST_TOMBSTONE_NAME,
    ROWS_SUFFIX,
    TOMBSTONE,
    SegmentName,
    TombstoneName,
    unpack_tombstone,
)
from stationd.journal.row_segment import RowSegment
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.segment_conflicts import resolve_conflicts
from stationd.messages.damage_messages import SEGMENT_MISSING, TOMBSTONE_DAMAGED

MAX_ATTEMPTS = 20
"""How often a directory is listed anew because it changed meanwhile. A writer changes
it some times a second at most."""


@attrs.frozen(kw_only=True)
class SegmentCatalogue:
    """A directory, read.

    @ivar segments: those that count, ascending, their contents known.
    @ivar excluded: paths of files that contradict those that count, see L{resolve_conflicts}.
    @ivar last: the greatest number ever given, as far as the files tell, strangers too.
    @ivar sequence: the greatest sequence number of any segment's name.
    @ivar tombstone: the path of the tombstone that counts, C{""} if there is none.
    @ivar cleared: what it says.
    @ivar leftovers: files that a clear or a start left unfinished: they mean nothing.
    @ivar torn: bytes after the last whole frame of the last segment.
    @ivar damage: a sentence for each thing that is wrong between the files.
    """

    segments: tuple[RowSegment | SealedSegment, ...]
    excluded: tuple[str, ...]
    last: int
    sequence: int
    tombstone: str
    cleared: TombstoneName
    leftovers: tuple[str, ...]
    torn: int
    damage: tuple[str, ...]


def load_catalogue(disk: IDisk, directory: str) -> SegmentCatalogue:
    """Read a directory; nothing is changed. A writer at work, who seals and removes
    meanwhile, does not disturb it.

    @raise OSError: it cannot be read.
    @raise JournalTooNew: a segment is of a kind that this code does not know.
    """
    for _ in range(MAX_ATTEMPTS):
        names = frozenset(disk.names(directory))
        # A listing is no snapshot: a file renamed meanwhile may be in it under
        # neither name. One that did not change is one.
        if frozenset(disk.names(directory)) == names:
            with contextlib.suppress(FileNotFoundError):
                return _load_once(disk, directory, names)
    return _load_once(disk, directory, frozenset(disk.names(directory)))


def _load_once(disk: IDisk, directory: str, names: frozenset[str]) -> SegmentCatalogue:
    damage: list[str] = []
    tombstones = _read_tombstones(disk, directory, names, damage)
    tombstone, cleared = tombstones[-1] if tombstones else ("", TombstoneName())
    through = cleared.through
    found = [parsed for name in names if (parsed := SegmentName.parse(name))]
    found.sort(key=lambda name: (name.sequence, str(name)))
    remove = [name for name, _ in tombstones[:-1]]
    remove += [
        name
        for name in names
        if name.endswith(TEMPORARY_SUFFIX)
        or ((of := SegmentName.parse_kept(name)) and of.first <= through)
    ]
    segments: list[RowSegment | SealedSegment] = []
    for parsed in found:
        if parsed.first <= through:
            remove.append(str(parsed))
            continue
        path = os.path.join(directory, str(parsed))
        fd = disk.open(path, write=False)
        segments.append(
            RowSegment(disk, fd, path, parsed)
            if parsed.suffix == ROWS_SUFFIX
            else SealedSegment(disk, fd, path, parsed)
        )
    leftovers = _scan_rows(segments)
    # A file that was being made has no records, but its name has still told which
    # frames of the one before it were taken back.
    remove += [str(segment.name) for segment in segments if segment.unfinished]
    whole = [segment for segment in segments if not segment.unfinished]
    choice = resolve_conflicts(whole)
    served = choice.served
    for before, after in itertools.pairwise(served):
        if before.last + 1 < after.name.first:
            missing = {"first": before.last + 1, "last": after.name.first - 1}
            damage.append(SEGMENT_MISSING.render(path=before.path, **missing))
    return SegmentCatalogue(
        segments=tuple(served),
        excluded=tuple(choice.excluded),
        last=max((through, *(segment.last for segment in whole))),
        sequence=max((parsed.sequence for parsed in found), default=0),
        tombstone=tombstone and os.path.join(directory, tombstone),
        cleared=cleared,
        leftovers=tuple(os.path.join(directory, name) for name in sorted(remove + choice.replaced)),
        torn=leftovers.get(served[-1].path, 0) if served else 0,
        damage=tuple(damage),
    )


def _scan_rows(segments: Sequence[RowSegment | SealedSegment]) -> dict[str, int]:
    """Read the row segments among some, ascending; how many bytes there are after the
    last frame of each, by its path."""
    leftovers: dict[str, int] = {}
    for index, segment in enumerate(segments):
        if isinstance(segment, RowSegment):
            leftovers[segment.path] = segment.scan(None)
            later = (other.name for other in itertools.islice(segments, index + 1, None))
            after = next((n for n in later if n.sequence > segment.name.sequence), None)
            if after and segment.name.first <= after.first <= segment.last:
                leftovers[segment.path] = segment.scan(after.first)
    return leftovers


def _read_tombstones(
    disk: IDisk, directory: str, names: frozenset[str], damage: list[str]
) -> list[tuple[str, TombstoneName]]:
    """The names of all tombstones and what they say; the last is the one that counts."""
    found = [(name, said) for name in names if (said := TombstoneName.parse(name))]
    if FIRST_TOMBSTONE_NAME in names:
        path = os.path.join(directory, FIRST_TOMBSTONE_NAME)
        if said := _read_first_tombstone(disk, path):
            found.append((FIRST_TOMBSTONE_NAME, said))
        else:
            damage.append(TOMBSTONE_DAMAGED.render(path=path))
    return sorted(found, key=lambda one: (one[1], one[0]))


def _read_first_tombstone(disk: IDisk, path: str) -> TombstoneName | None:
    """What a tombstone of the first writers says, C{None} if it is damaged."""
    fd = disk.open(path, write=False)
    try:
        return unpack_tombstone(disk.read(fd, TOMBSTONE.size + 1, 0))
    finally:
        disk.close(fd)
