"""Records as lines of JSON, every field of them, both ways. The same words as in a record, but
for the level, which is a name."""

from __future__ import annotations

import hashlib
import json

from stationd.errors import InvalidValue
from stationd.records import Draft, Level, Record
from stationd.web.strict_json import JsonReader

LEVELS = [level.name for level in Level]

REQUIRED_KEYS = ("time_us", "level", "category", "user", "text")
OPTIONAL_KEYS = ("number", "container", "origin")

MAX_LINE_BYTES = 1 << 20
"""Bytes of a line. A text has at most 65,536 bytes, and C{\\u0000} for each of them six times as
many."""

_reader = JsonReader()

_encode = json.JSONEncoder(ensure_ascii=False).encode


def encode_record(record: Record) -> str:
    """The line of a record, with its end."""
    fields = {
        "number": record.number,
        "time_us": record.time_us,
        "level": LEVELS[record.level],
        "category": record.category,
        "user": record.user,
        "container": record.container,
        "text": record.text,
        "origin": record.origin,
    }
    return _encode(fields) + "\n"


def decode_draft(line: bytes) -> Draft:
    """The record that a line is, without its number: that is given anew.

    @raise InvalidValue: it is none.
    """
    if len(line) > MAX_LINE_BYTES:
        raise InvalidValue("line", f"{len(line)} bytes", f"at most {MAX_LINE_BYTES} bytes")
    try:
        fields = _reader.read(line.decode())
    except (ValueError, RecursionError) as error:
        shown = line[:40].decode("utf-8", "replace")
        raise InvalidValue("line", shown, f"a record as JSON in UTF-8: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidValue("line", fields, "an object")
    for key in fields:
        if key not in REQUIRED_KEYS + OPTIONAL_KEYS:
            known = ", ".join(REQUIRED_KEYS + OPTIONAL_KEYS)
            raise InvalidValue(key[:80], fields[key], f"keys are {known}")
    for key in REQUIRED_KEYS:
        if key not in fields:
            raise InvalidValue(key, None, "required")
    level = _text(fields, "level")
    if level not in LEVELS:
        raise InvalidValue("level", level, f"one of {', '.join(LEVELS)}")
    _whole(fields, "number", 1)
    try:
        return Draft(
            time_us=_whole(fields, "time_us", 0),
            level=Level[level],
            category=_text(fields, "category"),
            user=_text(fields, "user"),
            container=_text(fields, "container"),
            text=_text(fields, "text"),
            origin=_text(fields, "origin"),
        )
    except InvalidValue as error:
        if error.name != "time":
            raise
        raise InvalidValue("time_us", error.value, "microseconds, 0 to the year 9999") from None


def _text(fields: dict[str, object], key: str) -> str:
    value = fields.get(key, "")
    if not isinstance(value, str):
        raise InvalidValue(key, value, "a string")
    return value


def _whole(fields: dict[str, object], key: str, default: int) -> int:
    value = fields.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidValue(key, value, "a whole number")
    return value


def digest_of(record: Draft | Record) -> bytes:
    """What two records have in common that are the same happening: the origin; without one
    every field but the number."""
    if record.origin:
        key = record.origin
    else:
        # Only the text can have a zero.
        names = (record.category, record.user, record.container, record.text)
        key = "\0".join((str(record.time_us), str(int(record.level)), *names))
    return hashlib.blake2b(key.encode(), digest_size=16).digest()
