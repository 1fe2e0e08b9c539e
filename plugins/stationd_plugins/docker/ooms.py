"""Containers that ran out of memory without a word of their engine. Pure.

Some engines have no C{oom} event for a kill (26.1), others only now and then, or late: their shim
looks at the cgroup beside the kernel. Of an exit that was such a kill by the kernel's word the
event is made here, a nanosecond before the exit; so it is known again among the origins. What the
engine tells of that kill later is not recorded once more.
"""

from __future__ import annotations

import collections
from collections.abc import Collection

import attrs

from stationd.records import CRASH_LOOP_EXITS, Observation
from stationd_plugins.docker.deaths import OOM_US
from stationd_plugins.docker.origins import SHORT, container_event, origin_of, time_ns_of

REMEMBERED = 1024
"""Exits of which an engine may tell late that they were for want of memory."""


@attrs.frozen
class Made:
    """An exit of which the C{oom} was made.

    @ivar died_ns: when it was. C{started_ns}: when the container was started after it; 0 if it
        was not.
    @ivar is_due: whether the engine has not told of it yet.
    """

    died_ns: int
    started_ns: int = 0
    is_due: bool = True


class Ooms:
    """What was made, and may be told yet.

    @param origins: what is recorded.
    """

    def __init__(self, origins: Collection[str]) -> None:
        # By short id: when the newest C{oom} was, and the newest exit after one that was made.
        self._last: dict[str, int] = {}
        self._made: collections.OrderedDict[str, Made] = collections.OrderedDict()
        for time_ns, action, short in filter(None, map(container_event, origins)):
            self._take(time_ns, action, short)

    def take(self, told: Observation) -> None:
        """Something is recorded."""
        if told.subject == "container":
            self._take(time_ns_of(told.origin), told.action, told.id[:SHORT])

    def _take(self, time_ns: int, action: str, short: str) -> None:
        if action == "oom":
            self._last[short] = time_ns
        elif action == "die" and self._last.pop(short, None) == time_ns - 1:
            self._made.pop(short, None)
            self._made[short] = Made(time_ns)
            if len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        elif action == "start" and short in self._made and not self._made[short].started_ns:
            self._made[short] = attrs.evolve(self._made[short], started_ns=time_ns)
        elif action == "destroy":
            self._last.pop(short, None)

    def is_known(self, seen: Observation) -> bool:
        """Whether an C{oom} is told late that was made for its exit. An engine may tell several
        of one exit: one for each process that was killed."""
        made = self._made.get(seen.id[:SHORT])
        if seen.action != "oom" or made is None:
            return False
        time_ns = time_ns_of(seen.origin)
        is_before = not made.started_ns or time_ns < made.started_ns
        # After that the first may be late. If it was that of the present run after all, it is made
        # when that ends.
        is_late = made.is_due and abs(time_ns - made.died_ns) < OOM_US * 1000
        if is_before or is_late:
            self._made[seen.id[:SHORT]] = attrs.evolve(made, is_due=False)
        return is_before or is_late


def untold_oom(before: Observation, died: Observation) -> list[Observation]:
    """The C{oom} before an exit of which only the kernel told.

    @param before: the exit by what was told, C{died}: with what the kernel says.
    """
    if before.details.get("oom") or not died.details.get("oom"):
        return []
    time_ns = time_ns_of(died.origin) - 1
    exits = died.details.get("exits")
    # In a loop, as many as there were before this one.
    return [
        attrs.evolve(
            died,
            time_us=time_ns // 1000,
            action="oom",
            details={"exits": exits - 1}
            if isinstance(exits, int) and exits > CRASH_LOOP_EXITS
            else {},
            origin=origin_of(time_ns, "container", "oom", died.id),
        )
    ]
