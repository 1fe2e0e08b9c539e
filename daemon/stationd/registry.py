"""The registry: what each container is now, as its recorded history tells."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import attrs

from stationd.records import Container, Observation, State

MAX_REMOVED = 4096
"""Containers that are kept after their removal, for whoever still asks what became
of them: at most some 4 MB, and at a container a second more than an hour."""

ACTIONS_AFTER_REMOVAL = {
    False: frozenset(["create", "start", "restart", "found", "rename"]),
    True: frozenset(["create", "found"]),
}
"""What can happen to one that was removed: to another of its name, or to one that is back. By
whether it is Docker's, whose ids are used once."""

EXIT_TOLERANCE_US = 1_000_000
"""Within this time two ends of a container are one."""

MIN_PREFIX_LENGTH = 12
"""Characters of a Docker id that are enough to name it."""


@attrs.frozen
class ContainerChange:
    """A container is not what it was.

    @ivar reference: what it was called before (L{Container.reference}); another
        than now only if an LXC container was renamed.
    @ivar container: what it is now.
    @ivar time_us: when it changed, by the clock of who changed it; 0 if that is not known.
    """

    reference: str
    container: Container
    time_us: int = 0


def matches_key(container: Container, type: str, key: str) -> bool:
    """Whether a key names a container: its id, a prefix of 12 or more, its name."""
    return container.type == type and (
        key in (container.id, container.name)
        or (type == "docker" and len(key) >= MIN_PREFIX_LENGTH and container.id.startswith(key))
    )


def with_known_exit(container: Container, known: Container | None) -> Container:
    """A container as its source has it, with how it last ended as it is known: a source may not
    know that any more, and engines give an exit several times, some milliseconds apart.

    @param known: what the registry has, C{None} if nothing.
    """
    if known is None or known.removed or known.finished_us is None:
        return container
    if {container.state, known.state} != {State.STOPPED}:
        return container
    finished_us = container.finished_us
    if finished_us is not None and abs(finished_us - known.finished_us) > EXIT_TOLERANCE_US:
        return container
    code = container.exit_code if known.exit_code is None else known.exit_code
    return attrs.evolve(container, exit_code=code, finished_us=known.finished_us)


class Registry:
    """The registry: told by the recorder, read by everybody else."""

    def __init__(self) -> None:
        self._existing: dict[str, Container] = {}
        self._removed: collections.OrderedDict[str, Container] = collections.OrderedDict()

    def all(self) -> list[Container]:
        """Those that exist, by type and name."""
        return sorted(self._existing.values(), key=lambda c: (c.type, c.name, c.id))

    def find(self, type: str, key: str) -> Container | None:
        """The container that a key L{matches_key}; one that exists before one that was
        removed, and of those removed the last."""
        for known in (self._existing, self._removed):
            if exact := known.get(f"{type}/{key}"):
                return exact
            for container in reversed(known.values()):
                if matches_key(container, type, key):
                    return container
        return None

    def get(self, reference: str) -> Container | None:
        """The container that L{Container.reference} names, removed or not."""
        return self._existing.get(reference) or self._removed.get(reference)

    def references(self, key: str) -> frozenset[str]:
        """Every reference that a bare id, prefix or name may mean, for finding
        records: of those known, and as ids nobody knows any more."""
        found = {
            container.reference
            for known in (self._existing, self._removed)
            for container in known.values()
            if matches_key(container, container.type, key)
        }
        return frozenset(found | {f"docker/{key}", f"lxc/{key}"})

    def apply(self, observation: Observation) -> ContainerChange | None:
        """Take in what happened; C{None} if it changed no container."""
        if observation.subject != "container":
            return None
        reference = f"{observation.type}/{observation.id}"
        before = reference
        if observation.type == "lxc" and observation.action == "rename":
            before = f"lxc/{observation.details.get('old', observation.id)}"
        known = self._existing.get(before) or self._removed.get(reference)
        if known is None:
            if observation.type == "docker" and observation.action == "stop":
                # Told after the exit and maybe the removal: it does not say that there is one.
                return None
            known = Container(type=observation.type, id=observation.id, name=observation.name)
        if (
            known.removed
            and observation.action not in ACTIONS_AFTER_REMOVAL[observation.type == "docker"]
        ):
            # Told late: it is gone all the same.
            return None
        if known.removed:
            # Another of its name, or one that is back.
            known = Container(type=observation.type, id=observation.id, name=observation.name)
        fields = _changed_fields(observation, known)
        if fields is None:
            return None
        container: Container = attrs.evolve(known, id=observation.id, **fields)  # type: ignore[arg-type]
        if before != reference:
            self._existing.pop(before, None)
        self._store(container)
        return ContainerChange(before, container, observation.time_us)

    def apply_listing(self, type: str, listing: Sequence[Container]) -> list[ContainerChange]:
        """Take in which containers of a type exist. What is not listed is gone."""
        changes: list[ContainerChange] = []
        listed = {container.reference for container in listing}
        for reference, known in list(self._existing.items()):
            if known.type == type and reference not in listed:
                gone = attrs.evolve(known, removed=True, state=State.STOPPED, health="", ports=())
                self._store(gone)
                changes.append(ContainerChange(reference, gone))
        for container in listing:
            if self._existing.get(container.reference) != container:
                self._store(container)
                changes.append(ContainerChange(container.reference, container))
        return changes

    def _store(self, container: Container) -> None:
        reference = container.reference
        if not container.removed:
            self._removed.pop(reference, None)
            self._existing[reference] = container
            return
        self._existing.pop(reference, None)
        self._removed[reference] = container
        self._removed.move_to_end(reference)
        while len(self._removed) > MAX_REMOVED:
            self._removed.popitem(last=False)


def _changed_fields(observation: Observation, known: Container) -> dict[str, object] | None:
    """The fields of a container that an observation says something about."""
    details = observation.details
    is_docker = observation.type == "docker"
    fields: dict[str, object] = {"removed": False}
    if observation.name:
        fields["name"] = observation.name
    if observation.image:
        fields["image"] = observation.image
    match observation.action:
        case "found":
            fields |= {"state": State(details["now"]), "ports": tuple(_port_list(observation))}
        case "create":
            fields |= {"state": State.STOPPED, "exit_code": None, "finished_us": None}
        case "stop" | "restart" if is_docker:
            # Each stands beside an exit or a start, and may be told after what came next.
            pass
        case "start" | "restart":
            health = "starting" if known.health else ""
            fields |= {"state": State.RUNNING, "exit_code": None, "finished_us": None}
            fields |= {"health": health if known.state is not State.RUNNING else known.health}
        case "unpause":
            fields |= {"state": State.RUNNING}
        case "pause":
            fields |= {"state": State.PAUSED}
        case "die":
            fields |= {"state": State.STOPPED, "finished_us": observation.time_us, "health": ""}
            fields |= {"exit_code": details.get("exitCode"), "ports": ()}
        case "stop":
            if known.state is not State.STOPPED:
                fields |= {"finished_us": observation.time_us}
            fields |= {"state": State.STOPPED, "health": ""}
            if "exitCode" in details:
                fields |= {"exit_code": details["exitCode"]}
        case "destroy":
            fields |= {"state": State.STOPPED, "removed": True, "health": "", "ports": ()}
        case "healthy" | "unhealthy" if known.state is State.STOPPED:
            return None
        case "healthy" | "unhealthy" as health:
            fields |= {"health": health}
        case "port-add" if known.state is State.STOPPED:
            return None
        case "port-remove" if not known.ports:
            return None
        case "port-add":
            fields |= {"ports": tuple(sorted({*known.ports, *_port_list(observation)}))}
        case "port-remove":
            fields |= {"ports": tuple(sorted({*known.ports} - {*_port_list(observation)}))}
        case "rename":
            pass
        case _:
            return None
    return fields


def _port_list(observation: Observation) -> list[str]:
    ports = observation.details.get("ports")
    return [str(port) for port in ports] if isinstance(ports, list) else []
