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
"""Containers that were removed, and of which the labels are still known: their last events may
be read later."""

_REMOVALS = ("destroy", "remove")
"""Docker's word for it, and Podman's."""


class Labels:
    """Which of L{ATTRIBUTES} are labels, by container.

    @ivar known: by short id: of which attributes it is known whether they are labels, and which
        are. Of all that exist, and of some that did.
    """

    def __init__(self) -> None:
        self.known: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        # Those that were removed, the one that was first.
        self._removed: collections.OrderedDict[str, None] = collections.OrderedDict()

    def learn(self, event: object) -> None:
        """Take in an event of the stream, whatever it is."""
        if (found := _parts(event)) is None:
            return
        id, action, attributes = found
        if not action.startswith("exec_"):
            # These have exit codes, too.
            self._add(id, attributes, [name for name, of in ATTRIBUTES.items() if of != action])
        if action in _REMOVALS:
            self._remove(id[:SHORT])

    def listed(self, summaries: Iterable[object]) -> None:
        """Take in an engine's list of all containers: no other exists."""
        exist: set[str] = set()
        for one in summaries:
            if not isinstance(one, Mapping) or not isinstance(id := one.get("Id"), str):
                continue
            exist.add(id[:SHORT])
            labels = one.get("Labels")
            if isinstance(labels, Mapping | None):
                self._add(id, labels or {}, ATTRIBUTES)
        for short in exist:
            self._removed.pop(short, None)
        for short in self.known.keys() - exist - self._removed.keys():
            self._remove(short)

    def _remove(self, short: str) -> None:
        self._removed[short] = None
        if len(self._removed) > REMEMBERED:
            oldest, _ = self._removed.popitem(last=False)
            self.known.pop(oldest, None)

    def hidden(self, event: object) -> frozenset[str]:
        """The attributes of an event that are not surely the engine's."""
        if (found := _parts(event)) is None:
            return frozenset()
        id, action, attributes = found
        known, labels = self.known.get(id[:SHORT], (frozenset(), frozenset()))
        own = {name for name, of in ATTRIBUTES.items() if of == action and name in attributes}
        return frozenset(own & labels | own - known)

    def _add(self, id: str, attributes: Mapping[str, object], names: Collection[str]) -> None:
        known, labels = self.known.get(id[:SHORT], (frozenset(), frozenset()))
        if len(known) < len(ATTRIBUTES):
            known |= frozenset(names)
            labels |= {name for name in names if name in attributes}
            self.known[id[:SHORT]] = known, labels

    def are_unknown(self, events: Iterable[object]) -> bool:
        """Whether of any of these an attribute may be a label."""
        return any(map(self._is_unknown, events))

    def _is_unknown(self, event: object) -> bool:
        found = _parts(event)
        if found is None:
            return False
        known, _ = self.known.get(found[0][:SHORT], (frozenset(), frozenset()))
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
