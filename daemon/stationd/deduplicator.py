"""A journal that takes each origin once."""

from __future__ import annotations

import collections
from collections.abc import KeysView, Sequence

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from stationd.interfaces import AppendResult, IJournal
from stationd.records import Draft, Record
from stationd.restore import MAX_RESTORED


class Deduplicator:
    """A journal that takes no origin twice. Which it has is read from the journal
    itself, so the two cannot disagree."""

    def __init__(self, journal: IJournal) -> None:
        self.journal = journal
        self._origins: dict[str, collections.OrderedDict[str, None]] = {}

    def load(self, records: Sequence[Record]) -> None:
        """These are recorded, oldest first."""
        for record in records:
            self.claim(record.origin)

    def claim(self, origin: str) -> bool:
        """Whether an origin is new; from now on it is not. None (C{""}) always is."""
        if not origin:
            return True
        known = self._origins.setdefault(_type_of(origin), collections.OrderedDict())
        if origin in known:
            return False
        known[origin] = None
        if len(known) > 2 * MAX_RESTORED:
            known.popitem(last=False)
        return True

    def append(self, drafts: Sequence[Draft]) -> Deferred[AppendResult]:
        """Append; if that fails their origins are new again."""

        def refused(failure: Failure) -> Failure:
            for draft in filter(lambda one: one.origin, drafts):
                self._origins[_type_of(draft.origin)].pop(draft.origin, None)
            return failure

        return self.journal.append(drafts).addErrback(refused)

    def origins(self, type: str) -> KeysView[str]:
        """Those that a source made, in the order in which they were recorded."""
        return dict.fromkeys(self._origins.get(type, ())).keys()


def _type_of(origin: str) -> str:
    return origin.partition(":")[0]
