"""Posted JSON: read strictly into drafts. Whatever is wrong with one record, none is
stored, and the error says which and what."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NoReturn

from stationd.errors import BadValue, NotAllowed
from stationd.records import Draft, Level
from stationd.web.api import Caller

MAX_RECORDS = 10_000
"""Records in one array."""

_LOG_KEYS = ("category", "level", "message", "user", "ts", "container")
_EVENT_KEYS = ("category", "user", "ts", "container", "data")

_TS_ALLOWED = "seconds since the epoch, a number, to the end of the year 9999"


class _Literal(float):
    """A float that remembers how it was written: 1432022633.173968 is not a binary
    fraction, and a time must not move by a rounding."""

    text: str

    def __new__(cls, text: str) -> _Literal:
        self = super().__new__(cls, text)
        self.text = text
        return self


def parse(body: bytes) -> object:
    """JSON out of a body.

    @raise BadValue: it is none, or an object has the same key twice.
    """
    try:
        return json.loads(
            body.decode("utf-8"),
            parse_float=_Literal,
            parse_constant=_refuse,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise BadValue("body", "[[[…", "JSON that is not nested so deep") from None
    except ValueError as error:
        raise BadValue("body", _start(body), f"JSON in UTF-8: {error}") from None


def log_drafts(body: bytes, caller: Caller, now_us: Callable[[], int]) -> list[Draft]:
    """What C{POST /api/v1/log} is given.

    @raise BadValue: something is wrong with it.
    @raise NotAllowed: the caller may not write as another user.
    """
    return _drafts(body, caller, now_us, _LOG_KEYS, _log_fields)


def event_drafts(body: bytes, caller: Caller, now_us: Callable[[], int]) -> list[Draft]:
    """What C{POST /api/v1/event} is given. Errors as L{log_drafts}."""
    return _drafts(body, caller, now_us, _EVENT_KEYS, _event_fields)


def _drafts(
    body: bytes,
    caller: Caller,
    now_us: Callable[[], int],
    keys: tuple[str, ...],
    fields: Callable[[str, dict[str, object]], dict[str, object]],
) -> list[Draft]:
    document = parse(body)
    many = document if isinstance(document, list) else [document]
    if not 1 <= len(many) <= MAX_RECORDS:
        raise BadValue("body", f"{len(many)} records", f"1 to {MAX_RECORDS} at once")
    drafts: list[Draft] = []
    for index, item in enumerate(many):
        where = f"[{index}]." if isinstance(document, list) else ""
        if not isinstance(item, dict):
            name = where.rstrip(".") or "body"
            raise BadValue(name, item, f"an object with {', '.join(keys)}")
        for key in item:
            if key not in keys:
                raise BadValue(f"{where}{key}", item[key], f"keys are {', '.join(keys)}")
        user = _string(where, item, "user", caller.user)
        if user != caller.user and not caller.admin:
            raise NotAllowed(f"{where}user: writing as another user takes an administrator")
        try:
            draft = Draft(
                time_us=_time_us(where, item, now_us),
                category=_string(where, item, "category", None),
                user=user,
                container=_container(where, item),
                **fields(where, item),  # type: ignore[arg-type]
            )
        except BadValue as error:
            if error.name.startswith(where) and where:
                raise
            names = {"time": "ts", "text": "message" if "message" in keys else "data"}
            name = f"{where}{names.get(error.name, error.name)}" if where else error.name
            raise BadValue(names.get(name, name), error.value, error.allowed) from error
        drafts.append(draft)
    return drafts


def _log_fields(where: str, item: dict[str, object]) -> dict[str, object]:
    level = _string(where, item, "level", "INFO")
    if level not in Level.__members__:
        raise BadValue(f"{where}level", level, f"one of {', '.join(Level.__members__)}")
    return {"level": Level[level], "text": _string(where, item, "message", None)}


def _event_fields(where: str, item: dict[str, object]) -> dict[str, object]:
    data = item.get("data")
    if not isinstance(data, dict):
        raise BadValue(f"{where}data", data, "an object")
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise BadValue(f"{where}data", "…", f"JSON that can be written again: {error}") from None
    return {"text": text}


def _string(where: str, item: Mapping[str, object], key: str, default: str | None) -> str:
    value = item.get(key, default)
    if not isinstance(value, str):
        raise BadValue(f"{where}{key}", value, "a string")
    return value


def _container(where: str, item: Mapping[str, object]) -> str:
    value = _string(where, item, "container", "")
    type, _, key = value.partition("/")
    if value and (type not in ("docker", "lxc") or not key):
        raise BadValue(f"{where}container", value, "docker/ID or lxc/NAME")
    return value


def _time_us(where: str, item: Mapping[str, object], now_us: Callable[[], int]) -> int:
    if "ts" not in item:
        return now_us()
    value = item["ts"]
    if isinstance(value, _Literal):
        exact = Decimal(value.text)
        # Beyond this its microseconds would be a number with millions of digits.
        if exact.adjusted() < 20:
            return int(exact * 1_000_000)
    elif isinstance(value, int) and not isinstance(value, bool):
        return value * 1_000_000
    raise BadValue(f"{where}ts", value, _TS_ALLOWED)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return made


def _start(body: bytes) -> str:
    return body[:40].decode("utf-8", "replace")
