"""What is asked of an engine while it is followed."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from stationd.interfaces import IHostReactor
from stationd.records import Observation
from stationd_plugins.docker.reconcile import Listing
from stationd_plugins.docker.recording import Witness


class Events(Protocol):
    """A subscription, as L{stationd_plugins.docker.engine.Stream} is one."""

    opened: Deferred[None]
    ended: Deferred[str]

    def take(self, limit: int) -> list[object]:
        """Some of what was read, the oldest."""

    def close(self) -> None:
        """End it."""


class Engine(Witness, Protocol):
    """What is asked of the engine while it is followed.

    @ivar read: the C{identity} of the events that were read last, whatever they mean.
    """

    reactor: IHostReactor
    read: collections.deque[str]

    def stream(self, wake: Callable[[], None]) -> Events:
        """Subscribe to its events; see L{stationd_plugins.docker.engine.Stream}."""

    async def list_all(self) -> Listing:
        """All containers as the engine has them now."""

    async def remembered(self) -> list[object]:
        """See L{stationd_plugins.docker.engine.remembered}."""

    async def ping(self) -> None:
        """Make sure that the engine is there."""

    def decode(self, events: Sequence[object]) -> list[Observation]:
        """What events of the stream mean."""
