"""A Docker engine as it treats its containers, at the speed of a simulation: when it tells of
what, when it notes it on disk, and what is left of that when it is killed.

What it does, and in which order, is that of moby 20.10: C{daemon/start.go},
C{daemon/monitor.go} (how an exit is told and noted) and C{daemon/daemon.go} (C{restore}, what it
finds when it comes back); L{tests.functional.test_chaos} does the same to a real one."""

from __future__ import annotations

import collections
import random
from collections.abc import Generator

import attrs

from stationd.records import Container, Observation, State
from stationd_plugins.docker.decode import Inspected
from stationd_plugins.docker.origins import origin_of
from tests.plugins.test_docker_following import FakeEvents

MS = 1_000_000
"""Nanoseconds."""

BEGIN_NS = 1_800_000_000 * 1000 * MS

Work = Generator[None, None, None]
"""What an engine does; it may be killed at each yield."""


@attrs.define
class Noted:
    """What an engine has noted of a container."""

    name: str = ""
    created_ns: int = 0
    started_ns: int | None = None
    finished_ns: int | None = None
    code: int | None = None
    runs: bool = False
    paused: bool = False
    restarting: bool = False
    restarts: int = 0
    stopped_by_hand: bool = False


@attrs.define(eq=False)
class Box:
    """A container.

    @ivar noted: in the engine's memory, C{disk}: on its disk, C{None} if nothing is.
    @ivar process: whether its process is alive; C{exited_ns}: when the last was not any more,
        C{told_ns}: the same of the last of which it was told.
    @ivar hurries: whether it is being started: what has begun to be it is within milliseconds.
    @ivar waiting: what the engine is to do with it, in this order.
    @ivar happened: how often it really started and so on.
    """

    id: str
    policy: bool
    forget: bool
    noted: Noted = attrs.field(factory=Noted)
    disk: Noted | None = None
    process: bool = False
    exited_ns: int = 0
    told_ns: int = 0
    code: int = 0
    hurries: bool = False
    waiting: list[Work] = attrs.field(factory=list)
    happened: collections.Counter[str] = attrs.field(factory=collections.Counter)


class Engine:
    """An engine with its containers and its disk.

    @ivar memory: the events that it remembers.
    @ivar away: the containers on the data-root that it does not have at the moment.
    """

    def __init__(self, rng: random.Random, live_restore: bool, remembers: int) -> None:
        self.rng = rng
        self.live_restore = live_restore
        self.now_ns = BEGIN_NS
        self.up = True
        self.boxes: dict[str, Box] = {}
        self.away: dict[str, Box] = {}
        self.memory: collections.deque[Observation] = collections.deque(maxlen=remembers)
        self.streams: list[FakeEvents] = []
        self.gone: list[Box] = []

    def advance(self, ns: int) -> None:
        self.now_ns += ns

    def emit(self, box: Box, action: str, **details: object) -> None:
        """Tell of something."""
        self.advance(self.rng.randint(1000, 100_000))
        told = Observation(
            time_us=self.now_ns // 1000,
            type="docker",
            subject="container",
            action=action,
            id=box.id,
            name=box.noted.name,
            details=details,
            origin=origin_of(self.now_ns, "container", action, box.id),
        )
        self.memory.append(told)
        for stream in self.streams:
            stream.waiting.append(told)

    def note(self, box: Box) -> None:
        """Write to disk."""
        box.disk = attrs.evolve(box.noted)

    def noted_and_told(self, box: Box, action: str, **details: object) -> Work:
        """In one order or the other."""
        if self.rng.random() < 0.5:
            self.note(box)
            yield
            self.emit(box, action, **details)
        else:
            self.emit(box, action, **details)
            yield
            self.note(box)

    # What somebody wants of it.

    def create(self) -> Box:
        id = f"{self.rng.randrange(1, 1 << 255):064x}"
        box = Box(id, policy=self.rng.random() < 0.4, forget=self.rng.random() < 0.2)
        box.noted.name = f"c{len(self.boxes) + len(self.away) + len(self.gone)}"
        box.noted.created_ns = self.now_ns
        self.boxes[id] = box
        box.waiting.append(self._create(box))
        if self.rng.random() < 0.9:
            box.waiting.append(self._start(box))
        return box

    def _create(self, box: Box) -> Work:
        self.note(box)
        box.happened["create"] += 1
        yield
        self.emit(box, "create")

    def ask(self, box: Box) -> None:
        """Let something be done to a container."""
        work = self.rng.choice(
            (
                *(self._start, self._kill, self._stop, self._restart),
                *(self._pause, self._unpause, self._rename, self._remove, self._remove),
            )
        )
        if len(box.waiting) < 3:
            box.waiting.append(work(box))

    def _start(self, box: Box) -> Work:
        if box.noted.runs or box.process or box.id not in self.boxes:
            return
        # It takes longer than L{INVERSION_NS}.
        self.advance(self.rng.randint(60, 300) * MS)
        yield
        box.process = box.hurries = True
        box.happened["start"] += 1
        yield
        self.advance(self.rng.randint(1000, 20 * MS))
        box.noted = attrs.evolve(
            box.noted, runs=True, restarting=False, started_ns=self.now_ns, stopped_by_hand=False
        )
        yield
        yield from self.noted_and_told(box, "start")
        box.hurries = False

    def end(self, box: Box, code: int) -> None:
        """Its process ends."""
        if box.process:
            box.process = False
            box.happened["die"] += 1
            box.exited_ns = self.now_ns
            box.code = code
            box.noted.paused = False
            if self.up:
                box.waiting.append(self._ended(box))

    def _ended(self, box: Box) -> Work:
        if not box.noted.runs:
            return
        restarts = box.policy and not box.noted.stopped_by_hand
        box.noted = attrs.evolve(
            box.noted,
            runs=False,
            paused=False,
            finished_ns=box.exited_ns,
            code=box.code,
            restarting=restarts,
            restarts=box.noted.restarts + restarts,
        )
        box.told_ns = box.exited_ns
        self.emit(box, "die", exitCode=box.code)
        yield
        self.note(box)
        yield
        if restarts:
            self.advance(self.rng.randint(1, 100) * MS)
            yield
            yield from self._start(box)
        elif box.forget:
            yield from self._forget(box)

    def _signal(self, box: Box, number: int) -> Work:
        if not box.noted.runs:
            return
        name = {9: "SIGKILL", 15: "SIGTERM"}[number]
        self.emit(box, "kill", signal=name)
        yield
        self.end(box, 128 + number)
        ended = [work for work in box.waiting if work.gi_code is self._ended.__code__]  # type: ignore[attr-defined]
        for work in ended:
            # Whoever kills waits for it.
            box.waiting.remove(work)
            yield from work

    def _kill(self, box: Box) -> Work:
        box.noted.stopped_by_hand = True
        yield from self._signal(box, 9)

    def _stop(self, box: Box) -> Work:
        if box.noted.runs:
            box.noted.stopped_by_hand = True
            yield from self._signal(box, 15)
            self.emit(box, "stop")

    def _restart(self, box: Box) -> Work:
        yield from self._stop(box)
        yield from self._start(box)
        self.emit(box, "restart")

    def _pause(self, box: Box) -> Work:
        if box.noted.runs and not box.noted.paused:
            box.noted.paused = True
            yield from self.noted_and_told(box, "pause")

    def _unpause(self, box: Box) -> Work:
        if box.noted.paused:
            box.noted.paused = False
            yield from self.noted_and_told(box, "unpause")

    def _rename(self, box: Box) -> Work:
        old = box.noted.name
        box.noted.name = f"{old}r"
        yield from self.noted_and_told(box, "rename", old=old)

    def _remove(self, box: Box) -> Work:
        if box.noted.runs:
            box.noted.stopped_by_hand = True
            yield from self._signal(box, 9)
        yield from self._forget(box)

    def _forget(self, box: Box) -> Work:
        if box.id not in self.boxes:
            return
        del self.boxes[box.id]
        del box.waiting[1:]
        self.gone.append(box)
        box.disk = None
        box.happened["destroy"] += 1
        yield
        self.emit(box, "destroy")

    # What goes on by itself.

    @property
    def works(self) -> bool:
        """Whether it is about to do anything."""
        return self.up and any(box.waiting for box in (*self.boxes.values(), *self.gone))

    def work(self) -> bool:
        """Do a little of what is to be done; whether there was anything."""
        boxes = [box for box in (*self.boxes.values(), *self.gone) if box.waiting]
        if not boxes or not self.up:
            return False
        box = self.rng.choice([box for box in boxes if box.hurries] or boxes)
        try:
            next(box.waiting[0])
        except StopIteration:
            del box.waiting[0]
        return True

    def die(self) -> None:
        """It is killed with SIGKILL."""
        self.up = False
        for box in [*self.boxes.values(), *self.gone]:
            box.waiting.clear()
            box.hurries = False
            if box.disk is None and box.id in self.boxes:
                del self.boxes[box.id]
                self.gone.append(box)
        self.memory.clear()
        streams, self.streams = self.streams, []
        for stream in streams:
            stream.ended.callback("the engine closed the event stream")

    def stop(self) -> None:
        """It is stopped; without live-restore its containers are, too."""
        while self.work():
            pass
        if not self.live_restore:
            for box in list(self.boxes.values()):
                by_hand = box.noted.stopped_by_hand
                for _ in self._stop(box):
                    pass
                box.noted.stopped_by_hand = by_hand
                if box.disk is not None:
                    self.note(box)
        self.die()

    def change_root(self) -> None:
        """It will come back on its other data-root: whoever looks sees the containers of this
        one go, and later come back."""
        assert not self.up
        for box in self.boxes.values():
            box.happened.update(["destroy", "found", *(["die"] if box.noted.runs else [])])
        self.boxes, self.away = self.away, self.boxes

    def boot(self) -> None:
        """It comes back."""
        self.up = True
        for box in list(self.boxes.values()):
            assert box.disk is not None
            box.noted = attrs.evolve(box.disk)
            if box.noted.restarting:
                box.noted.restarting = False
            if not box.noted.runs:
                # Nobody knows of the process any more.
                if box.process:
                    box.happened["die"] += 1
                box.process = False
            elif not box.process:
                finished_ns = box.exited_ns
                if box.told_ns == finished_ns:
                    # Whoever told of the exit has forgotten it: now it is as if it had been
                    # another run's.
                    finished_ns = self.now_ns
                    box.happened.update(["start", "die"])
                box.noted = attrs.evolve(
                    box.noted, runs=False, paused=False, finished_ns=finished_ns, code=box.code
                )
                self.note(box)
            elif not self.live_restore:
                box.waiting.append(self._stop(box))
            if box.policy and not box.noted.stopped_by_hand:
                box.waiting.append(self._start(box))
            elif box.forget and not box.noted.runs and box.noted.started_ns:
                box.waiting.append(self._forget(box))

    def inspected(self, box: Box) -> Inspected:
        """As it says what one is."""
        noted = box.noted
        state = State.PAUSED if noted.paused else State.RUNNING
        return Inspected(
            Container(
                type="docker",
                id=box.id,
                name=noted.name,
                state=state if noted.runs else State.STOPPED,
                exit_code=None if noted.runs else noted.code,
            ),
            pid=int(box.process),
            created_ns=noted.created_ns,
            started_ns=noted.started_ns,
            finished_ns=noted.finished_ns,
            restarts=noted.restarts,
        )
