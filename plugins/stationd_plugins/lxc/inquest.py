"""What only the kernel can tell of how LXC containers stopped. Blocking, for a worker's thread."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence

import attrs

from stationd.records import JsonValue, Observation
from stationd_plugins.host.cgroups import UNIFIED
from stationd_plugins.host.oom_log import SIGKILL_EXIT_CODE, OomKill, oom_kills_near
from stationd_plugins.lxc.scan import Seen


def is_open(stop: Observation) -> bool:
    """Whether there is anything to ask: of most stops there is not."""
    return stop.action == "stop" and stop.details.get("exitCode") == SIGKILL_EXIT_CODE


def inquire(happened: Sequence[Observation], runs: Mapping[str, Seen]) -> list[Observation]:
    """The same; of a stop for want of memory with C{oom}, and C{limit} or C{hostMemory}.

    @param runs: those that are over, by the name of the container.
    """
    return [_looked_into(one, runs.get(one.name)) if is_open(one) else one for one in happened]


def _looked_into(stop: Observation, run: Seen | None) -> Observation:
    kills = oom_kills_near(time.time() - stop.time_us / 1e6)
    if run is None:
        found = _told(kill for kill in kills if is_named(kill, stop.name))
    else:
        found = cause(kills, run, by_signal="signal" in stop.details)
    return attrs.evolve(stop, details={**stop.details, **found})


def cause(kills: Iterable[OomKill], run: Seen, *, by_signal: bool) -> Mapping[str, JsonValue]:
    """What a kill tells of the end of a run, nothing if none is to blame. Pure.

    @param by_signal: whether its first process was killed. Otherwise it said that another was,
        any in its cgroup or below.
    """
    memory = run.cgroups.get("memory", run.cgroups.get(UNIFIED, ""))
    return _told(
        kill for kill in kills if kill.pid == run.init_pid or (kill.is_in(memory) and not by_signal)
    )


def is_named(kill: OomKill, name: str) -> bool:
    """Whether the cgroup is one that LXC makes for a container of a name. That is all that is known
    of a run that no scan has seen. Pure."""
    # While that of the run before is there, LXC appends a number.
    made = rf"/lxc(\.payload\.|/){re.escape(name)}(-\d+)?(/|$)"
    return re.search(made, kill.cgroup) is not None


def _told(to_blame: Iterable[OomKill]) -> Mapping[str, JsonValue]:
    """What the first of some kills tells. Pure."""
    kill = next(iter(to_blame), None)
    if kill is None:
        return {}
    if kill.of_host:
        return {"oom": True, "hostMemory": True}
    return {"oom": True} | ({"limit": kill.limit_bytes} if kill.limit_bytes else {})
