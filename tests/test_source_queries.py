"""Questions to sources: of each container one at a time, and none for nobody."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import SourceAbsent, SourceLost
from stationd.records import Container
from stationd.source_queries import MAX_RETRY_SECONDS, SourceQueries

ONE = Container(type="docker", id="1" * 64, name="one")
OTHER = Container(type="docker", id="2" * 64, name="one")


class SourceQuestionsTests(SynchronousTestCase):
    """A source that answers when a test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.is_live = True
        self.asked: list[Deferred[Container | None]] = []
        self.cancelled: list[object] = []
        self.questions = SourceQueries(self.clock, self.outside, lambda type: self.is_live)

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.questions._open, {})

    def outside(self, type: str, key: str) -> Deferred[Container | None]:
        self.asked.append(Deferred(self.cancelled.append))
        return self.asked[-1]

    def ask(self, key: str = "one") -> Deferred[Container | None]:
        return self.questions.find("docker", key)

    def test_those_who_come_later_share_the_next_question(self) -> None:
        first, later = self.ask(), [self.ask() for _ in range(1000)]
        self.assertEqual(len(self.asked), 1)
        self.asked[0].callback(ONE)
        self.assertEqual(self.successResultOf(first), ONE)
        # An answer that was asked for before them may be older than they are.
        self.assertEqual(len(self.asked), 2)
        self.asked[1].callback(OTHER)
        self.assertEqual({self.successResultOf(one) for one in later}, {OTHER})

    def test_others_do_not_wait_for_it(self) -> None:
        one, other = self.ask("one"), self.ask("other")
        self.asked[1].callback(None)
        self.assertIsNone(self.successResultOf(other))
        self.assertNoResult(one)
        self.asked[0].callback(ONE)
        self.successResultOf(one)

    def test_a_live_source_is_asked_again_by_and_by(self) -> None:
        waiting = [self.ask() for _ in range(3)]
        pauses = []
        for _ in range(6):
            self.asked[-1].errback(SourceLost("it hangs"))
            waiting.append(self.ask())
            (call,) = self.clock.getDelayedCalls()
            pauses.append(call.getTime() - self.clock.seconds())
            self.clock.advance(pauses[-1])
        self.assertEqual(pauses, [1, 2, 4, MAX_RETRY_SECONDS, MAX_RETRY_SECONDS, MAX_RETRY_SECONDS])
        self.assertEqual(len(self.asked), 7)
        self.asked[-1].callback(ONE)
        for done in waiting:
            self.assertEqual(self.successResultOf(done), ONE)

    def test_one_that_is_not_live_is_not(self) -> None:
        self.is_live = False
        done = self.ask()
        self.asked[0].errback(SourceLost("it hangs"))
        self.failureResultOf(done, SourceLost)

    def test_one_that_is_absent_is_not(self) -> None:
        done = self.ask()
        self.asked[0].errback(SourceAbsent("no engine"))
        self.failureResultOf(done, SourceAbsent)

    def test_a_bug_is_no_answer(self) -> None:
        self.is_live = False
        done = self.ask()
        self.asked[0].errback(ZeroDivisionError())
        self.failureResultOf(done, SourceLost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_what_is_needed_by_none_is_not_asked(self) -> None:
        first, later = self.ask(), self.ask()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.cancelled, [])
        later.cancel()
        self.failureResultOf(later, CancelledError)
        self.assertEqual(self.cancelled, self.asked)
        self.assertEqual(len(self.asked), 1)

    def test_nor_asked_again(self) -> None:
        done = self.ask()
        self.asked[0].errback(SourceLost("it hangs"))
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.clock.advance(MAX_RETRY_SECONDS)
        self.assertEqual(len(self.asked), 1)

    def test_one_who_leaves_when_another_is_answered(self) -> None:
        first, second = self.ask(), self.ask()
        self.asked[0].callback(ONE)
        third = self.ask()
        second.addCallback(lambda _: third.cancel())
        self.asked[1].callback(ONE)
        self.successResultOf(first)
        self.failureResultOf(third, CancelledError)
