"""One subscription to an engine: what happens between its stream and the disk."""

from __future__ import annotations

import collections
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import JournalUnwritable, SourceAbsent, SourceLost
from stationd.interfaces import Query
from stationd.recorder import Recorder
from stationd.records import CRASH_LOOP_EXITS, Container, Observation, State
from stationd.registry import Registry
from stationd_plugins.docker.deaths import Deaths
from stationd_plugins.docker.decode import Inspected
from stationd_plugins.docker.engine import STOP_TIMEOUT, TIMEOUT
from stationd_plugins.docker.following import BATCH, HEARTBEAT, SETTLED, Following
from stationd_plugins.docker.gap import OVERLAP_NS, REMEMBERED
from stationd_plugins.docker.origins import origin_of
from stationd_plugins.docker.reconcile import Listing
from stationd_plugins.docker.recording import STAYS_UP
from tests.contracts.journal import draft
from tests.test_recorder import SlowJournal, recorder_over

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
    """An engine with no containers, whose events are observations.

    @ivar told: what it remembers. C{shown}: what it says of a container, C{None} if there is none.
        C{kernel}: whether the kernel has killed whatever exits for want of memory.
    """

    reactor: Any
    deaths: Deaths = attrs.field(factory=Deaths)
    read: collections.deque[str] = attrs.field(factory=collections.deque)
    told: list[object] = attrs.field(factory=list)
    listing: Deferred[Listing] | None = None
    pings: int = 0
    events: FakeEvents | None = None
    asked: list[Deferred[Any]] = attrs.field(factory=list)
    slow: bool = False
    shown: Inspected | None = None
    inspections: int = 0
    kernel: bool = False

    def stream(self, wake: Callable[[], None]) -> FakeEvents:
        self.events = FakeEvents(wake)
        return self.events

    async def list_all(self) -> Listing:
        return Listing(frozenset(), []) if self.listing is None else await self.listing

    async def remembered(self) -> list[object]:
        return list(self.told)

    async def ping(self) -> None:
        self.pings += 1
        if self.slow:
            raise SourceAbsent("nobody answers")

    def decode(self, events: Sequence[Any]) -> list[Observation]:
        return [one for one in events if isinstance(one, Observation)]

    async def inspect(self, key: str) -> Inspected | None:
        self.inspections += 1
        return self.shown

    async def looked_into(self, died: Observation) -> Observation:
        if self.kernel:
            return attrs.evolve(died, details={**died.details, "oom": True})
        if not self.slow:
            return died
        self.asked.append(Deferred())
        found: Observation = await self.asked[-1]
        return found

    async def failed(self, seen: Observation) -> Observation | None:
        return seen

    async def published(self, id: str) -> tuple[str, ...]:
        return ()


class FollowingTests(SynchronousTestCase):
    """Over a real recorder, with journals whose disk answers when a test says so."""

    def setUp(self) -> None:
        self.log, self.event = SlowJournal(), SlowJournal()
        self.lives: list[str] = []
        self.recorder = self.make_recorder()
        self.engine = FakeEngine(MemoryReactorClock())
        self.time = 1
        self.follow()
        self.assertEqual(self.lives, ["docker"])

    def make_recorder(self) -> Recorder:
        return recorder_over(self.log, self.event, Registry(), lambda: 99, self.lives.append)

    def follow(self) -> None:
        """Begin a subscription."""
        self.done = Following(self.engine, self.recorder).done()
        assert self.engine.events is not None
        self.events = self.engine.events
        self.events.opened.callback(None)

    def lose(self) -> None:
        """The stream ends."""
        self.events.ended.callback("the engine closed the event stream")
        self.failureResultOf(self.done, SourceLost)

    def lose_soon(self) -> None:
        """The stream ends while something of it is on its way to the disk."""
        self.events.ended.callback("the engine closed the event stream")
        self.assertNoResult(self.done)
        self.done.addErrback(lambda failure: failure.trap(SourceLost))

    def made(self, *actions: str) -> list[object]:
        """Events of a container, a microsecond apart."""
        found: list[object] = []
        for action in actions:
            self.time += 1
            origin = origin_of(self.time * 1000, "container", action, ID)
            found.append(
                Observation(
                    time_us=self.time,
                    type="docker",
                    subject="container",
                    action=action,
                    id=ID,
                    name="one",
                    origin=origin,
                )
            )
        return found

    def made_at(self, time: int, *actions: str) -> list[object]:
        """The same, from a time on."""
        self.time = time
        return self.made(*actions)

    def happen(self, *actions: str) -> None:
        """The engine tells of these."""
        self.events.waiting += self.made(*actions)
        self.events.wake()

    def retained(self) -> list[object]:
        """A life of which retention has removed the first half, as the engine tells it."""
        self.lose()
        old = self.made("create", "start")
        self.time += OVERLAP_NS // 1000
        kept = self.made("die", "destroy")
        text = '{"type": "docker"}'
        self.event.append([draft(text, origin=one.origin) for one in kept])  # type: ignore[attr-defined]
        self.recorder = self.make_recorder()
        return [*old, *kept]

    def notes(self) -> list[str]:
        """What was said about the engine in the log."""
        found = self.log.select(Query(categories=frozenset(["system"]), oldest_first=True))
        return [f"{record.level.name} {record.text}" for records in found for record in records]

    def recorded(self) -> list[str]:
        found = self.event.select(Query(oldest_first=True))
        return [record.origin.split(":")[3] for records in found for record in records]

    def texts(self) -> list[str]:
        found = self.event.select(Query(oldest_first=True))
        return [record.text for records in found for record in records]

    def commit(self) -> None:
        """The disk takes what waits for it."""
        for journal in (self.event, self.log):
            while journal.slow:
                journal.commit()

    def test_what_waits_for_the_disk_waits_in_the_stream(self) -> None:
        self.log.slow, self.event.slow = [], []
        self.happen("create", "start", *["pause", "unpause"] * BATCH)
        self.happen("pause")
        # The stream ends, and begins anew, if too much waits there.
        self.assertEqual(len(self.events.waiting), 2 + 2 * BATCH + 1 - BATCH)
        self.assertEqual(len(self.event.slow), 1)
        while self.events.waiting or self.event.slow:
            self.commit()
        expected = ["create", "start", *["pause", "unpause"] * BATCH, "pause"]
        self.assertEqual(self.recorded(), expected)

    def ended(self, finished_us: int, code: int = 3, error: str = "") -> Inspected:
        """A container that has exited, as the engine shows it."""
        one = Container(type="docker", id=ID, name="one", exit_code=code)
        return Inspected(one, pid=0, finished_ns=finished_us * 1000, error=error)

    def test_a_code_that_a_label_hides_is_what_the_engine_says_when_asked(self) -> None:
        self.happen("create", "start")
        self.engine.shown = self.ended(self.time + 1)
        self.happen("die")
        self.assertEqual(json.loads(self.texts()[-1])["exitCode"], 3)
        self.assertEqual(self.recorder.known("docker").containers[0].exit_code, 3)
        (last,) = [r.text for rs in self.log.select(Query(limit=1)) for r in rs]
        self.assertTrue(last.startswith("Container exited by itself with code 3 ("), last)
        # When it is told again, nothing is asked.
        asked = self.engine.inspections
        self.lose()
        self.engine.told = self.made_at(self.time - 3, "create", "start", "die")
        self.follow()
        self.assertEqual((self.engine.inspections, self.texts()[3:]), (asked, []))

    def test_a_code_that_the_engine_does_not_know_any_more_is_not_claimed(self) -> None:
        self.happen("create", "start")
        # It was removed; it has exited again since; it failed to start again since.
        for shown in (None, self.ended(self.time + 9), self.ended(self.time, 127, "no such file")):
            self.engine.shown = shown
            self.happen("die")
            self.assertNotIn("exitCode", json.loads(self.texts()[-1]))
            self.happen("start")

    def test_an_old_name_that_is_not_told_is_what_it_was_called(self) -> None:
        def rename(name: str) -> None:
            (renamed,) = self.made("rename")
            assert isinstance(renamed, Observation)
            self.events.waiting.append(attrs.evolve(renamed, name=name))
            self.events.wake()

        self.happen("create")
        rename("two")
        rename("three")
        self.lose()
        self.engine.shown = Inspected(Container(type="docker", id=ID, name="three"), pid=0)
        self.engine.listing = Deferred()
        self.engine.listing.callback(Listing(frozenset([ID]), [self.engine.shown]))
        self.follow()
        rename("four")
        olds = [json.loads(text).get("old") for text in self.texts()]
        self.assertEqual(olds, [None, "one", "two", "three"])

    def test_what_is_asked_lets_nothing_overtake(self) -> None:
        self.engine.slow = True
        self.happen("create", "start", "die")
        self.happen("destroy")
        self.assertEqual(self.recorded(), [])
        (asked,) = self.engine.asked
        self.time = 3
        (died,) = self.made("die")
        asked.callback(died)
        self.assertEqual(self.recorded(), ["create", "start", "die", "destroy"])

    def restart_engine(self, *shown: Inspected) -> None:
        """It forgets what it told, and has these containers."""
        self.lose()
        self.engine.told = []
        self.engine.listing = Deferred()
        self.engine.listing.callback(Listing(frozenset(one.container.id for one in shown), shown))
        self.follow()
        self.engine.reactor.advance(SETTLED)

    def test_an_engine_that_comes_up_on_another_disk_and_back(self) -> None:
        self.happen("create", "start", "die")
        stopped = self.ended(self.time)
        expected = ["create", "start", "die"]
        for restart in (False, True, False):
            self.restart_engine()
            self.assertEqual(self.recorder.known("docker").containers, ())
            if restart:
                self.lose()
                self.recorder = self.make_recorder()
                self.follow()
            self.restart_engine(stopped)
            expected += ["destroy", "found"]
            self.assertEqual(self.recorded(), expected)
            (known,) = self.recorder.known("docker").containers
            self.assertEqual((known.id, known.state), (ID, State.STOPPED))
            (note, *_) = self.notes()[::-1]
            self.assertEqual(note, "INFO Found 1 docker containers again, 0 of them running")
        # Its real end is recorded, and nothing brings it back then.
        now_us = time.time_ns() // 1000
        self.events.waiting += self.made_at(now_us, "start", "die", "destroy")
        self.events.wake()
        expected += ["start", "die", "destroy"]
        self.assertEqual(self.recorded(), expected)
        late = [*self.made_at(now_us - 10**7, "start", "die"), *self.made_at(now_us, "destroy")]
        self.recorder = self.make_recorder()
        self.lose()
        self.engine.told = late
        self.engine.listing = None
        self.follow()
        self.assertEqual(self.recorder.known("docker").containers, ())
        self.assertNotIn("found", self.recorded()[len(expected) :])

    def test_one_that_is_back_and_removed_before_anybody_looks(self) -> None:
        self.happen("create")
        self.restart_engine()
        self.lose()
        now_us = time.time_ns() // 1000 + 10**6
        self.engine.told = self.made_at(now_us, "start", "die", "destroy")
        self.follow()
        again = ["found", "start", "die", "destroy"]
        self.assertEqual(self.recorded(), ["create", "destroy", *again])
        self.assertEqual(self.recorder.known("docker").containers, ())

    def test_out_of_memory_by_the_kernel_s_word_is_an_event_of_its_own(self) -> None:
        self.engine.kernel = True
        self.happen("create", "start", "die", "destroy")
        life = ["create", "start", "oom", "die", "destroy"]
        self.assertEqual(self.recorded(), life)
        said = [r.text for rs in self.log.select(Query(oldest_first=True)) for r in rs]
        self.assertTrue(said[2].startswith("Container ran out of memory (docker, "), said)
        self.assertTrue(said[3].startswith("Container was killed by the kernel, out of"), said)
        self.assertNotIn("inferred", self.texts()[2])

    def test_nor_is_it_another_that_the_engine_tells_of(self) -> None:
        life = ["create", "start", "oom", "die"]
        for oom_first in (True, False):
            self.setUp()
            self.engine.kernel = True
            self.happen("create", "start", *(["oom"] if oom_first else []), "die")
            self.assertEqual(self.recorded(), life)
            if not oom_first:
                (oom,) = self.made("oom")
                self.events.waiting.append(oom)
                self.events.wake()
                self.assertEqual(self.recorded(), life)
                # Nor is it when it is told once more, to another daemon too.
                self.lose()
                self.recorder = self.make_recorder()
                self.engine.told = [*self.made_at(1, "create", "start", "die"), oom]
                self.engine.listing = Deferred()
                self.engine.listing.callback(Listing(frozenset([ID]), [self.ended(self.time)]))
                self.follow()
                self.time += 1
                self.assertEqual(self.recorded(), life)
            # Another run that ends so is another.
            self.happen("start", "die")
            self.assertEqual(self.recorded(), [*life, "start", "oom", "die"])

    def test_an_exit_that_is_told_again_makes_no_other(self) -> None:
        self.engine.kernel = True
        self.happen("create", "start", "die")
        for restart in (False, True):
            self.lose()
            self.engine.told = self.made_at(1, "create", "start", "die")
            if restart:
                self.recorder = self.make_recorder()
            self.follow()
            self.assertEqual(self.recorded(), ["create", "start", "oom", "die"])

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

    def test_a_stream_that_ends_while_we_catch_up(self) -> None:
        self.lose()
        self.engine.listing = Deferred()
        self.engine.told = self.made("create", "start")
        self.follow()
        # A stream begins with what the engine remembers.
        self.happen()
        self.events.waiting += [*self.engine.told, *self.made("die", "destroy")]
        self.lose()
        self.assertEqual(self.recorded(), ["create", "start", "die", "destroy"])

    def test_a_stream_that_ends_while_what_it_told_is_explained(self) -> None:
        self.happen("create")
        self.lose()
        self.engine.slow = True
        self.done = Following(self.engine, self.recorder).done()
        assert self.engine.events is not None
        self.events = self.engine.events
        self.events.waiting += self.made("start", "die")
        self.events.opened.callback(None)
        self.assertEqual((len(self.engine.asked), self.recorded()), (1, ["create"]))
        self.engine.slow = False
        self.lose()
        self.assertEqual(self.recorded(), ["create", "start", "die"])

    def test_what_is_on_its_way_to_the_disk_is_not_worked_out(self) -> None:
        self.happen("create", "start")
        self.log.slow, self.event.slow = [], []
        self.happen("die")
        self.lose_soon()
        told = self.made("start")
        self.follow()
        self.events.waiting += told
        for _ in range(3):
            self.commit()
        self.assertEqual(self.recorded(), ["create", "start", "die", "start"])

    def test_one_that_was_made_during_the_listing_is_not_found(self) -> None:
        self.lose()
        self.recorder = self.make_recorder()
        self.engine.listing = Deferred()
        self.follow()
        self.events.waiting += self.made("create")
        one = Container(type="docker", id=ID, name="one")
        self.engine.listing.callback(Listing(frozenset([ID]), [Inspected(one, pid=0)]))
        self.assertEqual(self.recorded(), ["create"])
        self.assertEqual(self.recorder.known("docker").containers, (one,))

    def test_a_stream_that_ends_while_the_listing_is_recorded(self) -> None:
        self.lose()
        self.engine.listing = Deferred()
        self.follow()
        self.happen("create", "start", "die")
        self.log.slow = []
        self.engine.listing.callback(Listing(frozenset(), []))
        self.happen("destroy")
        self.events.ended.callback("closed")
        self.commit()
        self.commit()
        self.failureResultOf(self.done, SourceLost)
        self.assertEqual(self.recorded(), ["create", "start", "die", "destroy"])

    def test_what_the_stream_began_with_reaches_further_back(self) -> None:
        self.lose()
        told = self.made("create", "start", "die", "start", "die", "destroy")
        # Between the two questions the engine has forgotten some, and the stream is behind.
        self.engine.told = told[2:]
        self.done = Following(self.engine, self.recorder).done()
        assert self.engine.events is not None
        self.events = self.engine.events
        self.events.waiting += told[:4]
        self.events.opened.callback(None)
        self.assertEqual(self.recorded(), ["create", "start", "die", "start", "die", "destroy"])
        self.events.waiting += told[4:]
        self.events.wake()
        self.happen("kill")
        self.assertEqual(self.recorded()[5:], ["destroy", "kill"])

    def test_what_is_dated_in_the_future_only_the_stream_tells(self) -> None:
        self.lose()
        self.engine.listing = Deferred()
        self.follow()
        self.happen("create", "start", "die")
        self.engine.listing.callback(Listing(frozenset(), []))
        self.assertEqual(self.recorded(), ["create", "start", "die"])

    def test_what_retention_has_removed_does_not_come_back(self) -> None:
        self.engine.told = self.retained()
        self.follow()
        self.assertEqual(self.recorded(), ["die", "destroy"])

    def test_nor_when_the_stream_ends_early(self) -> None:
        told = self.retained()
        self.engine.listing = Deferred()
        self.follow()
        self.events.waiting += [*told, *self.made("kill")]
        self.lose()
        self.assertEqual(self.recorded(), ["die", "destroy", "kill"])

    def test_a_clock_that_was_set_back_loses_nothing(self) -> None:
        self.time = 10 * OVERLAP_NS // 1000
        self.happen("create", "start")
        recorded = self.engine.read
        self.lose()
        self.assertEqual(len(recorded), 2)
        known = self.made_at(10 * OVERLAP_NS // 1000, "create", "start")
        self.engine.told = [*known, *self.made_at(5 * OVERLAP_NS // 1000, "die", "destroy")]
        self.follow()
        self.assertEqual(self.recorded(), ["create", "start", "die", "destroy"])

    def test_a_disk_that_refuses_what_came_during_the_listing(self) -> None:
        self.lose()
        self.lives.clear()
        self.engine.listing = Deferred()
        self.follow()
        self.events.waiting += self.made("create")
        self.log.slow, self.event.slow = [], []
        self.engine.listing.callback(Listing(frozenset(), []))
        self.event.refuse()
        self.log.commit()
        self.events.ended.callback("closed")
        self.failureResultOf(self.done, SourceLost)
        self.assertEqual(self.lives, [])
        self.assertEqual(self.engine.reactor.getDelayedCalls(), [])

    def test_it_says_when_the_engine_has_forgotten_something(self) -> None:
        self.happen("create", "destroy")
        self.lose()
        self.engine.told = self.made(*["kill"] * REMEMBERED)
        self.follow()
        (note,) = self.notes()
        self.assertIn("INFO Docker has forgotten what happened after 1970-01-01", note)
        self.assertTrue(note.endswith("its containers show no trace of anything"), note)

    def test_what_means_nothing_to_us_is_not_forgotten(self) -> None:
        self.happen("create", "destroy")
        noise = [{"Type": "container", "Action": "exec_die", "timeNano": n} for n in range(300)]
        self.events.waiting += noise
        self.events.wake()
        self.lose()
        self.engine.told = list(noise[-REMEMBERED:])
        self.follow()
        self.assertEqual(self.notes(), [])

    def test_one_that_kept_ending_and_stays_up(self) -> None:
        self.happen("create", *["start", "die"] * CRASH_LOOP_EXITS, "start")
        clock = self.engine.reactor
        clock.advance(STAYS_UP - 1)
        self.assertNotIn("recovered", [json.loads(text).get("state") for text in self.texts()])
        self.engine.slow = False
        clock.advance(1)
        told = json.loads(self.texts()[-1])
        self.assertEqual((told["state"], told["exits"]), ("recovered", CRASH_LOOP_EXITS))
        said = [record.text for rs in self.log.select(Query(limit=1)) for record in rs]
        self.assertIn(f"Container stays up after {CRASH_LOOP_EXITS} exits (docker, ", said[0])

    def test_one_that_kept_ending_and_ends_again_or_is_not_followed_any_more(self) -> None:
        self.happen("create", *["start", "die"] * CRASH_LOOP_EXITS, "start", "die")
        self.engine.reactor.advance(STAYS_UP)
        self.assertEqual(self.recorded()[-1], "die")
        self.happen("start")
        self.lose()
        self.assertEqual(self.engine.reactor.getDelayedCalls(), [])

    def test_an_engine_that_hangs(self) -> None:
        clock = self.engine.reactor
        clock.advance(HEARTBEAT)
        self.assertEqual(self.engine.pings, 1)
        self.assertNoResult(self.done)
        self.engine.slow = True
        clock.advance(HEARTBEAT)
        self.assertTrue(self.events.closed)
        self.events.ended.callback("closed")
        self.assertIn("nobody answers", str(self.failureResultOf(self.done, SourceAbsent).value))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_a_question_that_fails_before_the_stream_has_ended(self) -> None:
        self.happen("create", "start")
        self.lose()
        self.engine.listing = Deferred()
        self.follow()
        self.events.waiting += self.made("kill", "die")
        self.engine.listing.errback(ConnectionResetError("reset"))
        self.assertNoResult(self.done)
        self.assertTrue(self.events.closed)
        self.events.waiting += self.made("destroy")
        self.events.ended.callback("closed")
        self.assertIn("reset", str(self.failureResultOf(self.done, SourceLost).value))
        self.assertEqual(self.recorded(), ["create", "start", "kill", "die", "destroy"])
        self.assertEqual(self.engine.reactor.getDelayedCalls(), [])

    def test_a_question_that_fails_and_a_stream_that_hangs(self) -> None:
        self.lose()
        self.engine.listing = Deferred()
        self.follow()
        self.engine.listing.errback(ConnectionResetError("reset"))
        self.engine.reactor.advance(STOP_TIMEOUT)
        # It is given up, and its thread left behind.
        self.engine.reactor.advance(STOP_TIMEOUT)
        self.failureResultOf(self.done, SourceLost)
        self.assertEqual(self.engine.reactor.getDelayedCalls(), [])

    def test_an_engine_that_does_not_answer_at_all(self) -> None:
        self.lose()
        self.done = Following(self.engine, self.recorder).done()
        self.engine.reactor.advance(TIMEOUT)
        # Its thread hangs with it.
        self.assertNoResult(self.done)
        self.engine.reactor.advance(STOP_TIMEOUT)
        self.failureResultOf(self.done, SourceLost)
        self.assertEqual(self.engine.reactor.getDelayedCalls(), [])

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
        self.engine.asked[0].callback(self.made("die")[0])
        self.assertEqual(self.recorded(), [])
        assert isinstance(self.engine.reactor, Clock)
        self.assertEqual(self.engine.reactor.getDelayedCalls(), [])
