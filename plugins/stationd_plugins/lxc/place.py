"""Which cgroups an LXC container is in: those that its monitor made for it. Blocking.

C{/proc/PID/cgroup} of the first process tells only where that one is: systemd moves itself
to a child, C{init.scope}; and one that is exiting is in the root already.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence

import attrs

from stationd_plugins.host import cgroups, process
from stationd_plugins.lxc import command

USED = ("freezer", "memory", "cpuacct")
"""The controllers that we read files of."""

DELEGATED = ("freezer", "memory", "pids", "")
"""By which controllers a monitor may know the v2 hierarchy, in the order of how likely that is: a
user's cgroup has few of those that the root has. C{""} is one without any. Beside v1 it may be any
that is left for v2."""

MAX_REMEMBERED = 16_384
"""Answers of monitors, a dozen at most of each that runs."""


@attrs.frozen
class _Hierarchy:
    """One that we read: under which controller we know it, and where it is mounted."""

    controller: str
    mount: str


def of_run(
    layout: cgroups.Layout, path: str, name: str, run: str, init: process.ProcessStat
) -> dict[str, str]:
    """The cgroup of a run in each hierarchy that we read, by controller, that of v2 under
    L{cgroups.UNIFIED}; without those in which it has none of its own.

    @param run: what tells the run from all others: its monitor is asked once.
    @param init: its first process: where it is counts if the monitor does not say.
    @raise TimeoutError: the monitor does not answer.
    @raise OSError: it is gone.
    """
    found: dict[str, str] = {}
    missing: list[str] = []
    for hierarchy, asked in _hierarchies(layout):
        answers = (_said(path, name, run, init.pid, one, hierarchy) for one in asked)
        said = next(filter(None, answers), "")
        if said:
            found[hierarchy.controller] = said
        else:
            missing.append(hierarchy.controller)
    if missing:
        member = apart(
            cgroups.process_membership(init.pid), cgroups.process_membership(init.parent)
        )
        found |= {one: member[one] for one in missing if one in member}
    return found


def apart(of: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """The cgroups of a process that are for it alone, and not another's too, nor all that there
    is: the host would be measured for it. One outside of our cgroup namespace, which begins with
    C{/..}, has no path from a mount of ours (cgroup_namespaces(7)). Pure."""
    return {
        name: path
        for name, path in of.items()
        if path not in ("/", other.get(name)) and ".." not in path.split("/")
    }


def _hierarchies(layout: cgroups.Layout) -> Iterator[tuple[_Hierarchy, Sequence[str]]]:
    """Those that we read, and by which controllers a monitor may know each."""
    for controller in USED:
        if controller in layout.controllers:
            yield _Hierarchy(controller, layout.controllers[controller]), [controller]
    if layout.unified:
        known = dict.fromkeys([*DELEGATED, *layout.unified_controllers])
        asked = [one for one in known if one not in layout.controllers]
        yield _Hierarchy(cgroups.UNIFIED, layout.unified), asked


@functools.lru_cache(MAX_REMEMBERED)
def _said(path: str, name: str, run: str, pid: int, controller: str, hierarchy: _Hierarchy) -> str:
    """What a monitor says, C{""} if it is of no use; the same as long as the run lasts.

    @raise OSError: see L{command.cgroup}.
    """
    said = command.cgroup(path, name, controller)
    if said in ("", "/"):
        return ""
    member = cgroups.process_membership(pid).get(hierarchy.controller, "")
    found = seen_from_here(said, member)
    return found if os.path.isdir(f"{hierarchy.mount}{found}") else ""


def seen_from_here(said: str, member: str) -> str:
    """A cgroup that has a process in it or below. Pure.

    @param said: its path from the root that a monitor sees, which may be below ours: that of
        its cgroup namespace (cgroup_namespaces(7)).
    @param member: that of the process from our root. In another place it says nothing: one
        that is exiting is in the root already.
    """
    at = f"{member}/".find(f"{said}/")
    return said if at == -1 else member[: at + len(said)]
