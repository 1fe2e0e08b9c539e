"""When LXC is looked at."""

from __future__ import annotations

import os
import socket
from collections.abc import KeysView, Mapping, Sequence

import attrs
from inotify_simple import Event, flags
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from stationd.errors import SourceLost
from stationd.interfaces import IRecorder, KnownContainers
from stationd.records import Container, Level, Observation, State
from stationd_plugins.host import cgroups
from stationd_plugins.lxc.following import Following
from stationd_plugins.lxc.monitors import LATE
from stationd_plugins.lxc.pace import CREDIT, NET, SHARE, SOON, WAITING, Pace
from stationd_plugins.lxc.paths import Scan
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.tracker import Tracker
from stationd_plugins.nftables.port_map import PortMap

ONE = Seen("one", "/lxc", "1", "")
STARTING = attrs.evolve(ONE, unsettled=True)

STEP = 0.01


class PaceTests(SynchronousTestCase):
    """Numbers."""

    def test_nothing_is_waited_for(self) -> None:
        pace = Pace()
        pace.scanned(1.0, 0.001, (), ())
        self.assertEqual((pace.rest(1.0), pace.pause(1.0)), (0.0, NET))

    def test_what_lasts_is_looked_at_less_and_less(self) -> None:
        pace = Pace()
        for now, pause in ((0.0, SOON), (1.0, 0.1), (60.0, WAITING)):
            pace.scanned(now, 0.0, ["one"], ["one"])
            self.assertAlmostEqual(pace.pause(now), pause)
        # Another one.
        pace.scanned(60.0, 0.0, ["one", "two"], [])
        self.assertEqual(pace.pause(60.0), SOON)

    def test_what_else_is_waited_for(self) -> None:
        pace = Pace()
        for now, pause in ((0.0, WAITING), (20.0, 2.0), (100.0, NET)):
            pace.scanned(now, 0.0, (), ["one"])
            self.assertEqual(pace.pause(now), pause)

    def test_scans_take_a_share_of_the_time(self) -> None:
        pace = Pace()
        now, scanned = 0.0, 0.0
        while now < 100.0:
            now += pace.rest(now) + 0.02
            scanned += 0.02
            pace.scanned(now, 0.02, (), ())
        self.assertLessEqual(scanned, 100.0 * SHARE + CREDIT + 0.04)


@implementer(IReactorFDSet)
class Reactor(MemoryReactorClock):
    """One whose time passes when a test says so."""


class Source:
    """Containers as a test says, which take two milliseconds to look at.

    @ivar daemons: the connections to lxc-monitord that can be had.
    """

    def __init__(self, path: str) -> None:
        self.reactor = Reactor()
        self.paths = (path,)
        self.layout = cgroups.Layout("", {})
        self.ports = PortMap()
        self.tracker = Tracker(lambda _: True)
        self.seen = ONE
        self.others: dict[str, Seen] = {}
        self.daemons: dict[str, socket.socket] = {}
        self.scans = 0
        self.held: Deferred[Scan] | None = None
        self.dumps: list[Deferred[None]] = []

    def now_us(self) -> int:
        return int(self.reactor.seconds() * 1_000_000)

    def scan(self) -> Deferred[Scan]:
        self.scans += 1
        if self.held is not None:
            return self.held
        return succeed(Scan({"one": self.seen, **self.others}, [], seconds=0.002))

    def connect(self, paths: Sequence[str]) -> Deferred[dict[str, socket.socket]]:
        return succeed({path: self.daemons[path] for path in paths if path in self.daemons})

    async def looked_into(
        self, happened: Sequence[Observation], runs: Mapping[str, Seen]
    ) -> Sequence[Observation]:
        return happened

    def dump_ports(self) -> Deferred[None]:
        self.ports.dumping = True
        self.dumps.append(Deferred())
        return self.dumps[-1]


@implementer(IRecorder)
class Recorder:
    """Takes everything."""

    def __init__(self, known: KnownContainers) -> None:
        self._known = known
        self.told: list[str] = []
        self.inferred: list[bool] = []

    def observe(self, observations: Sequence[Observation]) -> Deferred[None]:
        self.told += [one.action for one in observations]
        self.inferred += [one.inferred for one in observations]
        return succeed(None)

    def listing(self, type: str, containers: Sequence[Container]) -> Deferred[None]:
        return succeed(None)

    def origins(self, type: str) -> KeysView[str]:
        return dict[str, None]().keys()

    def known(self, type: str) -> KnownContainers:
        return self._known

    def note(self, level: Level, text: str) -> Deferred[None]:
        return succeed(None)

    def connected(self, type: str) -> None:
        pass

    def live(self, type: str) -> None:
        pass


class FollowingCase(SynchronousTestCase):
    """A source that is followed in a path where something can happen."""

    def setUp(self) -> None:
        path = os.path.abspath(self.mktemp())
        os.mkdir(path)
        self.path = path
        self.source = Source(path)
        self.following: Following | None = None
        self.begin(KnownContainers(containers=(), newest_us=0, complete=False))
        self.addCleanup(self.end)

    def begin(self, known: KnownContainers, *, silent: bool = False) -> None:
        if self.following:
            self.end()
        self.source.seen = attrs.evolve(ONE, is_silent=silent)
        self.recorder = Recorder(known)
        self.following = Following(self.source, self.recorder)  # type: ignore[arg-type]

    def end(self) -> None:
        assert self.following is not None
        done = self.following.done()
        done.addErrback(lambda _: None)
        done.cancel()

    def scans(self, seconds: float, signal_every: float = 0.0) -> int:
        """How many there are, if something happens so often in the path."""
        before = self.source.scans
        for step in range(1, round(seconds / STEP) + 1):
            if signal_every and step % round(signal_every / STEP) == 0:
                self.signal()
            self.source.reactor.advance(STEP)
        return self.source.scans - before

    def signal(self) -> None:
        os.mkdir(f"{self.path}/new")
        os.rmdir(f"{self.path}/new")
        for reader in self.source.reactor.getReaders():
            reader.doRead()


class EndlessSignalsTests(FollowingCase):
    """Scans while something happens all the time.

    @cvar seconds: for how long.
    """

    seconds = 10

    def test_signals_without_end(self) -> None:
        most = (self.seconds * SHARE + CREDIT) / 0.002
        self.assertLessEqual(self.scans(self.seconds, signal_every=STEP), most + 1)


class FollowingTests(FollowingCase):
    """Scans in five minutes."""

    def test_nothing_happens(self) -> None:
        self.assertLessEqual(self.scans(300), 300 / NET)

    def test_one_never_starts_while_others_do_something(self) -> None:
        self.source.seen = STARTING
        self.scans(10)
        self.assertLessEqual(self.scans(300, signal_every=20), 300 / WAITING + 2 * 300 / 20)

    def test_an_overflow_that_is_noticed_during_a_scan(self) -> None:
        assert self.following is not None
        held = self.source.held = Deferred()
        self.signal()
        self.assertEqual(self.recorder.told, [])
        self.following._happened([Event(-1, flags.Q_OVERFLOW, 0, "")])
        self.source.held = None
        self.source.others = {"two": attrs.evolve(ONE, name="two")}
        held.callback(Scan({"one": ONE, **self.source.others}, [], seconds=0.0))
        self.assertEqual((self.recorder.told, self.recorder.inferred), (["create"], [True]))

    def test_a_watch_that_breaks_ends_it(self) -> None:
        assert self.following is not None
        done = self.following.done()
        for reader in self.source.reactor.getReaders():
            reader.connectionLost(Failure(OSError(9, "Bad file descriptor")))
        self.failureResultOf(done, SourceLost)
        self.assertEqual(self.source.reactor.getReaders(), [])
        self.assertEqual(self.source.reactor.getDelayedCalls(), [])

    def test_ports_are_not_lost_before_the_rules_are_known(self) -> None:
        had = Container(type="lxc", id="one", name="one", state=State.RUNNING, ports=("p",))
        self.begin(KnownContainers(containers=(had,), newest_us=1, complete=True), silent=True)
        self.source.seen = attrs.evolve(ONE, init_pid=1)
        self.assertEqual(self.scans(10, signal_every=1), 1)
        (dumped,) = self.source.dumps
        self.source.seen = attrs.evolve(ONE, init_pid=1, ports=("p",))
        dumped.callback(None)
        self.scans(1)
        self.assertEqual(self.recorder.told, [])

    def test_a_start_does_not_wait_for_the_rules(self) -> None:
        self.scans(10)
        self.source.seen = attrs.evolve(ONE, init_pid=1)
        self.scans(10)
        self.assertEqual((len(self.source.dumps), self.recorder.told), (1, ["start"]))

    def test_a_signal_is_answered_at_once(self) -> None:
        self.scans(10)
        before = self.source.scans
        self.signal()
        self.assertEqual(self.source.scans, before + 1)

    def test_one_whose_end_is_still_to_be_said_does_not_hold_up_others(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        ours.setblocking(False)
        self.source.daemons = {self.path: ours}
        self.source.tracker = Tracker(lambda _: False)
        one = attrs.evolve(ONE, path=self.path)
        two = attrs.evolve(one, name="two", identity="2")
        self.source.others = {"two": two}
        self.begin(KnownContainers(containers=(), newest_us=0, complete=False))
        self.source.seen = attrs.evolve(one, init_pid=1)
        self.scans(10)
        self.recorder.told.clear()
        self.source.seen = one
        self.source.others = {"two": attrs.evolve(two, init_pid=2)}
        self.signal()
        self.assertEqual(self.recorder.told, ["start"])
        self.scans(LATE + STEP)
        self.assertEqual(self.recorder.told, ["start", "stop"])
