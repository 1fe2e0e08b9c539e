"""Random lives of a container, as scans and monitors would tell of them: what is told must be
what happened."""

from __future__ import annotations

import random
from collections.abc import Collection

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import KnownContainers
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.tracker import Tracker
from stationd_plugins.lxc.words import Word
from tests.plugins.test_lxc import Said

STOPPED = Seen("one", "/lxc", "1", "")

REST_MS = 40_000
"""For which is looked on when all is over: more than a stop is held in suspense."""


@attrs.frozen
class Run:
    """From when to when a process ran, under which monitor; in milliseconds."""

    began: int
    ended: int
    monitor: str
    pid: int

    @property
    def seen(self) -> Seen:
        return attrs.evolve(
            STOPPED, init_pid=self.pid, run=f"boot-{self.pid}", monitor=self.monitor
        )


class Life:
    """Starts, reboots and stops of one container, with pauses out of some.

    @ivar happened: what is to be told. C{words}: when monitors say what; C{monitors}: from
        when to when each lives.
    """

    def __init__(self, rng: random.Random, pauses: Collection[int], reboots: float) -> None:
        self.happened: list[str] = []
        self.words: list[tuple[int, Word]] = []
        self.runs: list[Run] = []
        self.monitors: dict[str, tuple[int, int]] = {}
        self._rng = rng
        self.now = 100
        began, monitor = 0, ""
        for _ in range(rng.randint(1, 8)):
            self.now += rng.choice([*pauses])
            if not began:
                began, monitor = self.now, f"m{len(self.monitors)}"
                self.monitors[monitor] = self.now - 1, 10**9
                self._happens("start", began=True)
                continue
            self.runs.append(Run(began, self.now, monitor, len(self.runs) + 1))
            if rng.random() < reboots:
                self._say(Word(0, False, {}, reboots=True))
                self.now += rng.choice([5, 10, 20])
                self._happens("restart", began=True)
                began = self.now
            else:
                self._happens("stop", began=False)
                self.monitors[monitor] = self.monitors[monitor][0], self.now + rng.randint(2, 20)
                began = 0
        if began:
            self.runs.append(Run(began, 10**9, monitor, len(self.runs) + 1))

    def _happens(self, action: str, began: bool) -> None:
        self.happened.append(action)
        self._say(Word(0, began))

    def _say(self, word: Word) -> None:
        last = self.words[-1][0] if self.words else 0
        at = max(last, self.now + self._rng.randint(1, 3))
        self.words.append((at, attrs.evolve(word, time_us=at * 1000)))

    def seen(self, at: int) -> Seen:
        """What a scan sees."""
        return next((run.seen for run in self.runs if run.began <= at < run.ended), STOPPED)

    def lives(self, monitor: str, at: int) -> bool:
        first, last = self.monitors.get(monitor, (0, 0))
        return first <= at < last


class LifeTests(SynchronousTestCase):
    """A L{Tracker} that looks at signals, and else seldom.

    @cvar seeds: of the lives of each kind.
    """

    seeds = range(50)

    def told(
        self, life: Life, rng: random.Random, slowness_ms: int, *, lost: float = 0.0
    ) -> list[str]:
        """What it tells of a life.

        @param slowness_ms: how long a scan takes at most until it looks, and after.
        @param lost: the part of the words that nobody hears.
        """
        now = 0
        tracker = Tracker(lambda monitor: life.lives(monitor, now))
        nothing = KnownContainers(containers=(), newest_us=0, complete=False)
        tracker.begin({"one": STOPPED}, nothing, [], 0)
        told: list[str] = []
        signals = [at for at, _ in life.words]
        words = [word for word in life.words if rng.random() >= lost]
        began = rng.randint(1, 20)
        while began < life.now + REST_MS:
            looked = began + rng.randint(0, slowness_ms)
            now = looked + rng.randint(0, slowness_ms)
            said = [word for at, word in words if at <= now]
            just_now = any(began < at <= now for at, _ in words)
            words = words[len(said) :]
            happened = tracker.update(
                {"one": life.seen(looked)},
                now * 1000,
                inferred=False,
                words=Said(said, just_now),
            )
            told += [one.action for one in happened]
            pause = 10 if tracker.unsettled else 5000
            signal = next((at for at in signals if at > now), now + pause)
            began = now + 1 if just_now else max(now + 1, min(signal, now + pause))
        return told

    def check(self, pauses: Collection[int], reboots: float, slowness_ms: int) -> None:
        for seed in self.seeds:
            rng = random.Random(seed)
            life = Life(rng, pauses, reboots)
            self.assertEqual(self.told(life, rng, slowness_ms), life.happened, f"seed {seed}")

    def test_runs_of_milliseconds(self) -> None:
        self.check([1, 2, 3, 5, 10, 30, 200, 3000], reboots=0.4, slowness_ms=2)

    def test_runs_of_a_while(self) -> None:
        self.check([30, 200], reboots=0.4, slowness_ms=1)

    def test_words_that_are_lost(self) -> None:
        # Not all can be told then, but what is told must be possible, and the end of it true.
        for seed in self.seeds:
            rng = random.Random(seed)
            life = Life(rng, [5, 30, 200, 3000], reboots=0.4)
            told = self.told(life, rng, rng.choice([1, 50, 1000]), lost=rng.choice([0.1, 0.5]))
            runs = False
            for action in told:
                self.assertIs(runs, action != "start", f"seed {seed}: {told}, {life.happened}")
                runs = action != "stop"
            self.assertIs(runs, life.happened[-1] != "stop", f"seed {seed}: {told}")

    def test_mostly_reboots(self) -> None:
        self.check([5, 30, 200], reboots=0.9, slowness_ms=1)
