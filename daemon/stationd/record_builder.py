"""Observations into records: events for the event journal, a sentence for the log journal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from stationd.event_codec import EVENT_USER, encode_events, parse_image_reference
from stationd.messages import record_messages as said
from stationd.records import CRASH_LOOP_EXITS, Container, Draft, JsonValue, Level, Observation

DAEMON_USER = "system"
"""The user of what the daemon itself says."""

_CONTAINER_SENTENCES = {
    "create": (Level.INFO, said.CONTAINER_CREATED),
    "start": (Level.INFO, said.CONTAINER_STARTED),
    "stop": (Level.INFO, said.CONTAINER_STOPPED),
    "restart": (Level.INFO, said.CONTAINER_RESTARTED),
    "fail": (Level.ERROR, said.CONTAINER_START_FAILED),
    "destroy": (Level.INFO, said.CONTAINER_DESTROYED),
    "pause": (Level.INFO, said.CONTAINER_PAUSED),
    "unpause": (Level.INFO, said.CONTAINER_UNPAUSED),
    "die": (Level.INFO, said.CONTAINER_EXITED),
    "oom": (Level.ERROR, said.CONTAINER_PROCESS_OOM_KILLED),
    "healthy": (Level.INFO, said.CONTAINER_HEALTHY),
    "unhealthy": (Level.WARN, said.CONTAINER_UNHEALTHY),
    "kill": (Level.INFO, said.CONTAINER_SIGNALLED),
    "rename": (Level.INFO, said.CONTAINER_RENAMED),
    "recovered": (Level.INFO, said.CRASH_LOOP_ENDED),
}

_IMAGE_SENTENCES = {
    "delete": said.IMAGE_DELETED,
    "import": said.IMAGE_IMPORTED,
    "load": said.IMAGE_LOADED,
    "save": said.IMAGE_SAVED,
    "tag": said.IMAGE_TAGGED,
    "untag": said.IMAGE_UNTAGGED,
    "prune": said.IMAGES_PRUNED,
}


class ObservationRecords(NamedTuple):
    """The records that an observation is worth.

    @ivar events: for the event journal, in order.
    @ivar log: for the log.
    """

    events: list[Draft]
    log: list[Draft]


def build_records(observation: Observation) -> ObservationRecords:
    """The records for an observation.

    @raise stationd.errors.InvalidValue: a name in it is not one the journal can hold.
    """
    events = [
        _build_draft(observation, Level.INFO, EVENT_USER, text)
        for text in encode_events(observation)
    ]
    match observation.subject:
        case "container":
            sentence = _container_sentence(observation)
        case "export":
            sentence = Level.INFO, said.CONTAINER_EXPORTED.text
        case _:
            sentence = Level.INFO, _image_words(observation)
    if sentence is None:
        return ObservationRecords(events, [])
    level, words = sentence
    words += said.INFERRED.text if observation.inferred else ""
    words += said.SUBJECT.render(parts=", ".join(filter(None, _subject(observation))))
    return ObservationRecords(events, [_build_draft(observation, level, DAEMON_USER, words)])


def found_observation(container: Container, time_us: int) -> Observation:
    """A container that is there, of which nobody knows how it came."""
    details: dict[str, JsonValue] = {"now": container.state.value}
    if container.ports:
        details["ports"] = list(container.ports)
    return Observation(
        time_us=time_us,
        type=container.type,
        subject="container",
        action="found",
        id=container.id,
        name=container.name,
        image=container.image,
        details=details,
        origin=container.origin,
    )


def daemon_record(time_us: int, level: Level, text: str) -> Draft:
    """A record of the daemon about itself."""
    return Draft(time_us=time_us, level=level, category="system", user=DAEMON_USER, text=text)


def _container_sentence(observation: Observation) -> tuple[Level, str] | None:
    """What is said of a container, C{None} if nothing is."""
    action, details = observation.action, observation.details
    if action not in _CONTAINER_SENTENCES:
        # Ports, and the noise of exec_*, have no sentence.
        return None
    level, message = _CONTAINER_SENTENCES[action]
    exits = details.get("exits", 0)
    if isinstance(exits, int) and exits and action == "die" and not _is_reported_count(exits):
        # It is in a loop; the next round number of exits has a sentence again.
        return None
    if action in ("start", "oom") and exits:
        return None
    words = message.render(with_code="")
    if action == "die" or (action == "stop" and details.get("oom")):
        level, words = _exit_sentence(details)
    elif action == "stop" and details.get("exitCode"):
        level = Level.WARN
        words += said.ENDED_BY.render(**details) if "signal" in details else ""
        words += said.EXIT_CODE.render(code=details["exitCode"])
    if action == "fail":
        words += said.EXIT_CODE.render(code=details["exitCode"]) if "exitCode" in details else ""
        words += said.START_ERROR.render(**details) if "error" in details else ""
    if action == "recovered":
        words += said.AFTER_EXITS.render(exits=exits)
    if action == "kill" and "signal" in details:
        words += said.WITH_SIGNAL.render(**details)
    if action == "rename" and details.get("old"):
        words += said.RENAMED_FROM.render(**details)
    return level, words


def _exit_sentence(details: Mapping[str, JsonValue]) -> tuple[Level, str]:
    """How a container ended, and how bad that is."""
    code = details.get("exitCode")
    with_code = "" if code is None else said.WITH_CODE.render(code=code)
    level = Level.INFO if code in (None, 0) else Level.WARN
    memory = _memory_limit(details) if details.get("oom") else ""
    if exits := details.get("exits"):
        if memory:
            return Level.ERROR, said.CRASH_LOOP_OOM_KILLED.render(exits=exits, memory=memory)
        with_code = with_code or said.WITHOUT_CODE.text
        return Level.WARN, said.CRASH_LOOP.render(exits=exits, with_code=with_code)
    if memory:
        return Level.ERROR, said.CONTAINER_OOM_KILLED.render(memory=memory)
    if details.get("engineStops"):
        return Level.INFO, said.CONTAINER_EXITED_ENGINE_STOPPED.render(with_code=with_code)
    if details.get("engineStarts"):
        return Level.INFO, said.CONTAINER_EXITED_ENGINE_RESTARTED.render(with_code=with_code)
    if details.get("asked"):
        return Level.INFO, said.CONTAINER_EXITED_ON_REQUEST.render(with_code=with_code)
    if "asked" not in details:
        return level, said.CONTAINER_EXITED.render(with_code=with_code)
    if "signal" in details:
        return level, said.CONTAINER_EXITED_ON_SIGNAL.render(signal=details["signal"], code=code)
    return level, said.CONTAINER_EXITED_UNREQUESTED.render(with_code=with_code)


def _memory_limit(details: Mapping[str, JsonValue]) -> str:
    """Whose memory it was, and how much."""
    if details.get("hostMemory"):
        return said.HOST_OUT_OF_MEMORY.text
    limit = details.get("limit")
    shown = said.MEMORY_LIMIT.render(size=_format_size(limit)) if isinstance(limit, int) else ""
    return said.OUT_OF_MEMORY.text + shown


def _is_reported_count(count: int) -> bool:
    """Whether to speak of a loop again: 4, 10, 100, 1,000 and so on."""
    return count == CRASH_LOOP_EXITS or str(count).strip("0") == "1"


def _format_size(size_bytes: int) -> str:
    """C{16 MiB}."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes >= size:
            return f"{size_bytes / size:.3g} {unit}"
    return f"{size_bytes} bytes"


def _image_words(observation: Observation) -> str:
    action = observation.action
    if action == "pull":
        repository = parse_image_reference(observation.name).repository
        return said.IMAGE_PULLED.render(repository=repository)
    return _IMAGE_SENTENCES.get(action, said.IMAGE_EVENT_OTHER).render(action=action.capitalize())


def _subject(observation: Observation) -> tuple[str, ...]:
    """What a sentence is about: type, id and name, as far as it has them."""
    if observation.subject == "image" or observation.type == "lxc":
        return observation.type, observation.name
    return observation.type, observation.id[:12], observation.name


def _build_draft(observation: Observation, level: Level, user: str, text: str) -> Draft:
    about = "" if observation.subject == "image" else f"{observation.type}/{observation.id}"
    return Draft(
        time_us=observation.time_us,
        level=level,
        category=observation.subject,
        user=user,
        container=about,
        text=text,
        origin=observation.origin,
    )
