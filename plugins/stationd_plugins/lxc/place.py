"""Which cgroups an LXC container is in: those that its monitor made for it. Blocking.

C{/proc/PID/cgroup} of the first process tells only where that one is: systemd moves itself
to a child, C{init.scope}; and one that is exiting is in the root already.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence

from stationd_plugins.live import cgroups, process
from stationd_plugins.lxc import command

USED = ("freezer", "memory", "cpuacct")
"""The controllers that we read files of."""

DELEGATED = ("freezer", "memory", "pids", "")
"""By which controllers a monitor may know the v2 hierarchy, in the order of how likely that is: a
user's cgroup has few of those that the root has. C{""} is one without any."""

MAX_REMEMBERED = 16_384
"""Answers of monitors, five at most of each that runs."""


def of_run(
    layout: cgroups.Layout, path: str, name: str, run: str, init: process.Stat
) -> dict[str, str]:
    """The cgroup of a run in each hierarchy that we read, by controller, that of v2 under
    L{cgroups.UNIFIED}; without those in which it has none of its own.

    @param run: what tells the run from all others: its monitor is asked once.
    @param init: its first process: where it is counts if the monitor does not say.
    @raise OSError: it is gone.
    """
    found: dict[str, str] = {}
    missing: list[str] = []
    for controller, asked, mount in _hierarchies(layout):
        try:
            answers = (_said(path, name, run, one, mount) for one in asked)
            said = next(filter(None, answers), "")
        except TimeoutError:
            said = ""
        if said:
            found[controller] = said
        else:
            missing.append(controller)
    if missing:
        member = apart(cgroups.of_process(init.pid), cgroups.of_process(init.parent))
        found |= {one: member[one] for one in missing if one in member}
    return found


def apart(of: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """The cgroups of a process that are for it alone, and not another's too, nor all that there
    is: the host would be measured for it. Pure."""
    return {name: path for name, path in of.items() if path not in ("/", other.get(name))}


def _hierarchies(layout: cgroups.Layout) -> Iterator[tuple[str, Sequence[str], str]]:
    """Under what we know each hierarchy, by which controllers a monitor may, and where it is
    mounted."""
    for controller in USED:
        if controller in layout.controllers:
            yield controller, [controller], layout.controllers[controller]
    if layout.unified:
        asked = [one for one in DELEGATED if one not in layout.controllers]
        yield cgroups.UNIFIED, asked, layout.unified


@functools.lru_cache(MAX_REMEMBERED)
def _said(path: str, name: str, run: str, controller: str, mount: str) -> str:
    """What a monitor says, C{""} if it is of no use; the same as long as the run lasts.

    @raise OSError: see L{command.cgroup}.
    """
    said = command.cgroup(path, name, controller)
    # It may see the hierarchy from another root than we do.
    return said if said != "/" and os.path.isdir(f"{mount}{said}") else ""
