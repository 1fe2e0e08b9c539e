"""A message: its identifiers, its text, what it means. Pure, and imports no Twisted, so that
C{stationctl} starts soon."""

from __future__ import annotations

import string
from collections.abc import Mapping

import attrs


@attrs.frozen(repr=False)
class _Absent:
    """In the place of a field that was not given, whatever its format or conversion."""

    name: str

    def __format__(self, specification: str) -> str:
        return f"{{{self.name}}}"

    def __str__(self) -> str:
        return f"{{{self.name}}}"

    __repr__ = __str__


class _Given(dict[str, object]):
    """The fields that were given."""

    def __missing__(self, name: str) -> object:
        return _Absent(name)


@attrs.frozen(kw_only=True)
class Phrase:
    """A part of a message. It is never told alone, so it has no identifier for programs.

    @ivar name: for people: unique among all tables, in kebab case. It stays when the text changes.
    @ivar text: what is told, with C{{fields}} as L{str.format} knows them.
    @ivar meaning: in one line, what it means and what to do.
    """

    name: str
    text: str
    meaning: str

    def render(self, /, **fields: object) -> str:
        """The text with these fields; those that are not in it are ignored, and one that is not
        given stays in braces: a mistake in the telling of an error must not hide the error."""
        try:
            return self.text.format(**fields)
        except KeyError:
            return string.Formatter().vformat(self.text, (), _Given(fields))


@attrs.frozen(kw_only=True)
class Message(Phrase):
    """A text that is told by itself.

    @ivar id: for programs: 32 hexadecimal digits, unique, made once at random (C{uuidgen}), as
        journald has them in C{MESSAGE_ID} (U{https://systemd.io/JOURNAL_NATIVE_PROTOCOL/}). It
        stays as long as the meaning does.
    """

    id: str


def table(names: Mapping[str, object]) -> tuple[Phrase, ...]:
    """All messages and phrases of a module, in order.

    @param names: its globals.
    """
    return tuple(value for value in names.values() if isinstance(value, Phrase))


def constants(names: Mapping[str, object]) -> Mapping[str, str]:
    """All texts of a module that are constants, by their names.

    @param names: its globals.
    """
    return {
        name: value for name, value in names.items() if name.isupper() and isinstance(value, str)
    }
