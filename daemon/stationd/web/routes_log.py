"""The routes of C{/api/v1/log}: read, export, post, clear."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from stationd.errors import InvalidValue
from stationd.interfaces import Waiting
from stationd.messages import allowed_values
from stationd.records import Level, Record
from stationd.web.posted_records import read_log_drafts
from stationd.web.query_parameters import DEFAULT_LIMIT, QueryParameters, parse_log_query
from stationd.web.request_context import (
    RequestContext,
    Response,
    StreamedResponse,
    WaitingChunk,
    collect_records,
)

LEVELS = [level.name for level in Level]

DATE_LENGTH = len("2015-05-19")
"""Where ISO 8601 has a T between date and time."""

IGNORED_PARAMETERS = ("_", "sid")
"""Parameters that clients of QNAP's add to every request: one against caches, and a session."""

CSV_HEADER = ["Date", "Level", "Category", "User", "Message"]


async def get_log(context: RequestContext) -> Response:
    """C{GET /api/v1/log}: an array, newest first."""
    query = parse_log_query(
        context.parameters, context.services.containers.references, DEFAULT_LIMIT
    )
    records = await collect_records(context.services, context.services.log, query)
    return json_response([log_document(record) for record in records])


async def export_log(context: RequestContext) -> StreamedResponse:
    """C{GET /api/v1/log/export}: everything that matches, oldest first."""
    format = QueryParameters(context.parameters).choice("format", ("csv", "jsonl"))
    query = parse_log_query(context.parameters, context.services.containers.references, None)
    query = attrs.evolve(query, oldest_first=True)
    found = context.services.log.select_without_waiting(query)
    chunks, content_type = (
        (_csv_chunks(found), "text/csv; charset=utf-8")
        if format == "csv"
        else (_json_lines(found), "application/jsonl; charset=utf-8")
    )
    disposition = f'attachment; filename="log.{format}"'
    return StreamedResponse(
        chunks=chunks, content_type=content_type, headers={"Content-Disposition": disposition}
    )


async def post_log(context: RequestContext) -> Response:
    """C{POST /api/v1/log}: answered when it is on disk."""
    drafts = await read_log_drafts(context)
    appended = await context.services.recorder.post_log(drafts)
    return json_response({"first": appended.first, "last": appended.last}, 201)


_is_plain = re.compile(r"[A-Za-z0-9._~-]*").fullmatch
"""Whether a value is one that a client makes up: a time, a random number, a session id."""


async def delete_log(context: RequestContext) -> Response:
    """C{DELETE /api/v1/log}: answered when they are gone.

    @raise InvalidValue: it has a parameter or a body. Whoever sends one means to remove less than
        everything, and what is removed does not come back.
    """
    for name, value in context.parameters.items():
        # A separator that was lost makes a filter part of the value before it.
        if name not in IGNORED_PARAMETERS or not _is_plain(value):
            allowed = allowed_values.NOTHING_EXCEPT.format(ignored=" and ".join(IGNORED_PARAMETERS))
            raise InvalidValue(name[:80], value, allowed)
    if context.body:
        raise InvalidValue("body", context.body.decode("utf-8", "replace"), allowed_values.NO_BODY)
    return json_response(
        {"records": await context.services.recorder.clear_log(context.require_caller.user)}
    )


def log_document(record: Record) -> dict[str, object]:
    """A log record as the seed shows it."""
    return {
        "category": record.category,
        "id": record.number,
        "level": LEVELS[record.level],
        "message": record.text,
        "ts": record.time_us // 1_000_000,
        "user": record.user,
    }


def json_response(value: object, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(body=json.dumps(value, ensure_ascii=False).encode(), status=status)


def format_times(times_us: Sequence[int]) -> list[str]:
    """C{2015-05-19 08:03:53.173968}, UTC, for each time. NumPy makes them ten times as
    fast as C{datetime}."""
    made = np.datetime_as_string(np.array(times_us, "M8[us]"))
    made.view(np.uint32).reshape(len(made), -1)[:, DATE_LENGTH] = ord(" ")
    found: list[str] = made.tolist()
    return found


def format_time(time_us: int) -> str:
    """One of L{format_times}."""
    return format_times([time_us])[0]


def _csv_chunks(found: Iterator[list[Record]]) -> Iterator[bytes]:
    yield (",".join(CSV_HEADER) + "\n").encode()
    for records in found:
        if not records:
            # A chance for others to run.
            yield WaitingChunk(records.ready) if isinstance(records, Waiting) else b""
            continue
        yield "".join(
            f"{date},{LEVELS[r.level]},{_quote_name(r.category)},{_quote_name(r.user)},{_quote_field(r.text)}\n"
            for date, r in zip(format_times([r.time_us for r in records]), records, strict=True)
        ).encode()


_special = re.compile('[",\r\n]').search


def _quote_field(field: str) -> str:
    """A field as RFC 4180 has it, a lone carriage return quoted too."""
    return '"' + field.replace('"', '""') + '"' if _special(field) else field


_quote_name = functools.lru_cache(1024)(_quote_field)
"""The same for fields of which there are few."""


def _json_lines(found: Iterator[list[Record]]) -> Iterator[bytes]:
    for records in found:
        if isinstance(records, Waiting):
            yield WaitingChunk(records.ready)
            continue
        yield "".join(
            json.dumps(log_document(record), ensure_ascii=False) + "\n" for record in records
        ).encode()
