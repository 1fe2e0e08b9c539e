"""SQLite, in WAL mode, every commit durable, with indexes on time, category, user and
container; the log and the events are two tables."""

from __future__ import annotations

import functools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable

import attrs

from benchmarks.corpus import Happening, groups, happenings, middle_us, records
from benchmarks.questions import COUNT_ONLY, HOUR_US, QUESTIONS, Question
from benchmarks.timing import (
    Ready,
    Result,
    Stopwatch,
    asked,
    batched,
    contender,
    in_child,
    tree_bytes,
)

SINGLES = 5_000

INSERT = "INSERT INTO %s VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)"

IDLE = """import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("SELECT * FROM log LIMIT 0").fetchall()
print(open("/proc/self/statm").read().split()[1])"""


def run(count: int, directory: str) -> Result:
    """Write, then ask."""
    path = os.path.join(directory, "log.db")
    os.makedirs(directory, exist_ok=True)
    result = in_child(lambda: _written(count, path))
    questions: dict[str, Ready] = {"open": lambda: lambda: _open(path).close()}
    for question in QUESTIONS:
        questions[question.key] = functools.partial(_ready, path, *_statement(question, count))
    result |= asked(directory, questions)
    pages = int(subprocess.check_output([sys.executable, "-c", IDLE, path]))
    return result | {"idle memory": pages * os.sysconf("SC_PAGE_SIZE") / 1e6}


def _ready(path: str, statement: str, values: list[object]) -> Callable[[], object]:
    database = _open(path)
    return lambda: database.execute(statement, values).fetchall()


def _open(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous=FULL")
    # It reads the schema with the first statement.
    database.execute("SELECT * FROM sqlite_master").fetchall()
    return database


def _made(path: str) -> sqlite3.Connection:
    database = _open(path)
    database.execute("PRAGMA journal_mode=WAL")
    for table in ("log", "event"):
        database.execute(
            f"CREATE TABLE {table}(number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER,"
            " level INTEGER, category TEXT, user TEXT, container TEXT, text TEXT, origin TEXT)"
        )
        for column in ("time", "category", "user", "container"):
            database.execute(f"CREATE INDEX {table}_{column} ON {table}({column})")
    return database


def _written(count: int, path: str) -> Result:
    database, appending, singles = _made(path), Stopwatch(), Stopwatch()
    written = 0
    for batch in batched(groups(count), 100):
        rows = [_rows(group) for group in batch]
        written += sum(len(some) for group in rows for some in group.values())
        with appending:
            for group in rows:
                database.execute("BEGIN")
                for table, some in group.items():
                    database.executemany(INSERT % table, some)
                database.execute("COMMIT")
    with appending:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    size = tree_bytes(os.path.dirname(path))
    alone = _made(f"{path}.singles")
    rows_alone = _rows(list(happenings(min(SINGLES, count // 10))))["log"]
    with singles:
        for row in rows_alone:
            alone.execute(INSERT % "log", row)
    alone.close()
    os.unlink(f"{path}.singles")
    return {
        "append wall": appending.seconds / written * 1e6,
        "append cpu": appending.cpu_seconds / written * 1e6,
        "singles": len(rows_alone) / singles.seconds,
        "bytes": size / written,
    }


def _rows(group: list[Happening]) -> dict[str, list[tuple[object, ...]]]:
    rows: dict[str, list[tuple[object, ...]]] = {"log": [], "event": []}
    for journal, draft in records(group):
        rows[journal].append(attrs.astuple(draft, recurse=False))
    return rows


def _statement(question: Question, count: int) -> tuple[str, list[object]]:
    wanted: dict[str, object] = {f"{name} = ?": value for name, value in question.fields.items()}
    if question.text is not None:
        wanted["text LIKE ?"] = f"%{question.text}%"
    if question.hour:
        wanted |= {"time >= ?": middle_us(count), "time <= ?": middle_us(count) + HOUR_US}
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    if question.limit == COUNT_ONLY:
        return f"SELECT count(*) FROM log {where}", [*wanted.values()]
    limit = -1 if question.limit is None else question.limit
    return f"SELECT * FROM log {where} ORDER BY number DESC LIMIT {limit}", [*wanted.values()]


if __name__ == "__main__":
    contender(run)
