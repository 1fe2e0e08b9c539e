"""Verification of passwords in threads of their own, few at a time: each takes a tenth of a second
of a core and 32 MiB."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from stationd.errors import TooManyLogins
from stationd.web.users_file import verify_password

MAX_THREADS = 2
"""Passwords that are compared at the same time."""

MAX_QUEUED = 20
"""Passwords that may wait for their turn: a second's worth."""


class IHashingThreads(Protocol):
    """Where hashes are computed."""

    def start(self) -> None:
        """Get ready."""

    def run(self, work: Callable[[], bool]) -> Deferred[bool]:
        """Call a function in a thread. Cancelling this has no effect on the thread."""

    def stop(self) -> None:
        """Release the threads. They have nothing left to do."""


class HashingThreads:
    """Threads for this alone: the reactor's own are for whoever resolves a name, too."""

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, MAX_THREADS, "passwords")

    def start(self) -> None:
        self._pool.start()

    def run(self, work: Callable[[], bool]) -> Deferred[bool]:
        return deferToThreadPool(self._reactor, self._pool, work)

    def stop(self) -> None:
        self._pool.stop()


class PasswordVerifier(Service):
    """Passwords in turn. One whose client disconnects leaves the queue; one that is being compared
    keeps its place until its thread has finished, whoever still wants to know."""

    def __init__(self, threads: IHashingThreads) -> None:
        self._threads = threads
        self._waiting: dict[Deferred[bool], Callable[[], bool]] = {}
        self._computing: set[Deferred[bool]] = set()

    def startService(self) -> None:
        self._threads.start()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Drop what waits, and let what is being computed finish."""
        super().stopService()
        waiting, self._waiting = self._waiting, {}
        for one in waiting:
            one.errback(TooManyLogins())
        finished = DeferredList(list(self._computing))
        return finished.addCallback(lambda _: self._threads.stop())

    def verify(self, password: str, hash: str) -> Deferred[bool]:
        """Whether a password is the one of a hash. Cancelling the Deferred takes it out of the
        queue.

        @raise TooManyLogins: too many wait, or the daemon is stopping.
        """
        if not self.running or len(self._waiting) >= MAX_QUEUED:
            raise TooManyLogins()
        waiting: Deferred[bool] = Deferred(self._on_cancelled)
        self._waiting[waiting] = functools.partial(verify_password, password, hash)
        self._start_next()
        return waiting

    def _on_cancelled(self, waiting: Deferred[bool]) -> None:
        self._waiting.pop(waiting, None)

    def _start_next(self) -> None:
        while self._waiting and len(self._computing) < MAX_THREADS:
            waiting = next(iter(self._waiting))
            computing = self._threads.run(self._waiting.pop(waiting))
            self._computing.add(computing)
            computing.addBoth(self._on_computed, computing, waiting)

    def _on_computed(
        self, result: bool | Failure, computing: Deferred[bool], waiting: Deferred[bool]
    ) -> None:
        self._computing.remove(computing)
        # One that was cancelled has been called.
        if not waiting.called:
            waiting.callback(result)
        self._start_next()
