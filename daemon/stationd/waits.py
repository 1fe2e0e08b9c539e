"""Waiting until a container is in some state, without a race.

A state may be reached between the look and the wait: here a wait is filed under its
container's reference in the turn of the reactor in which that is looked up, and sees
every later change. The look may be stale: C{docker start X; wait X stopped} can arrive
before the start is recorded. And a source that catches up replays the past. So two
things end a wait: a change that a live source sees while the registry agrees with the
world; and the source's own word, asked after the wait began.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from stationd.containers import Change, Containers, names, with_exit
from stationd.errors import ContainerUnknown, SourceAbsent, SourceError, TooManyWaits
from stationd.records import Container, State
from stationd.wait_states import TARGETS, UNCONFIRMED, Wait, Waited, WaitState

LIMIT = 10_000
"""Waits that are open at once. Each takes some 6 KB with its connection."""

GRACE = 0.5
"""Seconds for which a container that its source does not know may still turn up: what
C{docker run --rm} names may be gone from the engine before its events are on disk."""

CONFIRM = 5.0
"""Seconds from its beginning that a wait may take, if it was asked to take less, until
its source has answered: an engine that starts many containers answers late."""

RETRY = 1.0
"""Seconds before a live source that failed to answer is asked again."""


class Waits:
    """All waits for containers.

    @param containers: the registry; L{changed} is called after each change of it.
    @param outside: asks the source of a type for a container as it is in the world
        (L{stationd.interfaces.ISource.find}).
    @param is_live: whether what a source of a type sees is how things are now;
        L{live} is called when it becomes so.
    @ivar open: how many there are.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        containers: Containers,
        outside: Callable[[str, str], Deferred[Container | None]],
        is_live: Callable[[str], bool],
    ) -> None:
        self._clock = clock
        self._containers = containers
        self._outside = outside
        self._is_live = is_live
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
        @raise TooManyWaits: (Deferred) L{LIMIT} are open.
        """
        now = self._clock.seconds()
        done: Deferred[Waited] = Deferred(lambda _: self._forget(wait))
        wait = Wait(type, key, TARGETS[target], now, now + duration, done)
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
        for wait in self._unknown[:]:
            if is_live and names(container, wait.type, wait.key):
                if container.removed:
                    wait.removed = container
                else:
                    self._meet(wait, container)
        for wait in self._known.get(change.reference, [])[:]:
            if wait.done.called:
                continue  # Ended by whoever was answered before it.
            if is_live:
                self._take(wait, container)
            elif change.reference != container.reference:
                known = wait.container or container
                self._file(wait, attrs.evolve(known, id=container.id, name=container.name))

    def live(self, type: str) -> None:
        """A source has caught up: the registry is how things are now."""
        for wait in [one for one in self._unknown if one.type == type]:
            if wait.state is WaitState.PARKED:
                self._seek(wait)
        for wait in [one for one in self._filed() if one.type == type]:
            assert wait.container is not None
            known = self._containers.get(wait.container.reference)
            if known is None:
                # Seen when its source was asked, and gone before it could be recorded.
                self._ask(wait)
            elif known.removed:
                self._answer(wait, known)
            elif wait.state not in (WaitState.ASKING, WaitState.ASKING_AGAIN):
                self._meet(wait, known)

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
            self._meet(wait, known)
            return
        wait.removed = known
        self._ask(wait)

    def _meet(self, wait: Wait, container: Container) -> None:
        """The registry has whom a wait is for. If it says that the state is reached, or
        there is no time for a change, the source is asked."""
        self._file(wait, container)
        if wait.reached(container) or self._is_late(wait):
            self._ask(wait)
        else:
            wait.state = WaitState.SETTLED

    def _take(self, wait: Wait, container: Container) -> None:
        """A live source has seen a change of the container of a wait."""
        if container.removed:
            self._answer(wait, container)
        elif not wait.reached(container):
            self._file(wait, container)
            wait.state = WaitState.SETTLED
        elif wait.state is WaitState.SETTLED:
            self._answer(wait, container)
        elif wait.state is WaitState.DOUBTING or wait.pause is not None:
            self._ask(wait)
        else:
            wait.state = WaitState.ASKING_AGAIN

    def _ask(self, wait: Wait) -> None:
        """Ask the source of a wait's container how that is now."""
        wait.end_pause()
        wait.state = WaitState.SEEKING if wait.container is None else WaitState.ASKING
        asking = Deferred.fromCoroutine(self._look(wait))
        asking.addErrback(lambda f: self._log.failure("a wait cannot go on", failure=f))

    async def _look(self, wait: Wait) -> None:
        key = wait.key if wait.container is None else wait.container.id
        try:
            found = await self._outside(wait.type, key)
        except SourceAbsent:
            self._missing(wait, is_sure=True)
        except SourceError:
            self._unanswered(wait)
        except Exception:  # noqa: BLE001 - a bug of a plugin is no answer
            self._log.failure("a source failed to look")
            self._unanswered(wait)
        else:
            if found is None:
                self._missing(wait, is_sure=self._is_live(wait.type))
            else:
                self._found(wait, found)

    def _found(self, wait: Wait, found: Container) -> None:
        """The source has a container. What it says was asked after the wait began, so it
        is certain."""
        if wait.done.called:
            return
        known = self._containers.get(found.reference)
        if wait.reached(found):
            self._answer(wait, with_exit(found, known))
        elif wait.state is WaitState.ASKING_AGAIN:
            self._ask(wait)
        elif wait.state is not WaitState.SETTLED:
            self._file(wait, found)
            is_caught_up = self._is_live(wait.type) and known and not wait.reached(known)
            self._rest(wait, WaitState.SETTLED if is_caught_up else WaitState.DOUBTING)

    def _missing(self, wait: Wait, *, is_sure: bool) -> None:
        """The source has no such container.

        @param is_sure: whether it would have, if there was one.
        """
        if wait.done.called or wait.state is WaitState.SETTLED:
            return
        if wait.container is not None:
            # Its removal is about to be recorded, unless its whole life was missed.
            self._rest(wait, WaitState.DOUBTING)
            if is_sure and self._containers.get(wait.container.reference) is None:
                self._pause(wait, GRACE, self._vanish)
        elif not is_sure:
            self._rest(wait, WaitState.PARKED)
        else:
            wait.state = WaitState.LINGERING
            if wait.removed is None or wait.key == wait.removed.name:
                self._pause(wait, GRACE, self._finish)
            else:
                # No other can have its id.
                self._finish(wait)

    def _unanswered(self, wait: Wait) -> None:
        """The source did not say."""
        if wait.done.called or wait.state is WaitState.SETTLED:
            return
        if self._is_live(wait.type):
            self._pause(wait, RETRY, self._ask)
        else:
            self._rest(wait, WaitState.PARKED if wait.container is None else WaitState.DOUBTING)

    def _rest(self, wait: Wait, state: WaitState) -> None:
        """Nothing more can be done before something changes, if there is time for that."""
        wait.state = state
        if self._is_late(wait):
            self._finish(wait)

    def _pause(self, wait: Wait, seconds: float, then: Callable[[Wait], None]) -> None:
        if not wait.done.called:
            wait.end_pause()
            wait.pause = self._clock.callLater(seconds, then, wait)

    def _vanish(self, wait: Wait) -> None:
        """A container that its source has shown is gone, and nothing of it was recorded."""
        assert wait.container is not None
        gone = attrs.evolve(wait.container, state=State.STOPPED, health="", ports=(), removed=True)
        self._answer(wait, gone)

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
        if shown is None:
            self._forget(wait)
            wait.done.errback(ContainerUnknown(wait.type, wait.key))
        else:
            is_certain = wait.state is WaitState.LINGERING or not wait.reached(shown)
            self._answer(wait, shown, is_certain=is_certain)

    def _answer(self, wait: Wait, container: Container, *, is_certain: bool = True) -> None:
        self._forget(wait)
        wait.done.callback(Waited(container, is_certain))

    def _file(self, wait: Wait, container: Container) -> None:
        """Keep a wait under the reference of its container."""
        self._unfile(wait)
        wait.end_pause()
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
        wait.end_pause()
        if wait.timer is not None and wait.timer.active():
            wait.timer.cancel()
