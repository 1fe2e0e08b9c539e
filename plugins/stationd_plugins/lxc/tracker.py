"""What must have happened between one scan and the next, and what monitors told meanwhile.
Pure.

A scan says what is; a monitor says that a run began or ended, also one that was over before
a scan. Both are right, but either may come first, or a monitor's word never: so what a scan
has told already is counted, and the word about it that comes later is passed over.

A reboot and a stop begin alike; they differ in whether the monitor lives on. So a
container that ceased to run is held in suspense while its monitor is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import attrs

from stationd.interfaces import Known
from stationd.records import Container, Observation, State
from stationd_plugins.lxc.absence import missed
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import container, observation
from stationd_plugins.lxc.words import Silence, Word, Words

HEARD = -1
"""Instead of a process: of a run that only a monitor told of."""

SUSPENSE_US = 30_000_000
"""How long a monitor that lives on may still begin another run."""

BARE_US = 5_000_000
"""How long a directory without a configuration is still a container: some editors put a
new file in the place of the old one, which was moved away before."""

AHEAD_US = 5_000_000
"""How long a monitor's word may be late; it takes a millisecond or two."""


@attrs.frozen
class _Known:
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


class Tracker:
    """The containers as they were told of, and what is new.

    @param alive: whether a monitor does.
    """

    def __init__(self, alive: Callable[[str], bool]) -> None:
        self._alive = alive
        self._known: dict[str, _Known] = {}

    def begin(
        self, scanned: Mapping[str, Seen], known: Known, origins: Collection[str], now_us: int
    ) -> list[Observation]:
        """Take a first scan as how things are; see L{missed}. What one does that is not
        known now is what it did."""
        states = {container.name: container.state for container in known.containers}
        self._known = {}
        for name, seen in scanned.items():
            if seen.is_bare and name not in states:
                continue
            state = states.get(name, State.STOPPED)
            if not seen.is_silent:
                self._known[name] = _Known(seen)
            elif state is State.STOPPED:
                self._known[name] = _Known(attrs.evolve(seen, unsettled=True))
            else:
                was = attrs.evolve(seen, init_pid=HEARD, frozen=state is State.PAUSED)
                self._known[name] = _Known(attrs.evolve(was, unsettled=True))
        found = {name: seen for name, seen in scanned.items() if name in self._known}
        return missed(found, known, origins, now_us)

    @property
    def containers(self) -> list[Container]:
        """All as they are now."""
        return [container(known.seen) for known in self._known.values()]

    @property
    def pids(self) -> dict[str, int]:
        """The first process of each that runs, by name."""
        return {n: k.seen.init_pid for n, k in self._known.items() if k.seen.init_pid > 0}

    def path_of(self, name: str) -> str | None:
        """The LXC path that a container is in, C{None} if it is not known."""
        known = self._known.get(name)
        return None if known is None else known.seen.path

    @property
    def unsettled(self) -> bool:
        """Whether another look is due soon."""
        return any(
            known.ceased_us or known.begun_us or known.reboots or known.seen.unsettled
            for known in self._known.values()
        )

    def update(
        self,
        scanned: Mapping[str, Seen],
        now_us: int,
        *,
        inferred: bool,
        words: Words = Silence(),  # noqa: B008 - it has no state
    ) -> list[Observation]:
        """What has happened since the last scan.

        @param inferred: whether we might have missed something in between.
        """
        happened: list[Observation] = []

        def tell(action: str, seen: Seen, time_us: int = now_us, **details: object) -> None:
            happened.append(observation(action, seen, time_us, inferred, **details))

        scanned = self._certain(scanned, now_us)
        for name, known in self._known.items():
            self._known[name] = _hear(known, words.take(name), now_us, tell)
        self._move(scanned, now_us, tell)
        for name, seen in scanned.items():
            before = self._known.get(name)
            if before is None:
                said = words.take(name)
                tell("create", seen, min([now_us, *(word.time_us for word in said)]))
                before = _Known(attrs.evolve(_unseen(seen), frozen=False, ports=()))
                before = _hear(before, said, now_us, tell)
            if words.since_scan(name):
                # Another scan is coming, that is not older than what was said.
                self._known[name] = before
                continue
            count = len(happened)
            after = self._step(before, seen, now_us, tell)
            if words.listening:
                after = _count(before, after, [one.action for one in happened[count:]], now_us)
            self._known[name] = after
        words.forget(self._known)
        return happened

    def _certain(self, scanned: Mapping[str, Seen], now_us: int) -> dict[str, Seen]:
        """What a scan found, and of what it could not tell what was told last."""
        certain: dict[str, Seen] = {}
        for name, seen in scanned.items():
            known = self._known.get(name)
            if not (seen.is_silent or (seen.is_bare and not seen.init_pid)):
                certain[name] = seen
                if known is not None:
                    self._known[name] = attrs.evolve(known, bare_us=0)
                continue
            if known is None or known.seen.identity != seen.identity:
                continue
            bare_us = (known.bare_us or now_us) if seen.is_bare else 0
            self._known[name] = attrs.evolve(known, bare_us=bare_us)
            if not bare_us or 0 <= now_us - bare_us < BARE_US:
                certain[name] = attrs.evolve(known.seen, unsettled=True)
        return certain

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
        for known in gone.values():
            if known.seen.identity in new:
                continue
            if known.seen.ports:
                tell("port-remove", known.seen, ports=list(known.seen.ports))
            if known.seen.init_pid:
                tell("stop", known.seen, known.ceased_us or now_us)
            tell("destroy", known.seen)
        for name, known in gone.items():
            moved = new.get(known.seen.identity)
            if moved is not None:
                tell("rename", moved, old=name)
                was = attrs.evolve(known.seen, name=moved.name)
                self._known[moved.name] = attrs.evolve(known, seen=was)

    def _step(self, before: _Known, seen: Seen, now_us: int, tell: Tell) -> _Known:
        """One container that was there and still is."""
        was = before.seen
        if was.init_pid == HEARD and seen.init_pid and not before.reboots:
            was = attrs.evolve(was, init_pid=seen.init_pid, monitor=seen.monitor)
        ceased = was.init_pid and seen.init_pid != was.init_pid
        ceased_us = before.ceased_us or now_us
        waits = now_us - ceased_us < SUSPENSE_US and self._alive(was.monitor)
        if ceased and not seen.init_pid and waits:
            waiting = attrs.evolve(was, unsettled=True)
            return attrs.evolve(before, seen=waiting, ceased_us=ceased_us)
        if lost := sorted({*was.ports} - {*seen.ports}):
            tell("port-remove", seen, ports=lost)
        began_us = before.begun_us or now_us
        if ceased:
            if seen.init_pid and (before.reboots or seen.monitor == was.monitor):
                tell("restart", seen, began_us)
                was = attrs.evolve(seen, frozen=False, ports=was.ports)
            else:
                tell("stop", seen, ceased_us)
                was = attrs.evolve(was, init_pid=0, frozen=False)
        if seen.init_pid and not was.init_pid:
            tell("start", seen, began_us)
        if seen.run == was.run and seen.ooms > was.ooms:
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


def _hear(known: _Known, words: list[Word], now_us: int, tell: Tell) -> _Known:
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
            tell("restart" if known.reboots else "start", _unseen(seen), known.begun_us)
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


def _unseen(seen: Seen) -> Seen:
    """A run whose process nobody knows."""
    return attrs.evolve(seen, init_pid=0, run="")


def _stopped(known: _Known) -> _Known:
    seen = attrs.evolve(_unseen(known.seen), frozen=False, unsettled=False, ports=())
    return attrs.evolve(known, seen=seen, ceased_us=0, reboots=False)


def _count(before: _Known, after: _Known, told: list[str], now_us: int) -> _Known:
    """What was told and no monitor has spoken of."""
    begins = any(one in ("start", "restart") for one in told) and not before.begun_us
    ends = any(one in ("stop", "restart") for one in told) and not before.reboots
    return attrs.evolve(
        after,
        begins=after.begins + begins,
        ends=after.ends + ends,
        told_us=now_us if begins or ends else after.told_us,
    )
