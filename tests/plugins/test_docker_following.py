"""One subscription to an engine: what happens between its stream and the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from stationd.containers import Containers
from stationd.errors import JournalUnwritable, SourceLost
from stationd.feed import Feed
from stationd.interfaces import Query
from stationd.recorder import Recorder
from stationd.records import Observation
from stationd_plugins.docker.decode import Inspected, origin_of
from stationd_plugins.docker.following import BATCH, Following
from stationd_plugins.docker.reconcile import Listing
from tests.test_recorder import SlowJournal

ID = "ab" * 32


class FakeEvents:
    """A subscription whose events a test makes."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.opened: Deferred[None] = Deferred()
        self.ended: Deferred[str] = Deferred()
        self.waiting: list[object] = []
        self.closed = False

    def take(self, limit: int) -> list[object]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def close(self) -> None:
        self.closed = True


@attrs.define
class FakeEngine:
    """An engine with no containers, whose events are observations."""

    reactor: Any
    events: FakeEvents | None = None
    asked: list[Deferred[Observation]] = attrs.field(factory=list)
    slow: bool = False

    def stream(self, wake: Callable[[], None]) -> FakeEvents:
        self.events = FakeEvents(wake)
        return self.events

    async def list_all(self) -> Listing:
        return Listing(frozenset(), [])

    async def remembered(self) -> list[object]:
        return []

    def decode(self, events: Sequence[Any]) -> list[Observation]:
        return list(events)

    async def inspect(self, key: str) -> Inspected | None:
        return None

    async def looked_into(self, died: Observation) -> Observation:
        if not self.slow:
            return died
        self.asked.append(Deferred())
        return await self.asked[-1]

    async def published(self, id: str) -> tuple[str, ...]:
        return ()


class FollowingTests(SynchronousTestCase):
    """Over a real recorder, with journals whose disk answers when a test says so."""

    def setUp(self) -> None:
        self.log, self.event = SlowJournal(), SlowJournal()
        self.lives: list[str] = []
        self.recorder = Recorder(
            self.log,
            self.event,
            Containers(),
            Feed(0),
            lambda: 99,
            lambda change: None,
            self.lives.append,
            lambda type: None,
        )
        self.engine = FakeEngine(MemoryReactorClock())
        self.time = 1
        self.done = Following(self.engine, self.recorder).done()
        assert self.engine.events is not None
        self.events = self.engine.events
        self.events.opened.callback(None)
        self.assertEqual(self.lives, ["docker"])

    def happen(self, *actions: str) -> None:
        """The engine tells of these."""
        for action in actions:
            self.time += 1
            self.events.waiting.append(
                Observation(
                    time_us=self.time,
                    type="docker",
                    subject="container",
                    action=action,
                    id=ID,
                    name="one",
                    origin=origin_of(self.time * 1000, "container", action, ID),
                )
            )
        self.events.wake()

    def recorded(self) -> list[str]:
        found = self.event.select(Query(oldest_first=True))
        return [record.origin.split(":")[3] for records in found for record in records]

    def commit(self) -> None:
        """The disk takes what waits for it."""
        for journal in (self.event, self.log):
            while journal.slow:
                journal.commit()

    def test_what_waits_for_the_disk_waits_in_the_stream(self) -> None:
        self.log.slow, self.event.slow = [], []
        self.happen("create", *["pause", "unpause"] * BATCH)
        self.happen("pause")
        # The stream ends, and begins anew, if too much waits there.
        self.assertEqual(len(self.events.waiting), 1 + 2 * BATCH + 1 - BATCH)
        self.assertEqual(len(self.event.slow), 1)
        while self.events.waiting or self.event.slow:
            self.commit()
        self.assertEqual(self.recorded(), ["create", *["pause", "unpause"] * BATCH, "pause"])

    def test_what_is_asked_lets_nothing_overtake(self) -> None:
        self.engine.slow = True
        self.happen("create", "start", "die")
        self.happen("destroy")
        self.assertEqual(self.recorded(), [])
        (asked,) = self.engine.asked
        asked.callback(attrs.evolve(self.last("die"), details={"oom": True}))
        self.assertEqual(self.recorded(), ["create", "start", "die", "destroy"])

    def last(self, action: str) -> Observation:
        """What was told as the third."""
        origin = origin_of(4000, "container", action, ID)
        return Observation(
            time_us=4,
            type="docker",
            subject="container",
            action=action,
            id=ID,
            name="one",
            origin=origin,
        )

    def test_what_was_read_before_the_stream_ended_is_recorded_first(self) -> None:
        self.log.slow, self.event.slow = [], []
        self.happen("create")
        self.happen("start")
        self.events.ended.callback("the engine closed the event stream")
        self.assertNoResult(self.done)
        self.commit()
        self.assertNoResult(self.done)
        self.commit()
        self.assertEqual(self.recorded(), ["create", "start"])
        self.assertIn("closed", str(self.failureResultOf(self.done, SourceLost).value))

    def test_a_disk_that_refuses_ends_it(self) -> None:
        self.log.slow, self.event.slow = [], []
        self.happen("create")
        self.event.refuse()
        self.log.commit()
        self.assertTrue(self.events.closed)
        self.events.ended.callback("closed")
        why = str(self.failureResultOf(self.done, SourceLost).value)
        self.assertIn("cannot be recorded", why)
        self.assertIn(str(JournalUnwritable("full", True)), why)

    def test_it_is_cancelled_while_the_engine_is_asked(self) -> None:
        self.engine.slow = True
        self.happen("create", "start", "die")
        self.done.cancel()
        self.assertTrue(self.events.closed)
        self.assertNoResult(self.done)
        self.events.ended.callback("closed")
        self.failureResultOf(self.done, CancelledError)
        # What is answered now is nobody's any more.
        self.engine.asked[0].callback(self.last("die"))
        self.assertEqual(self.recorded(), [])
        assert isinstance(self.engine.reactor, Clock)
        self.assertEqual(self.engine.reactor.getDelayedCalls(), [])
