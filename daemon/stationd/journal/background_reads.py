"""Queries that never wait for the disk: what is not in memory is read in threads."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred

from stationd.interfaces import Waiting
from stationd.journal.cold_reads import Fetched, NotCached, without_waiting
from stationd.journal.query import ColdStep
from stationd.records import Record

MAX_READS = 32
"""Threads that read for queries at the same time. A query has one at most; a disk that sleeps
is woken by the first."""


class _Reading:
    """A read, and who waits for it."""

    def __init__(self) -> None:
        self.is_over = False
        self._waiting: list[Deferred[None]] = []

    def wait(self) -> Deferred[None]:
        """Fires when it is over."""
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        return done

    def end(self) -> None:
        """It is over."""
        self.is_over = True
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)


def start_thread(work: Callable[[], None]) -> None:
    """Do something in a thread that does not keep the process alive: a disk may never answer."""
    threading.Thread(target=work, name="journal-read", daemon=True).start()


class BackgroundReads:
    """All reads of a journal's queries.

    @param deliver: runs what it is given in the thread of the queries.
    @param start: does something in a thread.
    """

    def __init__(
        self,
        deliver: Callable[[Callable[[], None]], None],
        start: Callable[[Callable[[], None]], None],
    ) -> None:
        self._deliver = deliver
        self._start = start
        self._running = 0
        self._queue: collections.deque[tuple[NotCached, _Reading]] = collections.deque()

    def steps(self, query: Iterator[list[Record]]) -> Iterator[list[Record]]:
        """The steps of a query, a L{Waiting} in place of each that would wait."""
        fetched: Fetched = {}
        while True:
            with without_waiting(fetched):
                found = next(query, None)
            if found is None:
                return
            if not isinstance(found, ColdStep):
                yield found
                continue
            reading = _Reading()
            self._queue.append((found.cold, reading))
            self._begin()
            while not reading.is_over:
                yield Waiting(reading.wait())

    def _begin(self) -> None:
        while self._queue and self._running < MAX_READS:
            cold, reading = self._queue.popleft()
            self._running += 1
            try:
                self._start(lambda cold=cold, reading=reading: self._read(cold, reading))  # type: ignore[misc]
            except RuntimeError:
                # No thread can be had: this one waits, rather than calling it damage.
                cold.fetch()
                self._end(reading)

    def _read(self, cold: NotCached, reading: _Reading) -> None:
        """In a thread."""
        cold.fetch()
        self._deliver(lambda: self._end(reading))

    def _end(self, reading: _Reading) -> None:
        self._running -= 1
        self._begin()
        reading.end()
