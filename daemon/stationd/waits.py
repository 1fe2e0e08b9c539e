"""Waiting until a container is in some state, without a race.

There are two races to lose. A state may be reached between the look and the wait:
here a wait is parked under the container's reference in the same turn of the
reactor in which it is looked up, and every later change passes by. And the look
itself may be stale: C{docker start X; wait X stopped} can arrive before the start
has been recorded. So when a container seems to be so already, its source is asked
as well, and if that says otherwise, only a state reached after another one counts.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from stationd.containers import Change, Containers, names, with_exit
from stationd.errors import ContainerUnknown, TooManyWaits
from stationd.records import Container, State

LIMIT = 10_000
"""Waits that are open at once. Each takes some 6 KB with its connection."""

GRACE = 0.5
"""Seconds for which a container that nobody knows may still turn up: what
C{docker run --rm} names may be gone from the engine before its events are on disk."""

LOOK = 0.25
"""Seconds that the source has to confirm a state before the registry's word is
taken. The engine answers within a few milliseconds or is in trouble."""

TARGETS: dict[str, Callable[[Container], bool]] = {
    "running": lambda c: c.state is State.RUNNING,
    "stopped": lambda c: c.state is State.STOPPED,
    "paused": lambda c: c.state is State.PAUSED,
    "healthy": lambda c: c.health == "healthy",
    "removed": lambda c: c.removed,
}
"""What can be waited for, and when a container is so."""


@attrs.define(eq=False)
class _Wait:
    """One caller.

    @ivar until: when the time is up, on the clock.
    @ivar container: whom it waits for; C{None} while nobody knows such a container
        and it is hoped that one turns up.
    @ivar settled: whether a change to the state waited for can be believed. If the
        registry was stale, its next changes may be as old.
    @ivar confirming: the source is being asked, and not for long (L{LOOK}).
    """

    type: str
    key: str
    reached: Callable[[Container], bool]
    until: float
    done: Deferred[Container]
    container: Container | None = None
    settled: bool = True
    confirming: bool = False
    timer: IDelayedCall | None = None

    def over(self, container: Container) -> bool:
        """Whether there is nothing more to wait for."""
        return container.removed or self.reached(container)


class Waits:
    """Everybody who waits for a container.

    @param containers: the registry; L{changed} is called after each change of it.
    @param outside: asks the source of a type for a container as it is in the world
        (L{stationd.interfaces.ISource.find}).
    @ivar open: how many wait.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        containers: Containers,
        outside: Callable[[str, str], Deferred[Container | None]],
    ) -> None:
        self._clock = clock
        self._containers = containers
        self._outside = outside
        self._parked: dict[str, list[_Wait]] = {}
        self._unknown: list[_Wait] = []
        self.open = 0

    def wait(self, type: str, key: str, target: str, duration: float) -> Deferred[Container]:
        """Wait until a container is so, is removed, or the time is up.

        @param key: id, prefix of 12 or more, or name.
        @param target: one of L{TARGETS}.
        @param duration: seconds.
        @return: fires with the container as it then is; the caller compares.
            Cancelling it leaves nothing behind.
        @raise ContainerUnknown: (Deferred) there is no such container.
        @raise TooManyWaits: (Deferred) L{LIMIT} are open.
        """
        done: Deferred[Container] = Deferred(lambda _: self._forget(wait))
        until = self._clock.seconds() + duration
        wait = _Wait(type, key, TARGETS[target], until, done)
        if self.open >= LIMIT:
            done.errback(TooManyWaits(LIMIT))
            return done
        known = self._containers.find(type, key)
        if known is not None and known.removed:
            done.callback(known)
            return done
        self.open += 1
        if known is None:
            self._unknown.append(wait)
            self._look(wait, key)
        else:
            self._meet_first(wait, known)
        return done

    def changed(self, change: Change) -> None:
        """A container is not what it was."""
        for wait in self._unknown[:]:
            if names(change.container, wait.type, wait.key):
                self._unpark(wait)
                self._meet_first(wait, change.container)
        for wait in self._parked.get(change.reference, [])[:]:
            self._meet(wait, change.container)

    def close(self) -> None:
        """Answer everybody with the container as it is; those for whom none turned
        up are told so."""
        for wait in self._unknown[:]:
            self._fail(wait)
        for parked in list(self._parked.values()):
            for wait in parked[:]:
                assert wait.container is not None
                self._answer(wait, wait.container)

    def _look(self, wait: _Wait, key: str) -> None:
        looking = self._outside(wait.type, key)
        looking.addCallback(self._looked, wait)
        looking.addErrback(lambda f: self._log.failure("a source failed to look", failure=f))

    def _looked(self, found: Container | None, wait: _Wait) -> None:
        """The source has answered; meanwhile the registry may know more."""
        if wait.done.called:
            return
        if wait.container is None:
            if found is None:
                wait.timer = self._clock.callLater(GRACE, self._fail, wait)
                return
            self._unpark(wait)
            self._park(wait, found)
            if wait.over(found):
                self._answer(wait, found)
        elif wait.confirming and found is not None:
            # If the source does not know it, it was removed, which we shall hear
            # of, or the source is in trouble, and then the time is soon up.
            wait.confirming = False
            if not wait.settled and wait.reached(found):
                self._answer(wait, with_exit(found, wait.container))
            else:
                self._unpark(wait)
                self._park(wait, wait.container)

    def _meet_first(self, wait: _Wait, container: Container) -> None:
        """It is now known whom a wait is for."""
        wait.confirming = wait.reached(container) and not container.removed
        wait.settled = not wait.confirming
        self._park(wait, container)
        if container.removed:
            self._answer(wait, container)
        elif wait.confirming:
            self._look(wait, container.id)

    def _park(self, wait: _Wait, container: Container) -> None:
        wait.container = container
        self._parked.setdefault(container.reference, []).append(wait)
        left = LOOK if wait.confirming else max(0, wait.until - self._clock.seconds())
        wait.timer = self._clock.callLater(left, self._late, wait)

    def _meet(self, wait: _Wait, container: Container) -> None:
        """The container of a parked wait is not what it was."""
        assert wait.container is not None
        if container.removed or (wait.settled and wait.reached(container)):
            self._answer(wait, container)
            return
        if not wait.reached(container):
            wait.settled = True
        if wait.container.reference != container.reference:
            self._unpark(wait)
            self._park(wait, container)
        wait.container = container

    def _late(self, wait: _Wait) -> None:
        """The time is up: for the wait, or for the source to confirm it."""
        assert wait.container is not None
        if wait.confirming and not wait.reached(wait.container):
            wait.confirming = False
            self._unpark(wait)
            self._park(wait, wait.container)
        else:
            self._answer(wait, wait.container)

    def _answer(self, wait: _Wait, container: Container) -> None:
        self._forget(wait)
        wait.done.callback(container)

    def _fail(self, wait: _Wait) -> None:
        self._forget(wait)
        wait.done.errback(ContainerUnknown(wait.type, wait.key))

    def _forget(self, wait: _Wait) -> None:
        self.open -= 1
        self._unpark(wait)

    def _unpark(self, wait: _Wait) -> None:
        if wait.timer is not None and wait.timer.active():
            wait.timer.cancel()
        wait.timer = None
        if wait.container is None:
            self._unknown.remove(wait)
            return
        parked = self._parked[wait.container.reference]
        parked.remove(wait)
        if not parked:
            del self._parked[wait.container.reference]
