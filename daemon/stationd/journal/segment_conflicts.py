"""Conflicts between files of one directory: two forms of a segment that differ, and segments of
another journal. None of them is changed; which ones count does not depend on the order of the
directory."""

from __future__ import annotations

import bisect
import collections
import itertools
from collections.abc import Sequence

import attrs

from stationd.journal.row_segment import RowSegment
from stationd.journal.seal_verification import segment_difference
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.snapshot import AnySegment
from stationd.messages import damage_messages
from stationd.messages.message import Phrase


@attrs.define
class ConflictResolution:
    """Which of some segments count.

    @ivar served: those that do, ascending by sequence and by number.
    @ivar replaced: names of files of which another has all that they have.
    @ivar excluded: paths of files that do not count and are kept. The segment that
        counts instead says so in its damage, so it is left as it is too.
    """

    served: list[AnySegment] = attrs.Factory(list)
    replaced: list[str] = attrs.Factory(list)
    excluded: list[str] = attrs.Factory(list)

    def _exclude(self, segment: AnySegment, instead: AnySegment, why: Phrase) -> None:
        self.excluded.append(segment.path)
        paths = {"path": segment.path, "instead": instead.path}
        instead.damage.append(damage_messages.FILE_EXCLUDED.render(why=why.text, **paths))


def resolve_conflicts(segments: Sequence[AnySegment]) -> ConflictResolution:
    """Which segments count, of all in a directory that have been read."""
    choice = ConflictResolution()
    forms: dict[str, AnySegment] = {}
    for segment in sorted(segments, key=lambda s: (s.name.sequence, str(s.name))):
        other = forms.get(segment.name.stem)
        if isinstance(other, RowSegment) and isinstance(segment, SealedSegment):
            forms[segment.name.stem] = _choose_form(choice, other, segment)
        else:
            forms[segment.name.stem] = segment
    ordered = list(forms.values())
    if all(_precedes(a, b) for a, b in itertools.pairwise(ordered)):
        choice.served = ordered
    else:
        _choose_lineage(choice, ordered)
    return choice


def _choose_form(choice: ConflictResolution, rows: RowSegment, sealed: SealedSegment) -> AnySegment:
    """Which form of a segment counts: the sealed one if it has all that the rows have."""
    all_sealed = sealed.records >= rows.records and sealed.last >= rows.last
    all_in_rows = rows.records >= sealed.records and rows.last >= sealed.last
    if (
        not sealed.damage
        and all_sealed
        and (rows.damage or not segment_difference(sealed, rows, _no_pause))
    ):
        choice.replaced.append(str(rows.name))
        return sealed
    if sealed.damage and all_in_rows and not rows.damage:
        # It was sealed and went bad before the rows were removed.
        choice.replaced.append(str(sealed.name))
        return rows
    if rows.records > sealed.records or (all_in_rows and not rows.damage):
        choice._exclude(sealed, rows, damage_messages.SEALED_ROWS_MISSING)
        return rows
    choice._exclude(rows, sealed, damage_messages.SEALED_ROWS_DIFFER)
    return sealed


def _no_pause() -> None:
    """No pause: nothing else runs yet."""


def _precedes(a: AnySegment, b: AnySegment) -> bool:
    """Whether one segment comes before another in one journal."""
    return a.name.sequence < b.name.sequence and a.last < b.name.first


def _choose_lineage(choice: ConflictResolution, segments: Sequence[AnySegment]) -> None:
    """Take the segments of the journal that has most records, and of others what does
    not contradict them.

    A journal's segments follow one another by number; what is of another one has
    numbers of its own.
    """
    line: dict[str, str] = {}
    ends: dict[int, AnySegment] = {}
    totals: collections.Counter[str] = collections.Counter()
    for segment in segments:
        before = ends.get(segment.name.first)
        follows = before is not None and _precedes(before, segment)
        stem = segment.name.stem
        line[stem] = line[before.name.stem] if before is not None and follows else stem
        totals[line[stem]] += segment.records
        ends[segment.last + 1] = segment
    served = choice.served
    for segment in sorted(
        segments, key=lambda s: (-totals[line[s.name.stem]], -s.records, str(s.name))
    ):
        at = bisect.bisect_left(served, segment.name.sequence, key=lambda s: s.name.sequence)
        clash = [
            *[a for a in served[max(0, at - 1) : at] if not _precedes(a, segment)],
            *[b for b in served[at : at + 1] if not _precedes(segment, b)],
        ]
        if not clash:
            served.insert(at, segment)
        elif segment.records or segment.damage:
            choice._exclude(segment, clash[0], damage_messages.SAME_NUMBERS)
        else:
            choice.excluded.append(segment.path)
