"""Containers that are recorded, and of which a first scan could not tell what they are: their
monitor does not answer, or the path that they may be in is away. Until it is clear they are
what they were. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import attrs

from stationd.interfaces import Known
from stationd.records import Container, Observation
from stationd_plugins.lxc.absence import missed
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import Recorded, container, found


class Held:
    """These.

    @param known: what is recorded of containers, C{origins}: what of them.
    @param scanned: what the first scan found, C{away}: paths that it could not look at.
    @ivar containers: as they were, by name.
    """

    def __init__(
        self,
        known: Known,
        origins: Collection[str],
        scanned: Mapping[str, Seen],
        away: Collection[str],
        now_us: int,
    ) -> None:
        self._known = known
        self._origins = origins
        self._recorded = Recorded(origins)
        # Paths that nobody has looked into yet.
        self._new = {*away}
        before = {container.name: container for container in known.containers}
        # Under another name they are there.
        renamed = self._names(one for name, one in scanned.items() if name not in before)
        self.containers: dict[str, Container] = {
            name: was
            for name, was in before.items()
            if name not in renamed and not self._is_clear(scanned.get(name), away)
        }
        for name, seen in scanned.items():
            is_another = self._recorded.is_another(seen)
            if name not in before and seen.is_silent and not (seen.is_bare or is_another):
                self.containers[name] = container(seen, now_us)

    @property
    def recorded(self) -> Known:
        """What is recorded of all others."""
        rest = tuple(one for one in self._known.containers if one.name not in self.containers)
        return attrs.evolve(self._known, containers=rest)

    def answered(
        self, scanned: Mapping[str, Seen], away: Collection[str], now_us: int
    ) -> tuple[list[Observation], dict[str, Seen]]:
        """What must have happened to those that are clear now, and to those of paths that
        can be looked at for the first time; and what all of them are.
        """
        if not self.containers and not self._new:
            return [], {}
        new = {
            name: seen
            for name, seen in scanned.items()
            if seen.path in self._new - {*away} and name not in self.containers
            if not (seen.is_silent or seen.is_bare)
        }
        self._new &= {*away}
        renamed = self._names(new.values()) - scanned.keys()
        clear = {
            name: was
            for name, was in self.containers.items()
            if name in renamed or self._is_clear(scanned.get(name), away)
        }
        for name in clear:
            del self.containers[name]
        there = {name: seen for name, seen in scanned.items() if name in clear} | new
        known = attrs.evolve(self._known, containers=tuple(clear.values()))
        happened = missed(there, known, self._origins, now_us)
        told = {one.id for one in happened}
        happened += [found(seen, now_us) for name, seen in new.items() if name not in told]
        return happened, there

    def _names(self, scanned: Iterable[Seen]) -> set[str]:
        """Those under which some are recorded."""
        return {name for seen in scanned for name in self._recorded.names(seen.identity)}

    def _is_clear(self, seen: Seen | None, away: Collection[str]) -> bool:
        """Whether what was found in the place of one says what has become of it."""
        if seen is None or self._recorded.is_another(seen):
            return not away
        return not seen.is_silent
