"""Who waits for events is told once."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from stationd.feed import Feed


class FeedTests(SynchronousTestCase):
    """A feed that has come to number 5."""

    def setUp(self) -> None:
        self.feed = Feed(5)

    def tearDown(self) -> None:
        self.assertEqual(self.feed.waiting, 0)

    def test_what_is_there_already(self) -> None:
        self.successResultOf(self.feed.wait_after(4))

    def test_what_comes(self) -> None:
        near, far = self.feed.wait_after(5), self.feed.wait_after(7)
        self.feed.committed(5)
        self.assertNoResult(near)
        self.feed.committed(7)
        self.successResultOf(near)
        self.assertNoResult(far)
        self.feed.committed(8)
        self.successResultOf(far)

    def test_commits_told_out_of_order_do_not_go_back(self) -> None:
        self.feed.committed(9)
        self.feed.committed(6)
        self.successResultOf(self.feed.wait_after(8))

    def test_cancelling_leaves_nothing(self) -> None:
        done = self.feed.wait_after(5)
        done.cancel()
        self.failureResultOf(done, CancelledError)

    def test_one_who_cancels_another_while_being_told(self) -> None:
        first, second = self.feed.wait_after(5), self.feed.wait_after(5)
        first.addCallback(lambda _: second.cancel())
        self.feed.committed(6)
        self.successResultOf(first)
        self.failureResultOf(second, CancelledError)

    def test_closing_lets_everybody_go(self) -> None:
        done = self.feed.wait_after(5)
        self.feed.close()
        self.failureResultOf(done, CancelledError)
        self.failureResultOf(self.feed.wait_after(5), CancelledError)
