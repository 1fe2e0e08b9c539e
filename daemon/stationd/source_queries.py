"""What sources are asked of containers: of each one question at a time, however many wait
for the answer."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from stationd.errors import SourceAbsent, SourceError, SourceLost
from stationd.messages.log_messages import SOURCE_FIND_FAILED
from stationd.messages.reason_messages import SOURCE_FIND_ERROR
from stationd.records import Container

FIRST_RETRY = 1.0
"""Seconds before a live source that failed to answer is asked again."""

LONGEST_RETRY = 5.0
"""The same, when it has failed again and again: twice as long each time until then."""

Answer = Deferred[Container | None]


@attrs.define(eq=False)
class _Question:
    """A question about one container.

    @ivar asked: those who wait for the answer that is on its way, or will be asked for
        after a pause. C{later}: those who came since it was asked for, and need another.
    @ivar asking: the question that is on its way. C{retry}: fires when the pause is over.
    """

    type: str
    key: str
    asked: list[Answer] = attrs.Factory(list)
    later: list[Answer] = attrs.Factory(list)
    asking: Answer | None = None
    retry: IDelayedCall | None = None
    delay: float = FIRST_RETRY


class SourceQuestions:
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
        self._open: dict[tuple[str, str], _Question] = {}

    def ask(self, type: str, key: str) -> Answer:
        """Ask how a container is, not before this call.

        @return: fires with the container, C{None} if there is none. Cancel it when the
            answer is not needed any more; a question that is needed by none is cancelled.
        @raise SourceAbsent: (Deferred) there is no such source, so no container.
        @raise SourceLost: (Deferred) it did not answer, and is not live.
        """
        question = self._open.setdefault((type, key), _Question(type, key))
        done: Answer = Deferred(lambda _: self._leave(question, done))
        question.later.append(done)
        if question.asking is None and question.retry is None:
            self._put(question)
        return done

    def _put(self, question: _Question) -> None:
        question.retry = None
        question.asked += question.later
        question.later = []
        asking = question.asking = maybeDeferred(self._outside, question.type, question.key)
        asking.addBoth(self._answered, question)

    def _answered(self, result: Container | Failure | None, question: _Question) -> None:
        question.asking = None
        if not isinstance(result, Failure):
            self._end(question, result, None)
            return
        error = result.value
        if isinstance(error, CancelledError):
            return
        if not isinstance(error, SourceError):
            SOURCE_FIND_FAILED.emit(self._log, result)
            error = SourceLost(SOURCE_FIND_ERROR.render(error=error))
        if isinstance(error, SourceAbsent) or not self._is_live(question.type):
            self._end(question, None, error)
        else:
            question.retry = self._clock.callLater(question.delay, self._put, question)
            question.delay = min(2 * question.delay, LONGEST_RETRY)

    def _end(self, question: _Question, found: Container | None, failed: Exception | None) -> None:
        """Hand the answer over; those who came after the question get another one."""
        question.delay = FIRST_RETRY
        asked, question.asked = question.asked, []
        if question.later:
            self._put(question)
        else:
            del self._open[question.type, question.key]
        for done in asked:
            if done.called:
                continue  # Cancelled by one that was answered before it.
            if failed is None:
                done.callback(found)
            else:
                done.errback(failed)

    def _leave(self, question: _Question, done: Answer) -> None:
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
