"""A worker thread: it sleeps until woken, then does the one thing it is for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class IWorker(Protocol):
    """Somebody who does a piece of work, later or at once, never twice at a time."""

    def wake(self) -> None:
        """Have the work done once more after this call. Any number of calls before
        it begins are one."""

    def stop(self) -> None:
        """Have it done a last time, and release the thread before returning."""


class ThreadWorker:
    """Work in a thread."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._condition = threading.Condition()
        self._woken = False
        self._stopping = False
        # A daemon thread: a start that fails half-way must not hang the process,
        # and what it has not flushed nobody has been promised.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        with self._condition:
            self._woken = True
            self._condition.notify()

    def stop(self) -> None:
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not (self._woken or self._stopping):
                    self._condition.wait()
                self._woken = False
                stopping = self._stopping
            self._work()
            if stopping:
                return
