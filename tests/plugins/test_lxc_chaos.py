"""Random lives of LXC containers while the daemon is killed and held, at the speed of a
simulation: what L{tests.functional.test_lxc_chaos} does to real ones; more of them are in
C{tests.exhaustive}."""

from __future__ import annotations

import collections
import random

from twisted.trial.unittest import SynchronousTestCase

from stationd.event_codec import decode_event
from stationd.interfaces import Query
from stationd.records import Observation
from stationd.registry import Registry
from stationd.testing import MemoryJournal
from stationd_plugins.lxc.following import MAX_DISTURBED
from stationd_plugins.lxc.monitord import Heard, Message
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import state
from stationd_plugins.lxc.tracker import Tracker
from tests.functional.test_lxc_chaos import AFTER, SEEN_WITHIN
from tests.plugins.simulated_lxc import Host
from tests.test_recorder import recorder_over

LASTS_MS = 8_000
"""Of a run."""

AGAIN_MS = 5_000
"""Until a lost connection is made again."""

SETTLES_MS = 40_000
"""For which is looked on when all is over: more than a stop is held in suspense."""


class Daemon:
    """What L{stationd_plugins.lxc.following.Following} does, without a kernel.

    @ivar looked: from when to when it has looked without being disturbed.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.host = Host(self.rng, self._signal, self._say)
        self.log, self.event = MemoryJournal(), MemoryJournal()
        self.looked: list[tuple[int, int]] = []
        self.is_there = False
        self._held_until = 0
        self._overflowed = False
        # What monitors have said: when it arrives.
        self._said: list[tuple[int, Message]] = []
        self.start()

    def start(self) -> None:
        self.is_there = True
        self._since: int | None = None
        self._begun = False
        self._disturbed = 0
        self._missed = False
        self._again = False
        self._scan_at = self.host.now_ms + self.rng.randint(1, 30)
        # When a scan under way will look at whom, and what it has seen.
        self._scanning: dict[str, int] | None = None
        self._found: dict[str, Seen] = {}
        self._scan_ends = 0
        self._connect_at = 0
        self._heard = Heard()
        self.tracker = Tracker(lambda monitor: monitor in self.host.monitors)
        self.containers = Registry()
        self.recorder = recorder_over(
            self.log, self.event, self.containers, lambda: self.host.now_ms * 1000
        )

    def kill(self) -> None:
        self.is_there = False
        self._said.clear()
        self.looked_away()

    def hold(self, ms: int, *, overflows: bool) -> None:
        """It does not run; so long that inotify's queue overflows, or not."""
        self._held_until = self.host.now_ms + ms
        self._overflowed = overflows
        self.looked_away()

    def deafen(self) -> None:
        """The connection to lxc-monitord is lost."""
        self.looked_away()
        self._said.clear()
        self._heard.listening = False
        self._heard.deafen()

    def looked_away(self) -> None:
        """It does not any more."""
        if self._since is not None:
            self.looked.append((self._since, self.host.now_ms))
        self._since = None

    def _say(self, message: Message) -> None:
        if self.is_there and self._heard.listening:
            last = self._said[-1][0] if self._said else 0
            at = max(last, self.host.now_ms + self.rng.randint(1, 3))
            self._said.append((at, message))

    def _signal(self) -> None:
        if self.is_there:
            self._scan_soon()

    def _scan_soon(self) -> None:
        if self._scanning is not None:
            self._again = True
        else:
            self._scan_at = min(self._scan_at, self.host.now_ms + 1)

    def tick(self) -> None:
        """A millisecond, if it runs."""
        now = self.host.now_ms
        if not self.is_there or now < self._held_until:
            return
        if self._held_until:
            self._held_until = 0
            if self._overflowed:
                self._missed = True
                self._scan_soon()
        if self._since is None and self._begun and self._heard.listening:
            self._since = now
        while self._said and self._said[0][0] <= now:
            self._heard.hear(self._said.pop(0)[1], now * 1000)
            self._scan_soon()
        if self._scanning is not None:
            self._look(now)
        elif now >= self._scan_at:
            self._begin_scan(now)

    def settle(self) -> None:
        """Look on while nothing happens."""
        for _ in range(SETTLES_MS):
            self.host.now_ms += 1
            self.tick()

    def recorded(self) -> list[Observation]:
        """All that is."""
        found = self.event.select(Query(oldest_first=True))
        read = [decode_event(record) for records in found for record in records]
        return [one for one in read if one is not None]

    def _begin_scan(self, now: int) -> None:
        if not self._heard.listening and now >= self._connect_at:
            self._connect_at = now + AGAIN_MS
            self._heard.listening = True
        self._inferred, self._missed = self._missed, False
        self._again = False
        self._heard.scanning(first=not self._begun)
        self._scanning = {name: now + self.rng.randint(0, 2) for name in self.host.containers}
        self._found = {}
        self._scan_ends = now + 3

    def _look(self, now: int) -> None:
        assert self._scanning is not None
        for name in [name for name, at in self._scanning.items() if at <= now]:
            del self._scanning[name]
            seen = self.host.look(name)
            if seen is not None:
                self._found[name] = seen
        if now < self._scan_ends:
            return
        self._scanning = None
        # As L{stationd_plugins.lxc.paths.Paths.scan}: those that have another name meanwhile.
        there = self.host.containers
        looks = {name: self._found.get(name) or self.host.look(name) for name in there}
        found = {name: seen for name, seen in looks.items() if seen is not None}
        self._scanned(found, now * 1000)
        pause = 10 if self.tracker.unsettled else 5000
        self._scan_at = now + (1 if self._again else pause)

    def _scanned(self, found: dict[str, Seen], now_us: int) -> None:
        if not self._begun:
            if self._heard.is_disturbed and self._disturbed < MAX_DISTURBED:
                self._disturbed += 1
                self._again = True
                return
            self._begun = True
            known, origins = self.recorder.known("lxc"), self.recorder.origins("lxc")
            self._observe(self.tracker.begin(found, known, origins, now_us))
            self.recorder.listing("lxc", self.tracker.containers)
            return
        inferred = self._inferred
        self._observe(self.tracker.update(found, now_us, inferred=inferred, words=self._heard))

    def _observe(self, happened: list[Observation]) -> None:
        if happened:
            self.recorder.observe(happened)


class LxcChaosTests(SynchronousTestCase):
    """See above.

    @cvar seeds: of the runs.
    """

    seeds = range(3)

    def test_nothing_is_missed_and_nothing_twice(self) -> None:
        for seed in self.seeds:
            self.run_one(seed)

    def run_one(self, seed: int) -> None:
        """A run, and what is to be true after it."""
        self.said = f"seed {seed}"
        daemon = Daemon(seed)
        host, rng = daemon.host, daemon.rng
        disturb_at = host.now_ms + 3000
        start_at = 0
        ends = host.now_ms + LASTS_MS
        while host.now_ms < ends or not host.is_quiet:
            host.over = host.now_ms >= ends
            host.tick()
            daemon.tick()
            if not daemon.is_there and host.now_ms >= start_at:
                daemon.start()
            elif daemon.is_there and host.now_ms >= disturb_at:
                disturb_at = host.now_ms + rng.randint(200, 4000)
                match rng.choice(("kill", "hold", "deafen")):
                    case "kill":
                        daemon.kill()
                        start_at = host.now_ms + rng.randint(1, 1000)
                    case "hold":
                        daemon.hold(rng.randint(50, 1500), overflows=rng.random() < 0.7)
                    case "deafen":
                        daemon.deafen()
        if not daemon.is_there:
            daemon.start()
        daemon.looked_away()
        daemon.settle()
        recorded = daemon.recorded()
        self.check_lives(recorded)
        self.check_states(daemon)
        self.check_looked(daemon, recorded)
        self.check_totals(daemon, recorded)
        # Who looks again finds nothing new.
        daemon.kill()
        daemon.start()
        daemon.settle()
        self.assertEqual(daemon.recorded(), recorded, self.said)

    def check_lives(self, recorded: list[Observation]) -> None:
        """Each life is possible."""
        states: dict[str, str] = {}
        for one in recorded:
            name, action = one.name, one.action
            before = states.get(name, "absent")
            said = f"{self.said}: {action} of {name}, {before}: {_of(name, recorded)}"
            if action == "found":
                states[name] = str(one.details["now"])
            elif action == "rename":
                self.assertEqual(before, "absent", said)
                states[name] = states.pop(str(one.details["old"]))
            else:
                source, states[name] = AFTER[action]
                is_end_of_paused = action in ("stop", "restart") and before == "paused"
                self.assertTrue(before == source or is_end_of_paused, said)

    def check_states(self, daemon: Daemon) -> None:
        """It shows what is."""
        looks = {name: daemon.host.look(name) for name in daemon.host.containers}
        true = {name: state(seen) for name, seen in looks.items() if seen is not None}
        shown = {one.name: one.state for one in daemon.containers.all() if not one.removed}
        self.assertEqual(shown, true, self.said)

    def check_looked(self, daemon: Daemon, recorded: list[Observation]) -> None:
        """What happened while it looked is recorded."""
        margin = int(SEEN_WITHIN * 1000)
        sure = collections.Counter(
            (done.action, done.name)
            for done in daemon.host.done
            if any(
                a + margin < done.began_ms < done.ended_ms < b - margin for a, b in daemon.looked
            )
        )
        self.assertTrue(sure)
        told = collections.Counter((one.action, one.name) for one in recorded)
        for (action, name), count in sure.items():
            said = f"{self.said}: {action} of {name}: {_of(name, recorded)}"
            self.assertGreaterEqual(told[action, name], count, said)

    def check_totals(self, daemon: Daemon, recorded: list[Observation]) -> None:
        """Nothing that did not happen is recorded."""
        told = collections.Counter(one.action for one in recorded)
        happened = daemon.host.happened
        # One that could not be followed from name to name was removed and made.
        pairs = (("start", "restart"), ("create", "rename"), ("destroy", "rename"), ("pause",))
        for these in pairs:
            most = sum(happened[one] for one in these)
            self.assertLessEqual(sum(told[one] for one in these), most, f"{self.said}: {these}")


def _of(name: str, recorded: list[Observation]) -> list[tuple[str, bool]]:
    """What is recorded of one."""
    its = [one for one in recorded if name in (one.name, one.details.get("old"))]
    return [(one.action, one.inferred) for one in its]
