"""Every error that stationd raises on purpose, in one tree.

Errors are named for what happened and carry it in fields; what an HTTP client
is told about each is a table in L{stationd.web.problem_details}.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import ClassVar

import attrs

from stationd.messages import error_messages as said
from stationd.messages.message import Message
from stationd.messages.reason_messages import LOGIN_REQUIRED

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 200
"""Shows a value without making all of its text: it may be a nested array of 16 MiB."""


class StationdError(Exception):
    """Something went wrong that stationd knows by name.

    @cvar message: what it says, C{None} if that is what it was made with.
    """

    message: ClassVar[Message | None] = None

    def __str__(self) -> str:
        # Not of the instance: a plugin's own error may have something else of that name.
        message = type(self).message
        return super().__str__() if message is None else message.render(**self._fields())

    def _fields(self) -> Mapping[str, object]:
        """What its message shows: all that it carries."""
        return vars(self)


@attrs.frozen(slots=False)
class InvalidValue(StationdError):
    """Somebody gave a value that is not allowed.

    @ivar name: what the value is called where it was given: a query parameter,
        a field of a posted record, a dotted configuration key.
    @ivar value: the value, as it was given.
    @ivar allowed: what is allowed, in words.
    """

    message = said.INVALID_VALUE
    name: str
    value: object
    allowed: str

    def _fields(self) -> Mapping[str, object]:
        return {**vars(self), "value": _abbreviated(self.value)}


def _abbreviated(value: object) -> str:
    try:
        shown = _repr.repr(value)
    except ValueError:
        # Python writes no integer of more than 4,300 digits, but can multiply its way to one.
        return said.HUGE_NUMBER.text
    return shown if len(shown) <= 80 else shown[:77] + "..."


@attrs.frozen(slots=False)
class InvalidConfiguration(StationdError):
    """The configuration cannot be used.

    @ivar file: the file it was read from.
    @ivar reason: the key, the value and what is allowed.
    """

    message = said.INVALID_CONFIGURATION
    file: str
    reason: str


class JournalError(StationdError):
    """The journal could not do what it was asked."""


@attrs.frozen(slots=False)
class JournalLocked(JournalError):
    """Another process has the journal open for writing.

    @ivar directory: where the journal is.
    @ivar holder: the process id that the lock file names, C{""} if it names none.
    """

    message = said.JOURNAL_LOCKED
    directory: str
    holder: str

    def _fields(self) -> Mapping[str, object]:
        who = said.HOLDER.render(pid=self.holder) if self.holder else said.UNKNOWN_HOLDER.text
        return {**vars(self), "who": who}


@attrs.frozen(slots=False)
class JournalUnwritable(JournalError):
    """Records could not be made durable; none of them is stored.

    @ivar reason: the operating system's word for it.
    @ivar full: whether the disk is full (C{ENOSPC}, C{EDQUOT}).
    """

    message = said.JOURNAL_UNWRITABLE
    reason: str
    full: bool


class JournalOverloaded(JournalError):
    """So much is waiting for the disk that no more is taken; try again later."""

    message = said.JOURNAL_OVERLOADED


class JournalClosed(JournalError):
    """The journal has been closed, or is about to be."""

    message = said.JOURNAL_CLOSED


@attrs.frozen(slots=False)
class JournalTooNew(JournalError):
    """A journal file was written by a stationd that knows more than this one.

    @ivar file: the file's path.
    @ivar reason: the version or flags that are not known here.
    """

    message = said.JOURNAL_TOO_NEW
    file: str
    reason: str


@attrs.frozen(slots=False)
class ContainerNotFound(StationdError):
    """No container answers to a name.

    @ivar type: C{"docker"} or C{"lxc"}.
    @ivar key: the id, prefix or name asked for.
    """

    message = said.CONTAINER_NOT_FOUND
    type: str
    key: str


@attrs.frozen(slots=False)
class TooManyWaits(StationdError):
    """As many waits are open as the daemon keeps.

    @ivar limit: how many that is.
    """

    message = said.TOO_MANY_WAITS
    limit: int


class SourceError(StationdError):
    """A source of observations cannot be followed."""


@attrs.frozen(slots=False)
class SourceAbsent(SourceError):
    """What the source watches is not on this host, or not running.

    @ivar reason: what was looked for and not found.
    """

    message = said.SOURCE_ABSENT_ERROR
    reason: str


@attrs.frozen(slots=False)
class SourceLost(SourceError):
    """A source that was being followed has ended or failed.

    @ivar reason: how.
    """

    message = said.SOURCE_LOST_ERROR
    reason: str


@attrs.frozen(slots=False)
class CannotListen(StationdError):
    """An endpoint cannot be served on.

    @ivar endpoint: its description.
    @ivar reason: why not.
    """

    message = said.CANNOT_LISTEN
    endpoint: str
    reason: str


@attrs.frozen(slots=False)
class AuthenticationRequired(StationdError):
    """Nobody knows who is asking.

    @ivar reason: what to do about it, or what was wrong.
    """

    message = said.AUTHENTICATION_REQUIRED
    reason: str = LOGIN_REQUIRED.text


@attrs.frozen(slots=False)
class PermissionDenied(StationdError):
    """Who is asking may not do this.

    @ivar reason: what it takes.
    """

    message = said.PERMISSION_DENIED
    reason: str


class TooManyLogins(StationdError):
    """So many passwords are being checked that no more are taken."""

    message = said.TOO_MANY_LOGINS


@attrs.frozen(slots=False)
class ResourceNotFound(StationdError):
    """There is no such resource.

    @ivar path: what was asked for.
    """

    message = said.RESOURCE_NOT_FOUND
    path: str


@attrs.frozen(slots=False)
class MethodNotAllowed(StationdError):
    """A resource does not do that.

    @ivar method: what was asked of it.
    @ivar allowed: the methods it has.
    """

    message = said.METHOD_NOT_ALLOWED
    method: str
    allowed: tuple[str, ...]

    def _fields(self) -> Mapping[str, object]:
        return {**vars(self), "allowed": ", ".join(self.allowed)}


@attrs.frozen(slots=False)
class BodyTooLarge(StationdError):
    """A request's body is longer than its route accepts.

    @ivar limit: in bytes.
    """

    message = said.BODY_TOO_LARGE
    limit: int


class TooManyBodies(StationdError):
    """The bodies of all requests together take as much memory as they may."""

    message = said.TOO_MANY_BODIES


@attrs.frozen(slots=False)
class JournalUnreadable(JournalError):
    """A journal's directory cannot be read.

    @ivar directory: which.
    @ivar reason: the operating system's word for it.
    """

    message = said.JOURNAL_UNREADABLE
    directory: str
    reason: str


@attrs.frozen(slots=False)
class BackupFailed(JournalError):
    """A backup cannot be made, read or restored.

    @ivar path: the file or directory that is in the way.
    @ivar reason: why.
    """

    message = said.BACKUP_FAILED
    path: str
    reason: str
