"""The recorder, the one writer: appends observations and posted records, then updates registry,
waits and feed, in this order."""

from __future__ import annotations

from collections.abc import Callable, KeysView, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from stationd.deduplicator import Deduplicator
from stationd.errors import InvalidValue
from stationd.event_codec import decode_event
from stationd.feed import Feed
from stationd.interfaces import AppendResult, IJournal, IRecorder, KnownContainers
from stationd.messages import log_messages
from stationd.messages import system_record_messages as said
from stationd.record_builder import build_records, daemon_record, found_observation
from stationd.records import Container, Draft, Level, Observation, State
from stationd.registry import ContainerChange, Registry, with_known_exit
from stationd.restore import restore_events, restore_log_records

T = TypeVar("T")


def _shielded(done: Deferred[T]) -> Deferred[T]:
    """The same; but cancelling it only ends the waiting. What is on its way to the disk gets
    there, and whoever went away, the registry and the feed must hear of it."""
    result: Deferred[T] = Deferred()
    done.addBoth(result.callback)
    return result


@implementer(IRecorder)
class Recorder:
    """Narrates, appends, and tells, each after the other has succeeded.

    @param told: called with each L{ContainerChange} of the registry, after the commit.
    @param live: called with the type of a source that has caught up, C{connected} of
        one that is about to.
    """

    _log = Logger()

    def __init__(
        self,
        log: IJournal,
        event: IJournal,
        containers: Registry,
        feed: Feed,
        now_us: Callable[[], int],
        told: Callable[[ContainerChange], None],
        live: Callable[[str], None],
        connected: Callable[[str], None],
    ) -> None:
        self._logs = Deduplicator(log)
        self._events = Deduplicator(event)
        self._containers = containers
        self._listed: set[str] = set()
        # How things are by the journal: what a listing is compared with. By type: whether
        # that is all that there was.
        self._restored = Registry()
        self._restored_all: dict[str, bool] = {}
        self._newest_us: dict[str, int] = {}
        self._feed = feed
        self._now_us = now_us
        self._told = told
        self._live = live
        self._connected = connected
        self._turn = DeferredLock()

    def observe(self, observations: Sequence[Observation]) -> Deferred[None]:
        """See L{IRecorder.observe}. The two journals commit on their own; an origin
        that reached only one of them before a crash is appended to the other when
        the source tells of it again."""
        events: list[Draft] = []
        sentences: list[Draft] = []
        news: list[Observation] = []
        cleared_us = self._logs.journal.status().cleared_us
        for observation in observations:
            self._restore(observation.type)
            try:
                built = build_records(observation)
            except InvalidValue as error:
                refused = log_messages.OBSERVATION_DROPPED
                refused.emit(self._log, type=observation.type, error=error)
                continue
            new = self._events.claim(observation.origin)
            if new:
                events += built.events
                news.append(observation)
            # What was cleared from the log does not come back by a replay.
            replayed = not new and observation.time_us <= cleared_us
            if not replayed and self._logs.claim(observation.origin):
                sentences += built.log
        # The events first: when they are recorded they count, as told again they are no news.
        stores = [self._append_events(events)] if events else []
        if sentences:
            stores.append(self._logs.append(sentences))

        def take_in() -> None:
            for observation in news:
                self._apply_restored(observation)
                change = self._containers.apply(observation)
                if change is not None:
                    self._told(change)

        return _shielded(Deferred.fromCoroutine(self._after_commit(stores, take_in)))

    def listing(self, type: str, containers: Sequence[Container]) -> Deferred[None]:
        """See L{IRecorder.listing}."""
        self._restore(type)
        unheard_of = [
            container
            for container in containers
            if type not in self._listed and not self._is_restored(container)
        ]

        def replace() -> None:
            registry = self._containers if type in self._listed else self._restored
            known = [with_known_exit(one, registry.get(one.reference)) for one in containers]
            self._listed.add(type)
            for change in self._containers.apply_listing(type, known):
                self._told(change)

        if not unheard_of:
            return _shielded(Deferred.fromCoroutine(self._after_commit([], replace)))
        running = sum(container.state is not State.STOPPED for container in unheard_of)
        count = len(unheard_of)
        words = said.CONTAINERS_FOUND.render(count=count, type=type, running=running)
        self.note(Level.INFO, words)
        recorded = self.observe([found_observation(one, self._now_us()) for one in unheard_of])

        def refused(failure: Failure) -> Failure:
            self._listed.discard(type)
            return failure

        recorded.addErrback(refused)
        replaced = Deferred.fromCoroutine(self._after_commit([], replace))
        recorded.addBoth(lambda result: replaced.addCallback(lambda _: result))
        return _shielded(recorded)

    def _restore(self, type: str) -> None:
        """Read back what is recorded of a type, when it is first heard of."""
        if type in self._restored_all:
            return
        memory = restore_events(self._events.journal, type)
        self._restored_all[type] = memory.complete
        self._events.load(memory.events)
        self._logs.load(restore_log_records(self._logs.journal, type))
        for observation in filter(None, map(decode_event, memory.events)):
            self._apply_restored(observation)
            if "exits" in observation.details and not build_records(observation).log:
                # Of a loop not each round has a sentence; nor has it when it is told again.
                self._logs.claim(observation.origin)

    def _is_restored(self, container: Container) -> bool:
        recalled = self._restored.get(container.reference)
        return recalled is not None and not recalled.removed

    def origins(self, type: str) -> KeysView[str]:
        """See L{IRecorder.origins}."""
        self._restore(type)
        return self._events.origins(type)

    def known(self, type: str) -> KnownContainers:
        """See L{IRecorder.known}."""
        self._restore(type)
        return KnownContainers(
            containers=tuple(one for one in self._restored.all() if one.type == type),
            newest_us=self._newest_us.get(type, 0),
            complete=type in self._listed or (type in self._newest_us and self._restored_all[type]),
        )

    def _apply_restored(self, observation: Observation) -> None:
        type = observation.type
        self._newest_us[type] = observation.time_us
        self._restored.apply(observation)

    def connected(self, type: str) -> None:
        """See L{IRecorder.connected}."""
        self._connected(type)

    def live(self, type: str) -> None:
        """See L{IRecorder.live}."""
        self._live(type)

    def post_log(self, drafts: Sequence[Draft]) -> Deferred[AppendResult]:
        """Store what a producer wants in the log. Errors as L{IJournal.append}."""
        return _shielded(self._logs.append(drafts))

    def post_events(self, drafts: Sequence[Draft]) -> Deferred[AppendResult]:
        """Store what a producer wants among the events. Errors as L{IJournal.append}."""
        return _shielded(self._append_events(drafts))

    def note(self, level: Level, text: str) -> Deferred[None]:
        """Put a word of the daemon's own into the log. A disk that refuses it is
        said to the operator, and no reason to stop."""
        done = self._logs.journal.append([daemon_record(self._now_us(), level, text)])
        done.addErrback(
            lambda failure: log_messages.LOG_RECORD_FAILED.emit(
                self._log, text=text, reason=failure.value
            )
        )
        return done.addCallback(lambda _: None)

    def clear_log(self, user: str) -> Deferred[int]:
        """Remove all records of the log. Errors as L{IJournal.clear}."""

        def cleared(records: int) -> int:
            log_messages.LOG_CLEARED.emit(self._log, user=user, records=records)
            return records

        return _shielded(self._logs.journal.clear(self._now_us()).addCallback(cleared))

    def _append_events(self, drafts: Sequence[Draft]) -> Deferred[AppendResult]:
        def committed(appended: AppendResult) -> AppendResult:
            self._feed.committed(appended.last)
            return appended

        return self._events.append(drafts).addCallback(committed)

    async def _after_commit(
        self, stores: Sequence[Deferred[AppendResult]], then: Callable[[], None]
    ) -> None:
        """Do something after the first of some commits has succeeded and the others are over,
        and after everything that was asked before: the registry changes in the order of the
        calls. The commits themselves do not wait for one another, so they can share a flush."""
        await self._turn.acquire()
        try:
            results = await DeferredList(stores, consumeErrors=True)
            if all(succeeded for succeeded, _ in results[:1]):
                then()
            for succeeded, result in results:
                if not succeeded:
                    assert isinstance(result, Failure)
                    result.raiseException()
        finally:
            self._turn.release()
