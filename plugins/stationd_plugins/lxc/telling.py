"""What happened to an LXC container, in our words, and what that is recorded under. Pure."""

from __future__ import annotations

from collections.abc import Collection

from stationd.records import Container, Observation, State
from stationd_plugins.lxc.scan import Seen

TYPE = "lxc"

ORIGIN_NAME_LENGTH = 150
"""Characters of a name in an origin, which can have 256 in all."""


def _short(name: str) -> str:
    return name[:ORIGIN_NAME_LENGTH]


def origin(action: str, seen: Seen, time_us: int) -> str:
    """What L{Recorded} is to find, C{""} if that is nothing. The time makes it another
    each time: a container that was moved away and back is told of as made again."""
    kind, unique = "", ""
    if action == "found":
        kind, unique = "found", f"{seen.identity}:{seen.run}"
    elif action in ("create", "rename"):
        kind, unique = "made", seen.identity
    elif action in ("start", "restart"):
        kind, unique = "run", seen.run
    return f"{TYPE}:{kind}:{unique}:{time_us}:{_short(seen.name)}" if unique else ""


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


def state(seen: Seen) -> State:
    """What a container does."""
    if seen.frozen:
        return State.PAUSED
    return State.RUNNING if seen.init_pid else State.STOPPED


def container(seen: Seen, time_us: int) -> Container:
    """A container, in our words, as of some time."""
    return Container(
        type=TYPE,
        id=seen.name,
        name=seen.name,
        image=seen.image,
        state=state(seen),
        ports=seen.ports,
        origin=origin("found", seen, time_us),
    )


def found(seen: Seen, time_us: int) -> Observation:
    """A container that is there, of which nobody knows how it came."""
    ports = {"ports": list(seen.ports)} if seen.ports else {}
    return observation("found", seen, time_us, False, now=state(seen).value, **ports)


class Recorded:
    """What origins tell of containers: under which names one has been known, which
    containers have had a name, which runs.

    @param origins: some of those that L{observation} makes, and others.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._made: dict[str, set[str]] = {}
        self._names: dict[str, set[str]] = {}
        self._last: dict[str, str] = {}
        self._runs: dict[str, set[str]] = {}
        for origin in origins:
            is_found = origin.startswith(f"{TYPE}:found:")
            match origin.split(":", 5 if is_found else 4):
                case [type, "found", identity, run, _, name] if type == TYPE:
                    self._take(name, identity, run)
                case [type, "made", identity, _, name] if type == TYPE:
                    self._take(name, identity, "")
                case [type, "run", run, _, name] if type == TYPE:
                    self._take(name, "", run)

    def _take(self, name: str, identity: str, run: str) -> None:
        name = _short(name)
        if identity:
            self._made.setdefault(name, set()).add(identity)
            self._names.setdefault(identity, set()).add(name)
            self._last[name] = identity
        if run:
            self._runs.setdefault(name, set()).add(run)

    def names(self, identity: str) -> set[str]:
        """Those that a container has had."""
        return self._names.get(identity, set())

    def identity(self, name: str) -> str:
        """Which container had a name last, C{""} if that is not known."""
        return self._last.get(_short(name), "")

    def is_another(self, seen: Seen) -> bool:
        """Whether it is not the container that had its name."""
        made = self._made.get(_short(seen.name), set())
        return bool(made) and bool(seen.identity) and seen.identity not in made

    def is_another_run(self, seen: Seen, name: str) -> bool:
        """Whether it has been started since it was told of, under some name."""
        runs = self._runs.get(_short(name), set())
        return bool(runs) and seen.run not in runs
