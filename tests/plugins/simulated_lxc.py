"""LXC containers as scans and lxc-monitord see them, at the speed of a simulation: how each
passes from one state to the next, and in which order its monitor tells.

The order is that of LXC 5.0's C{src/lxc/start.c} (C{__lxc_start}, C{lxc_end}), C{freezer.c} and
C{lxccontainer.c} (a reboot is another start by the same monitor);
L{tests.functional.test_lxc_chaos} does the same to real ones."""

from __future__ import annotations

import collections
import random
from collections.abc import Callable, Generator

import attrs

from stationd_plugins.lxc.monitord import Message
from stationd_plugins.lxc.scan import Seen

BEGIN_MS = 1_800_000_000_000

BRIEF_MS = 100
"""What only scans see lasts at least: a container, a name, a freeze."""

Script = Generator[int, None, None]
"""What is done to a container; gives the milliseconds until it goes on."""


@attrs.define(eq=False)
class Box:
    """A container.

    @ivar identity: of its directory, C{""} if there is none.
    @ivar monitor: C{""} without one, C{pid}: its first process, 0 without one.
    @ivar is_changing: whether its monitor says that it starts or stops.
    """

    name: str
    identity: str = ""
    monitor: str = ""
    pid: int = 0
    frozen: bool = False
    freezing: bool = False
    is_changing: bool = False
    made_ms: int = 0
    started_ms: int = 0
    wakes_ms: int = 0


@attrs.frozen
class Done:
    """What was done to whom, from when to when."""

    action: str
    name: str
    began_ms: int
    ended_ms: int


class Host:
    """Some containers of which each has a script.

    @param signal: called when the kernel tells that something has changed, C{say}: with what
        monitors say.
    @ivar happened: how often what really happened.
    """

    def __init__(
        self, rng: random.Random, signal: Callable[[], None], say: Callable[[Message], None]
    ) -> None:
        self.rng = rng
        self.now_ms = BEGIN_MS
        self.monitors: set[str] = set()
        self.happened: collections.Counter[str] = collections.Counter()
        self.done: list[Done] = []
        self.over = False
        self._signal = signal
        self._say = say
        self._count = 0
        self.boxes = [Box(f"c{index}") for index in range(3)]
        self._scripts = {box: self._live(box) for box in self.boxes}

    def tick(self) -> None:
        """Another millisecond."""
        self.now_ms += 1
        for box in [box for box in self._scripts if box.wakes_ms <= self.now_ms]:
            try:
                box.wakes_ms = self.now_ms + next(self._scripts[box])
            except StopIteration:
                del self._scripts[box]

    @property
    def is_quiet(self) -> bool:
        return not self._scripts

    @property
    def containers(self) -> dict[str, Box]:
        return {box.name: box for box in self.boxes if box.identity}

    def look(self, name: str) -> Seen | None:
        """What a scan sees of one."""
        box = self.containers.get(name)
        if box is None:
            return None
        seen = Seen(name, "/lxc", box.identity, "", made_us=box.made_ms * 1000)
        if box.is_changing or not box.pid:
            return attrs.evolve(seen, unsettled=box.is_changing)
        return attrs.evolve(
            seen,
            monitor=box.monitor,
            init_pid=box.pid,
            run=f"boot-{box.pid}",
            started_us=box.started_ms * 1000,
            frozen=box.frozen,
            unsettled=box.freezing,
        )

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _live(self, box: Box) -> Script:
        rng = self.rng
        while not self.over:
            yield from self._do(box, "create", self._create)
            for _ in range(rng.randrange(3)):
                yield from self._do(box, "start", self._start)
                for _ in range(rng.randrange(3)):
                    match rng.choice(("freeze", "reboot", "nothing")):
                        case "freeze":
                            yield from self._do(box, "pause", self._freeze)
                            yield from self._do(box, "unpause", self._unfreeze)
                        case "reboot":
                            yield rng.choice((1, BRIEF_MS))
                            yield from self._do(box, "restart", self._reboot)
                    yield rng.randint(1, 300)
                yield from self._do(box, "stop", self._stop)
                yield rng.randint(1, 300)
            if rng.random() < 0.2:
                yield from self._do(box, "rename", self._rename)
            yield from self._do(box, "destroy", self._destroy)
            yield rng.choice((1, 20, 300))
        yield from self._do(box, "create", self._create)
        if rng.random() < 0.7:
            yield from self._do(box, "start", self._start)

    def _do(self, box: Box, action: str, what: Callable[[Box], Script]) -> Script:
        began_ms = self.now_ms
        yield from what(box)
        self.happened[action] += 1
        self.done.append(Done(action, box.name, began_ms, self.now_ms))

    def _create(self, box: Box) -> Script:
        box.identity, box.made_ms = f"i{self._next()}", self.now_ms
        self._signal()
        yield BRIEF_MS

    def _destroy(self, box: Box) -> Script:
        box.identity = ""
        self._signal()
        yield 1

    def _rename(self, box: Box) -> Script:
        box.name = f"{box.name.partition('-')[0]}-{self._next()}"
        self._signal()
        yield BRIEF_MS

    def _start(self, box: Box) -> Script:
        box.monitor = f"m{self._next()}"
        self.monitors.add(box.monitor)
        yield self.rng.randint(1, 5)
        yield from self._begin(box)

    def _begin(self, box: Box) -> Script:
        box.is_changing = True
        self._tell(box, "STARTING")
        self._signal()
        yield self.rng.randint(5, 40)
        box.pid, box.started_ms = self._next(), self.now_ms
        box.is_changing = False
        self._tell(box, "RUNNING")
        yield 1

    def _end(self, box: Box, status: int) -> Script:
        box.pid, box.frozen, box.is_changing = 0, False, True
        self._tell(box, "STOPPING")
        self._signal()
        yield self.rng.randint(1, 5)
        self._say(Message(box.name, status=status))
        self._tell(box, "STOPPED")
        yield self.rng.randint(1, 10)

    def _stop(self, box: Box) -> Script:
        yield from self._end(box, self.rng.choice((0, 2, 9)))
        box.is_changing = False
        self.monitors.discard(box.monitor)
        box.monitor = ""
        yield self.rng.randint(1, 20)

    def _reboot(self, box: Box) -> Script:
        yield from self._end(box, 1)
        yield from self._begin(box)
        yield BRIEF_MS

    def _freeze(self, box: Box) -> Script:
        box.freezing = True
        self._tell(box, "FREEZING")
        yield self.rng.randint(1, 5)
        box.freezing, box.frozen = False, True
        self._tell(box, "FROZEN")
        self._signal()
        yield BRIEF_MS

    def _unfreeze(self, box: Box) -> Script:
        box.frozen = False
        self._tell(box, "THAWED")
        self._tell(box, "RUNNING")
        self._signal()
        yield BRIEF_MS

    def _tell(self, box: Box, state: str) -> None:
        self._say(Message(box.name, state=state))
