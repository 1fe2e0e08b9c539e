"""Waits for containers to reach a state, without a race.

A state may be reached between the look and the wait: here a wait is filed under its
container's reference in the turn of the reactor in which that is looked up, and sees
every later change. The registry may be stale: C{docker start X; wait X stopped} can
arrive before the start is recorded; and a source that catches up replays the past. So
two things end a wait: a change that a live source sees and that is younger than the
wait; and the source's own word, asked after the wait began.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from stationd.errors import ContainerNotFound, SourceAbsent, SourceError, SourceLost, TooManyWaits
from stationd.messages import log_messages, reason_messages
from stationd.pending_wait import QUERYING, TARGETS, UNCONFIRMED, PendingWait, WaitResult, WaitState
from stationd.records import Container, State
from stationd.registry import ContainerChange, Registry, matches_key, with_known_exit
from stationd.source_queries import SourceQueries

MAX_WAITS = 10_000
"""Waits that are open at once. Each takes some 6 KB with its connection."""

GRACE_SECONDS = 0.5
"""Seconds for which a container that its source does not know may still turn up: what
C{docker run --rm} names may be gone from the engine before its events are on disk."""

CONFIRM_SECONDS = 5.0
"""Seconds from its beginning that a wait may take, if it was asked to take less, until
its source has answered: an engine that starts many containers answers late."""


class Waits:
    """All waits for containers.

    @param containers: the registry; L{changed} is called after each change of it.
    @param questions: what sources are asked through.
    @param is_live: whether what a source of a type sees is how things are now;
        L{live} is called when it becomes so.
    @param now_us: the clock that changes are dated with.
    @ivar open: how many there are.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        containers: Registry,
        questions: SourceQueries,
        is_live: Callable[[str], bool],
        now_us: Callable[[], int],
    ) -> None:
        self._clock = clock
        self._containers = containers
        self._queries = questions
        self._is_live = is_live
        self._now_us = now_us
        self._known: dict[str, list[PendingWait]] = {}
        self._unknown: list[PendingWait] = []
        self.open = 0

    def wait(self, type: str, key: str, target: str, duration: float) -> Deferred[WaitResult]:
        """Wait until a container is so, is removed, or the time is up.

        @param key: id, prefix of 12 or more, or name; of those that have a name, one
            that exists is preferred to one that was removed.
        @param target: one of L{TARGETS}.
        @param duration: seconds; 0 asks the source once.
        @return: fires with the container as it then is; the caller compares.
            Cancelling it leaves nothing behind.
        @raise ContainerNotFound: (Deferred) there is no such container.
        @raise SourceLost: (Deferred) whether there is one is not known: its source does
            not say.
        @raise TooManyWaits: (Deferred) L{MAX_WAITS} are open.
        """
        began, since_us = self._clock.seconds(), self._now_us()
        done: Deferred[WaitResult] = Deferred(lambda _: self._discard(wait))
        wait = PendingWait(type, key, TARGETS[target], began, began + duration, since_us, done)
        if self.open >= MAX_WAITS:
            done.errback(TooManyWaits(MAX_WAITS))
            return done
        self.open += 1
        wait.timer = self._clock.callLater(duration, self._on_timeout, wait)
        self._unknown.append(wait)
        self._resolve(wait)
        return done

    def changed(self, change: ContainerChange) -> None:
        """A container is not what it was."""
        container = change.container
        is_live = self._is_live(container.type)
        filed = self._known.get(change.reference, [])[:]
        for wait in self._unknown[:] if is_live else ():
            if matches_key(container, wait.type, wait.key) and not wait.done.called:
                self._on_container(wait, change)
        for wait in filed:
            if wait.done.called:
                continue  # Ended by one that was answered before it.
            if is_live:
                self._on_container(wait, change)
            elif change.reference != container.reference:
                known = wait.container or container
                self._index(wait, attrs.evolve(known, id=container.id, name=container.name))

    def live(self, type: str) -> None:
        """A source has caught up: the registry is how things are now."""
        for wait in [one for one in (*self._unknown, *self._all_waits()) if one.type == type]:
            if wait.done.called or wait.state is WaitState.SEEKING:
                continue
            if wait.container is None:
                self._resolve(wait)
                continue
            known = self._containers.get(wait.container.reference)
            if known is None:
                # Seen when its source was asked, and gone before it could be recorded.
                self._query_source(wait)
            elif known.removed or wait.state is WaitState.FOLLOWING:
                self._on_container(wait, ContainerChange(known.reference, known))

    def close(self) -> None:
        """Answer all with the container as it is; those that have found none fail."""
        for wait in [*self._unknown, *self._all_waits()]:
            self._finish(wait)

    def _all_waits(self) -> list[PendingWait]:
        return [wait for waits in self._known.values() for wait in waits]

    def _resolve(self, wait: PendingWait) -> None:
        """Find out whom a wait is for."""
        known = self._containers.find(wait.type, wait.key)
        if known is not None and not known.removed:
            self._on_container(wait, ContainerChange(known.reference, known))
        else:
            wait.removed = known
            self._query_source(wait)

    def _on_container(self, wait: PendingWait, change: ContainerChange) -> None:
        """The registry has whom a wait is for. What may have been so before the wait began
        is no answer: then the source is asked."""
        container = change.container
        is_news = change.time_us > wait.since_us
        if container.removed:
            self._on_removed(wait, container, is_news=is_news)
            return
        if (reached := wait.reached(container)) and is_news and wait.container is not None:
            self._fire(wait, container)
        elif not reached and not self._is_expired(wait):
            self._index(wait, container)
            wait.state = WaitState.FOLLOWING
        elif wait.container is not None and wait.state in QUERYING:
            wait.state = WaitState.ASKING_AGAIN
        else:
            self._index(wait, wait.container or container)
            self._query_source(wait)

    def _on_removed(self, wait: PendingWait, container: Container, *, is_news: bool) -> None:
        """Whom a wait is for was removed. If that may have been before it began, another
        one may have the name by now."""
        if wait.container is None:
            wait.removed = container
        elif is_news or wait.key != container.name:
            self._fire(wait, container)
        else:
            self._unindex(wait)
            wait.container = None
            self._unknown.append(wait)
            self._resolve(wait)

    def _query_source(self, wait: PendingWait) -> None:
        """Ask the source of a wait's container how that is now."""
        wait.cancel_grace()
        wait.cancel_query()
        wait.state = WaitState.SEEKING if wait.container is None else WaitState.ASKING
        question = wait.query = self._queries.find(wait.type, wait.lookup_key)
        question.addCallbacks(self._on_answer, self._on_query_failed, (wait,), errbackArgs=(wait,))
        question.addErrback(lambda f: log_messages.WAIT_FAILED.emit(self._log, f))

    def _on_answer(self, found: Container | None, wait: PendingWait) -> None:
        """The source says how it is, after the wait began: that is certain."""
        wait.query, wait.since_us = None, self._now_us()
        if found is None:
            self._on_not_found(wait, is_sure=self._is_live(wait.type))
        elif wait.reached(found):
            self._fire(wait, with_known_exit(found, self._containers.get(found.reference)))
        elif wait.state is WaitState.ASKING_AGAIN:
            self._query_source(wait)
        elif wait.state is not WaitState.FOLLOWING or wait.is_for_another(found):
            self._index(wait, found)
            self._stand_by(wait, WaitState.FOLLOWING)

    def _on_query_failed(self, failure: Failure, wait: PendingWait) -> None:
        """The source does not say; or nothing is asked any more."""
        if failure.check(CancelledError):
            return
        failure.trap(SourceError)
        wait.query = None
        if failure.check(SourceAbsent):
            self._on_not_found(wait, is_sure=True)
            return
        wait.failure = SourceLost(str(failure.value))
        self._stand_by(wait, WaitState.PARKED if wait.container is None else WaitState.FOLLOWING)

    def _on_not_found(self, wait: PendingWait, *, is_sure: bool) -> None:
        """The source has no such container.

        @param is_sure: whether it would have, if there was one.
        """
        if wait.container is not None:
            # Its removal is about to be recorded, unless its whole life was missed.
            is_unheard_of = self._containers.get(wait.container.reference) is None
            self._stand_by(wait, WaitState.FOLLOWING)
            if is_sure and is_unheard_of and not wait.done.called:
                wait.grace = self._clock.callLater(GRACE_SECONDS, self._on_vanished, wait)
        elif not is_sure:
            wait.failure = SourceLost(reason_messages.SOURCE_CATCHING_UP.render(type=wait.type))
            self._stand_by(wait, WaitState.PARKED)
        else:
            wait.state = WaitState.LINGERING
            if wait.removed is None or wait.key == wait.removed.name:
                wait.grace = self._clock.callLater(GRACE_SECONDS, self._on_grace_over, wait)
            else:
                self._finish(wait)  # No other can have its id.

    def _on_grace_over(self, wait: PendingWait) -> None:
        known = self._containers.find(wait.type, wait.key)
        if known is not None and not known.removed:
            self._on_container(wait, ContainerChange(known.reference, known))
        else:
            wait.removed = wait.removed or known
            self._finish(wait)

    def _on_vanished(self, wait: PendingWait) -> None:
        """A container that its source has shown is gone, and nothing of it was recorded."""
        assert wait.container is not None
        gone = attrs.evolve(wait.container, state=State.STOPPED, health="", ports=(), removed=True)
        self._fire(wait, gone)

    def _stand_by(self, wait: PendingWait, state: WaitState) -> None:
        """Nothing more can be done before something changes, if there is time for that."""
        wait.state = state
        if self._is_expired(wait):
            self._finish(wait)

    def _is_expired(self, wait: PendingWait) -> bool:
        return self._clock.seconds() >= wait.until

    def _on_timeout(self, wait: PendingWait) -> None:
        """The time is up."""
        left = wait.began + CONFIRM_SECONDS - self._clock.seconds()
        if wait.state in UNCONFIRMED and left > 0:
            wait.timer = self._clock.callLater(left, self._on_timeout, wait)
        else:
            self._finish(wait)

    def _finish(self, wait: PendingWait) -> None:
        """End a wait with what is known."""
        shown = wait.container or wait.removed
        is_said = wait.state is WaitState.LINGERING
        if shown is not None:
            self._fire(wait, shown, is_certain=is_said or not wait.reached(shown))
            return
        silent = wait.failure or SourceLost(reason_messages.SOURCE_TIMEOUT.render(type=wait.type))
        self._discard(wait)
        wait.done.errback(ContainerNotFound(wait.type, wait.key) if is_said else silent)

    def _fire(self, wait: PendingWait, container: Container, *, is_certain: bool = True) -> None:
        self._discard(wait)
        wait.done.callback(WaitResult(container, is_certain))

    def _index(self, wait: PendingWait, container: Container) -> None:
        """Keep a wait under the reference of its container."""
        self._unindex(wait)
        wait.cancel_grace()
        wait.container = container
        self._known.setdefault(container.reference, []).append(wait)

    def _unindex(self, wait: PendingWait) -> None:
        if wait.container is None:
            self._unknown.remove(wait)
            return
        waits = self._known[wait.container.reference]
        waits.remove(wait)
        if not waits:
            del self._known[wait.container.reference]

    def _discard(self, wait: PendingWait) -> None:
        self.open -= 1
        self._unindex(wait)
        wait.cancel_query()
        wait.cancel_grace()
        if wait.timer is not None and wait.timer.active():
            wait.timer.cancel()
