"""The event feed: wakes those who wait for new events.

What is new is read from the journal by whoever was told, at his own pace; nothing
is queued here, so a slow reader costs nobody anything.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred


class Feed:
    """The last committed number of the event journal, and who waits for more."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._waiting: dict[Deferred[None], int] = {}
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def wait_after(self, number: int) -> Deferred[None]:
        """Fires when an event with a greater number is committed; at once if one is.
        Cancelling it leaves nothing behind; L{close} cancels it, too."""
        done: Deferred[None] = Deferred(self._discard)
        if self._last > number:
            done.callback(None)
        else:
            self._waiting[done] = number
            if self._closed:
                done.cancel()
        return done

    def committed(self, last: int) -> None:
        """Everything up to a number is in the journal."""
        self._last = max(self._last, last)
        ready = [done for done, number in self._waiting.items() if number < self._last]
        for done in ready:
            # Firing one can cancel another.
            if self._waiting.pop(done, None) is not None:
                done.callback(None)

    def _discard(self, done: Deferred[None]) -> None:
        self._waiting.pop(done, None)

    def close(self) -> None:
        """Let everybody who waits go."""
        self._closed = True
        for done in list(self._waiting):
            done.cancel()
