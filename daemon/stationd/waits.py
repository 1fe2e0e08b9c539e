"""Waiting until a container is in some state, without a race.

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

from stationd.errors import ContainerUnknown, SourceAbsent, SourceError, SourceLost, TooManyWaits
from stationd.messages import log_messages, reason_messages
from stationd.pending_wait import ASKING, TARGETS, UNCONFIRMED, Wait, Waited, WaitState
from stationd.records import Container, State
from stationd.registry import Change, Containers, names, with_exit
from stationd.source_queries import SourceQuestions

LIMIT = 10_000
"""Waits that are open at once. Each takes some 6 KB with its connection."""

GRACE = 0.5
"""Seconds for which a container that its source does not know may still turn up: what
C{docker run --rm} names may be gone from the engine before its events are on disk."""

CONFIRM = 5.0
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
        containers: Containers,
        questions: SourceQuestions,
        is_live: Callable[[str], bool],
        now_us: Callable[[], int],
    ) -> None:
        self._clock = clock
        self._containers = containers
        self._questions = questions
        self._is_live = is_live
        self._now_us = now_us
        self._known: dict[str, list[Wait]] = {}
        self._unknown: list[Wait] = []
        self.open = 0

    def wait(self, type: str, key: str, target: str, duration: float) -> Deferred[Waited]:
        """Wait until a container is so, is removed, or the time is up.

        @param key: id, prefix of 12 or more, or name; of those that have a name, one
            that exists is preferred to one that was removed.
        @param target: one of L{TARGETS}.
        @param duration: seconds; 0 asks the source once.
        @return: fires with the container as it then is; the caller compares.
            Cancelling it leaves nothing behind.
        @raise ContainerUnknown: (Deferred) there is no such container.
        @raise SourceLost: (Deferred) whether there is one is not known: its source does
            not say.
        @raise TooManyWaits: (Deferred) L{LIMIT} are open.
        """
        began, since_us = self._clock.seconds(), self._now_us()
        done: Deferred[Waited] = Deferred(lambda _: self._forget(wait))
        wait = Wait(type, key, TARGETS[target], began, began + duration, since_us, done)
        if self.open >= LIMIT:
            done.errback(TooManyWaits(LIMIT))
            return done
        self.open += 1
        wait.timer = self._clock.callLater(duration, self._late, wait)
        self._unknown.append(wait)
        self._seek(wait)
        return done

    def changed(self, change: Change) -> None:
        """A container is not what it was."""
        container = change.container
        is_live = self._is_live(container.type)
        filed = self._known.get(change.reference, [])[:]
        for wait in self._unknown[:] if is_live else ():
            if names(container, wait.type, wait.key) and not wait.done.called:
                self._take(wait, change)
        for wait in filed:
            if wait.done.called:
                continue  # Ended by one that was answered before it.
            if is_live:
                self._take(wait, change)
            elif change.reference != container.reference:
                known = wait.container or container
                self._file(wait, attrs.evolve(known, id=container.id, name=container.name))

    def live(self, type: str) -> None:
        """A source has caught up: the registry is how things are now."""
        for wait in [one for one in (*self._unknown, *self._filed()) if one.type == type]:
            if wait.done.called or wait.state is WaitState.SEEKING:
                continue
            if wait.container is None:
                self._seek(wait)
                continue
            known = self._containers.get(wait.container.reference)
            if known is None:
                # Seen when its source was asked, and gone before it could be recorded.
                self._ask(wait)
            elif known.removed or wait.state is WaitState.FOLLOWING:
                self._take(wait, Change(known.reference, known))

    def close(self) -> None:
        """Answer all with the container as it is; those that have found none fail."""
        for wait in [*self._unknown, *self._filed()]:
            self._finish(wait)

    def _filed(self) -> list[Wait]:
        return [wait for waits in self._known.values() for wait in waits]

    def _seek(self, wait: Wait) -> None:
        """Find out whom a wait is for."""
        known = self._containers.find(wait.type, wait.key)
        if known is not None and not known.removed:
            self._take(wait, Change(known.reference, known))
        else:
            wait.removed = known
            self._ask(wait)

    def _take(self, wait: Wait, change: Change) -> None:
        """The registry has whom a wait is for. What may have been so before the wait began
        is no answer: then the source is asked."""
        container = change.container
        is_news = change.time_us > wait.since_us
        if container.removed:
            self._gone(wait, container, is_news=is_news)
            return
        if (reached := wait.reached(container)) and is_news and wait.container is not None:
            self._answer(wait, container)
        elif not reached and not self._is_late(wait):
            self._file(wait, container)
            wait.state = WaitState.FOLLOWING
        elif wait.container is not None and wait.state in ASKING:
            wait.state = WaitState.ASKING_AGAIN
        else:
            self._file(wait, wait.container or container)
            self._ask(wait)

    def _gone(self, wait: Wait, container: Container, *, is_news: bool) -> None:
        """Whom a wait is for was removed. If that may have been before it began, another
        one may have the name by now."""
        if wait.container is None:
            wait.removed = container
        elif is_news or wait.key != container.name:
            self._answer(wait, container)
        else:
            self._unfile(wait)
            wait.container = None
            self._unknown.append(wait)
            self._seek(wait)

    def _ask(self, wait: Wait) -> None:
        """Ask the source of a wait's container how that is now."""
        wait.stop_lingering()
        wait.stop_asking()
        wait.state = WaitState.SEEKING if wait.container is None else WaitState.ASKING
        question = wait.question = self._questions.ask(wait.type, wait.asked_for)
        question.addCallbacks(self._answered, self._unanswered, (wait,), errbackArgs=(wait,))
        question.addErrback(lambda f: log_messages.WAIT_FAILED.emit(self._log, f))

    def _answered(self, found: Container | None, wait: Wait) -> None:
        """The source says how it is, after the wait began: that is certain."""
        wait.question, wait.since_us = None, self._now_us()
        if found is None:
            self._missing(wait, is_sure=self._is_live(wait.type))
        elif wait.reached(found):
            self._answer(wait, with_exit(found, self._containers.get(found.reference)))
        elif wait.state is WaitState.ASKING_AGAIN:
            self._ask(wait)
        elif wait.state is not WaitState.FOLLOWING or wait.container_is_not(found):
            self._file(wait, found)
            self._rest(wait, WaitState.FOLLOWING)

    def _unanswered(self, failure: Failure, wait: Wait) -> None:
        """The source does not say; or nothing is asked any more."""
        if failure.check(CancelledError):
            return
        failure.trap(SourceError)
        wait.question = None
        if failure.check(SourceAbsent):
            self._missing(wait, is_sure=True)
            return
        wait.failure = SourceLost(str(failure.value))
        self._rest(wait, WaitState.PARKED if wait.container is None else WaitState.FOLLOWING)

    def _missing(self, wait: Wait, *, is_sure: bool) -> None:
        """The source has no such container.

        @param is_sure: whether it would have, if there was one.
        """
        if wait.container is not None:
            # Its removal is about to be recorded, unless its whole life was missed.
            is_unheard_of = self._containers.get(wait.container.reference) is None
            self._rest(wait, WaitState.FOLLOWING)
            if is_sure and is_unheard_of and not wait.done.called:
                wait.grace = self._clock.callLater(GRACE, self._vanish, wait)
        elif not is_sure:
            wait.failure = SourceLost(reason_messages.SOURCE_CATCHING_UP.render(type=wait.type))
            self._rest(wait, WaitState.PARKED)
        else:
            wait.state = WaitState.LINGERING
            if wait.removed is None or wait.key == wait.removed.name:
                wait.grace = self._clock.callLater(GRACE, self._linger_over, wait)
            else:
                self._finish(wait)  # No other can have its id.

    def _linger_over(self, wait: Wait) -> None:
        known = self._containers.find(wait.type, wait.key)
        if known is not None and not known.removed:
            self._take(wait, Change(known.reference, known))
        else:
            wait.removed = wait.removed or known
            self._finish(wait)

    def _vanish(self, wait: Wait) -> None:
        """A container that its source has shown is gone, and nothing of it was recorded."""
        assert wait.container is not None
        gone = attrs.evolve(wait.container, state=State.STOPPED, health="", ports=(), removed=True)
        self._answer(wait, gone)

    def _rest(self, wait: Wait, state: WaitState) -> None:
        """Nothing more can be done before something changes, if there is time for that."""
        wait.state = state
        if self._is_late(wait):
            self._finish(wait)

    def _is_late(self, wait: Wait) -> bool:
        return self._clock.seconds() >= wait.until

    def _late(self, wait: Wait) -> None:
        """The time is up."""
        left = wait.began + CONFIRM - self._clock.seconds()
        if wait.state in UNCONFIRMED and left > 0:
            wait.timer = self._clock.callLater(left, self._late, wait)
        else:
            self._finish(wait)

    def _finish(self, wait: Wait) -> None:
        """End a wait with what is known."""
        shown = wait.container or wait.removed
        is_said = wait.state is WaitState.LINGERING
        if shown is not None:
            self._answer(wait, shown, is_certain=is_said or not wait.reached(shown))
            return
        silent = wait.failure or SourceLost(reason_messages.SOURCE_SILENT.render(type=wait.type))
        self._forget(wait)
        wait.done.errback(ContainerUnknown(wait.type, wait.key) if is_said else silent)

    def _answer(self, wait: Wait, container: Container, *, is_certain: bool = True) -> None:
        self._forget(wait)
        wait.done.callback(Waited(container, is_certain))

    def _file(self, wait: Wait, container: Container) -> None:
        """Keep a wait under the reference of its container."""
        self._unfile(wait)
        wait.stop_lingering()
        wait.container = container
        self._known.setdefault(container.reference, []).append(wait)

    def _unfile(self, wait: Wait) -> None:
        if wait.container is None:
            self._unknown.remove(wait)
            return
        waits = self._known[wait.container.reference]
        waits.remove(wait)
        if not waits:
            del self._known[wait.container.reference]

    def _forget(self, wait: Wait) -> None:
        self.open -= 1
        self._unfile(wait)
        wait.stop_asking()
        wait.stop_lingering()
        if wait.timer is not None and wait.timer.active():
            wait.timer.cancel()
