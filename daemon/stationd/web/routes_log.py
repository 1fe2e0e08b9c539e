"""C{/api/v1/log}: read, export, post, clear."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from stationd.errors import InvalidValue
from stationd.messages import allowed_values
from stationd.records import Level, Record
from stationd.web.query_parameters import DEFAULT_LIMIT, Parameters, log_query
from stationd.web.request_body import log_drafts
from stationd.web.request_context import Answer, Call, Stream, collect

LEVELS = [level.name for level in Level]

T_AT = len("2015-05-19")
"""Where ISO 8601 has a T between date and time."""

IGNORED = ("_", "sid")
"""Parameters that clients of QNAP's add to every request: one against caches, and a session."""

HEADER = ["Date", "Level", "Category", "User", "Message"]


async def get_log(call: Call) -> Answer:
    """C{GET /api/v1/log}: an array, newest first."""
    query = log_query(call.parameters, call.api.containers.references, DEFAULT_LIMIT)
    records = await collect(call.api, call.api.log, query)
    return json_answer([shown(record) for record in records])


async def export_log(call: Call) -> Stream:
    """C{GET /api/v1/log/export}: everything that matches, oldest first."""
    format = Parameters(call.parameters).choice("format", ("csv", "jsonl"))
    query = log_query(call.parameters, call.api.containers.references, None)
    query = attrs.evolve(query, oldest_first=True)
    found = call.api.log.select(query)
    chunks, content_type = (
        (_csv(found), "text/csv; charset=utf-8")
        if format == "csv"
        else (_lines(found), "application/jsonl; charset=utf-8")
    )
    disposition = f'attachment; filename="log.{format}"'
    return Stream(
        chunks=chunks, content_type=content_type, headers={"Content-Disposition": disposition}
    )


async def post_log(call: Call) -> Answer:
    """C{POST /api/v1/log}: answered when it is on disk."""
    drafts = await log_drafts(call)
    appended = await call.api.recorder.post_log(drafts)
    return json_answer({"first": appended.first, "last": appended.last}, 201)


_is_plain = re.compile(r"[A-Za-z0-9._~-]*").fullmatch
"""Whether a value is one that a client makes up: a time, a random number, a session id."""


async def delete_log(call: Call) -> Answer:
    """C{DELETE /api/v1/log}: answered when they are gone.

    @raise InvalidValue: it has a parameter or a body. Whoever sends one means to remove less than
        everything, and what is removed does not come back.
    """
    for name, value in call.parameters.items():
        # A separator that was lost makes a filter part of the value before it.
        if name not in IGNORED or not _is_plain(value):
            allowed = allowed_values.NOTHING_EXCEPT.format(ignored=" and ".join(IGNORED))
            raise InvalidValue(name[:80], value, allowed)
    if call.body:
        raise InvalidValue("body", call.body.decode("utf-8", "replace"), allowed_values.NO_BODY)
    return json_answer({"records": await call.api.recorder.clear_log(call.who.user)})


def shown(record: Record) -> dict[str, object]:
    """A log record as the seed shows it."""
    return {
        "category": record.category,
        "id": record.number,
        "level": LEVELS[record.level],
        "message": record.text,
        "ts": record.time_us // 1_000_000,
        "user": record.user,
    }


def json_answer(value: object, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(body=json.dumps(value, ensure_ascii=False).encode(), status=status)


def dates(times_us: Sequence[int]) -> list[str]:
    """C{2015-05-19 08:03:53.173968}, UTC, for each time. NumPy makes them ten times as
    fast as C{datetime}."""
    made = np.datetime_as_string(np.array(times_us, "M8[us]"))
    made.view(np.uint32).reshape(len(made), -1)[:, T_AT] = ord(" ")
    found: list[str] = made.tolist()
    return found


def date(time_us: int) -> str:
    """One of L{dates}."""
    return dates([time_us])[0]


def _csv(found: Iterator[list[Record]]) -> Iterator[bytes]:
    yield (",".join(HEADER) + "\n").encode()
    for records in found:
        if not records:
            # A chance for others to run.
            yield b""
            continue
        yield "".join(
            f"{date},{LEVELS[r.level]},{_name(r.category)},{_name(r.user)},{_quoted(r.text)}\n"
            for date, r in zip(dates([r.time_us for r in records]), records, strict=True)
        ).encode()


_special = re.compile('[",\r\n]').search


def _quoted(field: str) -> str:
    """A field as RFC 4180 has it, a lone carriage return quoted too."""
    return '"' + field.replace('"', '""') + '"' if _special(field) else field


_name = functools.lru_cache(1024)(_quoted)
"""The same for fields of which there are few."""


def _lines(found: Iterator[list[Record]]) -> Iterator[bytes]:
    for records in found:
        yield "".join(
            json.dumps(shown(record), ensure_ascii=False) + "\n" for record in records
        ).encode()
