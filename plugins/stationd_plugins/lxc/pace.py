"""When to look again: soon while a container is on its way from one state to another, seldom
while none is, and never more than a share of the time. Pure."""

from __future__ import annotations

from collections.abc import Collection

SOON = 0.01
"""Seconds between scans while a container starts, stops or freezes: nothing tells when it
has."""

WAITING = 0.5
"""The same when that lasts long; and while a container has no address that ports may lead to,
or its monitor does not answer."""

NET = 5.0
"""Seconds between scans that nothing has asked for, in case a signal was lost."""

PATIENCE = 0.1
"""Part of the time for which something has lasted that we wait until we look again: that it
is over is told that much too late at most."""

SHARE = 0.3
"""Part of the time that scans may take. With a tenth, and signals all the time, a freeze of a
tenth of a second was missed."""

CREDIT = 0.5
"""Seconds of scans that may be made at once after a rest, for the signals that come together
when a container starts."""

LEAST_REST = 0.001
"""Seconds that it is worth to wait."""


class Pace:
    """What scans have cost, and what is waited for."""

    def __init__(self) -> None:
        self._debt = 0.0
        self._at = 0.0
        self._unsettled: dict[str, float] = {}
        self._waiting: dict[str, float] = {}

    def scanned(
        self, now: float, cost: float, unsettled: Collection[str], waiting: Collection[str]
    ) -> None:
        """A scan is through.

        @param cost: seconds of CPU time that it took.
        @param unsettled: what is on its way to another state, C{waiting}: what else is to
            be looked at again.
        """
        self._debt = self._owed(now) + cost
        self._at = now
        self._unsettled = {name: self._unsettled.get(name, now) for name in unsettled}
        self._waiting = {name: self._waiting.get(name, now) for name in waiting}

    def _owed(self, now: float) -> float:
        return max(0.0, self._debt - (now - self._at) * SHARE)

    def rest(self, now: float) -> float:
        """Seconds until the next scan may begin, whoever asks for it."""
        rest = (self._owed(now) - CREDIT) / SHARE
        # What a timer would make of less is a loop.
        return rest if rest > LEAST_REST else 0.0

    def pause(self, now: float) -> float:
        """Seconds until one is to begin that nobody asks for."""
        soon = [_between(SOON, now - since, WAITING) for since in self._unsettled.values()]
        later = [_between(WAITING, now - since, NET) for since in self._waiting.values()]
        return max(self.rest(now), min([NET, *soon, *later]))


def _between(least: float, lasted: float, most: float) -> float:
    return min(max(least, lasted * PATIENCE), most)
