"""The JSON of events, in the words of QNAP's API: encoded from observations, and decoded. Pure."""

from __future__ import annotations

import json
from typing import NamedTuple

from stationd.records import JsonValue, Observation, Record, State

EVENT_USER = "all"
"""The user of an event that was seen to happen; who caused it is not known."""


class ImageReference(NamedTuple):
    """An image reference, taken apart.

    @ivar repository: C{dockerhub}, or the registry's host and port.
    @ivar name: without registry and tag.
    @ivar tag: the tag, or digest if it has one; C{latest} if neither is given.
    """

    repository: str
    name: str
    tag: str


def parse_image_reference(text: str) -> ImageReference:
    """Take an image reference apart, by the rules of Docker's reference grammar
    (U{https://pkg.go.dev/github.com/distribution/reference}): the first part
    is a registry if it has a dot or a colon or is C{localhost}."""
    rest, at, digest = text.partition("@")
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        name, tag = rest, ""
    first, slash, path = name.partition("/")
    repository = "dockerhub"
    if slash and ("." in first or ":" in first or first == "localhost"):
        repository, name = first, path
    return ImageReference(repository, name, digest if at else tag or "latest")


def encode_events(observation: Observation) -> list[str]:
    """The events of an observation, one at least: keys in order, C{", "} and C{": "}."""
    match observation.subject:
        case "container":
            payloads = [_container_payload(observation)]
        case "export":
            payloads = [_export_payload(observation)]
        case _:
            payloads = _image_payloads(observation)
    inferred: dict[str, JsonValue] = {"inferred": True} if observation.inferred else {}
    return [
        json.dumps(payload | inferred, ensure_ascii=False, allow_nan=False) for payload in payloads
    ]


def _container_payload(observation: Observation) -> dict[str, JsonValue]:
    type, action, details = observation.type, observation.action, dict(observation.details)
    data: dict[str, JsonValue] = {"container": observation.name}
    if action in ("port-add", "port-remove"):
        data |= {"type": type, "port": action.removeprefix("port-")}
        details = {"mapping": details.get("ports", [])}
    else:
        data |= {"state": action, "type": type}
    if type != "lxc":
        data["id"] = observation.id
    return data | details


def _export_payload(observation: Observation) -> dict[str, JsonValue]:
    return {
        "container": observation.name,
        "cid": observation.id,
        "state": "completed",
        "result": 0,
        "type": observation.type,
    }


def _image_payloads(observation: Observation) -> list[dict[str, JsonValue]]:
    type, action, name = observation.type, observation.action, observation.name
    update: dict[str, JsonValue] = {
        "action": "update",
        "category": "local",
        "state": action,
        "type": type,
    }
    if name:
        update["id"] = name
    if action == "pull":
        repository, image, tag = parse_image_reference(name)
        download: dict[str, JsonValue] = {
            "name": image,
            "repository": repository,
            "state": "success",
            "tag": tag,
            "action": "download",
            "type": type,
        }
        return [update, download]
    if action == "delete":
        return [update, {"action": "delete", "state": "success", "type": type, "name": name}]
    return [update]


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
