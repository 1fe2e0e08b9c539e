"""What was measured as a table, with the ratio to each peer and to the target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.timing import Result


class Row(NamedTuple):
    """Something that is measured.

    @ivar key: its name in a result.
    @ivar what: the same in words, with the unit.
    @ivar more: whether more is better.
    @ivar bound: what it must reach, or stay below.
    @ivar sqlite: how many times as good as SQLite it must be. C{journald}: as that.
    """

    key: str
    what: str
    more: bool = False
    bound: float | None = None
    sqlite: float | None = None
    journald: float | None = None


NEWEST = 0.3

ROWS = (
    Row("append", "durable append, groups of 256, records/s", True, sqlite=2),
    Row("append and seal", "the same and sealed, records/s", True),
    Row("singles", "durable append, 64 producers, one each, records/s", True, sqlite=5),
    Row("socket", "over the Unix socket, arrays of 500, records/s", True, journald=1),
    Row("newest", "newest 20, ms", bound=NEWEST),
    Row("newest category", "newest 20 of a category, ms", bound=NEWEST),
    Row("newest user", "newest 20 of a user, ms", bound=NEWEST),
    Row("newest container", "newest 20 of a container, ms", bound=NEWEST),
    Row("newest level", "newest 20 of a level, ms", bound=NEWEST),
    Row("newest text", "newest 20 with a word, ms", bound=NEWEST),
    Row("newest three", "newest 20 of a category, user and level, ms", bound=NEWEST),
    Row("newest rare", "newest 20 of a category and user with a rare word, ms"),
    Row("hour", "20 of an hour in the middle, ms", bound=1),
    Row("container", "everything of one container, ms", sqlite=1),
    Row("nowhere", "a text that is nowhere, counted, ms", sqlite=2, journald=20),
    Row("word", "a word in 0.5 % of records, counted, ms", sqlite=2, journald=20),
    Row("word fetched", "the same, every match fetched, ms"),
    Row("export", "everything as CSV over HTTP (journalctl: JSON), us/record", journald=8),
    Row("export memory", "what it adds to the daemon's memory, MB"),
    Row("bytes", "bytes a record, sealed", bound=36, sqlite=4, journald=20),
    Row("open", "open, ms", bound=200),
    Row("open memory", "what it adds to memory, MB", bound=30),
    Row("asked memory", "what it and all questions add, MB"),
    Row("idle memory", "resident memory of the idle daemon, MB", bound=90),
    Row("scan", "a text that no filter rules out, over HTTP, ms"),
    Row("latency in a scan", "slowest other request meanwhile, ms", bound=20),
    Row("latency in posts", "slowest other request while arrays are posted and sealed, ms"),
    Row("latency", "slowest request without it, ms"),
)


def table(ours: Result, many: Result, sqlite: Result, journald: Result) -> str:
    """All rows in Markdown. A ratio says how many times as good we are; what misses its
    target is marked."""
    head = ["", "stationd", "of many", "SQLite", "times", "journald", "times", "target", ""]
    lines = [head, ["---"] + ["---:"] * 6 + ["---", "---"]]
    for row in ROWS:
        own = ours.get(row.key)
        targets = list(_targets(row, ours, many, sqlite, journald))
        lines.append(
            [
                row.what,
                _number(own),
                _number(many.get(row.key)),
                _number(sqlite.get(row.key)),
                _number(_ratio(row, own, sqlite.get(row.key))),
                _number(journald.get(row.key)),
                _number(_ratio(row, own, journald.get(row.key))),
                ", ".join(words for words, _ in targets),
                "" if all(met for _, met in targets) else "missed",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _targets(
    row: Row, ours: Result, many: Result, sqlite: Result, journald: Result
) -> Iterator[tuple[str, bool]]:
    if row.bound is not None:
        reached = [value for value in (ours.get(row.key), many.get(row.key)) if value is not None]
        met = all(value >= row.bound if row.more else value <= row.bound for value in reached)
        yield f"{'≥' if row.more else '≤'} {row.bound:g}", met
    for wanted, name, peer in (
        (row.sqlite, "SQLite", sqlite),
        (row.journald, "journald", journald),
    ):
        ratio = _ratio(row, ours.get(row.key), peer.get(row.key))
        if wanted is not None:
            yield f"{wanted:g} x {name}", ratio is None or ratio >= wanted


def _ratio(row: Row, own: float | None, peer: float | None) -> float | None:
    if not own or not peer:
        return None
    return own / peer if row.more else peer / own


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
