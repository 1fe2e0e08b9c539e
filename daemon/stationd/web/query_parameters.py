"""Query parameters, read strictly: a slip is an error and never a guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Context, Decimal

import attrs

from stationd.errors import InvalidValue
from stationd.interfaces import Query
from stationd.messages import allowed_values
from stationd.records import MAX_TIME_US, Level

MAX_LIMIT = 10_000
DEFAULT_LIMIT = 20

MAX_NUMBER = 2**63 - 1

_DECIMAL_PATTERN = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
"""A number without a sign, with any number of digits."""

_FLOAT_PATTERN = re.compile(rf"({_DECIMAL_PATTERN.pattern})([eE][+-]?[0-9]{{1,3}})?")
"""The same as programs write what they have computed: C{0.75330420399996}, C{5e-05}."""

_ROUND_DOWN = Context(prec=40, rounding=ROUND_DOWN)


@attrs.frozen
class QueryParameters:
    """The parameters of one request, by name. Those nobody asks for are ignored:
    old clients send them."""

    given: Mapping[str, str]

    def integer(self, name: str, least: int, greatest: int) -> int | None:
        """A whole number within bounds, C{None} if it is not given."""
        text = self.given.get(name)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]{1,19}", text) or not least <= int(text) <= greatest:
            allowed = allowed_values.WHOLE_NUMBER.format(least=least, greatest=greatest)
            raise InvalidValue(name, text, allowed)
        return int(text)

    def seconds(self, name: str, default: float, greatest: float) -> float:
        """A duration in seconds within bounds."""
        text = self.given.get(name)
        if text is None:
            return default
        if not _FLOAT_PATTERN.fullmatch(text) or float(text) > greatest:
            raise InvalidValue(name, text, allowed_values.DURATION.format(greatest=greatest))
        return float(text)

    def time_us(self, name: str, *, end: bool) -> int | None:
        """A time, C{None} if it is 0 or not given. A whole second given as an end
        means all of that second, as C{ts} of a record does."""
        text = self.given.get(name, "0")
        exact_us = (
            Decimal(text).scaleb(6, _ROUND_DOWN) if _DECIMAL_PATTERN.fullmatch(text) else None
        )
        if exact_us is None or exact_us >= MAX_TIME_US + 1:
            raise InvalidValue(name, text, allowed_values.TIME)
        time_us = int(exact_us)
        if not time_us:
            return None
        return time_us + 999_999 if end and text.isdecimal() else time_us

    def name_set(self, name: str, allowed: str) -> frozenset[str] | None:
        """One or more names with commas between, C{None} if not given."""
        text = self.given.get(name)
        if text is None:
            return None
        found = [part.strip() for part in text.split(",")]
        if not all(found):
            raise InvalidValue(name, text, allowed)
        return frozenset(found)

    def text(self, name: str) -> str | None:
        """A text that is not empty, C{None} if not given."""
        text = self.given.get(name)
        if text == "":
            raise InvalidValue(name, text, allowed_values.SOMETHING)
        return text

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of some words; the first if not given."""
        text = self.given.get(name, choices[0])
        if text not in choices:
            raise InvalidValue(name, text, allowed_values.ONE_OF.format(choices=", ".join(choices)))
        return text

    def levels(self) -> frozenset[Level] | None:
        """C{level=}."""
        allowed = allowed_values.LEVELS.format(levels=", ".join(Level.__members__))
        names = self.name_set("level", allowed)
        if names is None:
            return None
        if unknown := names - set(Level.__members__):
            raise InvalidValue("level", min(unknown), allowed)
        return frozenset(Level[name] for name in names)

    def containers(self, references: Callable[[str], frozenset[str]]) -> frozenset[str] | None:
        """C{container=}: the references it may mean.

        @param references: those that a bare id, prefix or name may mean.
        """
        text = self.text("container")
        if text is None:
            return None
        type, slash, key = text.partition("/")
        if not slash:
            return references(text)
        if type not in ("docker", "lxc") or not key:
            raise InvalidValue("container", text, allowed_values.CONTAINER)
        return frozenset([text])


def parse_log_query(
    given: Mapping[str, str],
    references: Callable[[str], frozenset[str]],
    default_limit: int | None,
) -> Query:
    """What C{GET /api/v1/log} and its export are asked for.

    @raise InvalidValue: a parameter is wrong.
    """
    parameters = QueryParameters(given)
    user = parameters.text("user")
    start_us = parameters.time_us("time_start", end=False)
    end_us = parameters.time_us("time_end", end=True)
    if start_us is not None and end_us is not None and start_us > end_us:
        raise InvalidValue("time_end", given["time_end"], allowed_values.TIME_END)
    return Query(
        time_start_us=start_us,
        time_end_us=end_us,
        before=parameters.integer("before", 0, MAX_NUMBER),
        after=parameters.integer("after", 0, MAX_NUMBER),
        levels=parameters.levels(),
        categories=parameters.name_set("category", allowed_values.CATEGORIES),
        users=None if user is None else frozenset([user]),
        containers=parameters.containers(references),
        text=parameters.text("text"),
        offset=parameters.integer("offset", 0, MAX_NUMBER) or 0,
        limit=parameters.integer("limit", 1, MAX_LIMIT) or default_limit,
    )
