"""Endpoints that open, fail, are tried again, and stop in each of their states."""

from __future__ import annotations

import errno
from collections.abc import Callable

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from stationd.errors import CannotListen
from stationd.listeners import RETRY_SECONDS, Listeners

TAKEN = CannotListenError("127.0.0.1", 1, OSError(errno.EADDRINUSE, "Address already in use"))
MISSING = CannotListenError("127.0.0.1", 1, OSError(errno.EADDRNOTAVAIL, "Cannot assign"))


@implementer(IListeningPort)
class Port:
    """A port that only knows whether it was stopped."""

    stopped = False

    def startListening(self) -> None:
        """Nothing."""

    def stopListening(self) -> Deferred[None]:
        self.stopped = True
        return succeed(None)

    def getHost(self) -> UNIXAddress:
        return UNIXAddress(None)


class DoorsTests(SynchronousTestCase):
    """Answers of endpoints are given by hand."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.answers: dict[str, Callable[[], Deferred[IListeningPort]]] = {}
        self.attempts: list[str] = []
        self.late: list[CannotListen] = []
        self.port = Port()

    def listeners(self, *names: str) -> Listeners:
        def listen(name: str) -> Deferred[IListeningPort]:
            self.attempts.append(name)
            return self.answers[name]()

        return Listeners(self.clock, names, listen)

    def opens(self) -> Deferred[IListeningPort]:
        return succeed(self.port)

    def refuses(self, error: Exception) -> Callable[[], Deferred[IListeningPort]]:
        return lambda: fail(error)

    def open(self, *names: str) -> Listeners:
        listeners = self.listeners(*names)
        listeners.open(self.late.append)
        listeners.startService()
        return listeners

    def test_all_open(self) -> None:
        self.answers = {"a": self.opens, "b": self.opens}
        listeners = self.open("a", "b")
        self.assertEqual(listeners.states(), {"a": "open", "b": "open"})
        self.successResultOf(listeners.stopService())
        self.assertTrue(self.port.stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_that_cannot_is_tried_again_and_said_once(self) -> None:
        self.answers = {"a": self.opens, "b": self.refuses(TAKEN)}
        with capturedLogs() as logs:
            listeners = self.open("a", "b")
            self.clock.pump([RETRY_SECONDS] * 3)
        self.assertEqual(listeners.states(), {"a": "open", "b": "Address already in use"})
        self.assertEqual(self.attempts, ["a", *"bbbb"])
        errors = [e for e in logs if e["log_level"] is LogLevel.error]
        self.assertEqual(
            [str(e["error"]) for e in errors], ["cannot listen on b: Address already in use"]
        )
        with capturedLogs() as logs:
            self.answers["b"] = self.refuses(MISSING)
            self.clock.pump([RETRY_SECONDS] * 2)
        self.assertEqual(
            [str(e["error"]) for e in logs], ["cannot listen on b: Cannot assign"], "new reason"
        )
        with capturedLogs() as logs:
            self.answers["b"] = self.opens
            self.clock.advance(RETRY_SECONDS)
        self.assertEqual([e["description"] for e in logs], ["b"])
        self.assertEqual(listeners.states(), {"a": "open", "b": "open"})
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(listeners.stopService())

    def test_the_reason_stays_while_it_is_tried_again(self) -> None:
        self.answers = {"a": self.opens, "b": self.refuses(TAKEN)}
        listeners = self.open("a", "b")
        self.answers["b"] = Deferred
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(listeners.states()["b"], "Address already in use")
        self.successResultOf(listeners.stopService())
        self.assertEqual(listeners.states(), {"a": "closed", "b": "closed"})

    def test_none_at_once(self) -> None:
        self.answers = {"a": self.refuses(TAKEN), "b": self.refuses(MISSING)}
        listeners = self.listeners("a", "b")
        error = self.assertRaises(CannotListen, listeners.open, self.late.append)
        self.assertEqual(str(error), "cannot listen on a: Address already in use")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.late, [])

    def test_none_as_turns_out_later(self) -> None:
        pending: Deferred[IListeningPort] = Deferred()
        self.answers = {"a": self.refuses(TAKEN), "b": lambda: pending}
        listeners = self.open("a", "b")
        self.assertEqual(listeners.states(), {"a": "Address already in use", "b": "opening"})
        self.assertEqual(self.late, [])
        pending.errback(MISSING)
        self.assertEqual(len(self.late), 1)
        self.successResultOf(listeners.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_that_opens_later(self) -> None:
        pending: Deferred[IListeningPort] = Deferred()
        self.answers = {"a": self.refuses(TAKEN), "b": lambda: pending}
        listeners = self.open("a", "b")
        pending.callback(self.port)
        self.assertEqual(self.late, [])
        self.assertEqual(listeners.states(), {"a": "Address already in use", "b": "open"})
        self.successResultOf(listeners.stopService())
        self.assertTrue(self.port.stopped)

    def test_what_an_endpoint_raises_is_a_reason_too(self) -> None:
        def broken() -> Deferred[IListeningPort]:
            raise ImportError("No module named 'OpenSSL'\nat all")

        self.answers = {"a": self.opens, "b": broken}
        listeners = self.open("a", "b")
        reason = listeners.states()["b"]
        self.assertRegex(reason, r"^No module named 'OpenSSL' at all; .* pyOpenSSL$")
        self.successResultOf(listeners.stopService())

    def test_an_attempt_is_cancelled_at_the_stop(self) -> None:
        cancelled: list[object] = []
        self.answers = {"a": self.opens, "b": lambda: Deferred(cancelled.append)}
        listeners = self.open("a", "b")
        with capturedLogs() as logs:
            self.successResultOf(listeners.stopService())
        self.assertEqual((len(cancelled), list(logs)), (1, []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_port_that_comes_after_the_stop_is_closed(self) -> None:
        def canceller(attempt: Deferred[IListeningPort]) -> None:
            attempt.callback(port)

        port = Port()
        self.answers = {"a": self.opens, "b": lambda: Deferred(canceller)}
        listeners = self.open("a", "b")
        self.successResultOf(listeners.stopService())
        self.assertTrue(port.stopped)

    def test_cancelled_by_another_it_is_tried_again(self) -> None:
        self.answers = {"a": self.opens, "b": self.refuses(CancelledError())}
        listeners = self.open("a", "b")
        self.assertEqual(listeners.states(), {"a": "open", "b": "CancelledError"})
        self.successResultOf(listeners.stopService())
