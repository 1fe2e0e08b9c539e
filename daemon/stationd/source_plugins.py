"""Sources made by the plugins that the configuration names."""

from __future__ import annotations

import contextlib
import importlib
import os
import traceback
from collections.abc import Iterator, Sequence

from zope.interface import Invalid
from zope.interface.verify import verifyObject

from stationd.config import Settings, SourceSettings
from stationd.errors import InvalidConfiguration, InvalidValue
from stationd.interfaces import IHostReactor, ISource
from stationd.messages import allowed_values
from stationd.messages.file_reason_messages import SOURCES_OF_ONE_TYPE


def make_sources(settings: Settings, reactor: IHostReactor) -> Sequence[ISource]:
    """All of them, in the order of the configuration.

    @raise InvalidConfiguration: a plugin cannot be used, does not like its settings, or makes a
        source of a type that another one has: containers are known by their type.
    """
    made: list[ISource] = []
    keys: dict[str, str] = {}
    for wanted in settings.sources:
        key = f"sources.{wanted.name}"
        try:
            source = _make_source(wanted, reactor)
        except InvalidValue as error:
            raise InvalidConfiguration(settings.file, f"{key}.{error}") from error
        other = keys.setdefault(source.type, key)
        if other != key:
            reason = SOURCES_OF_ONE_TYPE.render(other=other, key=key, type=source.type)
            raise InvalidConfiguration(settings.file, reason)
        made.append(source)
    return made


def _make_source(wanted: SourceSettings, reactor: IHostReactor) -> ISource:
    """@raise InvalidValue: its C{plugin}, or a key of its own that C{make_source} refuses."""
    with _call_plugin(wanted, allowed_values.PLUGIN_IMPORT):
        module = importlib.import_module(wanted.plugin)
        make_source = getattr(module, "make_source", None)
    if not callable(make_source):
        raise InvalidValue("plugin", wanted.plugin, allowed_values.PLUGIN_FUNCTION)
    with _call_plugin(wanted, allowed_values.PLUGIN_CALL):
        source: ISource = make_source(wanted.settings, reactor)
    with _call_plugin(wanted, allowed_values.PLUGIN_LOOK):
        try:
            verifyObject(ISource, source)
        except Invalid as error:
            reason = allowed_values.PLUGIN_RESULT.format(error=_one_line(error))
            raise InvalidValue("plugin", wanted.plugin, reason) from error
        type = source.type
        if not isinstance(type, str) or not type:
            reason = allowed_values.PLUGIN_TYPE.format(type=type)
            raise InvalidValue("plugin", wanted.plugin, reason)
    return source


@contextlib.contextmanager
def _call_plugin(wanted: SourceSettings, what: str) -> Iterator[None]:
    """Code of others is called: whatever it raises is one error.

    @raise InvalidValue: it has raised this, or something else.
    """
    try:
        yield
    except InvalidValue:
        raise
    except BaseException as error:
        failed = allowed_values.PLUGIN_FAILED.format(step=what, error=_describe_error(error))
        raise InvalidValue("plugin", wanted.plugin, failed) from error


def _describe_error(error: BaseException) -> str:
    """An error in one line, with its type and where it was raised."""
    said = f"{type(error).__name__}: {_one_line(error)}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    # The line of importlib says nothing that the name of the module does not.
    inside = frame.filename.startswith("<frozen") or frame.filename == importlib.__file__
    place = {"file": os.path.basename(frame.filename), "line": frame.lineno}
    return said if inside else allowed_values.PLUGIN_PLACE.format(error=said, **place)


def _one_line(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - its own words are code of others, too
        return allowed_values.PLUGIN_SILENT
