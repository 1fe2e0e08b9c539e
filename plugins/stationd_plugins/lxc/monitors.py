"""Connections to the lxc-monitord of each LXC path, and what is heard over them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from stationd.interfaces import IHostReactor
from stationd.records import Observation
from stationd_plugins.lxc.monitord import Client, Heard, Message
from stationd_plugins.lxc.tracker import Tracker

LATE, STEP = 0.5, 0.02
"""Seconds that lxc-monitord has to tell how a run ended that a scan has seen to be over, and after
which to look whether it has. It takes a millisecond or two, on a busy machine more; of a run whose
monitor was killed it never does."""

AGAIN = 5.0
"""Seconds between attempts to connect to one."""


class Connectable(Protocol):
    """What has LXC paths.

    @ivar paths: these. C{now_us}: the time.
    """

    paths: tuple[str, ...]
    reactor: IHostReactor
    now_us: Callable[[], int]
    tracker: Tracker

    def connect(self, paths: Sequence[str]) -> Deferred[dict[str, socket.socket]]:
        """Connect to the lxc-monitord of some LXC paths; see
        L{stationd_plugins.lxc.daemons.Daemons.connect}."""


class Monitors:
    """All connections.

    @param told: called when something was heard.
    @ivar heard: it.
    """

    def __init__(self, source: Connectable, told: Callable[[], None]) -> None:
        self.heard = Heard()
        self._source = source
        self._told = told
        self._clients: dict[str, Client] = {}
        self._connect_at = 0.0
        self._closed = False

    async def connect(self) -> None:
        """Listen to each that can be had, if it is time to try."""
        now = self._source.reactor.seconds()
        missing = [path for path in self._source.paths if path not in self._clients]
        if not missing or now < self._connect_at:
            return
        self._connect_at = now + AGAIN
        for path, connection in (await self._source.connect(missing)).items():
            if self._closed:
                connection.close()
                continue
            self._clients[path] = Client(
                self._source.reactor, connection, path, self._hear, self._lost
            )
        self.heard.listening = bool(self._clients)

    def _hear(self, client: Client, messages: Sequence[Message]) -> None:
        homes = self._source.tracker.homes
        for message in messages:
            # Of the same name in two paths only the one that is known is followed.
            if homes.get(message.name) in (client.path, None):
                self.heard.hear(message, self._source.now_us())
        self._told()

    def _lost(self, client: Client) -> None:
        del self._clients[client.path]
        self.heard.listening = bool(self._clients)
        self.heard.deafen()

    def awaited(self, happened: Sequence[Observation], homes: Mapping[str, str]) -> dict[str, str]:
        """Those of which a monitor may still say how they stopped, and their LXC paths.

        @param homes: the LXC paths of all containers, by name.
        """
        return {
            one.name: homes[one.name]
            for one in happened
            if _is_unexplained(one) and self._may_say(one.name, homes.get(one.name))
        }

    def _may_say(self, name: str, path: str | None) -> bool:
        return path in self._clients and not self.heard.end(name)

    async def wait(self, awaited: Mapping[str, str]) -> None:
        """Until they are L{explained}, or are not in L{LATE} seconds.

        @param awaited: see L{Monitors.awaited}.
        """
        until = self._source.reactor.seconds() + LATE - STEP / 2
        while self._source.reactor.seconds() < until and not self._closed:
            if not any(self._may_say(name, path) for name, path in awaited.items()):
                break
            await deferLater(self._source.reactor, STEP)

    def explained(self, happened: Sequence[Observation]) -> list[Observation]:
        """The same; of a stop how it ended, if a monitor has said so."""
        return [
            attrs.evolve(one, details=self.heard.end(one.name)) if _is_unexplained(one) else one
            for one in happened
        ]

    def close(self) -> None:
        """Give all back."""
        self._closed = True
        for client in self._clients.values():
            client.close()


def _is_unexplained(one: Observation) -> bool:
    return one.action == "stop" and not one.details


def apart(
    happened: Sequence[Observation], names: Collection[str]
) -> tuple[list[Observation], list[Observation]]:
    """What happened to others, and to containers of some names: with all that must be recorded
    in the same order, as of those that take the names of one another."""
    together = {*names}
    pairs = [{one.name, str(one.details.get("old", one.name))} for one in happened]
    while more := {name for pair in pairs if pair & together for name in pair} - together:
        together |= more
    others = [one for one in happened if one.name not in together]
    return others, [one for one in happened if one.name in together]
