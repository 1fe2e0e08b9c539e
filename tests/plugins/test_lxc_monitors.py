"""What is heard of how runs ended, when it comes late or never."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from stationd_plugins.lxc.monitord import Message
from stationd_plugins.lxc.monitors import LATE, STEP, Monitors
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import observation
from stationd_plugins.lxc.tracker import Tracker
from tests.plugins.test_lxc_following import Reactor


class Source:
    """A path with an lxc-monitord."""

    def __init__(self, connection: socket.socket) -> None:
        self.paths = ("/lxc",)
        self.reactor = Reactor()
        self.tracker = Tracker(lambda _: True)
        self.now_us = lambda: 1
        self._connection = connection

    def connect(self, paths: Sequence[str]) -> Deferred[dict[str, socket.socket]]:
        return succeed({"/lxc": self._connection})


class ExplainedTests(SynchronousTestCase):
    """A stop that a scan has seen."""

    def setUp(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.source = Source(ours)
        self.monitors = Monitors(self.source, lambda: None)  # type: ignore[arg-type]
        self.addCleanup(self.monitors.close)
        self.successResultOf(Deferred.fromCoroutine(self.monitors.connect()))
        stop = observation("stop", Seen("one", "/lxc", "1", ""), 1, False)
        self.explained = Deferred.fromCoroutine(self.monitors.explained([stop]))

    def details(self) -> dict[str, object]:
        (stop,) = self.successResultOf(self.explained)
        return {**stop.details}

    def advance(self, seconds: float) -> None:
        self.source.reactor.pump([STEP] * round(seconds / STEP))

    def test_a_busy_machine(self) -> None:
        self.advance(LATE - 2 * STEP)
        self.assertNoResult(self.explained)
        self.monitors.heard.hear(Message("one", status=3 << 8), 1)
        self.advance(STEP)
        self.assertEqual(self.details(), {"exitCode": 3})

    def test_a_monitor_that_was_killed_says_nothing(self) -> None:
        self.advance(LATE)
        self.assertEqual(self.details(), {})
        self.assertEqual(self.source.reactor.getDelayedCalls(), [])

    def test_it_is_not_waited_for_after_the_end(self) -> None:
        self.monitors.close()
        self.advance(STEP)
        self.assertEqual(self.details(), {})
