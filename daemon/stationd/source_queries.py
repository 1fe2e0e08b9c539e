"""Queries to sources: of each container one at a time, shared by all who ask."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from stationd.errors import SourceAbsent, SourceError, SourceLost
from stationd.messages.log_messages import SOURCE_QUERY_FAILED
from stationd.messages.reason_messages import SOURCE_FIND_ERROR
from stationd.records import Container

MIN_RETRY_SECONDS = 1.0
"""Seconds before a live source that failed to answer is asked again."""

MAX_RETRY_SECONDS = 5.0
"""The same, when it has failed again and again: twice as long each time until then."""

FindResult = Deferred[Container | None]


@attrs.define(eq=False)
class _PendingQuery:
    """A question about one container.

    @ivar asked: those who wait for the answer that is on its way, or will be asked for
        after a pause. C{later}: those who came since it was asked for, and need another.
    @ivar asking: the question that is on its way. C{retry}: fires when the pause is over.
    """

    type: str
    key: str
    asked: list[FindResult] = attrs.Factory(list)
    later: list[FindResult] = attrs.Factory(list)
    asking: FindResult | None = None
    retry: IDelayedCall | None = None
    delay: float = MIN_RETRY_SECONDS


class SourceQueries:
    """All questions that are open.

    @param outside: asks a source (L{stationd.interfaces.ISource.find}).
    @param is_live: whether the source of a type is followed: then one that does not answer
        is asked again.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        outside: Callable[[str, str], Deferred[Container | None]],
        is_live: Callable[[str], bool],
    ) -> None:
        self._clock = clock
        self._outside = outside
        self._is_live = is_live
        self._open: dict[tuple[str, str], _PendingQuery] = {}

    def find(self, type: str, key: str) -> FindResult:
        """Ask how a container is, not before this call.

        @return: fires with the container, C{None} if there is none. Cancel it when the
            answer is not needed any more; a question that is needed by none is cancelled.
        @raise SourceAbsent: (Deferred) there is no such source, so no container.
        @raise SourceLost: (Deferred) it did not answer, and is not live.
        """
        question = self._open.setdefault((type, key), _PendingQuery(type, key))
        done: FindResult = Deferred(lambda _: self._cancelled(question, done))
        question.later.append(done)
        if question.asking is None and question.retry is None:
            self._send(question)
        return done

    def _send(self, question: _PendingQuery) -> None:
        question.retry = None
        question.asked += question.later
        question.later = []
        asking = question.asking = maybeDeferred(self._outside, question.type, question.key)
        asking.addBoth(self._completed, question)

    def _completed(self, result: Container | Failure | None, question: _PendingQuery) -> None:
        question.asking = None
        if not isinstance(result, Failure):
            self._finish(question, result, None)
            return
        error = result.value
        if isinstance(error, CancelledError):
            return
        if not isinstance(error, SourceError):
            SOURCE_QUERY_FAILED.emit(self._log, result)
            error = SourceLost(SOURCE_FIND_ERROR.render(error=error))
        if isinstance(error, SourceAbsent) or not self._is_live(question.type):
            self._finish(question, None, error)
        else:
            question.retry = self._clock.callLater(question.delay, self._send, question)
            question.delay = min(2 * question.delay, MAX_RETRY_SECONDS)

    def _finish(
        self, question: _PendingQuery, found: Container | None, failed: Exception | None
    ) -> None:
        """Hand the answer over; those who came after the question get another one."""
        question.delay = MIN_RETRY_SECONDS
        asked, question.asked = question.asked, []
        if question.later:
            self._send(question)
        else:
            del self._open[question.type, question.key]
        for done in asked:
            if done.called:
                continue  # Cancelled by one that was answered before it.
            if failed is None:
                done.callback(found)
            else:
                done.errback(failed)

    def _cancelled(self, question: _PendingQuery, done: FindResult) -> None:
        """One does not wait any more."""
        for waiting in (question.asked, question.later):
            if done in waiting:
                waiting.remove(done)
        if question.asked or question.later:
            return
        if self._open.get((question.type, question.key)) is not question:
            return
        del self._open[question.type, question.key]
        if question.retry is not None:
            question.retry.cancel()
        if question.asking is not None:
            question.asking.cancel()
