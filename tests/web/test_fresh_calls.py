"""Blocking calls: of each kind one at a time, and who asks is given one that began after that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from stationd.web.fresh_calls import FreshCalls


class HeldCalls:
    """Calls that end when a test says so."""

    def __init__(self) -> None:
        self.begun: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def __call__(self, function: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.begun.append((function, done))
        return done

    def finish(self, index: int = 0) -> None:
        """End one: it is called now."""
        function, done = self.begun.pop(index)
        done.callback(function())


class FreshCallsTests(SynchronousTestCase):
    """With threads that do what they are told."""

    def setUp(self) -> None:
        self.threads = HeldCalls()
        self.calls = FreshCalls(self.threads)
        self.values = iter(range(10))

    def ask(self, kind: str = "a") -> Deferred[int]:
        return self.calls.call(kind, lambda: next(self.values))

    def test_those_who_come_later_are_given_a_later_call(self) -> None:
        first = self.ask()
        later = [self.ask(), self.ask()]
        self.assertEqual(len(self.threads.begun), 1)
        self.threads.finish()
        self.assertEqual(self.successResultOf(first), 0)
        self.assertNoResult(later[0])
        self.threads.finish()
        self.assertEqual([self.successResultOf(one) for one in later], [1, 1])
        self.assertEqual(self.threads.begun, [])

    def test_another_kind_does_not_wait(self) -> None:
        first, other = self.ask(), self.ask("b")
        self.threads.finish(1)
        self.assertEqual(self.successResultOf(other), 0)
        self.assertNoResult(first)
        self.threads.finish()
        self.assertEqual(self.successResultOf(first), 1)

    def test_one_who_is_asked_for_within_an_answer(self) -> None:
        again: list[Deferred[int]] = []
        self.ask().addCallback(lambda _: again.append(self.ask()))
        self.threads.finish()
        self.threads.finish()
        self.assertEqual(self.successResultOf(again[0]), 1)

    def test_one_who_does_not_wait_any_more(self) -> None:
        first, second, third = self.ask(), self.ask(), self.ask()
        for gone in (first, second):
            gone.cancel()
            self.failureResultOf(gone, CancelledError)
        self.threads.finish()
        self.threads.finish()
        self.assertEqual(self.successResultOf(third), 1)

    def test_a_failure_is_theirs_who_asked(self) -> None:
        first = self.calls.call("a", lambda: 1)
        second = self.ask()
        _, done = self.threads.begun.pop()
        done.errback(OSError("gone"))
        self.failureResultOf(first, OSError)
        self.threads.finish()
        self.assertEqual(self.successResultOf(second), 0)

    def test_no_thread_can_be_had(self) -> None:
        def refuses(function: Callable[[], Any]) -> Deferred[Any]:
            raise RuntimeError("can't start new thread")

        self.failureResultOf(FreshCalls(refuses).call("a", lambda: 1), RuntimeError)
