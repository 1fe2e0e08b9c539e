"""A recorded event back into what it was made of. Pure."""

from __future__ import annotations

import json

from stationd.record_builder import EVENT_USER
from stationd.records import JsonValue, Observation, Record, State


def decode_event(record: Record) -> Observation | None:
    """What a recorded event of a container was made of, as far as the registry needs
    it; C{None} if it is another record."""
    type, slash, id = record.container.partition("/")
    if record.category != "container" or record.user != EVENT_USER or not slash:
        return None
    try:
        data = json.loads(record.text)
    except ValueError:
        return None
    if not isinstance(data, dict) or data.get("type") != type:
        return None
    name, action, code = data.get("container"), data.get("state"), data.get("exitCode")
    port, mapping = data.get("port"), data.get("mapping", data.get("ports"))
    if port in ("add", "remove"):
        action = f"port-{port}"
    if not isinstance(name, str) or not isinstance(action, str):
        return None
    details: dict[str, JsonValue] = {"exitCode": code} if isinstance(code, int) else {}
    if action == "found":
        if data.get("now") not in [state.value for state in State]:
            return None
        details["now"] = data["now"]
    if isinstance(data.get("exits"), int):
        details["exits"] = data["exits"]
    if isinstance(data.get("old"), str):
        details["old"] = data["old"]
    if isinstance(mapping, list):
        details["ports"] = mapping
    return Observation(
        time_us=record.time_us,
        type=type,
        subject="container",
        action=action,
        id=id,
        name=name,
        details=details,
        origin=record.origin,
    )
