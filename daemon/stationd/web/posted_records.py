"""Posted JSON into drafts, strictly: if one record is wrong, none is stored, and the error says
which and what."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from stationd.errors import InvalidValue, PermissionDenied
from stationd.messages import allowed_values
from stationd.messages.reason_messages import ADMINISTRATOR_REQUIRED_FOR_USER
from stationd.records import MAX_TIME_US, Draft, Level
from stationd.web.request_context import SLICE_SECONDS, Caller, RequestContext, sleep
from stationd.web.strict_json import JsonReader, NumberLiteral, write_json

MAX_RECORDS = 10_000
"""Records in one array."""

_LOG_KEYS = ("category", "level", "message", "user", "ts", "container")
_EVENT_KEYS = ("category", "user", "ts", "container", "data")

_Fields = Callable[[str, dict[str, object]], dict[str, object]]


def parse_json(body: bytes) -> object:
    """JSON out of a small body.

    @raise InvalidValue: it is none, or an object has the same key twice.
    """
    with _reading_errors(body):
        return JsonReader().read(body.decode("utf-8"))


async def read_log_drafts(context: RequestContext) -> list[Draft]:
    """What C{POST /api/v1/log} is given, read in slices of time.

    @raise InvalidValue: something is wrong with it.
    @raise PermissionDenied: the caller may not write as another user.
    """
    return await _read_drafts(context, _LOG_KEYS, _log_fields)


async def read_event_drafts(context: RequestContext) -> list[Draft]:
    """What C{POST /api/v1/event} is given. Errors as L{read_log_drafts}."""
    return await _read_drafts(context, _EVENT_KEYS, _event_fields)


async def _read_drafts(
    context: RequestContext, keys: tuple[str, ...], fields: _Fields
) -> list[Draft]:
    drafts: list[Draft] = []
    clock = context.services.clock
    began = clock.seconds()
    for where, item in _read_items(context.body):
        if len(drafts) == MAX_RECORDS:
            given = allowed_values.RECORDS_TOO_MANY.format(greatest=MAX_RECORDS)
            raise InvalidValue("body", given, _COUNT_ALLOWED)
        drafts.append(
            _make_draft(where, item, context.require_caller, context.services.now_us, keys, fields)
        )
        if clock.seconds() - began > SLICE_SECONDS:
            await sleep(clock)
            began = clock.seconds()
    if not drafts:
        raise InvalidValue("body", allowed_values.RECORDS_NONE, _COUNT_ALLOWED)
    return drafts


_COUNT_ALLOWED = allowed_values.RECORDS.format(greatest=MAX_RECORDS)


def _read_items(body: bytes) -> Iterator[tuple[str, object]]:
    """Each record, and where it is in the body: C{[3].}, C{""} if it is no array."""
    with _reading_errors(body):
        text = body.decode("utf-8")
        if not text.lstrip(" \t\r\n").startswith("["):
            yield "", JsonReader().read(text)
            return
        for index, item in enumerate(JsonReader().read_array(text)):
            yield f"[{index}].", item


@contextlib.contextmanager
def _reading_errors(body: bytes) -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise InvalidValue("body", "[[[…", allowed_values.JSON_NOT_SO_DEEP) from None
    except ValueError as error:
        shown = body[:40].decode("utf-8", "replace")
        raise InvalidValue("body", shown, allowed_values.JSON.format(error=error)) from None


def _make_draft(
    where: str,
    item: object,
    caller: Caller,
    now_us: Callable[[], int],
    keys: tuple[str, ...],
    fields: _Fields,
) -> Draft:
    if not isinstance(item, dict):
        name = where.rstrip(".") or "body"
        raise InvalidValue(name, item, allowed_values.OBJECT_WITH.format(keys=", ".join(keys)))
    for key in item:
        if key not in keys:
            allowed = allowed_values.KEYS.format(keys=", ".join(keys))
            raise InvalidValue(f"{where}{key[:80]}", item[key], allowed)
    user = _string(where, item, "user", caller.user)
    if user != caller.user and not caller.admin:
        raise PermissionDenied(ADMINISTRATOR_REQUIRED_FOR_USER.render(where=where))
    try:
        return Draft(
            time_us=_time_us(where, item, now_us),
            category=_string(where, item, "category", None),
            user=user,
            container=_container(where, item),
            **fields(where, item),  # type: ignore[arg-type]
        )
    except InvalidValue as error:
        if error.name.startswith(where) and where:
            raise
        names = {"time": "ts", "text": "message" if "message" in keys else "data"}
        name = f"{where}{names.get(error.name, error.name)}" if where else error.name
        raise InvalidValue(names.get(name, name), error.value, error.allowed) from error


def _log_fields(where: str, item: dict[str, object]) -> dict[str, object]:
    level = _string(where, item, "level", "INFO")
    if level not in Level.__members__:
        allowed = allowed_values.ONE_OF.format(choices=", ".join(Level.__members__))
        raise InvalidValue(f"{where}level", level, allowed)
    return {"level": Level[level], "text": _string(where, item, "message", None)}


def _event_fields(where: str, item: dict[str, object]) -> dict[str, object]:
    data = item.get("data")
    if not isinstance(data, dict):
        raise InvalidValue(f"{where}data", data, allowed_values.OBJECT)
    try:
        text = write_json(data)
    except (ValueError, RecursionError) as error:
        allowed = allowed_values.JSON_AGAIN.format(error=error)
        raise InvalidValue(f"{where}data", "…", allowed) from None
    return {"text": text}


def _string(where: str, item: Mapping[str, object], key: str, default: str | None) -> str:
    value = item.get(key, default)
    if not isinstance(value, str):
        raise InvalidValue(f"{where}{key}", value, allowed_values.STRING)
    return value


def _container(where: str, item: Mapping[str, object]) -> str:
    value = _string(where, item, "container", "")
    type, _, key = value.partition("/")
    if value and (type not in ("docker", "lxc") or not key):
        raise InvalidValue(f"{where}container", value, allowed_values.POSTED_CONTAINER)
    return value


def _time_us(where: str, item: Mapping[str, object], now_us: Callable[[], int]) -> int:
    if "ts" not in item:
        return now_us()
    value = item["ts"]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TIME_US:
        return value * 1_000_000
    if isinstance(value, float | NumberLiteral):
        text = str(value)
        about = float(text)
        if 0 <= about < 1e-6:
            return 0
        if 0 < about < MAX_TIME_US:
            # A binary fraction would move 1432022633.173968 by a rounding.
            return int(Decimal(text) * 1_000_000)
    raise InvalidValue(f"{where}ts", value, allowed_values.POSTED_TIME)
