"""What must have happened between one scan and the next, and what monitors told meanwhile.
Pure.

A scan says what is; a monitor says that a run began or ended, also one that was over before
a scan. Both are right, but either may come first, or a monitor's word never: so what a scan
has told already is due from the monitor, and the word about it that comes later is passed over.

A reboot and a stop begin alike; they differ in whether the monitor lives on. So a
container that ceased to run is held in suspense while its monitor is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import attrs

from stationd.interfaces import KnownContainers
from stationd.records import Container, Observation
from stationd_plugins.lxc.hearing import AHEAD_US, HEARD, Tell, Told, await_words, hear, unseen
from stationd_plugins.lxc.held import Held
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import Recorded, container, observation
from stationd_plugins.lxc.words import Silence, Words

SUSPENSE_US = 30_000_000
"""How long a monitor that lives on may still begin another run."""

BARE_US = 5_000_000
"""How long a directory without a configuration is still a container: some editors put a
new file in the place of the old one, which was moved away before."""


class Tracker:
    """The containers as they were told of, and what is new.

    @param alive: whether a monitor lives.
    @ivar silent: those that did not answer when the last scan asked.
    """

    def __init__(self, alive: Callable[[str], bool]) -> None:
        self._alive = alive
        self.silent: set[str] = set()
        self._known: dict[str, Told] = {}
        self._away: frozenset[str] = frozenset()
        # Those of which something may have been missed since they were certain.
        self._doubtful: set[str] = set()
        self._held = Held(KnownContainers(containers=(), newest_us=0, complete=False), Recorded(()))
        self._now_us = 0

    def begin(
        self,
        scanned: Mapping[str, Seen],
        known: KnownContainers,
        origins: Collection[str],
        now_us: int,
        away: frozenset[str] = frozenset(),
    ) -> list[Observation]:
        """Take a first scan as how things are, and what must have happened before. One that
        does not answer, or may be in a path that is away, is what it was until it is clear.

        @param away: paths that could not be looked at.
        """
        self.silent = {name for name, seen in scanned.items() if seen.is_silent}
        self._away = away
        self._held = Held(known, Recorded(origins))
        self._now_us = now_us
        happened, there = self._held.answered(scanned, away, now_us)
        self._known = {name: Told(seen) for name, seen in there.items()}
        return happened

    @property
    def containers(self) -> list[Container]:
        """All as they are now."""
        known = [container(known.seen, self._now_us) for known in self._known.values()]
        return [*self._held.containers.values(), *known]

    @property
    def running(self) -> dict[str, Seen]:
        """Each whose first process a scan has seen, by name."""
        runs = {name: known.seen for name, known in self._known.items()}
        return {name: seen for name, seen in runs.items() if seen.init_pid > 0}

    @property
    def homes(self) -> dict[str, str]:
        """The LXC paths that all are in, by name."""
        return {name: known.seen.path for name, known in self._known.items()}

    @property
    def unsettled(self) -> set[str]:
        """Those that are on their way from one state to another."""
        return {
            name
            for name, known in self._known.items()
            if known.ceased_us
            or known.begun_us
            or known.reboots
            or known.bare_us
            or known.seen.unsettled
        }

    def update(
        self,
        scanned: Mapping[str, Seen],
        now_us: int,
        *,
        inferred: bool,
        words: Words = Silence(),  # noqa: B008 - it has no state
        away: frozenset[str] = frozenset(),
    ) -> list[Observation]:
        """What has happened since the last scan.

        @param inferred: whether we might have missed something in between.
        @param away: paths that could not be looked at: what is in them is as it was.
        """
        back, self._away = self._away - away, away
        self._now_us = now_us

        def tell(action: str, seen: Seen, time_us: int = now_us, **details: object) -> None:
            missed_it = inferred or seen.path in back or seen.name in self._doubtful
            happened.append(observation(action, seen, time_us, missed_it, **details))

        names = {*scanned}
        self._doubtful &= names | self._known.keys()
        self._doubtful |= {n for n, seen in scanned.items() if inferred or seen.path in back}
        self.silent = {name for name, seen in scanned.items() if seen.is_silent}
        # A scan that is older than what was said does not decide what one is.
        strange = {
            name: attrs.evolve(seen, is_silent=seen.is_silent or words.since_scan(name))
            for name, seen in scanned.items()
            if name not in self._known
        }
        happened, answered = self._held.answered(strange, away, now_us)
        for name, seen in answered.items():
            # It is what was said of it before.
            words.take(name)
            self._known[name] = Told(seen)
        scanned = {n: seen for n, seen in scanned.items() if not self._held.holds(n)}
        # Words first: what a scan could not tell is then as they say.
        for name, known in self._known.items():
            self._known[name] = hear(known, words.take(name), now_us, tell)
        scanned, uncertain = self._certain(scanned | self._out_of_sight(scanned), now_us)
        self._move(scanned, now_us, tell)
        for name, seen in scanned.items():
            before = self._known.get(name)
            if before is None:
                said = words.take(name)
                tell("create", seen, min([now_us, *(word.time_us for word in said)]))
                before = Told(attrs.evolve(unseen(seen), frozen=False, ports=()))
                before = hear(before, said, now_us, tell)
            if name in uncertain or words.since_scan(name):
                # Another scan is coming, that is not older than what was said.
                self._known[name] = before
                continue
            told = len(happened)
            after = self._step(before, seen, now_us, tell)
            if words.listening:
                actions = [one.action for one in happened[told:]]
                after = await_words(before, after, actions, now_us)
            self._known[name] = after
            self._doubtful.discard(name)
        words.forget(names | self._known.keys())
        return happened

    def _out_of_sight(self, scanned: Mapping[str, Seen]) -> dict[str, Seen]:
        """Those in paths that are away, or that do not answer under another name, as they
        were told of last."""
        strange = {n: seen for n, seen in scanned.items() if n not in self._known}
        renamed = {seen.identity for seen in strange.values() if seen.is_silent}
        return {
            name: attrs.evolve(known.seen, is_silent=True)
            for name, known in self._known.items()
            if known.seen.path in self._away or known.seen.identity in renamed
            if self._is_out_of_sight(known.seen, scanned.get(name))
        }

    def _is_out_of_sight(self, was: Seen, seen: Seen | None) -> bool:
        """Whether what was found in the place of one does not say what it does."""
        if seen is None or seen.identity != was.identity:
            return True
        # By another spelling of its path: a monitor has the address of the one it was started by.
        return not (seen.init_pid or seen.unsettled) and self._alive(was.monitor)

    def _certain(
        self, scanned: Mapping[str, Seen], now_us: int
    ) -> tuple[dict[str, Seen], set[str]]:
        """What a scan found, and of what it could not tell what was told last; and which
        these are."""
        certain: dict[str, Seen] = {}
        uncertain: set[str] = set()
        for name, seen in scanned.items():
            known = self._known.get(name)
            if not (seen.is_silent or (seen.is_bare and not seen.init_pid)):
                certain[name] = seen
                if known is not None:
                    self._known[name] = attrs.evolve(known, bare_us=0)
                continue
            if known is None or seen.identity not in ("", known.seen.identity):
                continue
            bare_us = (known.bare_us or now_us) if seen.is_bare and not seen.is_silent else 0
            self._known[name] = attrs.evolve(known, bare_us=bare_us)
            if not bare_us or 0 <= now_us - bare_us < BARE_US:
                certain[name] = known.seen
                uncertain.add(name)
        return certain, uncertain

    def _move(self, scanned: Mapping[str, Seen], now_us: int, tell: Tell) -> None:
        """Those that are gone, or have another name."""
        gone = {
            name: known
            for name, known in self._known.items()
            if name not in scanned or scanned[name].identity != known.seen.identity
        }
        for name in gone:
            del self._known[name]
        new = {seen.identity: seen for name, seen in scanned.items() if name not in self._known}
        for name in [*gone]:
            if gone[name].seen.identity not in new:
                _end(gone.pop(name), now_us, tell)
        while gone:
            # A name that another still has can be taken when that one has its new one.
            free = (old for old, known in gone.items() if new[known.seen.identity].name not in gone)
            name = next(free, "")
            if not name:
                # They have changed names with one another: there is no order to tell this in.
                _end(gone.popitem()[1], now_us, tell)
                continue
            known = gone.pop(name)
            moved = new[known.seen.identity]
            tell("rename", moved, old=name)
            was = attrs.evolve(known.seen, name=moved.name)
            self._known[moved.name] = attrs.evolve(known, seen=was)

    def _step(self, before: Told, seen: Seen, now_us: int, tell: Tell) -> Told:
        """One container that was there and still is."""
        was = before.seen
        ceased = was.init_pid and seen.init_pid != was.init_pid
        ceased_us = before.ceased_us or now_us
        # The monitor of a run that no scan saw nobody knows.
        may_go_on = was.init_pid == HEARD or self._alive(was.monitor)
        waits = now_us - ceased_us < SUSPENSE_US and may_go_on
        if ceased and not seen.init_pid and waits:
            waiting = attrs.evolve(was, unsettled=True)
            return attrs.evolve(before, seen=waiting, ceased_us=ceased_us)
        if lost := sorted({*was.ports} - {*seen.ports}):
            tell("port-remove", seen, ports=lost)
        began_us = before.begun_us or now_us
        # A run begins with a cgroup of its own.
        ooms = was.ooms if seen.run == was.run else seen.ooms
        if ceased:
            if seen.init_pid and (before.reboots or seen.monitor == was.monitor):
                tell("restart", seen, began_us)
                ooms = 0
                was = attrs.evolve(seen, frozen=False, ports=was.ports)
            else:
                tell("stop", seen, ceased_us)
                was = attrs.evolve(was, init_pid=0, frozen=False)
        if seen.init_pid and not was.init_pid:
            tell("start", seen, began_us)
            ooms = 0
        if seen.ooms > ooms:
            tell("oom", seen)
        if seen.init_pid and seen.frozen != was.frozen and not seen.unsettled:
            tell("pause" if seen.frozen else "unpause", seen)
        if new := sorted({*seen.ports} - {*was.ports}):
            tell("port-add", seen, ports=new)
        if seen.unsettled and seen.init_pid:
            seen = attrs.evolve(seen, frozen=was.frozen)
        # A run that began and is not seen may be over, and its end be told in a moment.
        late = not seen.init_pid and abs(now_us - before.begun_us) < AHEAD_US
        begun_us = before.begun_us if late else 0
        return attrs.evolve(before, seen=seen, ceased_us=0, begun_us=begun_us, reboots=False)


def _end(known: Told, now_us: int, tell: Tell) -> None:
    """One that is gone."""
    if known.seen.ports:
        tell("port-remove", known.seen, ports=list(known.seen.ports))
    if known.seen.init_pid:
        tell("stop", known.seen, known.ceased_us or now_us)
    tell("destroy", known.seen)
