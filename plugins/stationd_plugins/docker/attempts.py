"""Starts that fail. An engine tells nothing of one but that the container's network came and
went; when that is told, it has noted why (moby's C{daemon/start.go}: the error is set before
the network is released). Pure."""

from __future__ import annotations

import collections
from collections.abc import Mapping

from stationd.records import Observation
from stationd_plugins.docker.origins import TYPE, origin_of

REMEMBERED = 1024
"""Containers that were made or are being started."""


class Attempts:
    """What is under way, by the events in the order in which they are told."""

    def __init__(self) -> None:
        # By id: name and image of those that were made, and were not started yet.
        self._made: collections.OrderedDict[str, tuple[str, str]] = collections.OrderedDict()
        self._connected: collections.OrderedDict[str, None] = collections.OrderedDict()

    def take(self, event: object) -> Observation | None:
        """A start that seems to have failed: whoever connects a container to a network by
        hand and takes it back looks alike, so ask the engine why."""
        if not isinstance(event, Mapping) or not isinstance(event.get("Actor"), Mapping):
            return None
        kind, action, actor = event.get("Type"), event.get("Action"), event["Actor"]
        attributes = actor.get("Attributes")
        if not isinstance(attributes, Mapping):
            return None
        if kind == "network":
            return self._of_network(action, attributes.get("container"), event.get("timeNano"))
        id = actor.get("ID")
        if kind == "container" and isinstance(id, str):
            self._of_container(action, id, attributes)
        return None

    def _of_network(self, action: object, id: object, at_ns: object) -> Observation | None:
        if not isinstance(id, str) or not isinstance(at_ns, int):
            return None
        if action == "connect":
            self._connected[id] = None
            if len(self._connected) > REMEMBERED:
                self._connected.popitem(last=False)
        if action != "disconnect" or id not in self._connected:
            return None
        del self._connected[id]
        name, image = self._made.get(id, ("", ""))
        return Observation(
            time_us=at_ns // 1000,
            type=TYPE,
            subject="container",
            action="fail",
            id=id,
            name=name,
            image=image,
            origin=origin_of(at_ns, "network", "fail", id),
        )

    def _of_container(self, action: object, id: str, attributes: Mapping[str, object]) -> None:
        if action == "create":
            self._made[id] = str(attributes.get("name", "")), str(attributes.get("image", ""))
            if len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        elif action in ("start", "die", "destroy"):
            self._made.pop(id, None)
            self._connected.pop(id, None)
