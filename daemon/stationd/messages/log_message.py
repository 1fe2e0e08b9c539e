"""A message of the daemon's log: with a level, emitted through the logger of the class that it is
about. Imports no Twisted, see L{stationd.messages.message}."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs

from stationd.messages.message import Message

if TYPE_CHECKING:
    from twisted.logger import Logger
    from twisted.python.failure import Failure


@attrs.frozen(kw_only=True)
class LogMessage(Message):
    """A line of the log.

    @ivar level: how much it matters, as L{twisted.logger.LogLevel} calls it.
    """

    level: str

    def emit(self, log: Logger, /, **fields: object) -> None:
        """Log it. Beside the fields the event has the message's C{message_id} and
        C{message_name}."""
        emit = getattr(log, self.level)
        emit(self.text, message_id=self.id, message_name=self.name, **fields)


@attrs.frozen(kw_only=True)
class FailureMessage(Message):
    """A line of the log with a traceback.

    @ivar level: how much it matters: all are critical.
    """

    level: str = attrs.field(default="critical", init=False)

    def emit(self, log: Logger, /, failure: Failure | None = None, **fields: object) -> None:
        """Log it, as L{LogMessage.emit}.

        @param failure: what happened, C{None} for the exception that is being handled.
        """
        event = {"message_id": self.id, "message_name": self.name, **fields}
        log.failure(self.text, failure, **event)  # type: ignore[arg-type]


info = functools.partial(LogMessage, level="info")
warn = functools.partial(LogMessage, level="warn")
error = functools.partial(LogMessage, level="error")
critical = functools.partial(LogMessage, level="critical")
