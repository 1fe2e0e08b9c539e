"""stationd's store, in process: opening and asking, of the journal that
L{benchmarks.writing} left."""

from __future__ import annotations

import functools
import os
import secrets
import time
from collections.abc import Callable
from typing import Any

from benchmarks.corpus import middle_us
from benchmarks.questions import COUNT_ONLY, HOUR_US, QUESTIONS, Question
from benchmarks.timing import Ready, Result, asked, contender, in_child, resident_mb
from stationd.interfaces import Query
from stationd.journal.block_cache import BlockCache
from stationd.journal.disk import Disk
from stationd.journal.journal import SEGMENT_BYTES
from stationd.journal.query import select
from stationd.journal.store import Store

FIELDS = {"category": "categories", "user": "users", "container": "containers", "level": "levels"}


def run(count: int, directory: str) -> Result:
    """All questions; the memory that opening and asking takes."""
    path = os.path.join(directory, "log")
    result = in_child(lambda: _memory(path, count))
    # Here as well: what the code needs once, modules that are imported late, is no part of the
    # answer to any one question. The journal is opened anew for each.
    _memory(path, count)
    questions: dict[str, Ready] = {"open": lambda: lambda: _open(path).close()}
    for question in QUESTIONS:
        questions[question.key] = functools.partial(_ready, path, _query(question, count))
    return result | asked(path, questions)


def _ready(path: str, query: Query) -> Callable[[], object]:
    store, cache = _open(path), BlockCache()
    return lambda: list(select(store.view, query, cache))


def _open(path: str) -> Store:
    return Store(
        path, SEGMENT_BYTES, Disk(), lambda: time.time_ns() // 1000, lambda: secrets.randbits(32)
    )


def _memory(path: str, count: int) -> Result:
    before = resident_mb()
    store, cache = _open(path), BlockCache()
    opened = resident_mb()
    for question in QUESTIONS:
        list(select(store.view, _query(question, count), cache))
    store.close()
    return {"open memory": opened - before, "asked memory": resident_mb() - before}


def _query(question: Question, count: int) -> Query:
    fields: dict[str, Any] = {
        FIELDS[name]: frozenset([value]) for name, value in question.fields.items()
    }
    if question.hour:
        start_us = middle_us(count)
        fields |= {"time_start_us": start_us, "time_end_us": start_us + HOUR_US}
    # An offset that nothing reaches: every match is counted, none is made.
    fields |= {"offset": count} if question.limit == COUNT_ONLY else {"limit": question.limit}
    return Query(text=question.text, **fields)


if __name__ == "__main__":
    contender(run)
