"""What tells an event of an engine from all others, in any replay. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

TYPE = "docker"

SHORT = 12
"""Digits of an id in an origin."""


def origin_of(at_ns: int, kind: str, action: str, id: str) -> str:
    """The identity of an event: the same for the same one in any replay."""
    made = f"{TYPE}:{at_ns}:{kind[0]}:{action[:40]}:{id.removeprefix('sha256:')[:SHORT]}"
    return "".join(c if c.isprintable() else "?" for c in made)


def identity(event: object) -> str:
    """What tells an event of the stream from all others, whether it means anything or not;
    C{""} for what is none."""
    if not isinstance(event, Mapping):
        return ""
    actor = event.get("Actor")
    id = actor.get("ID") if isinstance(actor, Mapping) else ""
    return f"{event.get('timeNano')}:{event.get('Type')}:{event.get('Action')}:{id}"


def container_event(origin: str) -> tuple[int, str, str] | None:
    """The time in nanoseconds, the action and the short id that the origin of a
    container's event carries, C{None} if it is another's."""
    parts = origin.split(":")
    if len(parts) != 5 or parts[2] != "c" or not parts[1].isdecimal():
        return None
    return int(parts[1]), parts[3], parts[4]


def time_ns_of(origin: str) -> int:
    """The engine's time that an origin carries, in nanoseconds; 0 if it carries none."""
    match = re.match(rf"{TYPE}:(\d+):", origin)
    return int(match[1]) if match else 0
