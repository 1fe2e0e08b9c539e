"""What the journals remember of the containers that a source watches."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from stationd.containers import Containers
from stationd.interfaces import IJournal, Query
from stationd.narration import DAEMON, WITNESS
from stationd.recall import recall
from stationd.records import Record

REMEMBERED = 16_384
"""Happenings of a type that are known to be recorded: 64 times what a Docker engine can
replay."""

_EXISTENCE = ("create", "found", "rename", "destroy")
"""What makes containers and ends them."""


@attrs.frozen
class Memory:
    """The events of a type.

    @ivar events: the newest, and those of containers that exist and have been quiet for
        longer; oldest first.
    @ivar complete: whether no container that exists by them is missing.
    """

    events: Sequence[Record]
    complete: bool


def remembered_events(event: IJournal, type: str, limit: int = REMEMBERED) -> Memory:
    """Read them back. Blocking: if there are more than the limit 0.3 s for a million events of
    the journal, else some 20 ms."""
    status = event.status()
    whole = status.first == 1 and not status.damage
    seen = Query(users=frozenset([WITNESS]), limit=limit)
    newest = _select(event, attrs.evolve(seen, text=f'"type": "{type}"'))
    if len(newest) < limit:
        return Memory(newest, whole)
    existing, all_told = Containers(), True
    told: list[Record] = []
    for action in _EXISTENCE:
        found = _select(event, attrs.evolve(seen, text=f'"state": "{action}", "type": "{type}"'))
        all_told = all_told and len(found) < limit
        told += found
    for observation in filter(None, map(recall, sorted(told, key=lambda one: one.number))):
        existing.apply(observation)
    quiet = {one.reference for one in existing.all()} - {one.container for one in newest}
    older = attrs.evolve(seen, containers=frozenset(quiet), before=newest[0].number)
    return Memory([*(_select(event, older) if quiet else []), *newest], whole and all_told)


def remembered_sentences(log: IJournal, type: str, limit: int = REMEMBERED) -> list[Record]:
    """The newest sentences about a type, oldest first. Blocking, as above."""
    return _select(log, Query(users=frozenset([DAEMON]), text=f"({type}", limit=limit))


def _select(journal: IJournal, query: Query) -> list[Record]:
    """Oldest first."""
    return [record for found in journal.select(query) for record in found][::-1]
