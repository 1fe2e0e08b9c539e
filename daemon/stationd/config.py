"""The configuration file: TOML into frozen settings, read once.

An error names the file, the dotted key, the value and what is allowed. A key that
nobody knows is an error: it is a misspelt one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

import attrs

from stationd.errors import InvalidConfiguration, InvalidValue
from stationd.messages import allowed_values
from stationd.messages.file_reason_messages import TOML_INVALID, TOML_TOO_DEEP
from stationd.messages.log_messages import SETTING_CHANGED

DEFAULT_DIRECTORY = "/var/lib/stationd"
"""Where the journals are if nothing else is said."""

_UNITS = {"B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}

MIN_RETAIN_BYTES = 1 << 20
"""Retention removes whole segments; below this there would be none to keep."""

MAX_RETAIN_BYTES = 1 << 60
"""More than any file system of today has."""

BUILTIN_PLUGINS = {
    "docker": "stationd_plugins.docker.source",
    "lxc": "stationd_plugins.lxc.source",
}
"""Where the sources that come with stationd are; another names its own module."""


@attrs.frozen(kw_only=True)
class SourceSettings:
    """One source.

    @ivar name: what stands after C{sources.} in the file.
    @ivar plugin: the module that has C{make_source}.
    @ivar settings: the other keys, which only the plugin understands.
    """

    name: str
    plugin: str
    settings: Mapping[str, object]


@attrs.frozen(kw_only=True)
class Settings:
    """Everything that can be configured.

    @ivar file: where it was read from.
    @ivar directory: the directory of the journals.
    @ivar retain_days: how long records are kept, 0 for ever.
    @ivar retain_bytes: how much disk each journal may take.
    @ivar endpoints: Twisted endpoint descriptions to serve on.
    @ivar users: the users file.
    @ivar sources: what is watched.
    """

    file: str
    directory: str = DEFAULT_DIRECTORY
    retain_days: int = 0
    retain_bytes: int = 1 << 30
    endpoints: tuple[str, ...] = (
        "unix:/run/stationd/api.sock:mode=660",
        "tcp:9170:interface=127.0.0.1",
    )
    users: str = "/etc/stationd/users"
    sources: tuple[SourceSettings, ...] = ()


SETTING_KEYS = {
    "directory": "journal.directory",
    "retain_days": "journal.retain_days",
    "retain_bytes": "journal.retain_bytes",
    "endpoints": "http.endpoints",
    "users": "auth.users",
}
"""Where each setting stands in the file, but for the sources."""


def changed_settings(before: Settings, after: Settings) -> list[str]:
    """What differs, for an operator: key, value before, value after. Of sources only their
    keys: their settings can have passwords."""
    found = [
        SETTING_CHANGED.render(key=key, before=getattr(before, name), after=getattr(after, name))
        for name, key in SETTING_KEYS.items()
        if getattr(before, name) != getattr(after, name)
    ]
    sources = [{source.name: source for source in s.sources} for s in (before, after)]
    names = dict.fromkeys([*sources[0], *sources[1]])
    return found + [
        f"sources.{name}" for name in names if sources[0].get(name) != sources[1].get(name)
    ]


def load_settings(path: str) -> Settings:
    """Read a configuration file.

    @raise InvalidConfiguration: it is not there, not TOML, or says what is not allowed.
    """
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise InvalidConfiguration(path, error.strerror or str(error)) from error
    except RecursionError as error:
        raise InvalidConfiguration(path, TOML_TOO_DEEP.text) from error
    except ValueError as error:
        raise InvalidConfiguration(path, TOML_INVALID.render(error=error)) from error
    try:
        return _parse_settings(path, document)
    except InvalidValue as error:
        raise InvalidConfiguration(path, str(error)) from error


def _parse_settings(path: str, document: dict[str, object]) -> Settings:
    _check_keys("", document, {"journal", "http", "auth", "sources"})
    journal = _table("journal", document)
    http = _table("http", document)
    auth = _table("auth", document)
    keys = {"directory", "retain_days", "retain_bytes", "durability"}
    _check_keys("journal.", journal, keys)
    _check_keys("http.", http, {"endpoints"})
    _check_keys("auth.", auth, {"users"})
    if (durability := journal.get("durability", "commit")) != "commit":
        raise InvalidValue("journal.durability", durability, allowed_values.DURABILITY)
    fields: dict[str, object] = {}
    if "directory" in journal:
        fields["directory"] = _parse_path("journal.directory", journal["directory"])
    if "retain_days" in journal:
        fields["retain_days"] = _parse_days("journal.retain_days", journal["retain_days"])
    if "retain_bytes" in journal:
        fields["retain_bytes"] = parse_size("journal.retain_bytes", journal["retain_bytes"])
    if "endpoints" in http:
        fields["endpoints"] = _parse_endpoints("http.endpoints", http["endpoints"])
    if "users" in auth:
        fields["users"] = _parse_path("auth.users", auth["users"])
    tables = _table("sources", document)
    sources = [
        _parse_source(name, _table(name, tables, "sources."))
        for name in {**dict.fromkeys(BUILTIN_PLUGINS), **tables}
    ]
    return Settings(file=path, sources=tuple(sources), **fields)  # type: ignore[arg-type]


def parse_size(key: str, value: object) -> int:
    """Bytes out of a number or C{"1 GiB"}."""
    allowed = allowed_values.SIZE.format(least=MIN_RETAIN_BYTES)
    found: float = -1
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]i?B|B)?", value.strip(), re.IGNORECASE)
        unit = (match[2] or "B").upper() if match else ""
        if match and unit in _UNITS:
            found = float(match[1]) * _UNITS[unit]
        elif match:
            allowed = allowed_values.SIZE_UNITS.format(units="B, KiB, MiB, GiB, TiB")
    if found > MAX_RETAIN_BYTES:
        allowed = allowed_values.SIZE_AT_MOST.format(greatest=MAX_RETAIN_BYTES)
    if not MIN_RETAIN_BYTES <= found <= MAX_RETAIN_BYTES:
        raise InvalidValue(key, value, allowed)
    return int(found)


def _parse_source(name: str, table: dict[str, object]) -> SourceSettings:
    plugin = table.pop("plugin", BUILTIN_PLUGINS.get(name))
    if not isinstance(plugin, str) or not plugin:
        raise InvalidValue(f"sources.{name}.plugin", plugin, allowed_values.PLUGIN)
    return SourceSettings(name=name, plugin=plugin, settings=table)


def _check_keys(prefix: str, table: Mapping[str, object], keys: set[str]) -> None:
    for key in table:
        if key not in keys:
            allowed = allowed_values.CONFIGURATION_KEYS.format(keys=", ".join(sorted(keys)))
            raise InvalidValue(f"{prefix}{key}", table[key], allowed)


def _table(key: str, document: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise InvalidValue(
            f"{prefix}{key}", table, allowed_values.TABLE.format(key=f"{prefix}{key}")
        )
    return dict(table)


def _parse_path(key: str, value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise InvalidValue(key, value, allowed_values.PATH)
    return value


def _parse_days(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 36_500:
        raise InvalidValue(key, value, allowed_values.DAYS)
    return value


def _parse_endpoints(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and v for v in value):
        raise InvalidValue(key, value, allowed_values.ENDPOINTS)
    return tuple(value)
