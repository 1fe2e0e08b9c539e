"""What the engine says, in our words: dictionaries in, observations and containers
out. Pure, and total: nothing the engine can send raises anything but L{Malformed}."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime

import attrs

from stationd.messages.reason_messages import MALFORMED_FIELD
from stationd.records import Container, JsonValue, Observation, State
from stationd_plugins.docker.origins import TYPE, origin_of
from stationd_plugins.host.process import signal_name

_CONTAINER_ACTIONS = frozenset(
    [
        "create",
        "start",
        "stop",
        "restart",
        "destroy",
        "pause",
        "unpause",
        "die",
        "oom",
        "kill",
        "rename",
    ]
)

MAX_WORDS_LENGTH = 500
"""Characters of why a container could not be started."""

_MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"

_IMAGE_ACTIONS = frozenset(["pull", "delete", "import", "load", "save", "tag", "untag", "prune"])


class Malformed(Exception):
    """A dictionary is not what the engine's API promises; the argument says how."""


@attrs.frozen
class Inspected:
    """A container, and what of it only the source needs.

    @ivar pid: its first process, 0 if none runs.
    @ivar created_ns: when it was made, in nanoseconds since the epoch, C{None} if not
        known; so C{started_ns}, when it last started, and C{finished_ns}, when it last
        exited, which a container that runs again still has.
    @ivar restarts: how often its restart policy has started it again.
    @ivar memory_bytes: how much memory it may use, 0 if there is no limit.
    @ivar oom_killed: whether the kernel killed it for memory when it last exited.
    @ivar error: why it could not be started, C{""} if it could when that was tried last;
        C{error_code}: the exit code that stands for it.
    """

    container: Container
    pid: int
    created_ns: int | None = None
    started_ns: int | None = None
    finished_ns: int | None = None
    oom_killed: bool = False
    restarts: int = 0
    memory_bytes: int = 0
    error: str = ""
    error_code: int | None = None


def observation(
    event: object, *, exec_events: bool, hidden: Collection[str] = ()
) -> Observation | None:
    """What an event of the stream means, C{None} if nothing that is recorded.

    @param exec_events: whether C{exec_*} is.
    @param hidden: the attributes that labels hide (L{stationd_plugins.docker.labels}): what they
        say is not taken.
    @raise Malformed: it is no event.
    """
    whole = _mapping(event, "event")
    kind, action = whole.get("Type"), whole.get("Action")
    if kind not in ("container", "image"):
        return None
    if not isinstance(action, str):
        raise Malformed(MALFORMED_FIELD.render(name="Action", value=action))
    # Podman's socket differs (pkg/domain/entities/events.go and api/handlers/compat/events.go).
    if action == "health_status":
        action = f"health_status: {whole.get('HealthStatus')}"
    elif (kind, action) == ("container", "remove"):
        action = "destroy"
    actor = _mapping(whole.get("Actor"), "Actor")
    attributes = _mapping(actor.get("Attributes") or {}, "Attributes")
    if hidden:
        attributes = {name: value for name, value in attributes.items() if name not in hidden}
    id = _string(actor, "ID")
    at_ns = whole.get("timeNano")
    if not isinstance(at_ns, int) or isinstance(at_ns, bool) or at_ns < 0:
        raise Malformed(MALFORMED_FIELD.render(name="timeNano", value=at_ns))
    origin = origin_of(at_ns, kind, action, id)
    if kind == "image":
        return _image(action, id, attributes, at_ns, origin)
    return _container(action, id, attributes, at_ns, origin, exec_events)


def _container(
    action: str,
    id: str,
    attributes: Mapping[str, object],
    at_ns: int,
    origin: str,
    exec_events: bool,
) -> Observation | None:
    details: dict[str, JsonValue] = {}
    subject = "container"
    if action.startswith("health_status: "):
        action = action.removeprefix("health_status: ")
        if action not in ("healthy", "unhealthy"):
            return None
    elif action.startswith("exec_"):
        if not exec_events:
            return None
        action, _, command = action.partition(": ")
        details = {"command": command} if command else {}
    elif action == "export":
        subject = "export"
    elif action not in _CONTAINER_ACTIONS:
        return None
    if action == "die" and (code := _whole(attributes.get("exitCode"))) is not None:
        details["exitCode"] = code
    if action == "kill" and (number := _whole(attributes.get("signal"))) is not None:
        details["signal"] = signal_name(number)
    if action == "rename" and (old := str(attributes.get("oldName", "")).removeprefix("/")):
        details["old"] = old
    return Observation(
        time_us=at_ns // 1000,
        type=TYPE,
        subject=subject,
        action=action,
        id=id,
        name=str(attributes.get("name", "")),
        image=str(attributes.get("image", "")),
        details=details,
        origin=origin,
    )


def _image(
    action: str, id: str, attributes: Mapping[str, object], at_ns: int, origin: str
) -> Observation | None:
    if action not in _IMAGE_ACTIONS:
        return None
    # A pull is told of by reference; everything else by the image's id, the
    # reference beside it. What is deleted has no reference any more.
    name = id if action == "pull" and id else str(attributes.get("name") or id)
    name = name.removeprefix("sha256:")[:12] if name.startswith("sha256:") else name
    return Observation(
        time_us=at_ns // 1000,
        type=TYPE,
        subject="image",
        action=action,
        id=id,
        name=name,
        origin=origin,
    )


def inspected(document: object) -> Inspected:
    """A container out of an inspect answer.

    @raise Malformed: it is none.
    """
    whole = _mapping(document, "container")
    state = _mapping(whole.get("State"), "State")
    config = _mapping(whole.get("Config") or {}, "Config")
    network = _mapping(whole.get("NetworkSettings") or {}, "NetworkSettings")
    status = state_of(_string(state, "Status"))
    finished_us = time_us(state.get("FinishedAt"))
    stopped = status is State.STOPPED and finished_us is not None
    health = state.get("Health")
    pid = state.get("Pid")
    limit = _mapping(whole.get("HostConfig") or {}, "HostConfig").get("Memory")
    return Inspected(
        container=Container(
            type=TYPE,
            id=_string(whole, "Id"),
            name=_string(whole, "Name").removeprefix("/"),
            image=str(config.get("Image", "")),
            state=status,
            exit_code=_whole(state.get("ExitCode")) if stopped else None,
            finished_us=finished_us if stopped else None,
            health=_health(health.get("Status")) if isinstance(health, Mapping) else "",
            ports=ports(network.get("Ports")) if status is not State.STOPPED else (),
        ),
        pid=pid if isinstance(pid, int) else 0,
        created_ns=time_ns(whole.get("Created")),
        started_ns=time_ns(state.get("StartedAt")),
        finished_ns=time_ns(state.get("FinishedAt")),
        oom_killed=state.get("OOMKilled") is True,
        restarts=max(0, _whole(whole.get("RestartCount")) or 0),
        memory_bytes=limit if isinstance(limit, int) and limit > 0 else 0,
        error=_words(state.get("Error")),
        error_code=_whole(state.get("ExitCode")),
    )


def _words(text: object) -> str:
    """What an engine has to say, on one line; C{""} if that is nothing."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return "".join(c if c.isprintable() else "?" for c in line)[:MAX_WORDS_LENGTH]


def summarized(document: object) -> Inspected:
    """A container out of a list, which says less.

    @raise Malformed: it is none.
    """
    whole = _mapping(document, "container")
    names = whole.get("Names")
    # Others are what containers that are linked to it call it: /web/db.
    own = [str(name) for name in (names if isinstance(names, list) else ())]
    name = next((name for name in own if name.count("/") == 1), "")
    container = Container(
        type=TYPE,
        id=_string(whole, "Id"),
        name=name.removeprefix("/"),
        image=str(whole.get("Image", "")),
        state=state_of(_string(whole, "State")),
    )
    return Inspected(container, pid=0)


def ports(bindings: object) -> tuple[str, ...]:
    """Published ports out of C{NetworkSettings.Ports}."""
    found: list[str] = []
    for inside, outside in (bindings if isinstance(bindings, Mapping) else {}).items():
        for binding in outside if isinstance(outside, list) else []:
            if isinstance(binding, Mapping) and binding.get("HostPort"):
                host = str(binding.get("HostIp") or "0.0.0.0")
                host = f"[{host}]" if ":" in host else host
                found.append(f"{host}:{binding['HostPort']}->{inside}")
    return tuple(sorted(found))


def state_of(status: str) -> State:
    """Our three states out of the engine's seven."""
    if status == "running":
        return State.RUNNING
    return State.PAUSED if status == "paused" else State.STOPPED


def time_us(text: object) -> int | None:
    """The microseconds of L{time_ns}."""
    found = time_ns(text)
    return None if found is None else found // 1000


def time_ns(text: object) -> int | None:
    """Nanoseconds out of an RFC 3339 time, C{None} for the engine's year 1, which
    means never, and for what is no time."""
    match = re.fullmatch(rf"({_MOMENT})(?:\.(\d{{1,9}}))?(Z|[+-]\d\d:\d\d)", str(text))
    if match is None or match[1].startswith("0001"):
        return None
    try:
        moment = datetime.fromisoformat(match[1] + match[3])
    except ValueError:
        return None
    seconds = int(moment.timestamp())
    return max(0, seconds * 1_000_000_000 + int((match[2] or "0").ljust(9, "0")))


def _health(status: object) -> str:
    return status if status in ("healthy", "unhealthy", "starting") else ""


def _whole(value: object) -> int | None:
    if isinstance(value, int):
        return int(value)
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value) else None


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise Malformed(MALFORMED_FIELD.render(name=name, value=str(value)[:60]))
    return value


def _string(mapping: Mapping[str, object], key: str) -> str:
    value = mapping.get(key)
    if not isinstance(value, str):
        raise Malformed(MALFORMED_FIELD.render(name=key, value=str(value)[:60]))
    return value
