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
class Due:
    """A word that monitors are still to say of what a scan has told.

    @ivar began: as of a L{Word}. C{told_us}: when it was told.
    """

    began: bool
    told_us: int


@attrs.frozen
class Told:
    """A container as it was last told of.

    @ivar ceased_us: since when it has not run, while it is not clear whether it
        reboots; 0 if it is clear what it does.
    @ivar begun_us: when a run began that a monitor told of and no scan has seen; else 0.
    @ivar reboots: whether a monitor has said so.
    @ivar due: what monitors are still to say, in the order in which they will.
    @ivar bare_us: since when it has no configuration; 0 if it has.
    """

    seen: Seen
    ceased_us: int = 0
    begun_us: int = 0
    reboots: bool = False
    due: tuple[Due, ...] = ()
    bare_us: int = 0


Tell = Callable[..., None]


def hear(known: Told, words: list[Word], now_us: int, tell: Tell) -> Told:
    """What monitors told and no scan has."""
    due = tuple(one for one in known.due if abs(now_us - one.told_us) <= AHEAD_US)
    for word in words:
        seen = known.seen
        is_due = [one.began for one in due]
        if word.began in is_due:
            # Monitors speak in order: what was to come before it was lost.
            due = due[is_due.index(word.began) + 1 :]
            continue
        due = ()
        if word.began and seen.init_pid and not known.reboots:
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
        elif seen.init_pid and word.reboots:
            known = attrs.evolve(known, reboots=True)
        elif seen.init_pid:
            if seen.ports:
                tell("port-remove", seen, word.time_us, ports=list(seen.ports))
            tell("stop", seen, known.ceased_us or word.time_us, **word.details)
            known = _stopped(known)
    return attrs.evolve(known, due=due)


def unseen(seen: Seen) -> Seen:
    """A run whose process nobody knows."""
    return attrs.evolve(seen, init_pid=0, run="")


def _stopped(known: Told) -> Told:
    seen = attrs.evolve(unseen(known.seen), frozen=False, unsettled=False, ports=())
    return attrs.evolve(known, seen=seen, ceased_us=0, reboots=False)


def await_words(before: Told, after: Told, told: list[str], now_us: int) -> Told:
    """What a scan has told monitors will say too, if they have not."""
    due = list(after.due)
    for action in told:
        if action in ("stop", "restart") and not before.reboots:
            due.append(Due(False, now_us))
        if action in ("start", "restart") and not before.begun_us:
            due.append(Due(True, now_us))
    return attrs.evolve(after, due=tuple(due))
