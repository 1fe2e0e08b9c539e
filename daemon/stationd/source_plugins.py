"""The sources that the configuration names, made by their plugins."""

from __future__ import annotations

import contextlib
import importlib
import os
import traceback
from collections.abc import Iterator, Sequence

from zope.interface import Invalid
from zope.interface.verify import verifyObject

from stationd.config import Settings, SourceSettings
from stationd.errors import BadConfiguration, BadValue
from stationd.interfaces import IHostReactor, ISource


def make_sources(settings: Settings, reactor: IHostReactor) -> Sequence[ISource]:
    """All of them, in the order of the configuration.

    @raise BadConfiguration: a plugin cannot be used, does not like its settings, or makes a
        source of a type that another one has: containers are known by their type.
    """
    made: list[ISource] = []
    keys: dict[str, str] = {}
    for wanted in settings.sources:
        key = f"sources.{wanted.name}"
        try:
            source = _made(wanted, reactor)
        except BadValue as error:
            raise BadConfiguration(settings.file, f"{key}.{error}") from error
        other = keys.setdefault(source.type, key)
        if other != key:
            reason = f"{other} and {key} are both of type {source.type}; there can be one of a type"
            raise BadConfiguration(settings.file, reason)
        made.append(source)
    return made


def _made(wanted: SourceSettings, reactor: IHostReactor) -> ISource:
    """@raise BadValue: its C{plugin}, or a key of its own that C{make_source} refuses."""
    with _step(wanted, "importing it"):
        module = importlib.import_module(wanted.plugin)
        make_source = getattr(module, "make_source", None)
    if not callable(make_source):
        raise BadValue("plugin", wanted.plugin, "it has no function make_source")
    with _step(wanted, "make_source"):
        source: ISource = make_source(wanted.settings, reactor)
    with _step(wanted, "looking at its source"):
        try:
            verifyObject(ISource, source)
        except Invalid as error:
            reason = f"make_source has to return an ISource: {_one_line(error)}"
            raise BadValue("plugin", wanted.plugin, reason) from error
        type = source.type
        if not isinstance(type, str) or not type:
            reason = f"the type of its source is {type!r}; a string that is not empty"
            raise BadValue("plugin", wanted.plugin, reason)
    return source


@contextlib.contextmanager
def _step(wanted: SourceSettings, what: str) -> Iterator[None]:
    """Code of others is called: whatever it raises is one error.

    @raise BadValue: it has raised this, or something else.
    """
    try:
        yield
    except BadValue:
        raise
    except BaseException as error:
        raise BadValue("plugin", wanted.plugin, f"{what} failed: {_said(error)}") from error


def _said(error: BaseException) -> str:
    """An error in one line, with its type and where it was raised."""
    said = f"{type(error).__name__}: {_one_line(error)}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    # The line of importlib says nothing that the name of the module does not.
    inside = frame.filename.startswith("<frozen") or frame.filename == importlib.__file__
    place = "" if inside else f" ({os.path.basename(frame.filename)}, line {frame.lineno})"
    return said + place


def _one_line(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - its own words are code of others, too
        return "an error that cannot be shown"
