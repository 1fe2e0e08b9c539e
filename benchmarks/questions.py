"""What every contender is asked of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.corpus import CATEGORIES, NOWHERE, USERS, WORD, watched
from stationd.records import Level

HOUR_US = 3600 * 1_000_000

COUNT_ONLY = 0
"""The limit of a question that asks how many match."""


class Question(NamedTuple):
    """Which records are wanted.

    @ivar key: its name in a result.
    @ivar fields: what C{category}, C{user}, C{container} and C{level} must be; C{text}: what
        must stand in it.
    @ivar hour: whether only those of an hour in the middle.
    @ivar limit: how many of the newest, C{None}: all.
    """

    key: str
    fields: Mapping[str, str | Level] = {}
    text: str | None = None
    hour: bool = False
    limit: int | None = 20


_APP, _ADMIN, _WORD = CATEGORIES[0], USERS[0], WORD.lower()

QUESTIONS = (
    Question("newest"),
    Question("newest category", {"category": CATEGORIES[4]}),
    Question("newest user", {"user": USERS[6]}),
    Question("newest container", {"container": watched()}),
    Question("newest level", {"level": Level.ERROR}),
    Question("newest text", text=_WORD),
    Question("newest three", {"category": _APP, "user": _ADMIN, "level": Level.ERROR}),
    Question("newest rare", {"category": _APP, "user": _ADMIN}, _WORD),
    Question("hour", hour=True),
    Question("container", {"container": watched()}, limit=None),
    Question("nowhere", text=NOWHERE, limit=COUNT_ONLY),
    Question("word", text=_WORD, limit=COUNT_ONLY),
    Question("word fetched", text=_WORD, limit=None),
)
