"""Many logins at once."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import TooManyLogins
from stationd.web.account_store import MAX_PASSWORD_LENGTH
from stationd.web.password_verifier import MAX_QUEUED, MAX_THREADS, PasswordVerifier
from tests.web.station import CHEAP, StationCase, Wire


class SlowThreads:
    """Threads that finish when a test says so.

    @ivar computing: what they are at, in order. C{begun}: how many they have begun.
    """

    def __init__(self) -> None:
        self.computing: list[Deferred[bool]] = []
        self.begun = 0
        self.started = self.stopped = False

    def start(self) -> None:
        self.started = True

    def run(self, work: Callable[[], bool]) -> Deferred[bool]:
        self.begun += 1
        self.computing.append(Deferred())
        return self.computing[-1]

    def stop(self) -> None:
        assert not self.computing
        self.stopped = True

    def finish(self, result: bool = False) -> None:
        """The first one has finished."""
        self.computing.pop(0).callback(result)


class HashingTests(SynchronousTestCase):
    """The queue."""

    def setUp(self) -> None:
        self.threads = SlowThreads()
        self.hashing = PasswordVerifier(self.threads)
        self.hashing.startService()

    def verify(self) -> Deferred[bool]:
        return self.hashing.verify("x", CHEAP)

    def test_few_at_a_time_in_order(self) -> None:
        asked = [self.verify() for _ in range(MAX_THREADS + 3)]
        for number, one in enumerate(asked):
            self.assertEqual(len(self.threads.computing), min(MAX_THREADS, len(asked) - number))
            self.assertNoResult(one)
            self.threads.finish(number % 2 == 0)
            self.assertEqual(self.successResultOf(one), number % 2 == 0)
        self.assertEqual(self.threads.begun, len(asked))

    def test_a_place_is_free_when_its_thread_has_finished(self) -> None:
        asked = [self.verify() for _ in range(MAX_THREADS + MAX_QUEUED)]
        for one in asked:
            one.cancel()
            self.failureResultOf(one, CancelledError)
        last = self.verify()
        self.assertEqual(
            (self.threads.begun, len(self.threads.computing)), (MAX_THREADS, MAX_THREADS)
        )
        self.threads.finish(True)
        self.assertNoResult(last)
        self.assertEqual(
            (self.threads.begun, len(self.threads.computing)), (MAX_THREADS + 1, MAX_THREADS)
        )
        self.threads.finish(False)
        self.threads.finish(True)
        self.assertTrue(self.successResultOf(last))

    def test_the_queue_is_bounded(self) -> None:
        asked = [self.verify() for _ in range(MAX_THREADS + MAX_QUEUED)]
        self.assertRaises(TooManyLogins, self.verify)
        asked[-1].addErrback(lambda _: None)
        asked[-1].cancel()
        self.verify()
        self.assertRaises(TooManyLogins, self.verify)

    def test_an_error_in_a_thread(self) -> None:
        asked = self.verify()
        self.threads.computing.pop(0).errback(ZeroDivisionError())
        self.failureResultOf(asked, ZeroDivisionError)
        self.verify()
        self.assertEqual(self.threads.begun, 2)

    def test_a_stop_drops_what_waits_and_waits_for_the_threads(self) -> None:
        asked = [self.verify() for _ in range(MAX_THREADS + MAX_QUEUED)]
        stopping = self.hashing.stopService()
        for one in asked[MAX_THREADS:]:
            self.failureResultOf(one, TooManyLogins)
        self.assertRaises(TooManyLogins, self.verify)
        for one in asked[:MAX_THREADS]:
            self.assertNoResult(stopping)
            self.threads.finish(True)
            self.assertTrue(self.successResultOf(one))
        self.successResultOf(stopping)
        self.assertEqual((self.threads.begun, self.threads.stopped), (MAX_THREADS, True))


class FloodTests(StationCase):
    """Clients that log in and leave."""

    def make_threads(self) -> SlowThreads:
        self.threads = SlowThreads()
        return self.threads

    def login_on(self, wire: Wire, password: str = "wrong") -> None:
        body = f"username=admin&password={password}"
        head = f"POST /api/v1/login HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        wire.channel.dataReceived((head + body).encode())

    def test_those_that_have_left_are_not_computed(self) -> None:
        for _ in range(400):
            wire = Wire(self.site)
            self.login_on(wire)
            wire.close()
        wire = self.wire()
        self.login_on(wire, "right")
        self.assertEqual(self.threads.begun, MAX_THREADS)
        for _ in range(MAX_THREADS):
            self.threads.finish()
        self.assertEqual(self.threads.begun, MAX_THREADS + 1)
        self.threads.finish(True)
        self.assertEqual([one.status for one in wire.answers()], [200])

    def test_those_that_stay_are_answered_at_the_stop(self) -> None:
        wires = [self.wire() for _ in range(MAX_THREADS + MAX_QUEUED + 5)]
        for wire in wires:
            self.login_on(wire)
        stopping = self.hashing.stopService()
        for _ in range(MAX_THREADS):
            self.threads.finish()
        self.successResultOf(stopping)
        statuses = [[one.status for one in wire.answers()] for wire in wires]
        self.assertEqual(statuses, [[401]] * MAX_THREADS + [[503]] * (MAX_QUEUED + 5))

    def test_a_long_password_costs_nothing(self) -> None:
        wire = self.wire()
        self.login_on(wire, "x" * (MAX_PASSWORD_LENGTH + 1))
        self.assertEqual([one.status for one in wire.answers()], [401])
        self.assertEqual(self.threads.begun, 0)


del StationCase
