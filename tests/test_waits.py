"""Waits: answered once, at the right moment, and gone without a trace."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from stationd import waits as module
from stationd.errors import ContainerNotFound, SourceAbsent, SourceLost, TooManyWaits
from stationd.pending_wait import TARGETS, WaitResult
from stationd.records import Container, State
from stationd.registry import Registry
from stationd.source_queries import MIN_RETRY_SECONDS, SourceQueries
from stationd.waits import CONFIRM_SECONDS, GRACE_SECONDS, Waits
from tests.test_record_builder import ID, happened

RUNNING = Container(type="docker", id=ID, name="DockerTestAPI", state=State.RUNNING)
STOPPED = attrs.evolve(RUNNING, state=State.STOPPED)

NOW_US = 1432022800_000000
"""After all that happens without a time."""


class WaitsCase(SynchronousTestCase):
    """A registry, and a world outside that answers when a test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.containers = Registry()
        self.asked: list[Deferred[Container | None]] = []
        self.is_live = True
        # All that happens is younger than a wait, unless a test says otherwise.
        self.now_us = 0
        self.questions = SourceQueries(self.clock, self.outside, lambda type: self.is_live)
        self.waits = Waits(
            self.clock,
            self.containers,
            self.questions,
            lambda type: self.is_live,
            lambda: self.now_us,
        )

    def tearDown(self) -> None:
        self.assertEqual(self.waits.open, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.waits._known, self.waits._unknown), ({}, []))
        self.assertEqual(self.questions._open, {})

    def outside(self, type: str, key: str) -> Deferred[Container | None]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def answer(self, found: Container | Exception | None) -> None:
        """The source answers the oldest of the questions that are open."""
        asked = self.asked.pop(0)
        if isinstance(found, Exception):
            asked.errback(found)
        else:
            asked.callback(found)

    def ended(self, done: Deferred[WaitResult]) -> Container:
        """The container that a wait has ended with, certainly so."""
        waited = self.successResultOf(done)
        self.assertTrue(waited.is_certain)
        return waited.container

    def go_live(self) -> None:
        self.is_live = True
        self.waits.live("docker")

    def happen(self, *actions: str, **fields: Any) -> None:
        for action in actions:
            change = self.containers.apply(happened(action, **fields))
            if change:
                self.waits.changed(change)

    def wait(self, target: str, duration: float = 60, key: str = ID) -> Deferred[WaitResult]:
        return self.waits.wait("docker", key, target, duration)


class WaitsTests(WaitsCase):
    """A source that is live."""

    def test_answers_when_the_state_is_reached(self) -> None:
        self.happen("create", "start")
        for key in (ID, ID[:12], "DockerTestAPI"):
            done = self.wait("stopped", key=key)
            self.assertNoResult(done)
            self.happen("die", details={"exitCode": 7})
            self.assertEqual(self.ended(done).exit_code, 7)
            self.happen("start")

    def test_answers_at_once_when_it_is_so_and_the_world_agrees(self) -> None:
        self.happen("create", "start")
        done = self.wait("running")
        self.answer(Container(type="docker", id=ID, name="x", state=State.RUNNING))
        self.assertIs(self.ended(done).state, State.RUNNING)

    def test_a_world_that_has_forgotten_how_one_ended(self) -> None:
        self.happen("create", "start")
        self.happen("die", details={"exitCode": 7})
        done = self.wait("stopped")
        self.answer(Container(type="docker", id=ID, name="one", state=State.STOPPED))
        self.assertEqual(self.ended(done).exit_code, 7)

    def test_a_stale_registry_is_not_believed(self) -> None:
        self.happen("create", "start", "die", details={"exitCode": 0})
        self.now_us = NOW_US
        done = self.wait("stopped")
        # The container has been started again, and that is not recorded yet.
        self.answer(RUNNING)
        self.happen("unpause", "die")
        self.assertNoResult(done)
        self.happen("start")
        self.assertNoResult(done)
        self.happen("die", details={"exitCode": 9}, time_us=NOW_US + 1)
        self.assertEqual(self.ended(done).exit_code, 9)

    def test_an_unconfirmed_state_ends_no_wait(self) -> None:
        self.happen("create", "start")
        for answer in (None, SourceLost("it hangs"), SourceAbsent("it is down"), ValueError("bug")):
            done = self.wait("running")
            self.answer(answer)
            self.flushLoggedErrors(ValueError)
            self.clock.advance(MIN_RETRY_SECONDS / 2)
            self.assertNoResult(done)
            self.happen("pause", "unpause")
            self.assertIs(self.ended(done).state, State.RUNNING)
            self.asked.clear()

    def test_what_was_recorded_late_ends_no_wait(self) -> None:
        # C{docker run -d; wait stopped} on a busy machine: the creation is recorded, and the
        # engine takes its time to say that it runs.
        self.happen("create")
        done = self.wait("stopped")
        self.clock.advance(CONFIRM_SECONDS - 0.1)
        self.assertNoResult(done)
        self.happen("start")
        self.answer(RUNNING)
        self.clock.advance(1)
        self.assertNoResult(done)
        self.happen("die", details={"exitCode": 3})
        self.assertEqual(self.ended(done).exit_code, 3)

    def test_what_happened_before_it_began_ends_no_wait(self) -> None:
        # C{docker restart} has returned; what it did is still to be recorded.
        self.happen("create", "start")
        self.now_us = NOW_US
        done = self.wait("stopped")
        self.happen("die", details={"exitCode": 143})
        self.assertNoResult(done)
        self.happen("start")
        self.answer(RUNNING)
        self.assertNoResult(done)
        self.happen("die", details={"exitCode": 2}, time_us=NOW_US + 1)
        self.assertEqual(self.ended(done).exit_code, 2)

    def test_what_was_started_and_stopped_before_it_began(self) -> None:
        self.happen("create")
        self.now_us = NOW_US
        done = self.wait("running")
        self.happen("start")
        self.answer(STOPPED)
        self.happen("die")
        self.assertNoResult(done)
        self.happen("start", time_us=NOW_US + 1)
        self.assertIs(self.ended(done).state, State.RUNNING)

    def test_one_that_has_the_name_of_one_that_was_just_removed(self) -> None:
        # C{docker rm -f X; docker run -d --name X; wait X}, none of it recorded yet.
        other = attrs.evolve(RUNNING, id="f" * 64)
        self.happen("create", "start")
        self.now_us = NOW_US
        waiting = {target: self.wait(target, key="DockerTestAPI") for target in TARGETS}
        self.answer(other)
        self.assertEqual(self.ended(waiting.pop("running")), other)
        self.happen("die", details={"exitCode": 137})
        self.happen("destroy")
        for done in waiting.values():
            self.assertNoResult(done)
        self.answer(other)
        self.happen("create", "start", id=other.id)
        self.happen("pause", id=other.id, time_us=NOW_US + 1)
        self.assertEqual(self.ended(waiting.pop("paused")).id, other.id)
        self.happen("unpause", id=other.id, time_us=NOW_US + 2)
        self.happen("healthy", id=other.id, time_us=NOW_US + 3)
        self.assertEqual(self.ended(waiting.pop("healthy")).id, other.id)
        self.happen("die", id=other.id, details={"exitCode": 1}, time_us=NOW_US + 4)
        self.assertEqual(self.ended(waiting.pop("stopped")).exit_code, 1)
        self.happen("destroy", id=other.id, time_us=NOW_US + 5)
        self.assertEqual(self.ended(waiting.pop("removed")).id, other.id)

    def test_one_whose_removal_is_recorded_late(self) -> None:
        self.happen("create", "start")
        self.now_us = NOW_US
        done = self.wait("removed", key="DockerTestAPI")
        self.happen("die", "destroy")
        self.answer(None)
        self.assertNoResult(done)
        self.clock.advance(GRACE_SECONDS)
        self.assertTrue(self.ended(done).removed)

    def test_a_live_source_that_does_not_answer_is_asked_again(self) -> None:
        self.happen("create", "start")
        done = self.wait("running")
        for pause in (1, 2, 4, 5, 5):
            self.answer(SourceLost("the engine did not answer"))
            self.clock.advance(pause - 0.1)
            self.assertEqual(self.asked, [])
            self.clock.advance(0.1)
        self.answer(RUNNING)
        self.assertIs(self.ended(done).state, State.RUNNING)

    def test_what_nothing_confirms_is_not_certain_when_the_time_is_up(self) -> None:
        self.happen("create", "start")
        for duration, end in ((0, CONFIRM_SECONDS), (2, CONFIRM_SECONDS), (20, 20)):
            done = self.wait("running", duration)
            self.clock.advance(end - 0.1)
            self.assertNoResult(done)
            self.clock.advance(0.1)
            waited = self.successResultOf(done)
            self.assertEqual((waited.container.name, waited.is_certain), ("DockerTestAPI", False))
        for late in self.asked:
            late.callback(RUNNING)

    def test_the_time_is_up(self) -> None:
        self.happen("create", "start")
        done = self.wait("stopped", 5)
        self.clock.advance(4.9)
        self.assertNoResult(done)
        self.clock.advance(0.1)
        self.assertIs(self.ended(done).state, State.RUNNING)

    def test_no_time_at_all_is_a_look(self) -> None:
        self.happen("create", "start")
        for found, state in ((RUNNING, State.RUNNING), (STOPPED, State.STOPPED)):
            done = self.wait("stopped", 0)
            self.clock.advance(1)
            self.answer(found)
            self.assertIs(self.ended(done).state, state)

    def test_a_removed_container_ends_every_wait(self) -> None:
        self.happen("create", "start")
        waiting = [self.wait(target) for target in ("paused", "healthy", "removed", "stopped")]
        self.happen("die", details={"exitCode": 1})
        self.happen("destroy")
        for done in waiting:
            found = self.ended(done)
            self.assertEqual((found.state, found.exit_code), (State.STOPPED, 1))

    def test_a_container_that_is_gone_is_answered_from_memory(self) -> None:
        self.happen("create", "start")
        self.happen("die", details={"exitCode": 4})
        self.happen("destroy")
        for target in ("stopped", "running", "removed"):
            done = self.wait(target)
            self.answer(None)
            self.assertEqual(self.ended(done).exit_code, 4)
            done = self.wait(target, key="DockerTestAPI")
            self.answer(None)
            self.clock.advance(GRACE_SECONDS)
            self.assertEqual(self.ended(done).exit_code, 4)

    def test_each_state_can_be_waited_for(self) -> None:
        self.happen("create")
        for target, action in (
            ("running", "start"),
            ("healthy", "healthy"),
            ("paused", "pause"),
            ("stopped", "die"),
            ("removed", "destroy"),
        ):
            done = self.wait(target)
            self.assertNoResult(done)
            self.happen(action)
            self.ended(done)
        self.assertEqual(self.asked, [])

    def test_a_state_that_lasts_no_time_is_seen(self) -> None:
        self.happen("create")
        done = self.wait("running")
        self.happen("start", "die", "destroy")
        self.assertIs(self.ended(done).state, State.RUNNING)

    def test_a_container_nobody_knows_yet_turns_up(self) -> None:
        done = self.wait("stopped")
        self.happen("create")
        self.answer(None)
        self.assertNoResult(done)
        self.happen("start")
        self.answer(None)
        self.clock.advance(GRACE_SECONDS)
        self.assertNoResult(done)
        self.happen("die", details={"exitCode": 2})
        self.assertEqual(self.ended(done).exit_code, 2)

    def test_a_container_that_only_the_world_knows(self) -> None:
        done = self.wait("stopped")
        self.now_us = NOW_US
        self.answer(RUNNING)
        self.assertNoResult(done)
        # Its creation, too, is a state in which no process runs.
        self.happen("create")
        self.assertNoResult(done)
        self.answer(RUNNING)
        self.happen("start")
        self.assertNoResult(done)
        self.happen("die", time_us=NOW_US + 1)
        self.ended(done)

    def test_a_container_that_only_the_world_knows_and_a_listing_tells_of(self) -> None:
        done = self.wait("stopped")
        self.answer(RUNNING)
        for change in self.containers.apply_listing("docker", [STOPPED]):
            self.waits.changed(change)
        self.assertNoResult(done)
        self.answer(attrs.evolve(STOPPED, exit_code=6))
        self.assertEqual(self.ended(done).exit_code, 6)

    def test_the_container_of_a_name_that_exists_is_preferred(self) -> None:
        self.happen("create", "start", "die", "destroy")
        other = attrs.evolve(RUNNING, id="f" * 64)
        done = self.wait("running", key="DockerTestAPI")
        self.assertNoResult(done)
        self.answer(other)
        self.assertEqual(self.ended(done), other)
        done = self.wait("stopped", key="DockerTestAPI")
        self.answer(None)
        # It lived between the question and its answer.
        self.happen("create", "start", id=other.id)
        self.clock.advance(GRACE_SECONDS)
        self.assertNoResult(done)
        self.happen("die", id=other.id, details={"exitCode": 8})
        self.assertEqual(self.ended(done).exit_code, 8)

    def test_a_removed_one_whose_source_does_not_answer(self) -> None:
        self.happen("create", "start", "die", "destroy")
        self.is_live = False
        done = self.wait("stopped", 7)
        self.answer(SourceLost("it is down"))
        self.clock.advance(7)
        waited = self.successResultOf(done)
        self.assertEqual((waited.container.removed, waited.is_certain), (True, False))

    def test_a_container_that_lived_between_the_look_and_now(self) -> None:
        done = self.wait("stopped")
        self.answer(None)
        self.clock.advance(GRACE_SECONDS / 2)
        self.happen("create")
        self.answer(Container(type="docker", id=ID, name="x", exit_code=5))
        self.assertEqual(self.ended(done).exit_code, 5)

    def test_an_unknown_container_is_an_error(self) -> None:
        done = self.wait("running")
        self.answer(None)
        self.clock.advance(GRACE_SECONDS)
        self.failureResultOf(done, ContainerNotFound)

    def test_cancelling_leaves_nothing(self) -> None:
        unknown = self.wait("running")
        looked = self.wait("running")
        self.asked.pop().callback(None)
        self.happen("create", "start", id="f" * 64, name="other")
        parked = self.wait("stopped", key="other")
        unsettled = self.wait("running", key="other")
        self.assertEqual(self.waits.open, 4)
        for done in (unknown, looked, parked, unsettled):
            done.cancel()
            self.failureResultOf(done, CancelledError)
        for late in self.asked:
            late.callback(None)

    def test_a_renamed_container_is_waited_for_under_its_new_name(self) -> None:
        self.happen("create", "start", type="lxc")
        done = self.waits.wait("lxc", "utest", "stopped", 60)
        self.happen("rename", type="lxc", id="new", name="new", details={"old": "utest"})
        self.assertNoResult(done)
        self.happen("stop", type="lxc", id="new", name="new")
        self.assertEqual(self.ended(done).name, "new")

    def test_too_many(self) -> None:
        self.patch(module, "MAX_WAITS", 1)
        self.happen("create", "start")
        done = self.wait("stopped")
        self.failureResultOf(self.wait("stopped"), TooManyWaits)
        self.happen("die")
        self.ended(done)

    def test_closing_answers_everybody(self) -> None:
        self.happen("create", "start")
        parked = self.wait("stopped")
        unknown = self.wait("stopped", key="nobody")
        self.waits.close()
        self.assertIs(self.ended(parked).state, State.RUNNING)
        self.failureResultOf(unknown, SourceLost)


class ReplayTests(WaitsCase):
    """A source that catches up."""

    def setUp(self) -> None:
        super().setUp()
        self.is_live = False

    def test_nothing_from_a_replay_ends_a_wait(self) -> None:
        # It was killed and started again while the daemon was down.
        done = self.wait("stopped")
        self.answer(RUNNING)
        self.happen("create", "start")
        self.happen("die", details={"exitCode": 137})
        self.happen("start")
        self.assertNoResult(done)
        self.go_live()
        self.happen("die", details={"exitCode": 1})
        self.assertEqual(self.ended(done).exit_code, 1)

    def test_a_replay_that_ends_in_another_state_shows_none_of_it(self) -> None:
        done = self.wait("paused", 9)
        self.answer(RUNNING)
        self.happen("create", "start", "pause")
        self.clock.advance(9)
        self.assertIs(self.ended(done).state, State.RUNNING)

    def test_what_the_source_says_counts_before_it_is_live(self) -> None:
        done = self.wait("running")
        self.answer(RUNNING)
        self.assertIs(self.ended(done).state, State.RUNNING)

    def test_what_happened_meanwhile_is_noticed_when_it_is_live(self) -> None:
        done = self.wait("stopped")
        self.answer(RUNNING)
        self.happen("create", "start")
        self.happen("die", details={"exitCode": 3})
        self.go_live()
        self.assertNoResult(done)
        self.answer(STOPPED)
        self.assertEqual(self.ended(done).exit_code, 3)

    def test_one_that_was_removed_meanwhile(self) -> None:
        done = self.wait("stopped")
        self.answer(RUNNING)
        self.happen("create", "start")
        self.happen("die", details={"exitCode": 3})
        self.happen("destroy")
        self.assertNoResult(done)
        self.go_live()
        found = self.ended(done)
        self.assertEqual((found.exit_code, found.removed), (3, True))

    def test_one_that_is_gone_before_it_was_recorded(self) -> None:
        done = self.wait("stopped")
        self.answer(RUNNING)
        self.go_live()
        self.answer(None)
        self.clock.advance(GRACE_SECONDS)
        self.assertTrue(self.ended(done).removed)

    def test_one_that_the_source_does_not_know_yet(self) -> None:
        for answer in (None, SourceLost("it is being started")):
            self.is_live = False
            done = self.wait("running")
            self.answer(answer)
            self.clock.advance(10)
            self.assertNoResult(done)
            self.go_live()
            self.answer(RUNNING)
            self.assertIs(self.ended(done).state, State.RUNNING)

    def test_a_name_that_a_replay_brings_is_not_bound_before_it_is_over(self) -> None:
        done = self.wait("stopped", key="DockerTestAPI")
        self.answer(None)
        self.happen("create", "start", "die", "destroy")
        self.happen("create", "start", id="f" * 64)
        self.assertNoResult(done)
        self.go_live()
        self.happen("die", id="f" * 64, details={"exitCode": 5})
        self.assertEqual(self.ended(done).exit_code, 5)

    def test_a_host_on_which_they_turn_up(self) -> None:
        done = self.wait("running")
        self.answer(SourceAbsent("no engine"))
        self.happen("create", "start")
        self.go_live()
        self.answer(RUNNING)
        self.assertIs(self.ended(done).state, State.RUNNING)

    def test_a_host_without_such_containers(self) -> None:
        done = self.wait("running")
        self.answer(SourceAbsent("no engine"))
        self.clock.advance(GRACE_SECONDS)
        self.failureResultOf(done, ContainerNotFound)

    def test_one_that_is_not_known_when_the_time_is_up(self) -> None:
        done = self.wait("running", 3)
        self.answer(None)
        self.clock.advance(3)
        self.failureResultOf(done, SourceLost)

    def test_one_that_is_renamed_while_its_source_is_away(self) -> None:
        self.is_live = True
        self.happen("create", "start", type="lxc")
        done = self.waits.wait("lxc", "utest", "stopped", 60)
        self.is_live = False
        self.happen("rename", type="lxc", id="new", name="new", details={"old": "utest"})
        self.is_live = True
        self.happen("stop", type="lxc", id="new", name="new")
        self.assertEqual(self.ended(done).name, "new")
