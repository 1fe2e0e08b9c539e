"""One subscription to a Docker engine: resumes where the journal ends, lists, works out
what nobody told, and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from stationd.errors import JournalError, SourceError, SourceLost
from stationd.interfaces import IHostReactor, IRecorder
from stationd.records import Level, Observation
from stationd_plugins.docker.deaths import Deaths
from stationd_plugins.docker.decode import TYPE, Inspected, time_ns_of
from stationd_plugins.docker.engine import QUEUE_LIMIT, STOP_TIMEOUT
from stationd_plugins.docker.lives import Lives
from stationd_plugins.docker.reconcile import FUTURE_NS, Listing, reconcile

OVERLAP_NS = 2_000_000_000
"""How far before the newest recorded event something can be missing: the stream's order
has inversions of some milliseconds under load."""

REMEMBERED = 256
"""Events that an engine remembers."""

SETTLED = 1.0
"""Seconds after a listing in which the engine must have told of all that is in it."""

BATCH = 128
"""Events that are recorded together: some 5 ms of work. Only when they are on disk are the
next taken from the stream, which counts what waits there."""

CHANGES = frozenset(["create", "start", "die", "pause", "unpause", "rename", "restart", "destroy"])
"""What makes a container another than a listing shows."""


class Events(Protocol):
    """A subscription, as L{Stream} is one."""

    opened: Deferred[None]
    ended: Deferred[str]

    def take(self, limit: int) -> list[object]:
        """Some of what was read, the oldest."""

    def close(self) -> None:
        """End it."""


class Engine(Protocol):
    """What is asked of the engine while it is followed."""

    reactor: IHostReactor

    def stream(self, wake: Callable[[], None]) -> Events:
        """Subscribe to its events; see L{Stream}."""

    async def list_all(self) -> Listing:
        """All containers as the engine has them now."""

    async def remembered(self) -> list[object]:
        """All events that the engine still knows, in order."""

    def decode(self, events: Sequence[object]) -> list[Observation]:
        """What events of the stream mean."""

    async def inspect(self, key: str) -> Inspected | None:
        """A container as the engine has it now, C{None} if it does not say."""

    async def looked_into(self, died: Observation) -> Observation:
        """An exit with what only the kernel or the engine can tell of it."""

    async def published(self, id: str) -> tuple[str, ...]:
        """The ports that a container has published; none if it does not run."""


class Following:
    """One subscription to the event stream, from its beginning to its end."""

    _log = Logger()

    def __init__(self, source: Engine, recorder: IRecorder) -> None:
        self._source = source
        self._recorder = recorder
        self._done: Deferred[None] = Deferred()
        self._gone: Deferred[None] = Deferred()
        self._error: Exception | None = None
        self._live = False
        self._origins = recorder.origins(TYPE)
        known = recorder.known(TYPE)
        self._ports = {container.id: container.ports for container in known.containers}
        # The origin of the last start of each that runs.
        self._starts: dict[str, str] = {}
        self._since_ns = since_ns(self._origins, time.time_ns())
        self._deaths = Deaths(self._origins)
        self._lives = Lives(self._origins, known)
        # The origins of what was told while catching up: the stream tells of it again.
        self._told: set[str] = set()
        self._recording: Deferred[None] | None = None
        self._stream = source.stream(self._arrived)
        self._stream.ended.addCallback(self._ended)
        self._catching_up = Deferred.fromCoroutine(self._catch_up())
        self._catching_up.addErrback(self._failed)

    def done(self) -> Deferred[None]:
        """See L{ISource.follow}."""
        return self._done.addErrback(lambda f: Deferred.fromCoroutine(self._release(f)))

    async def _catch_up(self) -> None:
        """First what happened before the listing was asked for, then the listing,
        then what happened since: so that the newest word about a container is
        always the last one, whatever the clocks say."""
        await self._stream.opened
        self._recorder.connected(TYPE)
        # Asked for after the stream was opened: so nothing falls between the two.
        remembered = await self._source.remembered()
        seen = self._news(remembered)
        await self._record(seen)
        listing = await self._source.list_all()
        missed = self._missed(listing)
        since: list[Observation] = []
        if missed:
            # What looks like missed may be told in a moment.
            await deferLater(self._source.reactor, SETTLED)
            since = self._news(await self._source.remembered())
        since += self._news(self._stream.take(QUEUE_LIMIT))
        missed = missed and self._missed(listing, since)
        overlaps = any(one.origin in self._origins for one in seen)
        if self._since_ns and not overlaps and (missed or len(remembered) >= REMEMBERED):
            self._recorder.note(Level.WARN, forgotten(self._since_ns + OVERLAP_NS, len(missed)))
        await self._record(missed)
        self._lives.listed(listing.ids)
        containers = [one.container for one in listing.containers]
        self._ports = {container.id: container.ports for container in containers}
        await self._recorder.listing(TYPE, containers)
        await self._record(since)
        self._live = True
        self._arrived()
        self._recorder.live(TYPE)

    def _arrived(self) -> None:
        """Events were read."""
        if self._live and self._error is None and self._recording is None:
            recording = self._recording = Deferred.fromCoroutine(self._record_all())
            recording.addErrback(self._failed)
            recording.addCallback(self._recorded)

    async def _record_all(self) -> None:
        """Record what waits, until nothing does."""
        while events := self._stream.take(BATCH):
            await self._record(self._news(events))

    def _recorded(self, _: None) -> None:
        self._recording = None

    def _news(self, events: Sequence[object]) -> list[Observation]:
        """What events mean that were not told while catching up."""
        news = [one for one in self._source.decode(events) if one.origin not in self._told]
        if not self._live:
            self._told.update(one.origin for one in news)
        return news

    def _missed(self, listing: Listing, since: Sequence[Observation] = ()) -> list[Observation]:
        """What nobody has told.

        @param since: what was told and is not recorded yet.
        """
        if not self._since_ns:
            return []
        origins = [*self._recorder.origins(TYPE), *(one.origin for one in since)]
        known = self._recorder.known(TYPE)
        now_ns = time.time_ns()
        told_since = {one.id for one in since if one.action in CHANGES}
        return reconcile(
            listing,
            known.containers,
            origins,
            self._since_ns,
            now_ns,
            told_since=told_since,
            complete=known.complete,
        )

    async def _record(self, seen: Sequence[Observation]) -> None:
        if not seen:
            return
        explained: list[Observation] = []
        for one in seen:
            for told in await self._explained(one):
                explained += [told, *self._ports_gone(told)]
        recorded = self._recorder.observe(explained)
        for started in explained:
            if started.origin == self._starts.get(started.id):
                adding = Deferred.fromCoroutine(self._add_ports(started))
                adding.addErrback(self._failed)
        await recorded

    async def _explained(self, seen: Observation) -> list[Observation]:
        """What was told with its reasons, and before it what was not told."""
        found: list[Observation] = []
        if missing := self._lives.missing(seen):
            now = await self._source.inspect(seen.id)
            untold = self._lives.untold(seen, missing, now)
            found += map(self._deaths.explain, untold)
        for told in (*found, seen):
            self._lives.take(told)
        explained = self._deaths.explain(seen)
        if (seen.subject, seen.action) == ("container", "die") and seen.origin not in self._origins:
            explained = await self._source.looked_into(explained)
        return [*found, explained]

    def _ports_gone(self, told: Observation) -> list[Observation]:
        """The ports that go with an exit."""
        if told.action == "start":
            self._starts[told.id] = told.origin
        if told.action != "die" or told.subject != "container" or told.origin in self._origins:
            return []
        self._starts.pop(told.id, None)
        ports = self._ports.pop(told.id, ())
        return [port_change(told, "port-remove", ports)] if ports else []

    async def _add_ports(self, started: Observation) -> None:
        ports = await self._source.published(started.id)
        # It may have ended in the meantime.
        if ports and self._starts.get(started.id) == started.origin and self._error is None:
            self._ports[started.id] = ports
            await self._recorder.observe([port_change(started, "port-add", ports)])

    def _failed(self, failure: Failure) -> None:
        """It cannot go on: the stream ends, and then so do we."""
        error = failure.value
        if self._error is not None:
            return
        if isinstance(error, JournalError):
            error = SourceLost(f"what it tells cannot be recorded: {error}")
        elif not isinstance(error, SourceError):
            error = SourceLost(f"the engine did not answer: {error}")
        self._error = error
        self._stream.close()

    def _ended(self, reason: str) -> None:
        """The stream is over and its thread has ended. What was read is recorded first:
        the engine may not remember it any more."""
        self._gone.callback(None)

        def finish(_: object) -> None:
            self._error = self._error or SourceLost(reason)
            if not self._done.called:
                self._done.errback(self._error)

        self._arrived()
        if self._recording is None:
            finish(None)
        else:
            self._recording.addBoth(finish)

    async def _release(self, failure: Failure) -> None:
        """Hold a failure back until everything is released."""
        self._error = self._error or CancelledError()
        self._catching_up.cancel()
        if self._recording is not None:
            self._recording.cancel()
        self._stream.close()
        try:
            await self._gone.addTimeout(STOP_TIMEOUT, self._source.reactor)
        except TimeoutError:
            self._log.warn("the engine hangs; its thread is left behind")
        failure.raiseException()


def since_ns(origins: Collection[str], now_ns: int) -> int:
    """From when on something may not be recorded, in nanoseconds; 0 if nothing ever was.
    What is dated in the future was recorded before the clock was set back."""
    times = list(map(time_ns_of, origins))
    newest = max((one for one in times if one <= now_ns + FUTURE_NS), default=now_ns)
    return max(1, newest - OVERLAP_NS) if times else 0


def forgotten(newest_ns: int, worked_out: int) -> str:
    """A sentence about a gap that a replay did not close."""
    moment = datetime.fromtimestamp(newest_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    changes = "1 change was" if worked_out == 1 else f"{worked_out} changes were"
    return (
        f"Docker has forgotten what happened after {moment} UTC; "
        f"{changes} worked out from what its containers are"
    )


def port_change(cause: Observation, action: str, ports: tuple[str, ...]) -> Observation:
    """Ports that came or went with a start or an exit."""
    return attrs.evolve(
        cause, action=action, details={"ports": list(ports)}, origin=f"{cause.origin}:port"
    )
