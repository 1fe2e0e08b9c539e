"""The listening ports: opened, tried again, closed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from stationd.endpoints import failure_reason
from stationd.errors import CannotListen
from stationd.messages import log_messages

RETRY_SECONDS = 10.0
"""Seconds after which an endpoint that could not be opened is tried again."""


@attrs.frozen
class ListenerClosed:
    """Not opened yet, or stopped."""


@attrs.frozen
class ListenerOpening:
    """An attempt is being made.

    @ivar before: why the attempt before failed, C{""} at the first.
    """

    attempt: Deferred[IListeningPort]
    before: str


@attrs.frozen
class ListenerOpen:
    """Served."""

    port: IListeningPort


@attrs.frozen
class ListenerFailed:
    """The last attempt has failed; the next is scheduled."""

    reason: str
    retry: IDelayedCall


ListenerState = ListenerClosed | ListenerOpening | ListenerOpen | ListenerFailed


def _describe(state: ListenerState) -> str:
    match state:
        case ListenerOpen():
            return "open"
        case ListenerOpening(before=reason) | ListenerFailed(reason=reason):
            return reason or "opening"
        case ListenerClosed():
            return "closed"


class Listener:
    """One endpoint.

    @param description: as the configuration has it.
    @param listen: makes one attempt.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, description: str, listen: Callable[[], Deferred[IListeningPort]]
    ) -> None:
        self._clock = clock
        self.description = description
        self._listen = listen
        self.state: ListenerState = ListenerClosed()

    def open(self) -> Deferred[None]:
        """Keep trying to listen; fires when the first attempt has ended.

        @raise CannotListen: (Deferred) it has failed. There will be others.
        """
        return self._attempt("").addCallback(lambda _: self._raise_if_failed())

    def close(self) -> Deferred[None]:
        """Stop listening, or trying to."""
        state, self.state = self.state, ListenerClosed()
        if isinstance(state, ListenerOpening):
            state.attempt.cancel()
        elif isinstance(state, ListenerFailed):
            state.retry.cancel()
        elif isinstance(state, ListenerOpen):
            return _stop_port(state.port)
        return succeed(None)

    def _attempt(self, before: str) -> Deferred[None]:
        ended: Deferred[None] = Deferred()
        attempt = maybeDeferred(self._listen)
        self.state = ListenerOpening(attempt, before)
        attempt.addCallbacks(self._opened, self._attempt_failed).addBoth(ended.callback)
        return ended

    def _opened(self, port: IListeningPort) -> None:
        if not isinstance(self.state, ListenerOpening):
            # It has come after we stopped.
            _stop_port(port)
            return
        self.state = ListenerOpen(port)
        log_messages.ENDPOINT_LISTENING.emit(self._log, description=self.description)

    def _attempt_failed(self, failure: Failure) -> None:
        if not isinstance(self.state, ListenerOpening):
            return
        before, why = self.state.before, failure_reason(failure)
        self.state = ListenerFailed(why, self._clock.callLater(RETRY_SECONDS, self._attempt, why))
        if why != before:
            log_messages.ENDPOINT_FAILED.emit(self._log, error=CannotListen(self.description, why))

    def _raise_if_failed(self) -> None:
        if isinstance(self.state, ListenerFailed):
            raise CannotListen(self.description, self.state.reason)


def _stop_port(port: IListeningPort) -> Deferred[None]:
    """Stop listening; fires when that is done. That it cannot be is logged."""
    stopping: Deferred[None] = maybeDeferred(port.stopListening)  # type: ignore[call-overload]
    return stopping.addErrback(
        lambda failure: log_messages.PORT_CLOSE_FAILED.emit(Listener._log, failure)
    )


class Listeners(Service):
    """All endpoints. One that cannot be opened is tried again every L{RETRY_SECONDS} seconds.

    @param listen: starts to listen on a description.
    """

    def __init__(
        self,
        clock: IReactorTime,
        descriptions: Sequence[str],
        listen: Callable[[str], Deferred[IListeningPort]],
    ) -> None:
        self._listeners = [
            Listener(clock, description, functools.partial(listen, description))
            for description in descriptions
        ]

    def open(self, unreachable: Callable[[CannotListen], object]) -> None:
        """Listen. This is not L{startService}, so that it can be done before other parts
        have started threads that would have to be stopped again. Connections are accepted
        when the reactor runs.

        @param unreachable: called if it turns out after this has returned that no endpoint
            can be opened.
        @raise CannotListen: none can, and that is known at once. A daemon that cannot be
            reached would only seem to run.
        """
        first = DeferredList(
            [listener.open() for listener in self._listeners],
            fireOnOneCallback=True,
            consumeErrors=True,
        )
        refused: list[CannotListen] = []

        def judge(results: list[tuple[bool, Failure]] | tuple[None, int]) -> None:
            # A list only if all have failed.
            if isinstance(results, list):
                refused.extend(cast(CannotListen, failure.value) for _, failure in results)

        first.addCallback(judge)
        if refused:
            for listener in self._listeners:
                listener.close()
            raise refused[0]
        first.addCallback(lambda _: [unreachable(error) for error in refused[:1]])

    def states(self) -> Mapping[str, str]:
        """C{"open"} or why it is not, of each endpoint by its description."""
        return {listener.description: _describe(listener.state) for listener in self._listeners}

    def stopService(self) -> Deferred[None]:
        super().stopService()
        closing = [listener.close() for listener in self._listeners]
        return DeferredList(closing, consumeErrors=True).addCallback(lambda _: None)
