"""JSON, read strictly and written again as it was: no key twice, no number changed."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Iterator
from itertools import chain
from typing import NoReturn

import attrs

from stationd.messages import allowed_values
from stationd.records import MAX_TEXT_BYTES

MAX_OBJECTS_AND_FRACTIONS = 4_096
"""Objects and fractions in one document. Each takes a call of ours, and all of them together must
not take longer than others can wait: a few milliseconds."""

MAX_CHARACTERS = 512 << 10
"""Characters of one document. A text that a journal takes has no more than 393,216, if each of its
bytes is written as C{\\u0000}."""

MAX_VALUES = 22_000
"""Values in one document, if it is a long one. A text that a journal takes has no more than 21,845,
each with a comma and a space, and those beside it are few."""

_WINDOWS = (4 << 10, 64 << 10, MAX_CHARACTERS)
"""Characters in which the end of a document is looked for: Python's parser knows no other bound."""

MAX_DEPTH = 100
"""Arrays and objects within each other in what is written again. Whoever reads it back may be
deep in calls already, and Python allows 1,000."""

_FLOAT_LENGTH = 25
"""Characters that a float's shortest form can have."""

_LONG = 10**100
"""Whole numbers from here on take longer to write than their share of a text."""

_MARK = secrets.token_hex(16)
"""Stands for a L{NumberLiteral} until the rest is written. Whoever posts a text cannot know it."""

_many_values = re.compile(
    rf'(?:[^",]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^",]*+)*+,){{{MAX_VALUES}}}+', re.DOTALL
).match
"""So many commas outside of strings."""

_skip_space = re.compile(r"[ \t\n\r]*").match


@attrs.frozen(repr=False)
class NumberLiteral:
    """A number that is not what a float of it would be written as: C{1432022633.1739689},
    C{1.50}, C{1e400}."""

    text: str

    def __repr__(self) -> str:
        return self.text


class JsonReader:
    """Reads documents from one text."""

    def __init__(self) -> None:
        self._parts = 0
        self._decode = json.JSONDecoder(
            parse_float=self._fraction,
            parse_constant=_refuse_constant,
            object_pairs_hook=self._object,
        ).raw_decode

    def read(self, text: str) -> object:
        """The document that a text is. Fractions are floats or L{NumberLiteral}s.

        @raise ValueError: it is none, or it has a key twice, or is too long, or has too many parts.
        @raise RecursionError: it is nested too deep.
        """
        value, end = self._read_next(text, _skip(text, 0))
        _check_end(text, end)
        return value

    def read_array(self, text: str) -> Iterator[object]:
        """The documents in the array that a text is, each read when it is asked for.

        Errors as L{read}, when that part of the text is reached."""
        at = _skip(text, 0)
        if text[at : at + 1] != "[":
            raise json.JSONDecodeError(allowed_values.JSON_ARRAY, text, at)
        at = _skip(text, at + 1)
        if text[at : at + 1] != "]":
            while True:
                value, at = self._read_next(text, at)
                yield value
                if text[at : at + 1] != ",":
                    break
                at = _skip(text, at + 1)
        if text[at : at + 1] != "]":
            raise json.JSONDecodeError(allowed_values.JSON_COMMA, text, at)
        _check_end(text, _skip(text, at + 1))

    def _read_next(self, text: str, at: int) -> tuple[object, int]:
        """The document that begins at a place, and where the next token is."""
        for size in _WINDOWS:
            window = text[at : at + size]
            if size == MAX_CHARACTERS and window.count(",") > MAX_VALUES:
                window = _without_many_values(window)
            is_cut = at + len(window) < len(text)
            self._parts = 0
            try:
                value, end = self._decode(window, 0)
            except json.JSONDecodeError as error:
                if not is_cut:
                    raise json.JSONDecodeError(error.msg, text, at + error.pos) from None
                continue
            # A number that reaches to the cut may go on behind it.
            if end < len(window) or not is_cut or window.endswith(("}", "]", '"')):
                return value, _skip(text, at + end)
        message = allowed_values.JSON_SIZE.format(characters=MAX_CHARACTERS, values=MAX_VALUES)
        raise json.JSONDecodeError(message, text, at)

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MAX_OBJECTS_AND_FRACTIONS:
            raise ValueError(allowed_values.JSON_PARTS.format(greatest=MAX_OBJECTS_AND_FRACTIONS))

    def _fraction(self, text: str) -> float | NumberLiteral:
        self._count()
        if len(text) <= _FLOAT_LENGTH:
            value = float(text)
            if repr(value) == text:
                return value
        return NumberLiteral(text)

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        self._count()
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise ValueError(allowed_values.JSON_KEY_TWICE.format(key=key[:60]))
                seen.add(key)
        return made


def write_json(value: object) -> str:
    """What L{JsonReader} read, as JSON: every number as it was written.

    @raise ValueError: no double holds one of its numbers, or it is nested deeper than
        L{MAX_DEPTH}, or no journal takes so long a text. The last is not always found: it saves
        writing what is much too long.
    """
    _check(value)
    literals: list[str] = []

    def mark(literal: NumberLiteral) -> str:
        literals.append(_finite(literal))
        return _MARK

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=mark)
    if not literals:
        return text
    pieces = text.split(f'"{_MARK}"')
    return "".join(chain.from_iterable(zip(pieces, [*literals, ""], strict=True)))


def _finite(literal: NumberLiteral) -> str:
    if math.isinf(float(literal.text)):
        raise ValueError(allowed_values.JSON_NO_DOUBLE.format(number=literal.text[:20]))
    return literal.text


def _digits(parts: list[object]) -> int:
    """Not more than the digits of the whole numbers that have many, without the first ones."""
    numbers = [part for part in parts if isinstance(part, int)]
    if not numbers or -_LONG < min(numbers) <= max(numbers) < _LONG:
        return 0
    return sum(one.bit_length() for one in numbers if not -_LONG < one < _LONG) // 4


def _check(value: object) -> None:
    """Find what is too deep, and most of what is too long, before time is spent on writing it.
    It goes level by level and not part by part: a call for each part would take longer than
    writing."""
    level, size = [value], 0
    for _ in range(MAX_DEPTH + 1):
        lists = [part for part in level if isinstance(part, list)]
        objects = [part for part in level if isinstance(part, dict)]
        # A bracket and a separator for each part, and for each key quotes and a colon as well.
        keys = sum(map(len, objects))
        size += len(level) - len(lists) - len(objects)
        size += 2 * (sum(map(len, lists)) + keys) + 4 * keys
        size += _digits(level)
        if size > MAX_TEXT_BYTES:
            raise ValueError(allowed_values.JSON_TOO_LONG.format(greatest=MAX_TEXT_BYTES))
        if not (lists or objects):
            return
        level = [*chain.from_iterable(lists)]
        for one in objects:
            level += one.values()
    raise ValueError(allowed_values.JSON_TOO_DEEP.format(greatest=MAX_DEPTH))


def _without_many_values(text: str) -> str:
    """A beginning of a text that has more values than a document may have, or all of it."""
    found = _many_values(text)
    return text[: found.end()] if found else text


def _skip(text: str, at: int) -> int:
    space = _skip_space(text, at)
    assert space is not None
    return space.end()


def _check_end(text: str, at: int) -> None:
    if at != len(text):
        raise json.JSONDecodeError(allowed_values.JSON_EXTRA, text, at)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(allowed_values.JSON_CONSTANT.format(constant=constant))
