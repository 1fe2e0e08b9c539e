"""What was measured as tables, with the ratio to each peer and to the target."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.timing import TEMPERATURES, Result


class Row(NamedTuple):
    """Something that is measured.

    @ivar key: its name in a result.
    @ivar what: the same in words, with the unit.
    @ivar more: whether more is better.
    @ivar bound: what it must not be above.
    @ivar sqlite: how many times as good as SQLite it must be. C{journald}: as that.
    """

    key: str
    what: str
    more: bool = False
    bound: float | None = None
    sqlite: float | None = None
    journald: float | None = None


Rounds = Mapping[str, Sequence[Result]]
"""What each contender reached in each round, by its name."""

NAMES = {"stationd": "stationd", "many": "of many", "sqlite": "SQLite", "journald": "journald"}

NEWEST = 0.3

FIGURES = (
    Row("append wall", "append, groups of 256, all included: time, us/record", sqlite=2),
    Row("append cpu", "of the processor, us/record"),
    Row("drafts", "- making drafts and sentences"),
    Row("recorder", "- recorder, registry and event loop"),
    Row("commit", "- commit"),
    Row("sealing", "- sealing, and verifying that"),
    Row("singles", "append, 64 producers, one each, records/s", True, sqlite=5),
    Row("socket", "over the Unix socket, arrays of 500, records/s", True, journald=1),
    Row("export", "the log as CSV over HTTP (journalctl: JSON), us/record", journald=8),
    Row("export memory", "what it adds to the daemon's memory, MB"),
    Row("bytes", "bytes a record, sealed", bound=36, sqlite=4, journald=20),
    Row("zstd bytes", "the same as JSON lines by zstd -9 --long"),
    Row("open memory", "what opening adds to memory, MB", bound=30),
    Row("asked memory", "what that and all questions add, MB"),
    Row("idle memory", "resident memory when idle (SQLite: of Python), MB", bound=90),
    Row("scan", "a text that no filter rules out, over HTTP, ms"),
    Row("latency in a scan", "slowest other request meanwhile, ms", bound=20),
    Row("latency in posts", "slowest other request while arrays are posted and sealed, ms"),
    Row("latency", "slowest request without it, ms"),
)

ASKED = (
    Row("open", "open, ms", bound=200),
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
)
"""Their targets are for what is asked again."""


def tables(rounds: Rounds) -> str:
    """Figures, then questions, in Markdown: the median of the rounds, least and greatest, and
    how many times as good as each peer we are; what misses its target is marked."""
    figures = [["", *NAMES.values(), "target", ""]]
    for row in FIGURES:
        cells = [_cell(rounds, row, name, row.key) for name in NAMES]
        figures.append([row.what, *cells, *_verdict(rounds, row, row.key)])
    questions = [["", "", *TEMPERATURES, "target again", ""]]
    for row in ASKED:
        what, verdict = row.what, _verdict(rounds, row, f"{row.key}:again")
        for name, shown in NAMES.items():
            cells = [_cell(rounds, row, name, f"{row.key}:{how}") for how in TEMPERATURES]
            if name == "stationd" or any(cells):
                questions.append([what, shown, *cells, *verdict])
                what, verdict = "", ["", ""]
    return f"{_markdown(figures)}\n\n{_markdown(questions)}"


def _markdown(lines: list[list[str]]) -> str:
    lines.insert(1, ["---"] * len(lines[0]))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def _cell(rounds: Rounds, row: Row, name: str, key: str) -> str:
    values = _values(rounds, name, key)
    if not values:
        return ""
    cell = _number(statistics.median(values))
    if len(values) > 1:
        cell += f" ({_number(min(values))}..{_number(max(values))})"
    ratio = _ratio(rounds, row, name, key)
    return cell if ratio is None else f"{cell}, {_number(ratio)} x"


def _verdict(rounds: Rounds, row: Row, key: str) -> list[str]:
    """The targets, and whether one is missed."""
    words, met = [], True
    if row.bound is not None:
        words.append(f"≤ {row.bound:g}")
        met = all((_median(rounds, name, key) or 0) <= row.bound for name in ("stationd", "many"))
    for wanted, name in ((row.sqlite, "sqlite"), (row.journald, "journald")):
        if wanted is not None:
            words.append(f"{wanted:g} x {NAMES[name]}")
            ratio = _ratio(rounds, row, name, key)
            met = met and (ratio is None or ratio >= wanted)
    return [", ".join(words), "" if met else "missed"]


def _ratio(rounds: Rounds, row: Row, name: str, key: str) -> float | None:
    """How many times as good as a peer we are."""
    own, peer = _median(rounds, "stationd", key), _median(rounds, name, key)
    if name in ("stationd", "many") or not own or not peer:
        return None
    return own / peer if row.more else peer / own


def _median(rounds: Rounds, name: str, key: str) -> float | None:
    return statistics.median(values) if (values := _values(rounds, name, key)) else None


def _values(rounds: Rounds, name: str, key: str) -> list[float]:
    return [value for result in rounds.get(name, ()) if (value := result.get(key)) is not None]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
