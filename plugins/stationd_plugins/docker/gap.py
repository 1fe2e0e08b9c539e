"""Between what is recorded and what an engine remembers. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from stationd.messages import system_record_messages as said
from stationd.records import Observation
from stationd_plugins.docker.origins import time_ns_of
from stationd_plugins.docker.reconcile import FUTURE_NS

OVERLAP_NS = 2_000_000_000
"""How far before the newest recorded event something can be missing: the stream's order
has inversions of some milliseconds under load."""

REMEMBERED = 256
"""Events that an engine remembers."""


def news(remembered: Sequence[Observation], origins: Collection[str]) -> list[Observation]:
    """What an engine remembers without what retention has removed: what comes before the first
    of it that is still recorded, and is older. Nobody wants it back."""
    places = (place for place, one in enumerate(remembered) if one.origin in origins)
    first = next(places, 0)
    known, rest = remembered[:first], remembered[first:]
    oldest_ns = time_ns_of(rest[0].origin) - OVERLAP_NS if rest else 0
    return [*(one for one in known if time_ns_of(one.origin) >= oldest_ns), *rest]


def since_ns(origins: Collection[str], now_ns: int) -> int:
    """From when on something may not be recorded, in nanoseconds; 0 if nothing ever was.
    What is dated in the future was recorded before the clock was set back."""
    times = list(map(time_ns_of, origins))
    newest = max((one for one in times if one <= now_ns + FUTURE_NS), default=now_ns)
    return max(1, newest - OVERLAP_NS) if times else 0


def forgotten(newest_ns: int, worked_out: int) -> str:
    """A sentence about a gap that a replay did not close."""
    moment = datetime.fromtimestamp(newest_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    numerous = said.ONE_INFERRED if worked_out == 1 else said.SOME_INFERRED
    found = (numerous if worked_out else said.NONE_INFERRED).render(count=worked_out)
    return said.ENGINE_EVENTS_EXPIRED.render(moment=moment, found=found)
