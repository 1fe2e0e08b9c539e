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

from stationd.records import LOOP_EXITS, Observation
from stationd_plugins.docker.deaths import OOM_US
from stationd_plugins.docker.origins import SHORT, container_event, origin_of, time_ns_of

REMEMBERED = 1024
"""Exits of which an engine may tell late that they were for want of memory."""


class Ooms:
    """What was made, and may be told yet.

    @param origins: what is recorded.
    """

    def __init__(self, origins: Collection[str]) -> None:
        # By short id: when the newest C{oom} was, and the exit after one that was made; whether
        # it was started since.
        self._last: dict[str, int] = {}
        self._made: collections.OrderedDict[str, tuple[int, bool]] = collections.OrderedDict()
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
            self._made[short] = time_ns, False
            if len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        elif action == "start" and short in self._made:
            self._made[short] = self._made[short][0], True
        elif action == "destroy":
            self._last.pop(short, None)

    def is_known(self, seen: Observation) -> bool:
        """Whether an C{oom} is told late that was made for its exit, which happens once."""
        short = seen.id[:SHORT]
        if seen.action != "oom" or short not in self._made:
            return False
        died_ns, runs_again = self._made[short]
        is_near = abs(time_ns_of(seen.origin) - died_ns) < OOM_US * 1000
        if runs_again and not is_near:
            return False
        # If it was that of another run after all, it is made when that ends.
        del self._made[short]
        return True


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
            details={"exits": exits - 1} if isinstance(exits, int) and exits > LOOP_EXITS else {},
            origin=origin_of(time_ns, "container", "oom", died.id),
        )
    ]
