"""Cgroup files, v1, hybrid and v2: texts in, numbers and paths out (cgroups(7); kernel
Documentation/admin-guide/cgroup-v1 and cgroup-v2)."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from stationd_plugins.host import process

UNIFIED = ""
"""The name under which the v2 hierarchy stands in C{/proc/PID/cgroup}."""


@attrs.frozen
class Layout:
    """Where hierarchies are mounted.

    @ivar unified: the v2 mount, C{""} if there is none.
    @ivar controllers: the v1 mounts, by controller (and C{name=…}).
    @ivar unified_controllers: those that v2 has, as far as they are known.
    """

    unified: str
    controllers: Mapping[str, str]
    unified_controllers: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether none is."""
        return not self.unified and not self.controllers


def mounted_hierarchies(root: str) -> Layout:
    """The hierarchies that are mounted below a directory now."""
    found = parse_layout(process.read_text("/proc/self/mounts"), root)
    left = read_first(f"{found.unified}/cgroup.controllers").split() if found.unified else []
    return attrs.evolve(found, unified_controllers=tuple(left))


def parse_layout(mounts: str, root: str) -> Layout:
    """The hierarchies below a directory, out of C{/proc/self/mounts}."""
    unified = ""
    controllers: dict[str, str] = {}
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 4 or not (fields[1] == root or fields[1].startswith(f"{root}/")):
            continue
        point, kind, options = fields[1:4]
        if kind == "cgroup2":
            unified = unified or point
        elif kind == "cgroup":
            for option in options.split(","):
                controllers.setdefault(option, point)
    return Layout(unified, controllers)


def parse_membership(text: str) -> dict[str, str]:
    """The path of a process in each hierarchy, by controller, out of
    C{/proc/PID/cgroup}; that of v2 is under L{UNIFIED}."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and path.startswith("/"):
            for controller in controllers.split(","):
                found[controller] = path
    return found


def process_membership(pid: int) -> dict[str, str]:
    """The same of a process that is there.

    @raise OSError: it is gone.
    """
    return parse_membership(process.read_text(f"/proc/{pid}/cgroup"))


def container_cgroups(membership: Mapping[str, str], id: str) -> dict[str, str]:
    """The cgroups of a container, out of those that its first process is in, which may have made
    its own below them: C{/docker/ID}, C{/system.slice/docker-ID.scope} and the like. Those
    that are not named after it are left out. Pure."""
    found: dict[str, str] = {}
    for controller, path in membership.items():
        parts = path.split("/")
        depth = next((depth for depth, part in enumerate(parts, 1) if id in part), 0)
        if depth:
            found[controller] = "/".join(parts[:depth])
    return found


def controller_directory(layout: Layout, membership: Mapping[str, str], controller: str) -> str:
    """Where a process's files of a controller are, C{""} if nowhere: the v1
    hierarchy that has it, else v2."""
    if controller in layout.controllers and controller in membership:
        return layout.controllers[controller] + membership[controller].rstrip("/")
    if layout.unified and UNIFIED in membership:
        return layout.unified + membership[UNIFIED].rstrip("/")
    return ""


def parse_flat_keyed(text: str) -> dict[str, int]:
    """The numbers of a flat keyed file (C{cpu.stat}, C{memory.stat}, C{cgroup.events})."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if value.isascii() and value.isdigit():
            found[key] = int(value)
    return found


def parse_number(text: str) -> int | None:
    """The one number of a file, C{None} if it is none (C{max})."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None


@attrs.frozen
class CgroupUsage:
    """What the processes of a cgroup use.

    @ivar cpu_ns: CPU time so far, of all CPUs together.
    @ivar memory_bytes: memory in use without the page cache that can be dropped at once,
        as C{docker stats} counts it.
    """

    cpu_ns: int
    memory_bytes: int


def oom_kill_count(directory: str) -> int:
    """How many processes of a cgroup the kernel has killed for want of memory, 0 if it does
    not count them (v1 before Linux 4.13) or the cgroup is gone.

    @param directory: that of the memory controller.
    @raise OSError: we have no more descriptors or memory.
    """
    text = read_first(f"{directory}/memory.oom_control", f"{directory}/memory.events")
    return parse_flat_keyed(text).get("oom_kill", 0)


def read_usage(layout: Layout, membership: Mapping[str, str]) -> CgroupUsage:
    """What the cgroup of a process uses, 0 of what the kernel does not count there: it may have
    been started with C{cgroup_disable=memory}. Blocking: three small files.

    @raise OSError: we have no more descriptors or memory.
    """
    cpu = controller_directory(layout, membership, "cpuacct")
    cpu_ns = parse_number(read_first(f"{cpu}/cpuacct.usage"))
    if cpu_ns is None:
        cpu_ns = 1000 * parse_flat_keyed(read_first(f"{cpu}/cpu.stat")).get("usage_usec", 0)
    memory = controller_directory(layout, membership, "memory")
    used = parse_number(read_first(f"{memory}/memory.usage_in_bytes", f"{memory}/memory.current"))
    return CgroupUsage(
        cpu_ns, working_set(used or 0, parse_flat_keyed(read_first(f"{memory}/memory.stat")))
    )


def read_first(*paths: str) -> str:
    """The first of some files that can be read, nothing if none can.

    @raise OSError: we have no more descriptors or memory.
    """
    for path in paths:
        try:
            return process.read_text(path)
        except OSError as error:
            if error.errno in process.RESOURCE_EXHAUSTED:
                raise
    return ""


def working_set(usage: int, stat: Mapping[str, int]) -> int:
    """Memory in use without the page cache that can be dropped at once, as C{docker
    stats} counts it: v1 calls that total_inactive_file, v2 inactive_file."""
    return max(0, usage - stat.get("total_inactive_file", stat.get("inactive_file", 0)))
