"""What the life of a container must have had before what was told of it. Pure.

An engine that is killed while it makes or starts a container never tells of it, and never
of what ended while it was dead. Yet there is no start without a creation, no exit without
a start, no removal of what runs.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Sequence

import attrs

from stationd.interfaces import KnownContainers
from stationd.records import Observation, State
from stationd_plugins.docker.decode import Inspected
from stationd_plugins.docker.origins import SHORT, origin_of, time_ns_of
from stationd_plugins.docker.past import BACK, INVERSION_NS, Past, pasts

REMEMBERED = 4096
"""Containers that are known to be gone."""

_MARKS = frozenset(["create", "start", "die"])
"""What the life of a container is known by."""

_LIVING = frozenset(
    [
        *("start", "fail", "kill", "oom", "die", "restart", "rename", "destroy"),
        *("pause", "unpause", "healthy", "unhealthy"),
    ]
)
"""What no container has told of it that was not made."""


class Lives:
    """The containers that exist, as they were told of.

    @param origins: what is recorded.
    @param known: what is known of the engine's containers.
    """

    def __init__(self, origins: Collection[str], known: KnownContainers) -> None:
        self._recorded = origins
        self._lives: dict[str, Past] = {}
        # When they went.
        self._gone: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._complete = known.complete
        self._is_listed = self._is_restarted = False
        exist = {container.id[:SHORT] for container in known.containers}
        found = pasts(origins, known.containers)
        gone = (short for short, past in found.items() if "destroy" in past.at)
        for short in sorted(gone, key=lambda short: found[short].at["destroy"]):
            self._bury(short, found[short].at["destroy"])
        for short, past in found.items():
            if "destroy" in past.at:
                continue
            if short in exist or not _MARKS.isdisjoint(past.at):
                self._lives[short] = past

    def restarted(self) -> None:
        """The engine has been restarted: a removal that it tells of once more is another, of one
        that it did not have meanwhile because it had come up on another disk."""
        self._is_restarted = True

    def listed(self, ids: Collection[str], known: Collection[str]) -> None:
        """These exist and no other: whoever comes later must have been made.

        @param known: those of them of which anything is known. Of another that has gone already
            more must be told, unless it may be one of before our time.
        """
        ids, self._complete = known if self._complete else ids, True
        self._is_listed = True
        for id in ids:
            self._gone.pop(id[:SHORT], None)
            self._lives.setdefault(id[:SHORT], Past())

    def is_known(self, seen: Observation) -> bool:
        """Whether it is told once more that a container is gone or was made, which happens
        once: that was worked out, or the engine took long to remove what belonged to it."""
        if seen.subject != "container" or seen.origin in self._recorded:
            # The last is a replay.
            return False
        short = seen.id[:SHORT]
        if seen.action == "create":
            return short in self._gone or "create" in self._lives.get(short, Past()).at
        return seen.action == "destroy" and short in self._gone and not self._is_back(seen)

    def missing(self, seen: Observation) -> list[str]:
        """The actions that must have come before, and were not told."""
        if seen.subject != "container" or seen.inferred or seen.origin in self._recorded:
            # The last is a replay.
            return []
        life = self._lives.get(seen.id[:SHORT])
        missing: list[str] = []
        if life is None:
            # What else is told of one that has just gone, as a stop, says nothing.
            if self._is_back(seen):
                return ["found"]
            gone = seen.id[:SHORT] in self._gone
            if gone or not self._complete or seen.action not in _LIVING:
                return []
            missing, life = ["create"], Past(at={"create": 1})
        if seen.action in ("pause", "unpause", "die") and life.began_ns and not life.runs:
            missing.append("start")
        elif seen.action in ("start", "destroy") and life.runs:
            # An engine that was killed starts again what ended while it was dead.
            missing.append("die")
        return missing

    def _is_back(self, seen: Observation) -> bool:
        """Whether one that was recorded as removed existed again when this was told. What is
        told late of one that was removed is older; and after a L{listed} none comes back."""
        gone_ns = self._gone.get(seen.id[:SHORT])
        if gone_ns is None or seen.action not in BACK or self._is_listed:
            return False
        if seen.action == "destroy" and not self._is_restarted:
            return False
        return time_ns_of(seen.origin) > gone_ns + INVERSION_NS

    def untold(
        self, seen: Observation, missing: Sequence[str], now: Inspected | None
    ) -> list[Observation]:
        """What is L{missing}, at the times that the engine gives if these are possible,
        else just before.

        @param now: what the engine says of the container, C{None} if it is gone.
        """
        life = self._lives.get(seen.id[:SHORT], Past())
        end_ns = time_ns_of(seen.origin)
        begin_ns = max(life.began_ns, life.at.get("start", 0))
        started_ns = life.at.get("start")
        is_same = started_ns is not None and 0 <= end_ns - started_ns <= INVERSION_NS
        # Of one that was listed running a first start may be told late, also when that run is
        # over by now. Else an engine that is killed may never know of an exit.
        exited = begin_ns < (now.finished_ns or 0) < end_ns if now else "create" not in life.at
        is_late = started_ns is None and not exited
        if seen.action == "start" and life.runs and (is_same or is_late):
            return []
        found: list[Observation] = []
        for left, action in zip(range(len(missing), 0, -1), missing, strict=True):
            time_ns = end_ns - left
            given_ns = _given_ns(now, action)
            if given_ns and begin_ns < given_ns < time_ns:
                time_ns = given_ns
            begin_ns = time_ns
            origin = origin_of(time_ns, "container", action, seen.id)
            details = {"now": BACK[seen.action].value} if action == "found" else {}
            found.append(
                attrs.evolve(
                    seen,
                    time_us=time_ns // 1000,
                    action=action,
                    details=details,
                    inferred=True,
                    origin=origin,
                )
            )
        return found

    def take(self, told: Observation) -> None:
        """Something happened."""
        if told.subject != "container":
            return
        short, action = told.id[:SHORT], told.action
        if action == "destroy":
            self._lives.pop(short, None)
            self._bury(short, time_ns_of(told.origin))
        elif action == "found":
            self._gone.pop(short, None)
            past = self._lives.setdefault(short, Past())
            past.take(action, time_ns_of(told.origin))
            now = told.details.get("now")
            past.runs, past.paused = now != State.STOPPED.value, now == State.PAUSED.value
        elif action in _MARKS:
            past = self._lives.setdefault(short, Past())
            past.take(action, time_ns_of(told.origin), told.inferred)

    def _bury(self, short: str, time_ns: int) -> None:
        self._gone[short] = time_ns
        if len(self._gone) > REMEMBERED:
            self._gone.popitem(last=False)


def _given_ns(now: Inspected | None, action: str) -> int | None:
    """When the engine says that it happened last."""
    if now is None:
        return None
    times = {"create": now.created_ns, "start": now.started_ns, "die": now.finished_ns}
    return times.get(action)
