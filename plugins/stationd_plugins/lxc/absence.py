"""What must have happened to LXC containers while nobody looked: the difference between what
is recorded and what a first scan finds. Pure.

What became of a container that is recorded is told by what it is and which run of it, so no
clock is compared. One that is not recorded must have been made meanwhile, if all that existed
are recorded; only if records are missing it is its time of birth that decides."""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping

from stationd.interfaces import KnownContainers
from stationd.records import Container, Observation, State
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import TYPE, Recorded, observation, state


def missed(
    scanned: Mapping[str, Seen], known: KnownContainers, recorded: Recorded, now_us: int
) -> list[Observation]:
    """What to record, in the order in which it must have happened: all of it inferred. If
    records are missing, a container that is in none was made only if it was born after the
    newest of them.

    @param known: what is recorded of containers, C{recorded}: what of them.
    """
    lives: dict[str, list[Observation]] = {}
    # When another gave up a name.
    freed_us: dict[str, int] = {}

    def tell(action: str, seen: Seen, time_us: int = now_us, **details: object) -> None:
        # In order, whatever the clocks say.
        life = lives.setdefault(seen.name, [])
        before_us = life[-1].time_us if life else freed_us.get(seen.name, 0)
        time_us = max(time_us or now_us, before_us)
        life.append(observation(action, seen, time_us, True, **details))
        if action == "rename":
            freed_us[str(details["old"])] = time_us

    before = {container.name: container for container in known.containers}
    olds = _move(scanned, before, recorded, now_us, tell)
    for name, was in before.items():
        there = scanned.get(name)
        if name not in olds and (there is None or recorded.is_another(there)):
            _end(was, now_us if there is None else there.made_us - 1, tell)
    for name, seen in scanned.items():
        known_as = before.get(name)
        is_born = bool(known.newest_us) and seen.made_us > known.newest_us
        if known_as is None and not (known.complete or is_born):
            continue
        if known_as is None or (name not in olds and recorded.is_another(seen)):
            # Older, it was moved here, or the clock was set back.
            since = known_as is not None or is_born
            # One that was recorded before is back, and its origins must be others each time.
            moved_us = now_us if recorded.names(seen.identity) else seen.started_us
            tell("create", seen, seen.made_us if since else moved_us)
            known_as = Container(type=TYPE, id=name, name=name)
        _change(known_as, seen, recorded.is_another_run(seen, olds.get(name, name)), tell)
    return [one for life in sorted(lives.values(), key=_begin) for one in life]


def _move(
    scanned: Mapping[str, Seen],
    before: dict[str, Container],
    recorded: Recorded,
    now_us: int,
    tell: Callable[..., None],
) -> dict[str, str]:
    """Those that have another name; the names that they had by those that they have.

    @param before: what is recorded, by name: changed to the names they have.
    """
    # A link to a container has its identity, and none of the two has moved.
    held = collections.Counter(seen.identity for seen in scanned.values())
    held_before = collections.Counter(map(recorded.identity, before))
    names = {
        identity: name
        for name in before
        if (identity := recorded.identity(name)) and held[identity] == held_before[identity] == 1
    }
    last = {name: names.get(seen.identity, name) for name, seen in scanned.items()}
    moves = {name: old for name, old in last.items() if old != name}
    olds: dict[str, str] = {}
    while moves:
        # A name that another still has can be taken when that one has its new one.
        name = next((name for name in moves if name not in before), "")
        if not name:
            # That one is gone; or they have changed names with one another, in no order.
            stays = [name for name in moves if name not in moves.values()]
            taken = (stays or [*moves])[0]
            _end(before.pop(taken), now_us, tell)
            moves = {name: old for name, old in moves.items() if old != taken}
            continue
        old, seen = moves.pop(name), scanned[name]
        was = before[name] = before.pop(old)
        olds[name] = old
        stopped = was.state is State.STOPPED or recorded.is_another_run(seen, old)
        tell("rename", seen, seen.started_us if stopped else now_us, old=old)
    return olds


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
    before, is_now = was.state, state(seen)
    if lost := sorted({*was.ports} - {*seen.ports}):
        tell("port-remove", seen, ports=lost)
    if before is not State.STOPPED and is_now is State.STOPPED:
        tell("stop", seen)
    elif before is State.STOPPED and is_now is not State.STOPPED:
        tell("start", seen, seen.started_us)
        before = State.RUNNING
    elif is_now is not State.STOPPED and runs_again:
        tell("restart", seen, seen.started_us)
        before = State.RUNNING
    if before is not is_now and is_now is not State.STOPPED:
        tell("pause" if is_now is State.PAUSED else "unpause", seen)
    if new := sorted({*seen.ports} - {*was.ports}):
        tell("port-add", seen, ports=new)
