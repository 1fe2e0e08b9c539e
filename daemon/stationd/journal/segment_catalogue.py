"""Which segments a journal directory has, and what is in each: what a writer does
at its start and a reader of another process at any time."""

from __future__ import annotations

import bisect
import errno
import itertools
import os
from collections.abc import Collection, Iterator, Sequence

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
from stationd.journal.row_segment import MIN_RECORD_BYTES, RowSegment
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.segment_conflicts import resolve_conflicts
from stationd.messages.damage_messages import (
    FILE_UNREADABLE,
    SEGMENT_MISSING,
    TOMBSTONE_DAMAGED,
)

MAX_ATTEMPTS = 20
"""How often a directory is listed anew because it changed meanwhile. A writer changes
it some times a second at most."""


MAX_ROWS_BYTES = 16 << 20
"""More than a row segment gets: 8 MiB, and one commit more."""

_OF_THE_PROCESS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of opening a file that say nothing of the file."""


@attrs.frozen(kw_only=True)
class UnreadableFile:
    """What is in a segment's place and cannot be opened: a directory, say, or a file that
    somebody else may read only.

    @ivar error: why not, in the system's words.
    @ivar denied: whether it may not be read; then it may be a whole segment.
    @ivar last_given: the greatest number that a record in it can have.
    """

    path: str
    name: SegmentName
    error: str
    denied: bool
    last_given: int


@attrs.frozen(kw_only=True)
class SegmentCatalogue:
    """A directory, read.

    @ivar segments: those that count, ascending, their contents known.
    @ivar excluded: paths of files that contradict those that count, see L{resolve_conflicts}.
    @ivar unreadable: what is in the place of others, ascending.
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
    unreadable: tuple[UnreadableFile, ...]
    last: int
    sequence: int
    tombstone: str
    cleared: TombstoneName
    leftovers: tuple[str, ...]
    torn: int
    damage: tuple[str, ...]

    def is_followed_by_unreadable(self, segment: RowSegment | SealedSegment, after: int) -> bool:
        """Whether something unreadable is between a segment and the one with a later
        sequence number."""
        return any(segment.name.sequence <= u.name.sequence <= after for u in self.unreadable)


def load_catalogue(disk: IDisk, directory: str) -> SegmentCatalogue:
    """Read a directory; nothing is changed. A writer at work, who seals and removes
    meanwhile, does not disturb it.

    @raise OSError: it cannot be read.
    @raise JournalTooNew: a segment is of a kind that this code does not know.
    """
    missing: set[str] = set()
    for _ in range(MAX_ATTEMPTS):
        names = frozenset(disk.names(directory))
        # A listing is no snapshot: a file renamed meanwhile may be in it under
        # neither name. One that did not change is one.
        if frozenset(disk.names(directory)) == names:
            try:
                return _load_once(disk, directory, names, missing)
            except FileNotFoundError as error:
                # If it is listed and not there once more, it is a link to nothing.
                missing.add(os.path.basename(error.filename))
    return _load_once(disk, directory, frozenset(disk.names(directory)), missing)


def _load_once(
    disk: IDisk, directory: str, names: frozenset[str], missing: Collection[str]
) -> SegmentCatalogue:
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
    unreadable: list[UnreadableFile] = []
    for parsed in found:
        if parsed.first <= through:
            remove.append(str(parsed))
            continue
        path = os.path.join(directory, str(parsed))
        try:
            segments.append(_open_segment(disk, path, parsed))
        except OSError as error:
            if error.errno in _OF_THE_PROCESS:
                raise
            if isinstance(error, FileNotFoundError) and str(parsed) not in missing:
                raise
            unreadable.append(_describe_unreadable(disk, path, parsed, error))
    leftovers = _scan_rows(segments, [file.name for file in unreadable])
    # A file that was being made has no records, but its name has still told which
    # frames of the one before it were taken back.
    remove += [str(segment.name) for segment in segments if segment.unfinished]
    whole = [segment for segment in segments if not segment.unfinished]
    choice = resolve_conflicts(whole)
    served = choice.served
    found_now = SegmentCatalogue(
        segments=tuple(served),
        excluded=tuple(choice.excluded),
        unreadable=tuple(unreadable),
        last=max(through, _last_number(whole, unreadable)),
        sequence=max((parsed.sequence for parsed in found), default=0),
        tombstone=tombstone and os.path.join(directory, tombstone),
        cleared=cleared,
        leftovers=tuple(os.path.join(directory, name) for name in sorted(remove + choice.replaced)),
        torn=leftovers.get(served[-1].path, 0) if served else 0,
        damage=tuple(damage),
    )
    return attrs.evolve(found_now, damage=(*damage, *_missing_segments(found_now)))


def _missing_segments(catalogue: SegmentCatalogue) -> Iterator[str]:
    """A sentence for what is between the segments and cannot be read, or is not there."""
    for file in catalogue.unreadable:
        yield FILE_UNREADABLE.render(path=file.path, error=file.error, first=file.name.first)
    for before, after in itertools.pairwise(catalogue.segments):
        if before.last + 1 < after.name.first and not catalogue.is_followed_by_unreadable(
            before, after.name.sequence
        ):
            missing = {"first": before.last + 1, "last": after.name.first - 1}
            yield SEGMENT_MISSING.render(path=before.path, **missing)


def _last_number(
    segments: Sequence[RowSegment | SealedSegment], unreadable: Sequence[UnreadableFile]
) -> int:
    """The greatest number that may have been given to a record in some files. What the newest
    of them may have had, and cannot be read, has numbers too."""
    newest = max((*segments, *unreadable), key=lambda file: file.name.sequence, default=None)
    return max(
        (
            newest.last_given if newest else 0,
            *(segment.last for segment in segments),
            *(file.name.first - 1 for file in unreadable),
        )
    )


def _open_segment(disk: IDisk, path: str, name: SegmentName) -> RowSegment | SealedSegment:
    """A segment; a row segment is not read yet."""
    fd = disk.open(path, write=False)
    if name.suffix == ROWS_SUFFIX:
        return RowSegment(disk, fd, path, name)
    return SealedSegment(disk, fd, path, name)


def _describe_unreadable(
    disk: IDisk, path: str, name: SegmentName, error: OSError
) -> UnreadableFile:
    try:
        size_bytes = disk.size_of_path(path)
    except OSError:
        size_bytes = 0
    # Of a sealed file the size tells nothing, but it was a row segment.
    if size_bytes and name.suffix != ROWS_SUFFIX:
        size_bytes = MAX_ROWS_BYTES
    return UnreadableFile(
        path=path,
        name=name,
        error=error.strerror or str(error),
        denied=isinstance(error, PermissionError),
        last_given=name.first - 1 + size_bytes // MIN_RECORD_BYTES,
    )


def _scan_rows(
    segments: Sequence[RowSegment | SealedSegment], others: Sequence[SegmentName]
) -> dict[str, int]:
    """Read the row segments among some, ascending; how many bytes there are after the
    last frame of each, by its path.

    @param others: names of segments beside them that cannot be read, ascending.
    """
    names = sorted([*(segment.name for segment in segments), *others], key=lambda n: n.sequence)
    leftovers: dict[str, int] = {}
    for segment in segments:
        if isinstance(segment, RowSegment):
            leftovers[segment.path] = segment.scan(None)
            at = bisect.bisect_right(names, segment.name.sequence, key=lambda n: n.sequence)
            after = names[at] if at < len(names) else None
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
    try:
        fd = disk.open(path, write=False)
        try:
            return unpack_tombstone(disk.read(fd, TOMBSTONE.size + 1, 0))
        finally:
            disk.close(fd)
    except OSError as error:
        if error.errno in _OF_THE_PROCESS:
            raise
        return None
