"""What must have happened between one scan and the next. Pure.

A reboot and a stop begin alike; they differ in whether the monitor lives on. So a
container that ceased to run is held in suspense while its monitor is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

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
        self, scanned: Mapping[str, Seen], known: Sequence[Container], newest_us: int, now_us: int
    ) -> list[Observation]:
        """Take a first scan as how things are.

        @param known: the containers that existed when they were last told of.
        @param newest_us: the time of the newest that was told, 0 if nothing ever was.
        @return: what must have happened in between: all of it inferred. Of a container
            that was never told of, only its making after that time is.
        """
        self._known = {name: _Known(seen) for name, seen in scanned.items()}
        happened: list[Observation] = []

        def tell(action: str, seen: Seen, time_us: int, **details: object) -> None:
            happened.append(observation(action, seen, time_us or now_us, True, **details))

        for was in known:
            seen = scanned.get(was.name)
            if seen is None:
                gone = Seen(was.name, "", 0, was.image)
                if was.ports:
                    tell("port-remove", gone, now_us, ports=list(was.ports))
                if was.state is not State.STOPPED:
                    tell("stop", gone, now_us)
                tell("destroy", gone, now_us)
        before = {container.name: container for container in known}
        for name, seen in scanned.items():
            state = before[name].state if name in before else None
            ports = before[name].ports if name in before else ()
            if state is None:
                if not newest_us or seen.made_us <= newest_us:
                    continue
                tell("create", seen, seen.made_us)
                state = State.STOPPED
            is_now = container(seen).state
            if lost := sorted({*ports} - {*seen.ports}):
                tell("port-remove", seen, now_us, ports=lost)
            if state is not State.STOPPED and is_now is State.STOPPED:
                tell("stop", seen, now_us)
            if state is State.STOPPED and is_now is not State.STOPPED:
                tell("start", seen, seen.started_us)
                state = State.RUNNING
            if state is not is_now and is_now is not State.STOPPED:
                tell("pause" if is_now is State.PAUSED else "unpause", seen, now_us)
            if new := sorted({*seen.ports} - {*ports}):
                tell("port-add", seen, now_us, ports=new)
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

        inodes = {seen.inode: name for name, seen in scanned.items() if name not in self._known}
        for name, known in list(self._known.items()):
            if name in scanned:
                continue
            del self._known[name]
            moved = inodes.get(known.seen.inode)
            if moved is not None:
                tell("rename", scanned[moved], old=name)
                self._known[moved] = attrs.evolve(known, seen=attrs.evolve(known.seen, name=moved))
                continue
            if known.seen.ports:
                tell("port-remove", known.seen, ports=list(known.seen.ports))
            if known.seen.init_pid:
                tell("stop", known.seen, known.ceased_us or now_us)
            tell("destroy", known.seen)
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
    )
