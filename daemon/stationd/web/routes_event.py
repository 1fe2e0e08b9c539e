"""The routes of C{/api/v1/event}: read, poll, post."""

from __future__ import annotations

import attrs
from twisted.internet.defer import CancelledError

from stationd.interfaces import Query
from stationd.messages import allowed_values
from stationd.records import Record
from stationd.web.posted_records import read_event_drafts
from stationd.web.query_parameters import MAX_NUMBER, QueryParameters
from stationd.web.request_context import RequestContext, Response, collect_records
from stationd.web.routes_log import json_response

DEFAULT_EVENTS = 20
"""Events that are shown to whoever does not say where to begin."""

MAX_EVENTS = 1000
"""Events in one answer at most."""

MAX_POLL_SECONDS = 300
"""Seconds for which a poll can be held."""


@attrs.frozen
class _PollRequest:
    """What a poller asks for."""

    index: int | None
    offset: int | None
    query: Query


async def get_event(context: RequestContext) -> Response:
    """C{GET /api/v1/event}: the numbers above C{index} up to and including C{offset}."""
    parameters = QueryParameters(context.parameters)
    wanted = _PollRequest(
        parameters.integer("index", 0, MAX_NUMBER),
        parameters.integer("offset", 0, MAX_NUMBER),
        Query(
            categories=parameters.name_set("category", allowed_values.CATEGORIES),
            containers=parameters.containers(context.services.containers.references),
        ),
    )
    duration = parameters.seconds("duration", 0, MAX_POLL_SECONDS)
    until = context.services.clock.seconds() + duration
    while True:
        last = context.services.event.status().last
        answer, scanned = await _poll_response(context, wanted, last)
        left = until - context.services.clock.seconds()
        if answer["messages"] or wanted.offset is not None or left <= 0:
            return json_response(answer)
        # What has been looked at need not be looked at again.
        wanted = attrs.evolve(wanted, index=scanned)
        more = context.services.feed.wait_after(last)
        timer = context.services.clock.callLater(left, more.cancel)
        try:
            await more
        except CancelledError:
            # The time is up, or the daemon stops: answer with what there is.
            until = context.services.clock.seconds()
        finally:
            if timer.active():
                timer.cancel()


async def _poll_response(
    context: RequestContext, wanted: _PollRequest, last: int
) -> tuple[dict[str, object], int]:
    """The answer as of now, when C{last} is the newest number, and up to which
    number it looked."""
    status = context.services.event.status()
    newest = last if wanted.offset is None else min(wanted.offset, last)
    if wanted.index is None:
        query = attrs.evolve(wanted.query, before=newest + 1, limit=DEFAULT_EVENTS)
        records = await collect_records(context.services, context.services.event, query)
        index = records[-1].number - 1 if len(records) == DEFAULT_EVENTS else status.first - 1
        return _event_documents(min(index, newest), records, newest), newest
    index = min(wanted.index, newest)
    truncated = index + 1 < status.first <= newest
    if truncated:
        index = status.first - 1
    query = attrs.evolve(
        wanted.query, after=index, before=newest + 1, limit=MAX_EVENTS, oldest_first=True
    )
    records = await collect_records(context.services, context.services.event, query)
    if len(records) == MAX_EVENTS:
        newest = records[-1].number
    answer = _event_documents(index, records[::-1], newest)
    return answer | ({"truncated": True} if truncated else {}), newest


def _event_documents(index: int, records: list[Record], offset: int) -> dict[str, object]:
    messages = [f"{r.category}:{r.user}:{r.time_us // 1_000_000}:{r.text}" for r in records]
    return {"index": index, "messages": messages, "offset": offset}


async def post_event(context: RequestContext) -> Response:
    """C{POST /api/v1/event}: answered when it is on disk."""
    drafts = await read_event_drafts(context)
    appended = await context.services.recorder.post_events(drafts)
    return json_response({"first": appended.first, "last": appended.last}, 201)
