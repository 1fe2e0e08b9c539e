"""SQLite, in WAL mode, with indexes on time, category and user; for the questions
about one container, on that too."""

from __future__ import annotations

import os
import sqlite3

from benchmarks.corpus import (
    CATEGORIES,
    GROUP,
    HOUR_US,
    NOWHERE,
    USERS,
    WORD,
    containers,
    lines,
    middle_us,
)
from benchmarks.timing import Result, Stopwatch, batched, contender, tree_bytes, warm_ms
from stationd.records import Level

SINGLES = 5_000

INSERT = "INSERT INTO log(time, level, category, user, container, text) VALUES (?, ?, ?, ?, ?, ?)"


def connect(path: str) -> sqlite3.Connection:
    """A database in which every commit is durable."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute(
        "CREATE TABLE log(number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER, level INTEGER,"
        " category TEXT, user TEXT, container TEXT, text TEXT)"
    )
    for column in ("time", "category", "user"):
        database.execute(f"CREATE INDEX log_{column} ON log({column})")
    return database


def run(count: int, directory: str) -> Result:
    """Write, then ask."""
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "log.db")
    database = connect(path)
    appending, singles = Stopwatch(), Stopwatch()
    for batch in batched(lines(count), GROUP * 100):
        rows = [(*line[:1], int(line[1]), *line[2:]) for line in batch]
        with appending:
            for begin in range(0, len(rows), GROUP):
                database.execute("BEGIN")
                database.executemany(INSERT, rows[begin : begin + GROUP])
                database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = tree_bytes(directory)
    alone = connect(os.path.join(directory, "singles.db"))
    rows = [(*line[:1], int(line[1]), *line[2:]) for line in lines(SINGLES)]
    with singles:
        for row in rows:
            alone.execute(INSERT, row)

    def ask(where: str, values: tuple[object, ...], limit: int = -1) -> float:
        statement = f"SELECT * FROM log {where} ORDER BY number DESC LIMIT {limit}"
        return warm_ms(lambda: database.execute(statement, values).fetchall())

    def counted(text: str) -> float:
        statement = "SELECT count(*) FROM log WHERE text LIKE ?"
        return warm_ms(lambda: database.execute(statement, (f"%{text}%",)).fetchall())

    reference, _ = containers()[50]
    start_us = middle_us(count)
    word = f"%{WORD.lower()}%"
    result: Result = {
        "append": count / appending.seconds,
        "singles": SINGLES / singles.seconds,
        "bytes": size / count,
        "newest": ask("", (), 20),
        "newest category": ask("WHERE category = ?", (CATEGORIES[4],), 20),
        "newest user": ask("WHERE user = ?", (USERS[6],), 20),
        "newest level": ask("WHERE level = ?", (int(Level.ERROR),), 20),
        "newest text": ask("WHERE text LIKE ?", (word,), 20),
        "newest three": ask(
            "WHERE category = ? AND user = ? AND level = ?",
            (CATEGORIES[0], USERS[1], int(Level.ERROR)),
            20,
        ),
        "newest rare": ask(
            "WHERE category = ? AND user = ? AND text LIKE ?", (CATEGORIES[0], USERS[1], word), 20
        ),
        "hour": ask("WHERE time BETWEEN ? AND ?", (start_us, start_us + HOUR_US), 20),
        "nowhere": counted(NOWHERE),
        "word": counted(WORD.lower()),
        "word fetched": ask("WHERE text LIKE ?", (word,)),
    }
    database.execute("CREATE INDEX log_container ON log(container)")
    result["newest container"] = ask("WHERE container = ?", (reference,), 20)
    result["container"] = ask("WHERE container = ?", (reference,))
    return result


if __name__ == "__main__":
    contender(run)
