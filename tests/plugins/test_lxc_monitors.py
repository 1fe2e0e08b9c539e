"""What is heard of how runs ended, when it comes late or never."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from stationd.records import Observation
from stationd_plugins.lxc.monitord import Message
from stationd_plugins.lxc.monitors import LATE, STEP, Monitors, apart
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import observation
from stationd_plugins.lxc.tracker import Tracker
from tests.plugins.test_lxc_following import Reactor


class Source:
    """Two paths, one with an lxc-monitord."""

    def __init__(self, connection: socket.socket) -> None:
        self.paths = ("/lxc", "/other")
        self.reactor = Reactor()
        self.tracker = Tracker(lambda _: True)
        self.now_us = lambda: 1
        self._connection = connection

    def connect(self, paths: Sequence[str]) -> Deferred[dict[str, socket.socket]]:
        return succeed({"/lxc": self._connection})


class MonitorsTests(SynchronousTestCase):
    """Stops that a scan has seen."""

    def setUp(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.source = Source(ours)
        self.monitors = Monitors(self.source, lambda: None)  # type: ignore[arg-type]
        self.addCleanup(self.monitors.close)
        self.successResultOf(Deferred.fromCoroutine(self.monitors.connect()))
        self.stop = observation("stop", Seen("one", "/lxc", "1", ""), 1, False)
        self.awaited = self.monitors.awaited([self.stop], {"one": "/lxc"})
        self.waiting = Deferred.fromCoroutine(self.monitors.wait(self.awaited))

    def details(self) -> dict[str, object]:
        self.successResultOf(self.waiting)
        (stop,) = self.monitors.explained([self.stop])
        return {**stop.details}

    def advance(self, seconds: float) -> None:
        self.source.reactor.pump([STEP] * round(seconds / STEP))

    def test_a_busy_machine(self) -> None:
        self.advance(LATE - 2 * STEP)
        self.assertNoResult(self.waiting)
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

    def test_nothing_is_awaited_of_a_connection_that_is_lost(self) -> None:
        (client,) = self.source.reactor.getReaders()
        client.connectionLost(Failure(ConnectionLost()))
        self.advance(STEP)
        self.assertEqual(self.details(), {})

    def test_what_may_still_be_said(self) -> None:
        start = observation("start", Seen("two", "/lxc", "2", ""), 1, False)
        self.assertEqual(self.awaited, {"one": "/lxc"})
        told = attrs.evolve(self.stop, details={"exitCode": 0})
        for happened, home in ((self.stop, "/other"), (told, "/lxc"), (start, "/lxc")):
            self.assertEqual(self.monitors.awaited([happened], {happened.name: home}), {})
        self.assertEqual(self.monitors.awaited([self.stop], {}), {})
        self.monitors.heard.hear(Message("one", status=0), 1)
        self.assertEqual(self.monitors.awaited([self.stop], {"one": "/lxc"}), {})
        self.assertEqual(self.monitors.explained([told, start]), [told, start])


class ApartTests(SynchronousTestCase):
    """What belongs together."""

    def test_all_of_a_container_and_of_whoever_has_its_names(self) -> None:
        def one(action: str, name: str, **details: object) -> Observation:
            return observation(action, Seen(name, "/lxc", "1", ""), 1, False, **details)

        theirs = [
            one("rename", "b", old="a"),
            one("rename", "c", old="b"),
            one("port-remove", "c"),
            one("stop", "c"),
            one("create", "a"),
        ]
        others = [one("start", "d"), one("rename", "e", old="f")]
        mixed = [others[0], *theirs[:3], others[1], *theirs[3:]]
        self.assertEqual(apart(mixed, ["c"]), (others, theirs))
        self.assertEqual(apart(mixed, []), (mixed, []))
