"""What only the kernel can tell of how LXC containers stopped. Blocking, for a worker's thread."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

import attrs

from stationd.records import JsonValue, Observation
from stationd_plugins.live.cgroups import UNIFIED
from stationd_plugins.live.kernel import KILLED, Kill, kills_near
from stationd_plugins.lxc.scan import Seen


def is_open(stop: Observation) -> bool:
    """Whether there is anything to ask: of most stops there is not."""
    return stop.action == "stop" and stop.details.get("exitCode") == KILLED


def inquire(happened: Sequence[Observation], runs: Mapping[str, Seen]) -> list[Observation]:
    """The same; of a stop for want of memory with C{oom}, and C{limit} or C{hostMemory}.

    @param runs: those that are over, by the name of the container.
    """
    return [_looked_into(one, runs.get(one.name)) if is_open(one) else one for one in happened]


def _looked_into(stop: Observation, run: Seen | None) -> Observation:
    if run is None:
        return stop
    kills = kills_near(time.time() - stop.time_us / 1e6)
    found = cause(kills, run, by_signal="signal" in stop.details)
    return attrs.evolve(stop, details={**stop.details, **found})


def cause(kills: Iterable[Kill], run: Seen, *, by_signal: bool) -> Mapping[str, JsonValue]:
    """What a kill tells of the end of a run, nothing if none is to blame. Pure.

    @param by_signal: whether its first process was killed. Otherwise it said that another was,
        any in its cgroup or below.
    """
    memory = run.cgroups.get("memory", run.cgroups.get(UNIFIED, ""))
    for kill in kills:
        if kill.pid == run.init_pid or (kill.is_in(memory) and not by_signal):
            if kill.of_host:
                return {"oom": True, "hostMemory": True}
            return {"oom": True} | ({"limit": kill.limit_bytes} if kill.limit_bytes else {})
    return {}
