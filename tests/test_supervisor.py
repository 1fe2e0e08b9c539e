"""A source is kept running, and its troubles are told once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from stationd.errors import SourceAbsent, SourceLost
from stationd.interfaces import IRecorder, ISource
from stationd.records import Container, ContainerStats, Level, State
from stationd.supervisor import MAX_RETRY_DELAY, Sources, Supervisor


@implementer(ISource)
class ScriptedSource:
    """A source that ends when a test says so."""

    type = "docker"

    def __init__(self) -> None:
        self.follows: list[Deferred[None]] = []
        self.closed = False

    def follow(self, recorder: IRecorder) -> Deferred[None]:
        self.follows.append(Deferred())
        return self.follows[-1]

    def find(self, key: str) -> Deferred[Container | None]:
        return succeed(Container(type=self.type, id=key, name=key))

    def sample(self, containers: Sequence[Container]) -> Deferred[dict[str, ContainerStats]]:
        figures = ContainerStats(cpu=0.5, memory_bytes=1, rx_rate=2, tx_rate=3, addresses=())
        return succeed({container.id: figures for container in containers})

    def close(self) -> Deferred[None]:
        self.closed = True
        return succeed(None)


class SupervisorTests(SynchronousTestCase):
    """One supervised source."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.source = ScriptedSource()
        self.notes: list[tuple[Level, str]] = []
        self.supervisor = Supervisor(self.clock, self.source, None, self.note)  # type: ignore[arg-type]
        self.supervisor.startService()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def note(self, level: Level, text: str) -> Deferred[None]:
        self.notes.append((level, text))
        return succeed(None)

    def stop(self) -> None:
        done = self.supervisor.stopService()
        self.successResultOf(done)
        self.assertTrue(self.source.closed)

    def fail_with(self, error: Exception) -> None:
        self.source.follows[-1].errback(error)

    def state(self) -> tuple[str, str]:
        return self.supervisor.state.value, self.supervisor.reason

    def test_the_fake_is_a_source(self) -> None:
        verifyObject(ISource, self.source)
        self.stop()

    def test_states(self) -> None:
        self.assertEqual(self.state(), ("connecting", ""))
        self.supervisor.live()
        self.assertEqual(self.state(), ("live", ""))
        self.fail_with(SourceLost("the stream ended"))
        self.assertEqual(self.state(), ("failed", "the stream ended"))
        self.clock.advance(MAX_RETRY_DELAY)
        self.fail_with(SourceAbsent("no socket"))
        self.assertEqual(self.state(), ("absent", "no socket"))
        self.clock.advance(MAX_RETRY_DELAY)
        self.supervisor.connected()
        self.assertEqual(self.state(), ("catching up", ""))
        self.supervisor.live()
        self.supervisor.connected()
        self.assertEqual(self.state(), ("live", ""))
        self.stop()

    def test_lost_and_back_are_noted_once(self) -> None:
        self.supervisor.live()
        for _ in range(5):
            self.fail_with(SourceLost("gone"))
            self.clock.advance(MAX_RETRY_DELAY)
        self.supervisor.live()
        self.supervisor.live()
        self.assertEqual(
            self.notes, [(Level.WARN, "Lost docker: gone"), (Level.INFO, "Following docker again")]
        )
        self.stop()

    def test_the_first_success_is_nothing_to_note(self) -> None:
        self.fail_with(SourceAbsent("not yet"))
        self.clock.advance(MAX_RETRY_DELAY)
        self.supervisor.live()
        self.assertEqual(self.notes, [])
        self.stop()

    def test_attempts_get_rarer_and_quick_again_after_a_long_life(self) -> None:
        delays = []
        for _ in range(9):
            self.fail_with(SourceLost("gone"))
            (call,) = self.clock.getDelayedCalls()
            delays.append(round(call.getTime() - self.clock.seconds(), 3))
            self.clock.advance(delays[-1])
        self.assertEqual(delays, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])
        self.supervisor.live()
        self.clock.advance(10)
        self.fail_with(SourceLost("gone"))
        (call,) = self.clock.getDelayedCalls()
        self.assertAlmostEqual(call.getTime() - self.clock.seconds(), 0.1)
        self.stop()

    def test_a_bug_in_a_source_is_logged_and_the_source_tried_again(self) -> None:
        self.fail_with(ZeroDivisionError("oops"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.state(), ("failed", "oops"))
        self.clock.advance(MAX_RETRY_DELAY)
        self.assertEqual(len(self.source.follows), 2)
        self.stop()

    def test_an_error_that_cannot_be_shown_is_no_end(self) -> None:
        class Mine(SourceLost):
            def __str__(self) -> str:
                raise RuntimeError("no text")

        self.source.follows[-1].errback(Mine("it"))
        self.clock.advance(MAX_RETRY_DELAY)
        self.assertEqual(len(self.source.follows), 2)
        self.supervisor.stopService()

    def test_a_source_that_raises_at_once_is_tried_again(self) -> None:
        def broken(recorder: IRecorder) -> Deferred[None]:
            raise ZeroDivisionError("at once")

        self.patch(self.source, "follow", broken)
        self.fail_with(SourceLost("gone"))
        self.clock.advance(MAX_RETRY_DELAY)
        self.assertEqual(self.state(), ("failed", "at once"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.stop()

    def test_stopping_waits_for_the_source(self) -> None:
        let_go: list[Deferred[None]] = []
        self.source.follows[0] = Deferred(let_go.append)
        self.supervisor._following = self.source.follows[0].addBoth(self.supervisor._ended)
        self.stop()
        self.assertEqual(len(let_go), 1)
        self.assertEqual(len(self.source.follows), 1)

    def test_stopping_between_two_attempts(self) -> None:
        self.fail_with(SourceLost("gone"))
        self.stop()


class SourcesTests(SynchronousTestCase):
    """Sources by type."""

    def setUp(self) -> None:
        self.sources = Sources()
        source = ScriptedSource()
        supervisor = Supervisor(Clock(), source, None, lambda level, text: succeed(None))  # type: ignore[arg-type]
        self.sources.add(source, supervisor)

    def test_a_type_without_a_source_knows_nothing(self) -> None:
        self.failureResultOf(self.sources.find("lxc", "a"), SourceAbsent)
        found = self.successResultOf(self.sources.find("docker", "a"))
        assert found is not None
        self.assertEqual(found.id, "a")

    def test_figures_are_by_reference(self) -> None:
        both = [
            Container(type=type, id="a", name="a", state=State.RUNNING)
            for type in ("docker", "lxc")
        ]
        found: Deferred[Any] = self.sources.sample(both)
        self.assertEqual(list(self.successResultOf(found)), ["docker/a"])

    def test_states(self) -> None:
        self.assertEqual(self.sources.states(), {"docker": {"state": "connecting"}})
        self.assertFalse(self.sources.is_live("docker"))
        self.sources.live("docker")
        self.assertEqual(self.sources.states(), {"docker": {"state": "live"}})
        self.assertTrue(self.sources.is_live("docker"))
        self.assertFalse(self.sources.is_live("lxc"), "there is none")
