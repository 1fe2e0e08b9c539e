"""Answering a query from segments: what can be ruled out is not read, what is
read stops at the limit, and every step is short."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from stationd.interfaces import JournalStatus, Query
from stationd.journal.segment import Segment, Span
from stationd.records import Record


@attrs.frozen
class View:
    """What a reader sees: the segments of one moment, up to the last number that
    was committed then. Writing, clearing and retention leave it as it is.

    @ivar segments: ascending.
    @ivar last: the greatest number that is shown.
    """

    segments: tuple[Segment, ...]
    last: int


def select(view: View, query: Query) -> Iterator[list[Record]]:
    """See L{stationd.interfaces.IJournal.select}."""
    matches = _matcher(query)
    skip, left = query.offset, query.limit
    for segment, span, low, high in _spans(view, query):
        if left == 0:
            return
        whole = low <= span.first and span.first + span.records - 1 <= high
        if matches is None and whole and skip >= span.records:
            skip -= span.records
            continue
        found = [
            record
            for frame in segment.read(span)
            for record in frame
            if low <= record.number <= high and (matches is None or matches(record))
        ]
        if not query.oldest_first:
            found.reverse()
        if skip:
            passed = min(skip, len(found))
            skip -= passed
            del found[:passed]
        if left is not None:
            del found[left:]
            left -= len(found)
        yield found


def _spans(view: View, query: Query) -> Iterator[tuple[Segment, Span, int, int]]:
    """The spans that may hold matches, in the order asked for, each with the
    numbers that may be shown of it."""
    least = 1 if query.after is None else query.after + 1
    greatest = view.last if query.before is None else min(view.last, query.before - 1)
    direction = 1 if query.oldest_first else -1
    for segment in view.segments[::direction]:
        # A copy: the writer appends to the list while we are suspended.
        for span in segment.spans[::direction]:
            if (
                span.first <= greatest
                and span.first + span.records > least
                and (query.time_start_us is None or span.max_us >= query.time_start_us)
                and (query.time_end_us is None or span.min_us <= query.time_end_us)
            ):
                yield segment, span, least, greatest


def _matcher(query: Query) -> Callable[[Record], bool] | None:
    """The test of a record's fields other than its number, cheapest first, or
    C{None} if nothing is asked of them."""
    tests: list[Callable[[Record], bool]] = []
    start, end = query.time_start_us, query.time_end_us
    if start is not None:
        tests.append(lambda record: record.time_us >= start)
    if end is not None:
        tests.append(lambda record: record.time_us <= end)
    if (levels := query.levels) is not None:
        tests.append(lambda record: record.level in levels)
    if (categories := query.categories) is not None:
        tests.append(lambda record: record.category in categories)
    if (users := query.users) is not None:
        tests.append(lambda record: record.user in users)
    if (containers := query.containers) is not None:
        prefixes = tuple(
            asked
            for asked in containers
            if asked.startswith("docker/") and len(asked) >= len("docker/") + 12
        )
        tests.append(
            lambda record: record.container in containers or record.container.startswith(prefixes)
        )
    if query.text is not None:
        part = query.text.casefold()
        tests.append(lambda record: part in record.text.casefold())
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda record: all(test(record) for test in tests)


def status(view: View, cleared_us: int, damage: tuple[str, ...]) -> JournalStatus:
    """See L{stationd.interfaces.IJournal.status}."""
    segments = [segment for segment in view.segments if segment.spans]
    return JournalStatus(
        first=segments[0].spans[0].first if segments else view.last + 1,
        last=view.last,
        records=sum(segment.records for segment in segments),
        size_bytes=sum(segment.end for segment in view.segments),
        segments=len(view.segments),
        oldest_us=min((segment.min_us for segment in segments), default=None),
        newest_us=max((segment.max_us for segment in segments), default=None),
        cleared_us=cleared_us,
        damage=damage + tuple(text for segment in view.segments for text in segment.damage),
    )
