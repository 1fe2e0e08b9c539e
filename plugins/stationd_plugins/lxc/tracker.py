"""What must have happened between one scan and the next. Pure.

A reboot and a stop begin alike; they differ in whether the monitor lives on. So a
container that ceased to run is held in suspense while its monitor is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import attrs

from stationd.interfaces import Known
from stationd.records import Container, Observation, State
from stationd_plugins.lxc.scan import Seen

TYPE = "lxc"


@attrs.frozen
class _Known:
    """A container as it was last told of.

    @ivar ceased_us: since when it has not run, while it is not clear whether it
        reboots; 0 if it is clear what it does.
    """

    seen: Seen
    ceased_us: int = 0


class Tracker:
    """The containers as they were told of, and what a new scan adds.

    @param alive: whether a process exists.
    """

    def __init__(self, alive: Callable[[int], bool]) -> None:
        self._alive = alive
        self._known: dict[str, _Known] = {}

    def begin(
        self,
        scanned: Mapping[str, Seen],
        known: Known,
        origins: Collection[str],
        now_us: int,
    ) -> list[Observation]:
        """Take a first scan as how things are.

        @param known: what is recorded of containers, C{origins}: what of them.
        @return: what must have happened since: all of it inferred. Of a container
            that was never told of, only its making after that time is.
        """
        self._known = {name: _Known(seen) for name, seen in scanned.items()}
        happened: list[Observation] = []

        def tell(action: str, seen: Seen, time_us: int = now_us, **details: object) -> None:
            happened.append(observation(action, seen, time_us or now_us, True, **details))

        recorded = Recorded(origins)
        before = {container.name: container for container in known.containers}
        for name, seen in scanned.items():
            olds = (recorded.names(seen.identity) & before.keys()) - scanned.keys()
            if name not in before and olds:
                old = olds.pop()
                tell("rename", seen, old=old)
                before[name] = before.pop(old)
        for name, was in before.items():
            there = scanned.get(name)
            if there is None or recorded.is_another(there):
                _end(was, now_us if there is None else there.made_us - 1, tell)
        for name, seen in scanned.items():
            known_as = before.get(name)
            if known_as is None and (not known.newest_us or seen.made_us <= known.newest_us):
                continue
            if known_as is None or recorded.is_another(seen):
                tell("create", seen, seen.made_us)
                known_as = Container(type=TYPE, id=name, name=name)
            _change(known_as, seen, recorded, tell)
        happened.sort(key=lambda one: one.time_us)
        return happened

    @property
    def containers(self) -> list[Container]:
        """All as they are now."""
        return [container(known.seen) for known in self._known.values()]

    @property
    def pids(self) -> dict[str, int]:
        """The first process of each that runs, by name."""
        return {n: k.seen.init_pid for n, k in self._known.items() if k.seen.init_pid}

    @property
    def unsettled(self) -> bool:
        """Whether another look is due soon."""
        return any(known.ceased_us or known.seen.unsettled for known in self._known.values())

    def update(
        self, scanned: Mapping[str, Seen], now_us: int, *, inferred: bool
    ) -> list[Observation]:
        """What has happened since the last scan.

        @param inferred: whether we might have missed something in between.
        """
        happened: list[Observation] = []

        def tell(action: str, seen: Seen, time_us: int = now_us, **details: object) -> None:
            happened.append(observation(action, seen, time_us, inferred, **details))

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
        for name, seen in scanned.items():
            before = self._known.get(name)
            if before is None:
                tell("create", seen)
                before = _Known(attrs.evolve(seen, init_pid=0, frozen=False, ports=()))
            self._known[name] = self._step(before, seen, now_us, tell)
        return happened

    def _step(self, before: _Known, seen: Seen, now_us: int, tell: Callable[..., None]) -> _Known:
        """One container that was there and still is."""
        was = before.seen
        ceased = was.init_pid and seen.init_pid != was.init_pid
        if ceased and not seen.init_pid and self._alive(was.monitor_pid):
            waiting = attrs.evolve(was, unsettled=True)
            return _Known(waiting, before.ceased_us or now_us)
        if lost := sorted({*was.ports} - {*seen.ports}):
            tell("port-remove", seen, ports=lost)
        if ceased:
            if seen.init_pid and seen.monitor_pid == was.monitor_pid:
                tell("restart", seen)
                was = attrs.evolve(seen, frozen=False, ports=was.ports)
            else:
                tell("stop", seen, before.ceased_us or now_us)
                was = attrs.evolve(was, init_pid=0, frozen=False)
        if seen.init_pid and not was.init_pid:
            tell("start", seen)
        if seen.init_pid and seen.frozen != was.frozen and not seen.unsettled:
            tell("pause" if seen.frozen else "unpause", seen)
        if new := sorted({*seen.ports} - {*was.ports}):
            tell("port-add", seen, ports=new)
        if seen.unsettled and seen.init_pid:
            seen = attrs.evolve(seen, frozen=was.frozen)
        return _Known(seen)


class Recorded:
    """What origins tell of containers: under which names one has been known, which
    containers have had a name, which runs.

    @param origins: some of those that L{observation} makes, and others.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._made: dict[str, set[str]] = {}
        self._names: dict[str, set[str]] = {}
        self._runs: dict[str, set[str]] = {}
        for origin in origins:
            type, kind, unique, _, name = (*origin.split(":", 4), "", "", "", "")[:5]
            if type == TYPE and kind == "made":
                self._made.setdefault(name, set()).add(unique)
                self._names.setdefault(unique, set()).add(name)
            elif type == TYPE and kind == "run":
                self._runs.setdefault(name, set()).add(unique)

    def names(self, identity: str) -> set[str]:
        """Those that a container has had."""
        return self._names.get(identity, set())

    def is_another(self, seen: Seen) -> bool:
        """Whether it is not the container that had its name."""
        made = self._made.get(_short(seen.name), set())
        return bool(made) and seen.identity not in made

    def is_another_run(self, seen: Seen) -> bool:
        """Whether it has been started since."""
        runs = self._runs.get(_short(seen.name), set())
        return bool(runs) and seen.run not in runs


def _end(was: Container, time_us: int, tell: Callable[..., None]) -> None:
    """One that is gone."""
    gone = Seen(was.name, "", "", was.image)
    if was.ports:
        tell("port-remove", gone, time_us, ports=list(was.ports))
    if was.state is not State.STOPPED:
        tell("stop", gone, time_us)
    tell("destroy", gone, time_us)


def _change(was: Container, seen: Seen, recorded: Recorded, tell: Callable[..., None]) -> None:
    """One that is still there."""
    state, is_now = was.state, container(seen).state
    if lost := sorted({*was.ports} - {*seen.ports}):
        tell("port-remove", seen, ports=lost)
    if state is not State.STOPPED and is_now is State.STOPPED:
        tell("stop", seen)
    elif state is State.STOPPED and is_now is not State.STOPPED:
        tell("start", seen, seen.started_us)
        state = State.RUNNING
    elif is_now is not State.STOPPED and recorded.is_another_run(seen):
        tell("restart", seen, seen.started_us)
        state = State.RUNNING
    if state is not is_now and is_now is not State.STOPPED:
        tell("pause" if is_now is State.PAUSED else "unpause", seen)
    if new := sorted({*seen.ports} - {*was.ports}):
        tell("port-add", seen, ports=new)


ORIGIN_NAME_LENGTH = 180
"""Characters of a name in an origin, which can have 256 in all."""


def _short(name: str) -> str:
    return name[:ORIGIN_NAME_LENGTH]


def origin(action: str, seen: Seen, time_us: int) -> str:
    """What L{Recorded} is to find, C{""} if that is nothing. The time makes it another
    each time: a container that was moved away and back is told of as made again."""
    if action in ("create", "rename") and seen.identity:
        return f"{TYPE}:made:{seen.identity}:{time_us}:{_short(seen.name)}"
    if action in ("start", "restart", "found") and seen.run:
        return f"{TYPE}:run:{seen.run}:{time_us}:{_short(seen.name)}"
    return ""


def observation(
    action: str, seen: Seen, time_us: int, inferred: bool, **details: object
) -> Observation:
    """Something that happened to a container, in our words."""
    return Observation(
        time_us=time_us,
        type=TYPE,
        subject="container",
        action=action,
        id=seen.name,
        name=seen.name,
        image=seen.image,
        details=details,
        inferred=inferred,
        origin=origin(action, seen, time_us),
    )


def container(seen: Seen) -> Container:
    """A container, in our words."""
    state = State.RUNNING if seen.init_pid else State.STOPPED
    return Container(
        type=TYPE,
        id=seen.name,
        name=seen.name,
        image=seen.image,
        state=State.PAUSED if seen.frozen else state,
        ports=seen.ports,
        origin=origin("found", seen, seen.started_us),
    )
