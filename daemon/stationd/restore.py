"""Restoring from the journals what was known of a source's containers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from stationd.event_codec import EVENT_USER, decode_event
from stationd.interfaces import IJournal, Query
from stationd.record_builder import DAEMON_USER
from stationd.records import Record
from stationd.registry import Registry

MAX_RESTORED = 16_384
"""Happenings of a type that are known to be recorded: 64 times what a Docker engine can
replay."""

EVENTS_PER_CONTAINER = 64
"""Events of one container that are read back if they are older: what it is depends on the last
few."""

_LIFETIME_ACTIONS = ("create", "found", "rename", "destroy")
"""What makes containers and ends them."""


@attrs.frozen
class RestoredEvents:
    """The events of a type.

    @ivar events: the newest, and those of containers that exist and have been quiet for
        longer; oldest first.
    @ivar complete: whether no container that exists by them is missing.
    """

    events: Sequence[Record]
    complete: bool


def restore_events(event: IJournal, type: str, limit: int = MAX_RESTORED) -> RestoredEvents:
    """Read them back. Blocking: if there are more than the limit 0.3 s for a million events of
    the journal and 0.5 ms for each container that exists, else some 20 ms."""
    status = event.status()
    whole = status.first == 1 and not status.damage
    seen = Query(users=frozenset([EVENT_USER]), limit=limit)
    newest = _select(event, attrs.evolve(seen, text=f'"type": "{type}"'))
    if len(newest) < limit:
        return RestoredEvents(newest, whole)
    events = {record.number: record for record in newest}
    since = newest[0].number
    told: list[Record] = []
    is_all = whole
    for action in _LIFETIME_ACTIONS:
        found = _select(event, attrs.evolve(seen, text=f'"state": "{action}", "type": "{type}"'))
        is_all = is_all and len(found) < limit
        told += found
    for references in _older_containers(sorted(told, key=lambda one: one.number), since):
        # It began before the newest of all: with that, and with what it did last until then.
        events |= {one.number: one for one in told if one.container in references}
        before = attrs.evolve(seen, containers=references, before=since, limit=EVENTS_PER_CONTAINER)
        events |= {one.number: one for one in _select(event, before)}
    return RestoredEvents([events[number] for number in sorted(events)], is_all)


def _older_containers(told: Sequence[Record], since: int) -> Iterator[frozenset[str]]:
    """Each container that exists and began before a number: what it has been called.

    @param told: what made and ended containers, in order.
    """
    existing = Registry()
    began: dict[str, int] = {}
    names: dict[str, frozenset[str]] = {}
    for record in told:
        observation = decode_event(record)
        change = None if observation is None else existing.apply(observation)
        if observation is None or change is None:
            continue
        reference = change.container.reference
        known = frozenset([reference])
        if change.reference != reference:
            # Only of LXC a name is what a container is called by.
            known |= names.pop(change.reference, frozenset([change.reference]))
            began[reference] = began.pop(change.reference, 0)
        elif observation.action != "rename":
            began[reference] = record.number
        names[reference] = known
    for container in existing.all():
        if began.get(container.reference, 0) < since:
            yield names[container.reference]


def restore_log_records(log: IJournal, type: str, limit: int = MAX_RESTORED) -> list[Record]:
    """The newest sentences about a type, oldest first. Blocking, as above."""
    return _select(log, Query(users=frozenset([DAEMON_USER]), text=f"({type}", limit=limit))


def _select(journal: IJournal, query: Query) -> list[Record]:
    """Oldest first."""
    return [record for found in journal.select(query) for record in found][::-1]
