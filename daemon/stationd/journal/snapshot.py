"""A snapshot of a journal: what a reader sees, and its status."""

from __future__ import annotations

import attrs

from stationd.interfaces import JournalStatus
from stationd.journal.row_segment import RowSegment
from stationd.journal.sealed_segment import SealedSegment

AnySegment = RowSegment | SealedSegment


@attrs.frozen
class Snapshot:
    """What a reader sees: the segments of one moment, up to the last number that
    was committed then. Writing, sealing, clearing and retention leave it as it is.

    @ivar segments: ascending.
    @ivar last: the greatest number that is shown.
    """

    segments: tuple[AnySegment, ...]
    last: int


def status(view: Snapshot, cleared_us: int, damage: tuple[str, ...]) -> JournalStatus:
    """See L{stationd.interfaces.IJournal.status}."""
    segments = [segment for segment in view.segments if segment.records]
    return JournalStatus(
        first=segments[0].parts[0].first if segments else view.last + 1,
        last=view.last,
        records=sum(segment.records for segment in segments),
        size_bytes=sum(segment.end for segment in view.segments),
        segments=len(view.segments),
        oldest_us=min((segment.min_us for segment in segments), default=None),
        newest_us=max((segment.max_us for segment in segments), default=None),
        cleared_us=cleared_us,
        damage=damage + tuple(text for segment in view.segments for text in segment.damage),
    )
