"""Random lives of containers, of their engine and of the daemon, at the speed of a simulation:
what L{tests.functional.test_chaos} does to a real engine; a thousand of them are in
C{tests.exhaustive}. What is recorded
must be a life that is possible, nothing twice, and all that the engine remembers at the end."""

from __future__ import annotations

import collections
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import SourceError, SourceLost
from stationd.interfaces import Query
from stationd.records import Observation
from stationd.registry import Registry
from stationd_plugins.docker import following
from stationd_plugins.docker.deaths import Deaths
from stationd_plugins.docker.decode import Inspected
from stationd_plugins.docker.gap import REMEMBERED
from stationd_plugins.docker.origins import container_event
from stationd_plugins.docker.reconcile import Listing
from tests.functional.test_chaos import AFTER
from tests.plugins.simulated_engine import BEGIN_NS, MS, Engine
from tests.plugins.test_docker_following import FakeEvents
from tests.test_recorder import SlowJournal, recorder_over

STEPS = 400
"""Of a run."""

CHANGES_OF_ROOT = 0.3
"""The part of the boots of an engine that are on its other data-root."""

RETURNING = AFTER | {"destroy": {"found"}, "found": {"start", "die", "destroy"}}
"""What can follow what where an engine comes back from another data-root: one that was recorded
as removed is found. Nowhere else."""

STEPS_OF_CLOCK = 0.005
"""The part of these before which the clock is set."""


class Asked:
    """The engine as a L{following.Following} asks it: each answer comes when the test says so."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.reactor: Any = MemoryReactorClock()
        self.deaths = Deaths()
        self.read: collections.deque[str] = collections.deque(maxlen=REMEMBERED)
        self.pending: list[tuple[Deferred[Any], Callable[[], Any]]] = []
        self.events: FakeEvents | None = None

    def answer(self) -> bool:
        """One question; whether there was one."""
        if not self.pending:
            return False
        done, answer = self.pending.pop(0)
        if not done.called:
            if self._engine.up:
                done.callback(answer())
            else:
                done.errback(SourceLost("away"))
        return True

    def refuse(self) -> None:
        """Answer nothing that was asked."""
        while self.pending:
            done, _ = self.pending.pop(0)
            if not done.called:
                done.errback(SourceLost("away"))

    async def _ask(self, answer: Callable[[], Any]) -> Any:
        done: Deferred[Any] = Deferred()
        self.pending.append((done, answer))
        return await done

    def stream(self, wake: Callable[[], None]) -> FakeEvents:
        self.events = events = FakeEvents(wake)

        def close() -> None:
            if events in self._engine.streams:
                self._engine.streams.remove(events)
            if not events.ended.called:
                events.ended.callback("closed")

        events.close = close  # type: ignore[method-assign]

        def open() -> None:
            events.waiting += self._engine.memory
            self._engine.streams.append(events)

        if not self._engine.up:
            events.opened.errback(SourceLost("away"))
            events.ended.callback("away")
        else:
            opened = Deferred.fromCoroutine(self._ask(open))
            opened.addCallbacks(lambda _: events.opened.callback(None), self._refused(events))
        return events

    def _refused(self, events: FakeEvents) -> Callable[[Any], None]:
        def refused(failure: Any) -> None:
            if not events.opened.called:
                events.opened.errback(failure)
            if not events.ended.called:
                events.ended.callback("away")

        return refused

    async def list_all(self) -> Listing:
        ids: list[str] = await self._ask(lambda: list(self._engine.boxes))
        found = [one for id in ids if (one := await self._inspect(id)) is not None]
        return Listing(frozenset(ids), found)

    async def _inspect(self, id: str) -> Inspected | None:
        def answer() -> Inspected | None:
            box = self._engine.boxes.get(id)
            return None if box is None else self._engine.inspected(box)

        found: Inspected | None = await self._ask(answer)
        return found

    async def remembered(self) -> list[object]:
        found: list[object] = await self._ask(lambda: list(self._engine.memory))
        return found

    async def ping(self) -> None:
        await self._ask(lambda: None)

    async def inspect(self, key: str) -> Inspected | None:
        try:
            return await self._inspect(key)
        except SourceError:
            return None

    async def looked_into(self, died: Observation) -> Observation:
        return died

    async def failed(self, seen: Observation) -> Observation | None:
        return seen

    async def published(self, id: str) -> tuple[str, ...]:
        return ()

    def decode(self, events: Sequence[Any]) -> list[Observation]:
        return [one for one in events if isinstance(one, Observation)]


class Run:
    """One run."""

    def __init__(
        self,
        seed: int,
        patch: Callable[..., Any],
        *,
        live_restore: bool,
        remembers: int = REMEMBERED,
        roots: int = 1,
    ) -> None:
        self.roots = roots
        self.rng = random.Random(seed)
        self.engine = Engine(self.rng, live_restore, remembers)
        patch(time, "time_ns", lambda: self.engine.now_ns)
        self.log, self.event = SlowJournal(), SlowJournal()
        self.start_daemon()
        # Something is recorded, so what comes later is news.
        self.engine.create()
        self.settle()

    def start_daemon(self) -> None:
        self.log.slow, self.event.slow = [], []
        self.asked = Asked(self.engine)
        self.lives = False
        self.containers = Registry()
        self.recorder = recorder_over(
            self.log,
            self.event,
            self.containers,
            lambda: self.engine.now_ns // 1000,
            lambda type: setattr(self, "lives", True),
        )
        self.following: following.Following | None = None

    def kill_daemon(self) -> None:
        """What is on its way to the disk gets there or not."""
        for journal in (self.event, self.log):
            for _ in range(self.rng.randint(0, len(journal.slow or []))):
                journal.commit()
        self.engine.streams.clear()
        # All that it still waits for fails, so that nothing of it goes on.
        while self.event.slow or self.log.slow or self.asked.pending:
            for journal in (self.event, self.log):
                while journal.slow:
                    journal.refuse()
            self.asked.refuse()
        if self.asked.events is not None and not self.asked.events.ended.called:
            self.asked.events.waiting.clear()
            self.asked.events.ended.callback("killed")
        self.start_daemon()

    def follow(self) -> None:
        """Subscribe, if nothing is."""
        if self.following is None and self.engine.up:
            self.following = following.Following(self.asked, self.recorder)
            self.following.done().addErrback(self._lost)

    def _lost(self, failure: Any) -> None:
        failure.trap(SourceError)
        self.following = None
        self.lives = False

    def progress(self) -> bool:
        """The daemon goes on a little; whether it could."""
        events = self.asked.events
        journals = [one for one in (self.event, self.log) if one.slow]
        can: list[Callable[[], object]] = [one.commit for one in journals]
        if self.asked.pending:
            can.append(self.asked.answer)
        if events is not None and events.waiting and self.lives:
            can.append(events.wake)
        if not can:
            return False
        self.rng.choice(can)()
        return True

    def step(self) -> None:
        rng, engine = self.rng, self.engine
        # What an engine does it tells of within milliseconds.
        hurries = engine.up and any(box.hurries for box in engine.boxes.values())
        ns = rng.choice((10_000, MS, 5 * MS) if engine.works else (MS, 20 * MS, 300 * MS))
        ns = 10_000 if hurries else ns
        engine.advance(ns)
        self.asked.reactor.advance(ns / 1e9)
        self.follow()
        chance = rng.random()
        if chance < 0.35 or (hurries and rng.random() < 0.5):
            engine.work()
        elif chance < 0.65:
            self.progress()
        elif chance < 0.75:
            running = [box for box in engine.boxes.values() if box.process]
            if running:
                engine.end(rng.choice(running), rng.choice((0, 1, 137)))
        elif chance < 0.83:
            if engine.up and len(engine.boxes) < 5:
                engine.create()
        elif chance < 0.93:
            if engine.up and engine.boxes:
                engine.ask(rng.choice(list(engine.boxes.values())))
        elif chance < 0.95:
            self.kill_daemon()
        elif chance < 0.955:
            if self.asked.events in engine.streams:
                self.asked.events.close()
        elif chance < 0.96:
            for journal in (self.event, self.log):
                if journal.slow and rng.random() < 0.7:
                    journal.refuse()
        elif not engine.up:
            if self.roots > 1 and rng.random() < CHANGES_OF_ROOT:
                engine.change_root()
            engine.boot()
        else:
            # Which connection is seen to break first is chance.
            if rng.random() < 0.5:
                self.asked.refuse()
            if chance < 0.98:
                engine.die()
            else:
                engine.stop()

    def settle(self) -> None:
        """All ends that is under way."""
        if not self.engine.up:
            self.engine.boot()
        for box in [*self.engine.boxes.values(), *self.engine.gone]:
            box.policy = False
        for _ in range(100):
            while self.engine.work():
                pass
            self.follow()
            while self.progress():
                self.follow()
            self.engine.advance(100 * MS)
            self.asked.reactor.advance(0.1)

    def recorded(self) -> list[tuple[str, bool]]:
        found = self.event.select(Query(oldest_first=True))
        return [
            (one.origin, '"inferred": true' in one.text)
            for records in found
            for one in records
            if one.origin
        ]


class DockerChaosTests(SynchronousTestCase):
    """See above.

    @cvar seeds: of the runs of each kind.
    """

    seeds = range(5)

    def check(
        self, *, live_restore: bool = False, remembers: int = REMEMBERED, roots: int = 1
    ) -> None:
        for seed in self.seeds:
            run = Run(seed, self.patch, live_restore=live_restore, remembers=remembers, roots=roots)
            for _ in range(STEPS):
                run.step()
            self.check_one(run, f"seed {seed}")

    def check_one(self, run: Run, said: str, *, in_time: bool = True) -> None:
        """What is to be true at the end.

        @param in_time: whether the clock was never set.
        """
        run.settle()
        self.assertTrue(run.lives, said)
        recorded = run.recorded()
        origins = [origin for origin, _ in recorded]
        self.assertEqual(len(origins), len(set(origins)), said)
        self.check_lives(run, recorded, said, in_time=in_time)
        made = {one[2] for one in map(container_event, origins) if one and one[1] == "create"}
        for told in run.engine.memory:
            # A creation that had been worked out is not recorded once more.
            if told.action != "create" or told.id[:12] not in made:
                self.assertIn(told.origin, origins, said)
        self.check_states(run, said)
        # Who looks again finds nothing new.
        run.kill_daemon()
        run.settle()
        self.assertEqual(run.recorded(), recorded, said)

    def check_lives(
        self, run: Run, recorded: list[tuple[str, bool]], said: str, *, in_time: bool
    ) -> None:
        """Each is possible in the order of the records, and in that of their times; and no more
        is told of it than happened."""
        can_follow = RETURNING if run.roots > 1 else AFTER
        lives: dict[str, list[tuple[int, str, bool]]] = {}
        for origin, inferred in recorded:
            event = container_event(origin)
            if event is not None and event[1] in can_follow:
                time_ns, action, short = event
                lives.setdefault(short, []).append((time_ns - BEGIN_NS, action, inferred))
        engine = run.engine
        made = (*engine.boxes.values(), *engine.away.values(), *engine.gone)
        boxes = {box.id[:12]: box for box in made}
        for short, life in lives.items():
            of = f"{said}, {short}: {life}, {boxes[short].happened}"
            for told in (life, sorted(life)) if in_time else (life,):
                actions = [action for _, action, _ in told]
                for before, after in zip(["", *actions], actions, strict=False):
                    self.assertIn(after, can_follow[before], of)
            counts = collections.Counter(action for _, action, _ in life)
            # By times that were set nobody can tell one exit from two.
            for action, count in counts.items() if in_time else ():
                self.assertLessEqual(count, boxes[short].happened[action], of)

    def check_states(self, run: Run, said: str) -> None:
        """It shows what is."""
        true = {
            id: (box.noted.name, run.engine.inspected(box).container.state)
            for id, box in run.engine.boxes.items()
        }
        shown = {one.id: (one.name, one.state) for one in run.containers.all() if not one.removed}
        self.assertEqual(shown, true, said)

    def test_containers_end_with_their_engine(self) -> None:
        self.check()

    def test_containers_live_on_without_their_engine(self) -> None:
        self.check(live_restore=True)

    def test_an_engine_that_forgets(self) -> None:
        self.check(remembers=6)

    def test_an_engine_that_comes_up_on_another_data_root_and_back(self) -> None:
        self.check(roots=2)

    def test_the_same_while_containers_live_on(self) -> None:
        self.check(live_restore=True, remembers=6, roots=2)

    def test_a_clock_that_is_set(self) -> None:
        for seed in self.seeds:
            run = Run(seed, self.patch, live_restore=bool(seed % 2))
            for _ in range(STEPS):
                if run.rng.random() < STEPS_OF_CLOCK:
                    run.engine.advance(run.rng.choice((-3600, -5, -1, 5, 86400)) * 1000 * MS)
                run.step()
            self.check_one(run, f"seed {seed}", in_time=False)
