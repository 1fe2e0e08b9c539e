"""What only the kernel and the engine can tell of an exit. Blocking, for the thread that asks
the engine."""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping
from typing import Any

from stationd.records import JsonValue, Observation
from stationd_plugins.docker import engine
from stationd_plugins.docker.decode import Malformed, inspected
from stationd_plugins.host.oom_log import SIGKILL_EXIT_CODE, OomKill, oom_kills_near

REMEMBERED = 1024
"""Kills that were the reason of an exit."""


def is_open(died: Observation) -> bool:
    """Whether there is anything to ask: of most exits there is not."""
    # The code of one that was removed or started again meanwhile may not be known any more.
    code = died.details.get("exitCode", SIGKILL_EXIT_CODE)
    if died.details.get("engineStarts"):
        return False
    return bool(died.details.get("asked")) or code == SIGKILL_EXIT_CODE


def inquire(
    client: Any, url: str, died: Observation, reasons: MutableMapping[OomKill, str] | None = None
) -> Mapping[str, JsonValue]:
    """Details of an exit that L{is_open}, besides those that are known: of one for want of
    memory C{oom}, and C{limit} or C{hostMemory}; C{engineStops} of what an engine ends because
    it is stopped.

    @param client: the SDK's low-level client.
    @param reasons: the kills that were the reason of an exit, and that exit's origin: a kill is
        that of no other. It is kept here.
    @raise Exception: whatever the SDK raises.
    """
    known = died.details
    if known.get("asked") and not known.get("oom"):
        return {} if engine.answers(client, url) else {"engineStops": True}
    kill = _kill(died, {} if reasons is None else reasons)
    if kill is None and not known.get("oom"):
        return {}
    if kill is not None and kill.of_host:
        return {"oom": True, "hostMemory": True}
    # An engine that starts it again already answers late.
    limit_bytes = (kill.limit_bytes if kill else 0) or _limit_bytes(client, died.id)
    return {"oom": True} | ({"limit": limit_bytes} if limit_bytes else {})


def _kill(died: Observation, reasons: MutableMapping[OomKill, str]) -> OomKill | None:
    """The kernel's, if there was one at the time."""
    age = time.time() - died.time_us / 1e6
    # In /docker/ID, /system.slice/docker-ID.scope and the like.
    found = [one for one in oom_kills_near(age) if died.id in one.cgroup]
    found = [one for one in found if reasons.get(one, died.origin) == died.origin]
    for one in found:
        reasons[one] = died.origin
    while len(reasons) > REMEMBERED:
        del reasons[next(iter(reasons))]
    return found[0] if found else None


def _limit_bytes(client: Any, id: str) -> int:
    try:
        return inspected(engine.inspect(client, id)).memory_bytes
    except Malformed:
        # It is gone, or makes no sense.
        return 0
