"""What must have happened to LXC containers while nobody looked: the difference between what
is recorded and what a first scan finds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from stationd.interfaces import Known
from stationd.records import Container, Observation, State
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import TYPE, Recorded, container, observation


def missed(
    scanned: Mapping[str, Seen], known: Known, origins: Collection[str], now_us: int
) -> list[Observation]:
    """What to record, in the order in which it must have happened: all of it inferred. Of a
    container that was never told of, only its making since the newest that was told is.

    @param known: what is recorded of containers, C{origins}: what of them.
    """
    lives: dict[str, list[Observation]] = {}

    def tell(action: str, seen: Seen, time_us: int = now_us, **details: object) -> None:
        # In order, whatever the clocks say.
        life = lives.setdefault(seen.name, [])
        time_us = max([time_us or now_us, *(one.time_us for one in life[-1:])])
        life.append(observation(action, seen, time_us, True, **details))

    recorded = Recorded(origins)
    before = {container.name: container for container in known.containers}
    olds: dict[str, str] = {}
    for name, seen in scanned.items():
        gone = (recorded.names(seen.identity) & before.keys()) - scanned.keys()
        if name not in before and gone:
            old = olds[name] = gone.pop()
            was = before[name] = before.pop(old)
            stopped = was.state is State.STOPPED or recorded.is_another_run(seen, old)
            tell("rename", seen, seen.started_us if stopped else now_us, old=old)
    for name, was in before.items():
        there = scanned.get(name)
        if there is None or recorded.is_another(there):
            _end(was, now_us if there is None else there.made_us - 1, tell)
    for name, seen in scanned.items():
        known_as = before.get(name)
        if known_as is None and (not known.newest_us or seen.made_us <= known.newest_us):
            continue
        if seen.is_silent:
            continue
        if known_as is None or recorded.is_another(seen):
            tell("create", seen, seen.made_us)
            known_as = Container(type=TYPE, id=name, name=name)
        _change(known_as, seen, recorded.is_another_run(seen, olds.get(name, name)), tell)
    return [one for life in sorted(lives.values(), key=_begin) for one in life]


def _begin(life: list[Observation]) -> int:
    return life[0].time_us


def _end(was: Container, time_us: int, tell: Callable[..., None]) -> None:
    """One that is gone."""
    gone = Seen(was.name, "", "", was.image)
    if was.ports:
        tell("port-remove", gone, time_us, ports=list(was.ports))
    if was.state is not State.STOPPED:
        tell("stop", gone, time_us)
    tell("destroy", gone, time_us)


def _change(was: Container, seen: Seen, runs_again: bool, tell: Callable[..., None]) -> None:
    """One that is still there."""
    state, is_now = was.state, container(seen).state
    if lost := sorted({*was.ports} - {*seen.ports}):
        tell("port-remove", seen, ports=lost)
    if state is not State.STOPPED and is_now is State.STOPPED:
        tell("stop", seen)
    elif state is State.STOPPED and is_now is not State.STOPPED:
        tell("start", seen, seen.started_us)
        state = State.RUNNING
    elif is_now is not State.STOPPED and runs_again:
        tell("restart", seen, seen.started_us)
        state = State.RUNNING
    if state is not is_now and is_now is not State.STOPPED:
        tell("pause" if is_now is State.PAUSED else "unpause", seen)
    if new := sorted({*seen.ports} - {*was.ports}):
        tell("port-add", seen, ports=new)
