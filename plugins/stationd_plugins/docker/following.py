"""One subscription to a Docker engine: resumes where the journal ends, lists, works out
what nobody told, and goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from stationd.errors import JournalError, SourceAbsent, SourceError, SourceLost
from stationd.interfaces import IRecorder
from stationd.messages import reason_messages
from stationd.messages import system_record_messages as said
from stationd.messages.source_log_messages import ENGINE_THREAD_ABANDONED
from stationd.records import Level, Observation, State
from stationd_plugins.docker.asked import Engine
from stationd_plugins.docker.engine import QUEUE_LIMIT, STOP_TIMEOUT, TIMEOUT
from stationd_plugins.docker.gap import OVERLAP_NS, REMEMBERED, forgotten, news, since_ns
from stationd_plugins.docker.origins import TYPE, identity
from stationd_plugins.docker.reconcile import Listing, reconcile
from stationd_plugins.docker.recording import Recording

SETTLED = 1.0
"""Seconds after a listing in which the engine must have told of all that is in it."""

BATCH = 128
"""Events that are recorded together: some 5 ms of work. Only when they are on disk are the
next taken from the stream, which counts what waits there."""

HEARTBEAT = 60.0
"""Seconds after which an engine is asked whether it is still there."""


class Following:
    """One subscription to the event stream, from its beginning to its end."""

    _log = Logger()

    def __init__(self, source: Engine, recorder: IRecorder) -> None:
        self._source = source
        self._recorder = recorder
        self._done: Deferred[None] = Deferred()
        self._gone: Deferred[None] = Deferred()
        self._error: Exception | None = None
        # Why it is to end, when what the stream has told is recorded.
        self._cause: Exception | None = None
        self._patience: IDelayedCall | None = None
        self._opened = False
        self._live = False
        self._recording: Recording | None = None
        # The origins of what was told while catching up: the stream tells of it again.
        self._told: set[str] = set()
        # All that was told meanwhile, and what of it will be recorded after the listing.
        self._taken: list[object] = []
        self._since: list[Observation] = []
        self._draining: Deferred[None] | None = None
        self._beating: Deferred[None] | None = None
        self._stream = source.stream(self._arrived)
        self._stream.ended.addCallback(self._ended)
        self._catching_up = Deferred.fromCoroutine(self._catch_up())
        self._catching_up.addErrback(self._failed)

    def done(self) -> Deferred[None]:
        """See L{stationd.interfaces.ISource.follow}."""
        return self._done.addErrback(lambda f: Deferred.fromCoroutine(self._release(f)))

    async def _begin(self) -> Recording:
        """Go on from what is recorded, when it is clear what is: some may be on its way to the
        disk."""
        await self._recorder.observe([])
        if self._recording is not None:
            self._recording.close()
        recording = self._recording = Recording(
            self._source.reactor, self._source, self._recorder, self._failed
        )
        self._since_ns = since_ns(recording.origins, time.time_ns())
        return recording

    async def _catch_up(self) -> None:
        """First what happened before the listing was asked for, then the listing,
        then what happened since: so that the newest word about a container is
        the last one."""
        await self._stream.opened.addTimeout(TIMEOUT, self._source.reactor)
        self._opened = True
        recording = await self._begin()
        self._recorder.connected(TYPE)
        remembered = await self._source.remembered()
        # What the stream began with may reach further back, and is in order; what it has not
        # told yet is newer.
        told = self._take(remembered)
        seen = news(self._news(told), recording.origins)
        if self._is_another_run(told, seen):
            recording.engine_restarted()
        await recording.record(seen)
        listing = await self._source.list_all()
        self._since += self._news(self._take())
        missed = self._missed(listing)
        if missed:
            # What looks like missed may be told in a moment.
            await deferLater(self._source.reactor, SETTLED)
            remembered = await self._source.remembered()
            self._since += self._news(self._take(remembered))
            missed = self._missed(listing)
        worked_out = len(missed) + recording.worked_out
        is_much = worked_out or len(remembered) >= REMEMBERED
        told = [*told, *remembered]
        if self._since_ns and is_much and self._is_another_run(told, (*seen, *self._since)):
            self._say_forgotten(worked_out)
        self._say_found_again([one for one in missed if one.action == "found"])
        await recording.record(missed)
        await recording.listed(self._without_news(listing))
        self._source.read.extend(map(identity, told))
        self._live = True
        self._taken.clear()
        await self._drain()
        if self._error is not None:
            return
        self._recorder.live(TYPE)
        self._beating = Deferred.fromCoroutine(self._beat())
        self._beating.addErrback(self._failed)

    def _is_another_run(self, told: Sequence[object], seen: Sequence[Observation]) -> bool:
        """Whether nothing that the engine remembers was told before: it was restarted, or much
        has happened.

        @param told: what it remembers, C{seen}: what of it has a meaning.
        """
        assert self._recording is not None
        origins, read = {one.origin for one in seen}, {*map(identity, told)} - {""}
        known = self._recording.origins
        return origins.isdisjoint(known) and read.isdisjoint(self._source.read)

    def _take(self, remembered: Sequence[object] = ()) -> list[object]:
        """What is told while catching up: by the stream, and what else the engine remembers."""
        taken = [*self._stream.take(QUEUE_LIMIT), *remembered]
        self._taken += taken
        return taken

    def _arrived(self) -> None:
        """Events were read."""
        if self._live and self._error is None:
            self._drain()

    def _drain(self) -> Deferred[None]:
        """Record what waits, here and in the stream, until nothing does."""
        if self._draining is None:
            draining = self._draining = Deferred.fromCoroutine(self._record_batches())
            draining.addErrback(self._failed)
            draining.addCallback(self._drained)
            return draining
        return self._draining

    async def _record_batches(self) -> None:
        assert self._recording is not None
        since, self._since = self._since, []
        await self._recording.record(since)
        while events := self._stream.take(BATCH):
            await self._recording.record(self._news(events))
            self._source.read.extend(map(identity, events))

    def _drained(self, _: None) -> None:
        self._draining = None

    def _news(self, events: Sequence[object]) -> list[Observation]:
        """What events mean that were not told while catching up."""
        news: list[Observation] = []
        for one in self._source.decode(events):
            if one.origin in self._told:
                continue
            news.append(one)
            if not self._live:
                self._told.add(one.origin)
        return news

    def _missed(self, listing: Listing) -> list[Observation]:
        """What nobody has told."""
        if not self._since_ns:
            return []
        recorded = self._recorder.origins(TYPE)
        known = self._recorder.known(TYPE)
        return reconcile(
            listing,
            known.containers,
            recorded,
            self._since_ns,
            time.time_ns(),
            news=[one for one in self._since if one.origin not in recorded],
            complete=known.complete,
        )

    def _without_news(self, listing: Listing) -> Listing:
        """Without those whose creation will be recorded after it: they are not found."""
        made = {one.id for one in self._since if one.action == "create"}
        known = {one.id for one in self._recorder.known(TYPE).containers}
        made -= known
        left = [one for one in listing.containers if one.container.id not in made]
        return Listing(listing.ids - made, left)

    async def _beat(self) -> None:
        """Ask now and then whether the engine is there: one that hangs, or is on a host that
        has gone, ends no stream."""
        while True:
            await deferLater(self._source.reactor, HEARTBEAT)
            await self._source.ping()

    def _say_forgotten(self, worked_out: int) -> None:
        level = Level.WARN if worked_out else Level.INFO
        self._recorder.note(level, forgotten(self._since_ns + OVERLAP_NS, worked_out))

    def _say_found_again(self, found: Sequence[Observation]) -> None:
        if found:
            running = sum(one.details["now"] != State.STOPPED.value for one in found)
            again = said.CONTAINERS_FOUND_AGAIN
            words = again.render(count=len(found), type=TYPE, running=running)
            self._recorder.note(Level.INFO, words)

    def _failed(self, failure: Failure) -> None:
        """It cannot go on."""
        error = failure.value
        if isinstance(error, CancelledError):
            return
        if isinstance(error, SourceAbsent | TimeoutError):
            self._source.deaths.away(time.time_ns() // 1000)
        if isinstance(error, TimeoutError):
            error = SourceLost(reason_messages.ENGINE_TIMEOUT.render(seconds=TIMEOUT))
        is_refused = isinstance(error, JournalError)
        if is_refused:
            error = SourceLost(reason_messages.OBSERVATION_NOT_RECORDED.render(error=error))
        elif not isinstance(error, SourceError):
            error = SourceLost(reason_messages.ENGINE_NOT_RESPONDING.render(error=error))
        if is_refused or self._error is not None or self._gone.called or not self._opened:
            self._end(error)
        elif self._cause is None:
            # An engine that is killed breaks all connections: which of them is noticed first is
            # chance, and the stream has told something yet.
            self._cause = error
            self._patience = self._source.reactor.callLater(STOP_TIMEOUT, self._end, error)
            self._stream.close()

    def _end(self, error: Exception) -> None:
        self._error = self._error or error
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        if not self._done.called:
            self._done.errback(self._error)

    def _ended(self, reason: str) -> None:
        """The stream is over and its thread has ended. What was read is recorded first:
        the engine may not remember it any more."""
        self._gone.callback(None)
        if self._error is not None:
            return
        error = self._error = self._cause or SourceLost(reason)
        self._source.deaths.lost(time.time_ns() // 1000)
        if self._live:
            self._drain().addBoth(lambda _: self._end(error))
        elif self._opened:
            self._catching_up.cancel()
            self._catching_up = Deferred.fromCoroutine(self._rescue())
            self._catching_up.addErrback(self._failed)
            self._catching_up.addCallback(lambda _: self._end(error))
        else:
            self._end(error)

    async def _rescue(self) -> None:
        """Record what the stream told before it ended. It began with what the engine
        remembers, so nothing else is needed."""
        recording = await self._begin()
        self._told.clear()
        self._take()
        # What there was before our time is not known before the first listing.
        seen = news(self._news(self._taken), recording.origins)
        self._since = seen if self._since_ns else []
        if self._is_another_run(self._taken, seen):
            recording.engine_restarted()
        await self._drain()

    async def _release(self, failure: Failure) -> None:
        """Hold a failure back until everything is released."""
        self._error = self._error or CancelledError()
        if self._recording is not None:
            self._recording.close()
        for under_way in (self._catching_up, self._draining, self._beating):
            if under_way is not None:
                under_way.cancel()
        self._stream.close()
        try:
            await self._gone.addTimeout(STOP_TIMEOUT, self._source.reactor)
        except TimeoutError:
            ENGINE_THREAD_ABANDONED.emit(self._log)
        failure.raiseException()
