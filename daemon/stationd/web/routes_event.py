"""C{/api/v1/event}: read, follow, post."""

from __future__ import annotations

import attrs
from twisted.internet.defer import CancelledError

from stationd.interfaces import Query
from stationd.messages import allowed_values
from stationd.records import Record
from stationd.web.query_parameters import MAX_NUMBER, Parameters
from stationd.web.request_body import event_drafts
from stationd.web.request_context import Answer, Call, collect
from stationd.web.routes_log import json_answer

LATEST = 20
"""Events that are shown to whoever does not say where to begin."""

AT_ONCE = 1000
"""Events in one answer at most."""

MAX_POLL = 300
"""Seconds for which a poll can be held."""


@attrs.frozen
class _Wanted:
    """What a poller asks for."""

    index: int | None
    offset: int | None
    query: Query


async def get_event(call: Call) -> Answer:
    """C{GET /api/v1/event}: the numbers above C{index} up to and including C{offset}."""
    parameters = Parameters(call.parameters)
    wanted = _Wanted(
        parameters.whole("index", 0, MAX_NUMBER),
        parameters.whole("offset", 0, MAX_NUMBER),
        Query(
            categories=parameters.names("category", allowed_values.CATEGORIES),
            containers=parameters.containers(call.api.containers.references),
        ),
    )
    duration = parameters.seconds("duration", 0, MAX_POLL)
    until = call.api.clock.seconds() + duration
    while True:
        last = call.api.event.status().last
        answer, scanned = await _answer(call, wanted, last)
        left = until - call.api.clock.seconds()
        if answer["messages"] or wanted.offset is not None or left <= 0:
            return json_answer(answer)
        # What has been looked at need not be looked at again.
        wanted = attrs.evolve(wanted, index=scanned)
        more = call.api.feed.wait_after(last)
        timer = call.api.clock.callLater(left, more.cancel)
        try:
            await more
        except CancelledError:
            # The time is up, or the daemon stops: answer with what there is.
            until = call.api.clock.seconds()
        finally:
            if timer.active():
                timer.cancel()


async def _answer(call: Call, wanted: _Wanted, last: int) -> tuple[dict[str, object], int]:
    """The answer as of now, when C{last} is the newest number, and up to which
    number it looked."""
    status = call.api.event.status()
    newest = last if wanted.offset is None else min(wanted.offset, last)
    if wanted.index is None:
        query = attrs.evolve(wanted.query, before=newest + 1, limit=LATEST)
        records = await collect(call.api, call.api.event, query)
        index = records[-1].number - 1 if len(records) == LATEST else status.first - 1
        return _shown(min(index, newest), records, newest), newest
    index = min(wanted.index, newest)
    truncated = index + 1 < status.first <= newest
    if truncated:
        index = status.first - 1
    query = attrs.evolve(
        wanted.query, after=index, before=newest + 1, limit=AT_ONCE, oldest_first=True
    )
    records = await collect(call.api, call.api.event, query)
    if len(records) == AT_ONCE:
        newest = records[-1].number
    answer = _shown(index, records[::-1], newest)
    return answer | ({"truncated": True} if truncated else {}), newest


def _shown(index: int, records: list[Record], offset: int) -> dict[str, object]:
    messages = [f"{r.category}:{r.user}:{r.time_us // 1_000_000}:{r.text}" for r in records]
    return {"index": index, "messages": messages, "offset": offset}


async def post_event(call: Call) -> Answer:
    """C{POST /api/v1/event}: answered when it is on disk."""
    drafts = await event_drafts(call)
    appended = await call.api.recorder.post_events(drafts)
    return json_answer({"first": appended.first, "last": appended.last}, 201)
