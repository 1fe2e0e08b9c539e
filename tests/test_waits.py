"""Waits: answered once, at the right moment, and gone without a trace."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from stationd import waits as module
from stationd.containers import Containers
from stationd.errors import ContainerUnknown, TooManyWaits
from stationd.records import Container, State
from stationd.waits import GRACE, LOOK, Waits
from tests.test_narration import ID, happened


class WaitsTests(SynchronousTestCase):
    """A registry, and a world outside that answers when a test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.containers = Containers()
        self.asked: list[Deferred[Container | None]] = []
        self.waits = Waits(self.clock, self.containers, self.outside)

    def tearDown(self) -> None:
        self.assertEqual(self.waits.open, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.waits._parked, {})

    def outside(self, type: str, key: str) -> Deferred[Container | None]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def answer(self, found: Container | None) -> None:
        self.asked.pop(0).callback(found)

    def happen(self, *actions: str, **fields: Any) -> None:
        for action in actions:
            change = self.containers.apply(happened(action, **fields))
            if change:
                self.waits.changed(change)

    def wait(self, target: str, duration: float = 60, key: str = ID) -> Deferred[Container]:
        return self.waits.wait("docker", key, target, duration)

    def test_answers_when_the_state_is_reached(self) -> None:
        self.happen("create", "start")
        for key in (ID, ID[:12], "DockerTestAPI"):
            done = self.wait("stopped", key=key)
            self.assertNoResult(done)
            self.happen("die", details={"exitCode": 7})
            self.assertEqual(self.successResultOf(done).exit_code, 7)
            self.happen("start")

    def test_answers_at_once_when_it_is_so_and_the_world_agrees(self) -> None:
        self.happen("create", "start")
        done = self.wait("running")
        self.answer(Container(type="docker", id=ID, name="x", state=State.RUNNING))
        self.assertIs(self.successResultOf(done).state, State.RUNNING)

    def test_a_world_that_has_forgotten_how_one_ended(self) -> None:
        self.happen("create", "start")
        self.happen("die", details={"exitCode": 7})
        done = self.wait("stopped")
        self.answer(Container(type="docker", id=ID, name="one", state=State.STOPPED))
        self.assertEqual(self.successResultOf(done).exit_code, 7)

    def test_a_stale_registry_is_not_believed(self) -> None:
        self.happen("create", "start", "die", details={"exitCode": 0})
        done = self.wait("stopped")
        # The container has been started again; we have not heard of it yet.
        self.answer(Container(type="docker", id=ID, name="x", state=State.RUNNING))
        self.happen("stop")
        self.assertNoResult(done)
        self.happen("start")
        self.assertNoResult(done)
        self.happen("die", details={"exitCode": 9})
        self.assertEqual(self.successResultOf(done).exit_code, 9)

    def test_a_world_that_does_not_know_leaves_it_to_the_registry(self) -> None:
        self.happen("create", "start")
        done = self.wait("running")
        self.answer(None)
        self.assertNoResult(done)
        self.clock.advance(LOOK)
        self.assertIs(self.successResultOf(done).state, State.RUNNING)

    def test_a_world_that_does_not_answer_leaves_it_to_the_registry(self) -> None:
        self.happen("create", "start")
        done = self.wait("running")
        self.clock.advance(LOOK)
        self.assertIs(self.successResultOf(done).state, State.RUNNING)
        self.answer(None)

    def test_the_time_is_up(self) -> None:
        self.happen("create", "start")
        done = self.wait("stopped", 5)
        self.clock.advance(4.9)
        self.assertNoResult(done)
        self.clock.advance(0.1)
        self.assertIs(self.successResultOf(done).state, State.RUNNING)

    def test_no_time_at_all_is_a_look(self) -> None:
        self.happen("create", "start")
        done = self.wait("stopped", 0)
        self.clock.advance(0)
        self.assertIs(self.successResultOf(done).state, State.RUNNING)

    def test_a_removed_container_ends_every_wait(self) -> None:
        self.happen("create", "start")
        waiting = [self.wait(target) for target in ("paused", "healthy", "removed", "stopped")]
        self.happen("die", details={"exitCode": 1})
        self.happen("destroy")
        for done in waiting:
            found = self.successResultOf(done)
            self.assertEqual((found.state, found.exit_code), (State.STOPPED, 1))

    def test_a_container_that_is_gone_is_answered_from_memory(self) -> None:
        self.happen("create", "start")
        self.happen("die", details={"exitCode": 4})
        self.happen("destroy")
        for target in ("stopped", "running", "removed"):
            self.assertEqual(self.successResultOf(self.wait(target)).exit_code, 4)

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
            self.successResultOf(done)
        self.assertEqual(self.asked, [])

    def test_a_state_that_lasts_no_time_is_seen(self) -> None:
        self.happen("create")
        done = self.wait("running")
        self.happen("start", "die", "destroy")
        self.assertIs(self.successResultOf(done).state, State.RUNNING)

    def test_a_container_nobody_knows_yet_turns_up(self) -> None:
        done = self.wait("stopped")
        self.happen("create")
        self.answer(None)
        self.assertNoResult(done)
        self.happen("start")
        self.answer(None)
        self.clock.advance(LOOK)
        self.assertNoResult(done)
        self.happen("die", details={"exitCode": 2})
        self.assertEqual(self.successResultOf(done).exit_code, 2)

    def test_a_container_that_only_the_world_knows(self) -> None:
        done = self.wait("stopped")
        self.answer(Container(type="docker", id=ID, name="x", state=State.RUNNING))
        self.assertNoResult(done)
        self.happen("die")
        self.successResultOf(done)

    def test_a_container_that_lived_between_the_look_and_now(self) -> None:
        done = self.wait("stopped")
        self.answer(None)
        self.clock.advance(GRACE / 2)
        self.happen("create")
        self.answer(Container(type="docker", id=ID, name="x", exit_code=5))
        self.assertEqual(self.successResultOf(done).exit_code, 5)

    def test_an_unknown_container_is_an_error(self) -> None:
        done = self.wait("running")
        self.answer(None)
        self.clock.advance(GRACE)
        self.failureResultOf(done, ContainerUnknown)

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
        self.assertEqual(self.successResultOf(done).name, "new")

    def test_too_many(self) -> None:
        self.patch(module, "LIMIT", 1)
        self.happen("create", "start")
        done = self.wait("stopped")
        self.failureResultOf(self.wait("stopped"), TooManyWaits)
        self.happen("die")
        self.successResultOf(done)

    def test_closing_answers_everybody(self) -> None:
        self.happen("create", "start")
        parked = self.wait("stopped")
        unknown = self.wait("stopped", key="nobody")
        self.waits.close()
        self.assertIs(self.successResultOf(parked).state, State.RUNNING)
        self.failureResultOf(unknown, ContainerUnknown)
        self.answer(None)
