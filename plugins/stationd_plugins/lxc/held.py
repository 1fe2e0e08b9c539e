"""Containers that are recorded, and of which no scan could tell yet what they are: their
monitor does not answer, or the path that they may be in is away. Until it is clear they are
what they were. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from stationd.interfaces import KnownContainers
from stationd.records import Container, Observation
from stationd_plugins.lxc.absence import missed
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import Recorded, container, found


class Held:
    """At first all that are recorded.

    @ivar containers: as they were, by name.
    """

    def __init__(self, known: KnownContainers, recorded: Recorded) -> None:
        self._known = known
        self._recorded = recorded
        self.containers: dict[str, Container] = {one.name: one for one in known.containers}
        # Paths that nobody has looked into yet: of the first scan, all.
        self._new: frozenset[str] | None = None
        # Those that are in no record, and did not say what they are.
        self._strangers: set[str] = set()

    def answered(
        self, scanned: Mapping[str, Seen], away: frozenset[str], now_us: int
    ) -> tuple[list[Observation], dict[str, Seen]]:
        """What must have happened to those that are clear now, and to those of paths that
        can be looked at for the first time; and what all of them are. What the first scan
        only found, a listing tells.

        @param away: paths that could not be looked at.
        """
        is_first = self._new is None
        new = {name: seen for name, seen in scanned.items() if self._is_new(seen)}
        self._new = away if self._new is None else self._new & away
        unknown = {name: seen for name, seen in new.items() if seen.is_silent or seen.is_bare}
        silent = [seen for seen in unknown.values() if seen.is_silent]
        new = {name: seen for name, seen in new.items() if name not in unknown}
        settled = {one.identity for one in scanned.values() if not (one.is_silent or one.is_bare)}
        renamed = {
            name
            for name in self.containers
            if self._recorded.identity(name) in settled - {""}
            if name not in scanned or self._recorded.is_another(scanned[name])
        }
        # Under another name they are there, and what they do is not known.
        hidden = self._names(silent)
        clear = {
            name: was
            for name, was in self.containers.items()
            if name in renamed or (name not in hidden and _is_clear(scanned.get(name), away))
        }
        for name in clear:
            del self.containers[name]
            if name in scanned and scanned[name].is_silent:
                unknown[name] = scanned[name]
        self._strangers = {*unknown} | (self._strangers - {*scanned} if away else set())
        if is_first:
            self._list(silent, now_us)
        if not clear and not new:
            return [], {}
        there = {n: seen for n, seen in scanned.items() if n in clear and n not in unknown} | new
        known = attrs.evolve(self._known, containers=tuple(clear.values()))
        happened = missed(there, known, self._recorded, now_us)
        told = {one.id for one in happened}
        if not is_first:
            happened += [found(seen, now_us) for name, seen in new.items() if name not in told]
        return happened, there

    def holds(self, name: str) -> bool:
        """Whether it is not clear yet what one is."""
        return name in self.containers or name in self._strangers

    def _is_new(self, seen: Seen) -> bool:
        """Whether nobody can know how one came."""
        if seen.name in self.containers:
            return False
        is_unseen = self._new is None or seen.path in self._new or seen.name in self._strangers
        return is_unseen or not self._names([seen]).isdisjoint(self.containers)

    def _list(self, silent: Iterable[Seen], now_us: int) -> None:
        """They are there; so they are in the first listing, whatever they do."""
        for seen in silent:
            is_renamed = not self._names([seen]).isdisjoint(self.containers)
            if not (seen.is_bare or is_renamed or self._recorded.is_another(seen)):
                self.containers[seen.name] = container(seen, now_us)
                self._strangers.discard(seen.name)

    def _names(self, scanned: Iterable[Seen]) -> set[str]:
        """Those under which some are recorded."""
        return {name for seen in scanned for name in self._recorded.names(seen.identity)}


def _is_clear(seen: Seen | None, away: frozenset[str]) -> bool:
    """Whether what was found in the place of one says what has become of it."""
    return not away if seen is None else not seen.is_silent
