"""What monitors told of a container, beside what scans have told of it. Pure."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.words import Word

HEARD = -1
"""Instead of a process: of a run that only a monitor told of."""

AHEAD_US = 5_000_000
"""How long a monitor's word may be late; it takes a millisecond or two."""


@attrs.frozen
class Told:
    """A container as it was last told of.

    @ivar ceased_us: since when it has not run, while it is not clear whether it
        reboots; 0 if it is clear what it does.
    @ivar begun_us: when a run began that a monitor told of and no scan has seen; else 0.
    @ivar reboots: whether a monitor has said so.
    @ivar begins: starts that were told and no monitor has spoken of yet; C{ends}: the
        same of stops. C{told_us}: when the last of them was.
    @ivar bare_us: since when it has no configuration; 0 if it has.
    """

    seen: Seen
    ceased_us: int = 0
    begun_us: int = 0
    reboots: bool = False
    begins: int = 0
    ends: int = 0
    told_us: int = 0
    bare_us: int = 0


Tell = Callable[..., None]


def hear(known: Told, words: list[Word], now_us: int, tell: Tell) -> Told:
    """What monitors told and no scan has."""
    if abs(now_us - known.told_us) > AHEAD_US:
        known = attrs.evolve(known, begins=0, ends=0)
    for word in words:
        seen = known.seen
        if word.began and known.begins:
            known = attrs.evolve(known, begins=known.begins - 1)
        elif word.began and seen.init_pid and not known.reboots:
            # How the run before ended nobody told: the next scan says what is.
            pass
        elif word.began:
            known = attrs.evolve(known, begun_us=word.time_us)
        elif known.begun_us:
            # A run that is over, and no scan has seen it.
            tell("restart" if known.reboots else "start", unseen(seen), known.begun_us)
            seen = attrs.evolve(seen, init_pid=HEARD, monitor="")
            known = attrs.evolve(known, seen=seen, begun_us=0, reboots=word.reboots)
            if not word.reboots:
                tell("stop", seen, word.time_us, **word.details)
                known = _stopped(known)
        elif known.ends:
            known = attrs.evolve(known, ends=known.ends - 1)
        elif word.reboots:
            known = attrs.evolve(known, reboots=True)
        elif seen.init_pid:
            if seen.ports:
                tell("port-remove", seen, word.time_us, ports=list(seen.ports))
            tell("stop", seen, known.ceased_us or word.time_us, **word.details)
            known = _stopped(known)
    return known


def unseen(seen: Seen) -> Seen:
    """A run whose process nobody knows."""
    return attrs.evolve(seen, init_pid=0, run="")


def _stopped(known: Told) -> Told:
    seen = attrs.evolve(unseen(known.seen), frozen=False, unsettled=False, ports=())
    return attrs.evolve(known, seen=seen, ceased_us=0, reboots=False)


def count(before: Told, after: Told, told: list[str], now_us: int) -> Told:
    """What was told and no monitor has spoken of."""
    begins = any(one in ("start", "restart") for one in told) and not before.begun_us
    ends = any(one in ("stop", "restart") for one in told) and not before.reboots
    return attrs.evolve(
        after,
        begins=after.begins + begins,
        ends=after.ends + ends,
        told_us=now_us if begins or ends else after.told_us,
    )
