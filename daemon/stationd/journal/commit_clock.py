"""The clock of commits, and the age of segments by it. No I/O.

The system's clock can leap: a battery that is empty, a first boot in 1970, an NTP
server that is wrong for some seconds. No record may be removed for that, so age is
the time that has been measured, with a clock that cannot be set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

from stationd.journal.file_header import SegmentName

MAX_GAP_US = 2 * 24 * 3600 * 1_000_000
"""A longer gap between the newest commits of two segments proves nothing: the host was
off, or a clock leapt. A segment is written to for a day at most, so on a host where
anything happens from day to day the gaps are shorter."""


class DatedSegment(Protocol):
    """A segment, as far as its age matters.

    @ivar records: how many it has.
    @ivar committed_us: the greatest time of a commit in it.
    """

    @property
    def name(self) -> SegmentName: ...

    @property
    def records(self) -> int: ...

    @property
    def committed_us(self) -> int: ...


def boot_time_us() -> int:
    """Microseconds since the host booted, suspended or not: C{CLOCK_BOOTTIME}, which
    nobody can set."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class CommitClock:
    """A clock that is looked up once, when the journal is opened, and then goes on by
    what is measured.

    It begins where the newest commit was, and so counts nothing between two runs; but
    with the system's clock if that is more than L{MAX_GAP_US} from there, so that it
    is never far from the time for long.

    @param segments: those of the journal when it is opened, ascending.
    @param wall_us: the system's clock.
    @param elapsed_us: a clock that cannot be set, from any beginning.
    @ivar continues: whether it goes on from the newest commit. If not, commits that
        follow need a segment of their own: no segment spans a leap.
    """

    def __init__(
        self,
        segments: Sequence[DatedSegment],
        wall_us: Callable[[], int],
        elapsed_us: Callable[[], int],
    ) -> None:
        self._elapsed_us = elapsed_us
        self._opened_us = elapsed_us()
        held = [segment for segment in segments if segment.records]
        self._base_us = wall_us()
        self.continues = True
        if held:
            newest_us = held[-1].committed_us
            self.continues = abs(self._base_us - newest_us) <= MAX_GAP_US
            if self.continues:
                self._base_us = newest_us
        # How old each was at the opening, as far as commits prove it.
        self._ages_us: dict[str, int] = {held[-1].name.stem: 0} if held else {}
        age_us = 0
        for newer, older in pairwise(reversed(held)):
            gap_us = newer.committed_us - older.committed_us
            age_us += gap_us if 0 <= gap_us <= MAX_GAP_US else 0
            self._ages_us[older.name.stem] = age_us

    def _since_opened_us(self) -> int:
        return max(0, self._elapsed_us() - self._opened_us)

    def now_us(self) -> int:
        """The time for a commit, or for a segment that is made. It never goes back."""
        return self._base_us + self._since_opened_us()

    def age_us(self, segment: DatedSegment) -> int:
        """How long ago the newest commit of a segment was, at the least."""
        at_opening_us = self._ages_us.get(segment.name.stem)
        if at_opening_us is None or (self.continues and segment.committed_us > self._base_us):
            # Committed to while the journal was open: measured, however long ago.
            return self.now_us() - segment.committed_us
        return at_opening_us + self._since_opened_us()
