"""C{/api/v1/log}: read, export, post, clear."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import attrs

from stationd.records import Record
from stationd.web.api import Answer, Call, Stream, collect
from stationd.web.bodies import log_drafts
from stationd.web.parameters import DEFAULT_LIMIT, Parameters, log_query

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

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
    drafts = log_drafts(call.body, call.who, call.api.now_us)
    appended = await call.api.recorder.post_log(drafts)
    return json_answer({"first": appended.first, "last": appended.last}, 201)


async def delete_log(call: Call) -> Answer:
    """C{DELETE /api/v1/log}: answered when they are gone."""
    call.require_admin("clearing the log")
    return json_answer({"records": await call.api.recorder.clear_log(call.who.user)})


def shown(record: Record) -> dict[str, object]:
    """A log record as the seed shows it."""
    return {
        "category": record.category,
        "id": record.number,
        "level": record.level.name,
        "message": record.text,
        "ts": record.time_us // 1_000_000,
        "user": record.user,
    }


def json_answer(value: object, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(body=json.dumps(value, ensure_ascii=False).encode(), status=status)


def date(time_us: int) -> str:
    """C{2015-05-19 08:03:53.173968}, UTC."""
    moment = _EPOCH + timedelta(microseconds=time_us)
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _csv(found: Iterator[list[Record]]) -> Iterator[bytes]:
    yield _row(HEADER).encode()
    for records in found:
        yield "".join(
            _row([date(r.time_us), r.level.name, r.category, r.user, r.text]) for r in records
        ).encode()


def _row(fields: list[str]) -> str:
    """One line, quoted where it must be, a lone carriage return included: the csv
    module quotes the characters of the line terminator it is given."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(fields)
    return buffer.getvalue()[:-2] + "\n"


def _lines(found: Iterator[list[Record]]) -> Iterator[bytes]:
    for records in found:
        yield "".join(
            json.dumps(shown(record), ensure_ascii=False) + "\n" for record in records
        ).encode()
