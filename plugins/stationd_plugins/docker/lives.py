"""What the life of a container must have had before what was told of it. Pure.

An engine that is killed while it makes or starts a container never tells of it, and never
of what ended while it was dead. Yet there is no start without a creation, no exit without
a start, no removal of what runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs

from stationd.interfaces import Known
from stationd.records import Observation, State
from stationd_plugins.docker.decode import (
    SHORT,
    Inspected,
    container_event,
    origin_of,
    time_ns_of,
)
from stationd_plugins.docker.reconcile import INVERSION_NS


@attrs.define
class _Life:
    """When things last happened to a container, in nanoseconds; 0 for never, 1 for
    before our time."""

    created_ns: int = 0
    started_ns: int = 0
    died_ns: int = 0

    @property
    def runs(self) -> bool:
        return self.started_ns > self.died_ns + INVERSION_NS or self.started_ns == 1


class Lives:
    """The containers that exist, as they were told of.

    @param origins: what is recorded.
    @param known: what is known of the engine's containers.
    """

    def __init__(self, origins: Collection[str], known: Known) -> None:
        self._recorded = origins
        self._lives: dict[str, _Life] = {}
        self._complete = known.complete
        for time_ns, action, short in sorted(filter(None, map(container_event, origins))):
            self._take(short, action, time_ns)
        for container in known.containers:
            life = self._lives.setdefault(container.id[:SHORT], _Life())
            if container.state is not State.STOPPED and life.started_ns <= life.died_ns:
                life.started_ns, life.died_ns = 1, 0

    def listed(self, ids: Collection[str]) -> None:
        """These exist and no other: whoever comes later must have been made."""
        self._complete = True
        for id in ids:
            self._lives.setdefault(id[:SHORT], _Life())

    def missing(self, seen: Observation) -> list[str]:
        """The actions that must have come before, and were not told."""
        if seen.subject != "container" or seen.inferred or seen.origin in self._recorded:
            # The last is a replay.
            return []
        life = self._lives.get(seen.id[:SHORT])
        missing: list[str] = []
        if life is None:
            if not self._complete or seen.action == "create":
                return []
            missing, life = ["create"], _Life(created_ns=1)
        began = max(life.created_ns, life.died_ns)
        if seen.action == "die" and began and not life.runs and life.started_ns <= began:
            missing.append("start")
        elif seen.action == "destroy" and life.runs:
            missing.append("die")
        return missing

    def untold(
        self, seen: Observation, missing: Sequence[str], now: Inspected | None
    ) -> list[Observation]:
        """What is L{missing}, at the times that the engine gives if these are possible,
        else just before.

        @param now: what the engine says of the container, C{None} if it is gone.
        """
        life = self._lives.get(seen.id[:SHORT], _Life())
        end_ns = time_ns_of(seen.origin)
        begin_ns = max(life.created_ns, life.died_ns)
        found: list[Observation] = []
        for left, action in zip(range(len(missing), 0, -1), missing, strict=True):
            time_ns = end_ns - left
            given_ns = None
            if now is not None and action in ("create", "start"):
                given_ns = now.created_ns if action == "create" else now.started_ns
            if given_ns and begin_ns < given_ns < time_ns:
                time_ns = given_ns
            begin_ns = time_ns
            origin = origin_of(time_ns, "container", action, seen.id)
            found.append(
                attrs.evolve(
                    seen,
                    time_us=time_ns // 1000,
                    action=action,
                    details={},
                    inferred=True,
                    origin=origin,
                )
            )
        return found

    def take(self, told: Observation) -> None:
        """Something happened."""
        if told.subject == "container":
            self._take(told.id[:SHORT], told.action, time_ns_of(told.origin))

    def _take(self, short: str, action: str, time_ns: int) -> None:
        if action == "destroy":
            self._lives.pop(short, None)
            return
        life = self._lives.setdefault(short, _Life())
        if action == "create":
            life.created_ns = max(life.created_ns, time_ns)
        elif action == "start":
            life.started_ns = max(life.started_ns, time_ns)
        elif action == "die":
            life.died_ns = max(life.died_ns, time_ns)
            if life.started_ns == 1:
                life.started_ns = 0
