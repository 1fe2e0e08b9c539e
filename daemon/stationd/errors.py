"""Every error that stationd raises on purpose, in one tree.

Errors are named for what happened and carry it in fields; what an HTTP client
is told about each is a table in L{stationd.web.problems}.
"""

from __future__ import annotations

import reprlib

import attrs

from stationd.messages import error_messages as said
from stationd.messages.reason_messages import LOGIN_FIRST

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 200
"""Shows a value without making all of its text: it may be a nested array of 16 MiB."""


class StationdError(Exception):
    """Something went wrong that stationd knows by name."""


@attrs.frozen(slots=False)
class BadValue(StationdError):
    """Somebody gave a value that is not allowed.

    @ivar name: what the value is called where it was given: a query parameter,
        a field of a posted record, a dotted configuration key.
    @ivar value: the value, as it was given.
    @ivar allowed: what is allowed, in words.
    """

    name: str
    value: object
    allowed: str

    def __str__(self) -> str:
        shown = _shown(self.value)
        return said.INVALID_VALUE.render(name=self.name, value=shown, allowed=self.allowed)


def _shown(value: object) -> str:
    try:
        shown = _short.repr(value)
    except ValueError:
        # Python writes no integer of more than 4,300 digits, but can multiply its way to one.
        return said.HUGE_NUMBER.text
    return shown if len(shown) <= 80 else shown[:77] + "..."


@attrs.frozen(slots=False)
class BadConfiguration(StationdError):
    """The configuration cannot be used.

    @ivar file: the file it was read from.
    @ivar reason: the key, the value and what is allowed.
    """

    file: str
    reason: str

    def __str__(self) -> str:
        return said.CONFIGURATION_UNUSABLE.render(file=self.file, reason=self.reason)


class JournalError(StationdError):
    """The journal could not do what it was asked."""


@attrs.frozen(slots=False)
class JournalLocked(JournalError):
    """Another process has the journal open for writing.

    @ivar directory: where the journal is.
    @ivar holder: the process id that the lock file names, C{""} if it names none.
    """

    directory: str
    holder: str

    def __str__(self) -> str:
        who = said.HOLDER.render(pid=self.holder) if self.holder else said.UNKNOWN_HOLDER.text
        return said.JOURNAL_LOCKED.render(directory=self.directory, who=who)


@attrs.frozen(slots=False)
class JournalUnwritable(JournalError):
    """Records could not be made durable; none of them is stored.

    @ivar reason: the operating system's word for it.
    @ivar full: whether the disk is full (C{ENOSPC}, C{EDQUOT}).
    """

    reason: str
    full: bool

    def __str__(self) -> str:
        return said.JOURNAL_UNWRITABLE.render(reason=self.reason)


class JournalBusy(JournalError):
    """So much is waiting for the disk that no more is taken; try again later."""

    def __str__(self) -> str:
        return said.JOURNAL_BUSY.text


class JournalClosed(JournalError):
    """The journal has been closed, or is about to be."""

    def __str__(self) -> str:
        return said.JOURNAL_CLOSED.text


@attrs.frozen(slots=False)
class JournalTooNew(JournalError):
    """A journal file was written by a stationd that knows more than this one.

    @ivar file: the file's path.
    @ivar reason: the version or flags that are not known here.
    """

    file: str
    reason: str

    def __str__(self) -> str:
        return said.JOURNAL_TOO_NEW.render(file=self.file, reason=self.reason)


@attrs.frozen(slots=False)
class ContainerUnknown(StationdError):
    """No container answers to a name.

    @ivar type: C{"docker"} or C{"lxc"}.
    @ivar key: the id, prefix or name asked for.
    """

    type: str
    key: str

    def __str__(self) -> str:
        return said.CONTAINER_UNKNOWN.render(type=self.type, key=self.key)


@attrs.frozen(slots=False)
class TooManyWaits(StationdError):
    """As many waits are open as the daemon keeps.

    @ivar limit: how many that is.
    """

    limit: int

    def __str__(self) -> str:
        return said.TOO_MANY_WAITS.render(limit=self.limit)


class SourceError(StationdError):
    """A source of observations cannot be followed."""


@attrs.frozen(slots=False)
class SourceAbsent(SourceError):
    """What the source watches is not on this host, or not running.

    @ivar reason: what was looked for and not found.
    """

    reason: str

    def __str__(self) -> str:
        return said.SOURCE_ABSENT_ERROR.render(reason=self.reason)


@attrs.frozen(slots=False)
class SourceLost(SourceError):
    """A source that was being followed has ended or failed.

    @ivar reason: how.
    """

    reason: str

    def __str__(self) -> str:
        return said.SOURCE_LOST_ERROR.render(reason=self.reason)


@attrs.frozen(slots=False)
class CannotListen(StationdError):
    """An endpoint cannot be served on.

    @ivar endpoint: its description.
    @ivar reason: why not.
    """

    endpoint: str
    reason: str

    def __str__(self) -> str:
        return said.ENDPOINT_UNUSABLE.render(endpoint=self.endpoint, reason=self.reason)


@attrs.frozen(slots=False)
class NotLoggedIn(StationdError):
    """Nobody knows who is asking.

    @ivar reason: what to do about it, or what was wrong.
    """

    reason: str = LOGIN_FIRST.text

    def __str__(self) -> str:
        return said.NOT_LOGGED_IN.render(reason=self.reason)


@attrs.frozen(slots=False)
class NotAllowed(StationdError):
    """Who is asking may not do this.

    @ivar reason: what it takes.
    """

    reason: str

    def __str__(self) -> str:
        return said.NOT_ALLOWED.render(reason=self.reason)


class LoginsBusy(StationdError):
    """So many passwords are being checked that no more are taken."""

    def __str__(self) -> str:
        return said.LOGINS_BUSY.text


@attrs.frozen(slots=False)
class NotFound(StationdError):
    """There is no such resource.

    @ivar path: what was asked for.
    """

    path: str

    def __str__(self) -> str:
        return said.RESOURCE_UNKNOWN.render(path=self.path)


@attrs.frozen(slots=False)
class MethodNotAllowed(StationdError):
    """A resource does not do that.

    @ivar method: what was asked of it.
    @ivar allowed: the methods it has.
    """

    method: str
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        return said.METHOD_NOT_ALLOWED.render(method=self.method, allowed=", ".join(self.allowed))


@attrs.frozen(slots=False)
class BodyTooLarge(StationdError):
    """A request's body is longer than its route accepts.

    @ivar limit: in bytes.
    """

    limit: int

    def __str__(self) -> str:
        return said.BODY_TOO_LARGE.render(limit=self.limit)


class BodiesBusy(StationdError):
    """The bodies of all requests together take as much memory as they may."""

    def __str__(self) -> str:
        return said.BODIES_BUSY.text


@attrs.frozen(slots=False)
class JournalUnreadable(JournalError):
    """A journal's directory cannot be read.

    @ivar directory: which.
    @ivar reason: the operating system's word for it.
    """

    directory: str
    reason: str

    def __str__(self) -> str:
        return said.JOURNAL_UNREADABLE.render(directory=self.directory, reason=self.reason)
