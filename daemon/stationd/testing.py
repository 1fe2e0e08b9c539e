"""Verified in-memory fakes, for our tests and for authors of plugins.

Each passes the same contract (C{tests/contracts/}) as the real thing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from stationd.errors import JournalClosed
from stationd.interfaces import AppendResult, IJournal, JournalStatus, Query, Retention
from stationd.records import Draft, Record

STEP_RECORDS = 100
"""Records a step of L{MemoryJournal.select} looks at."""


def query_matches(query: Query, record: Record) -> bool:
    """Whether a query wants a record, said as plainly as possible: the reference
    that the journal's quick answers are held against. C{offset} and C{limit} are
    not its business."""

    def among(value: object, allowed: frozenset[object] | frozenset[str] | None) -> bool:
        return allowed is None or value in allowed

    return (
        (query.time_start_us is None or record.time_us >= query.time_start_us)
        and (query.time_end_us is None or record.time_us <= query.time_end_us)
        and (query.after is None or record.number > query.after)
        and (query.before is None or record.number < query.before)
        and (query.levels is None or record.level in query.levels)
        and among(record.category, query.categories)
        and among(record.user, query.users)
        and (
            query.containers is None
            or any(
                _matches_reference(container, record.container) for container in query.containers
            )
        )
        and (query.text is None or query.text.casefold() in record.text.casefold())
    )


def _matches_reference(asked: str, reference: str) -> bool:
    type, _, key = asked.partition("/")
    return asked == reference or (
        type == "docker" and len(key) >= 12 and reference.startswith(asked)
    )


@implementer(IJournal)
class MemoryJournal:
    """A journal in a list: every Deferred has fired when it is returned.

    @param elapsed_us: the clock that retention goes by, from any beginning.
    """

    def __init__(self, elapsed_us: Callable[[], int] = lambda: 0) -> None:
        self._elapsed_us = elapsed_us
        self._records: list[Record] = []
        self._durable_us: dict[int, int] = {}
        self._last = 0
        self._cleared_us = 0
        self._closed = False

    def append(self, drafts: Sequence[Draft]) -> Deferred[AppendResult]:
        if self._closed:
            return fail(JournalClosed())
        first = self._last + 1
        for draft in drafts:
            self._last += 1
            fields = attrs.asdict(draft, recurse=False)
            self._records.append(Record(number=self._last, **fields))
            self._durable_us[self._last] = self._elapsed_us()
        return succeed(AppendResult(first=first, last=self._last))

    def select(self, query: Query) -> Iterator[list[Record]]:
        records = self._records if query.oldest_first else self._records[::-1]
        return self._steps(list(records), query)

    def select_without_waiting(self, query: Query) -> Iterator[list[Record]]:
        return self.select(query)

    def _steps(self, records: list[Record], query: Query) -> Iterator[list[Record]]:
        skip, left = query.offset, query.limit
        for start in range(0, len(records), STEP_RECORDS):
            found = [r for r in records[start : start + STEP_RECORDS] if query_matches(query, r)]
            skipped = min(skip, len(found))
            skip -= skipped
            found = found[skipped:][:left]
            if left is not None:
                left -= len(found)
            yield found
            if left == 0:
                return

    def clear(self, now_us: int) -> Deferred[int]:
        if self._closed:
            return fail(JournalClosed())
        removed, self._records = len(self._records), []
        self._cleared_us = now_us
        return succeed(removed)

    def vacuum(self, retention: Retention) -> Deferred[int]:
        if self._closed:
            return fail(JournalClosed())
        now_us = self._elapsed_us()
        oldest_us = 0 if retention.max_age_us is None else now_us - retention.max_age_us
        kept = list(
            itertools.dropwhile(lambda r: self._durable_us[r.number] < oldest_us, self._records)
        )
        while sum(len(r.text) for r in kept) > retention.max_bytes:
            del kept[0]
        removed, self._records = len(self._records) - len(kept), kept
        return succeed(removed)

    def status(self) -> JournalStatus:
        times = [record.time_us for record in self._records]
        return JournalStatus(
            first=self._records[0].number if self._records else self._last + 1,
            last=self._last,
            records=len(self._records),
            size_bytes=sum(len(r.text) for r in self._records),
            segments=1,
            oldest_us=min(times, default=None),
            newest_us=max(times, default=None),
            cleared_us=self._cleared_us,
        )

    def close(self) -> Deferred[None]:
        self._closed = True
        return succeed(None)
