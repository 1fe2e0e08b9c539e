"""Labels that hide attributes of events. Pure.

An engine copies a container's labels into the attributes of its events, over its own (moby's
C{LogContainerEventWithAttributes}): with a label C{exitCode} no event says what the exit code was.
Only C{name} and C{image} are set after that. An attribute that an event of this kind has not is a
label, and a container keeps the labels that it was made with.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Mapping

from stationd_plugins.docker.origins import SHORT

ATTRIBUTES = {"exitCode": "die", "signal": "kill", "oldName": "rename"}
"""Attributes that are read, and the action of the events that have them from the engine."""

REMEMBERED = 4096
"""Containers whose labels are known."""


class Labels:
    """Which of L{ATTRIBUTES} are labels, by container."""

    def __init__(self) -> None:
        # By short id: of which attributes it is known whether they are labels, and which are.
        self._known: collections.OrderedDict[str, tuple[frozenset[str], frozenset[str]]]
        self._known = collections.OrderedDict()

    def learn(self, event: object) -> None:
        """Take in an event of the stream, whatever it is."""
        if (found := _parts(event)) is None:
            return
        id, action, attributes = found
        if not action.startswith("exec_"):
            # These have exit codes, too.
            self._add(id, attributes, [name for name, of in ATTRIBUTES.items() if of != action])

    def listed(self, id: object, labels: object) -> None:
        """Take in what a list of containers says of one."""
        if isinstance(id, str) and isinstance(labels, Mapping | None):
            self._add(id, labels or {}, ATTRIBUTES)

    def hidden(self, event: object) -> frozenset[str]:
        """The attributes of an event that are not surely the engine's."""
        if (found := _parts(event)) is None:
            return frozenset()
        id, action, attributes = found
        known, labels = self._known.get(id[:SHORT], (frozenset(), frozenset()))
        own = {name for name, of in ATTRIBUTES.items() if of == action and name in attributes}
        return frozenset(own & labels | own - known)

    def _add(self, id: str, attributes: Mapping[str, object], names: Collection[str]) -> None:
        short = id[:SHORT]
        known, labels = self._known.pop(short, (frozenset(), frozenset()))
        if len(known) < len(ATTRIBUTES):
            known |= frozenset(names)
            labels |= {name for name in names if name in attributes}
        self._known[short] = known, labels
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def are_unknown(self, events: Iterable[object]) -> bool:
        """Whether of any of these an attribute may be a label."""
        return any(map(self._is_unknown, events))

    def _is_unknown(self, event: object) -> bool:
        found = _parts(event)
        if found is None:
            return False
        known, _ = self._known.get(found[0][:SHORT], (frozenset(), frozenset()))
        return bool(self.hidden(event) - known)


def _parts(event: object) -> tuple[str, str, Mapping[str, object]] | None:
    """Id, action and attributes of a container's event; C{None} if it is none."""
    if not isinstance(event, Mapping) or event.get("Type") != "container":
        return None
    action, actor = event.get("Action"), event.get("Actor")
    if not isinstance(action, str) or not isinstance(actor, Mapping):
        return None
    id, attributes = actor.get("ID"), actor.get("Attributes") or {}
    if not isinstance(id, str) or not isinstance(attributes, Mapping):
        return None
    return id, action, attributes
