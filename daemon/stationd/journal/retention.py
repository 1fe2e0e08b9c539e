"""Which segments retention does not keep. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from stationd.interfaces import Retention
from stationd.journal.query import AnySegment

MAX_SEGMENTS = 16_384
"""Each is an open file. That many hold some 20 GB of sealed log records."""


def expired(segments: Sequence[AnySegment], retention: Retention) -> int:
    """How many segments may go, from the oldest on. An empty one that is being
    written is no reason to begin another.

    @param segments: ascending. No more than L{MAX_SEGMENTS} are kept.
    """
    excess = sum(segment.end for segment in segments) - retention.max_bytes
    going = 0
    trusted = (s.committed_us for s in segments if s.committed_us <= retention.now_us)
    # Before the first one that can be believed nothing is older than it, for all we know.
    newest_us = next(trusted, retention.now_us)
    for segment in segments:
        if segment.committed_us <= retention.now_us:
            newest_us = max(newest_us, segment.committed_us)
        old = (
            retention.max_age_us is not None and newest_us < retention.now_us - retention.max_age_us
        )
        if (segment is segments[-1] and not segment.records) or not (
            old or excess > 0 or len(segments) - going > MAX_SEGMENTS
        ):
            break
        excess -= segment.end
        going += 1
    return going
