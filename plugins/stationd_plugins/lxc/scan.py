"""What LXC containers there are at one moment, and what each does. Blocking, for a
worker's thread; 30 containers take a millisecond or two."""

from __future__ import annotations

import os
import re
import time

import attrs

from stationd_plugins.live import cgroups
from stationd_plugins.lxc import command, identity


@attrs.frozen
class Seen:
    """One container as a scan sees it.

    @ivar path: the LXC path it is under, C{identity} what tells its directory from others.
    @ivar monitor_pid: its monitor, 0 if it has none.
    @ivar init_pid: its first process, 0 if it does not run (yet, or any more).
    @ivar frozen: whether it is.
    @ivar unsettled: whether it is on its way from one state to another.
    @ivar watch: cgroup files that change when it stops, freezes or thaws.
    @ivar made_us: when it was made, as far as its directory and its configuration tell;
        C{started_us}: when its first process began, by the clock of now, 0 without one.
    @ivar run: what tells that process from all others, C{""} without one.
    @ivar ports: what the host forwards to it, as C{"0.0.0.0:8080->80/tcp"}, in order.
    """

    name: str
    path: str
    identity: str
    image: str
    monitor_pid: int = 0
    init_pid: int = 0
    frozen: bool = False
    unsettled: bool = False
    watch: tuple[str, ...] = ()
    made_us: int = 0
    started_us: int = 0
    run: str = ""
    ports: tuple[str, ...] = ()


def scan(paths: tuple[str, ...], layout: cgroups.Layout) -> tuple[dict[str, Seen], list[str]]:
    """All containers of some LXC paths, by name, and all directories there: one
    that is no container may become one.

    @raise FileNotFoundError: none of the paths exists.
    """
    found: dict[str, Seen] = {}
    directories: list[str] = []
    missing: list[FileNotFoundError] = []
    for path in paths:
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except FileNotFoundError as error:
            missing.append(error)
            continue
        for entry in entries:
            if not entry.is_dir():
                continue
            directories.append(entry.path)
            seen = look(path, entry.name, layout)
            if seen is not None:
                found.setdefault(entry.name, seen)
    if len(missing) == len(paths):
        raise missing[0]
    return found, directories


def look(path: str, name: str, layout: cgroups.Layout) -> Seen | None:
    """One container; C{None} if there is none, or it is still being created."""
    directory = os.path.join(path, name)
    try:
        if os.path.exists(f"{directory}/partial"):
            return None
        with open(f"{directory}/config", encoding="utf-8", errors="replace") as file:
            config = file.read()
            written = os.fstat(file.fileno())
        made = os.stat(directory)
    except (OSError, ValueError):
        return None
    made_ns = identity.birth_ns(directory)
    made_ns = made_ns or min(made.st_ctime_ns, written.st_ctime_ns, written.st_mtime_ns)
    unique = identity.of_directory(directory, made.st_ino)
    seen = Seen(name, path, unique, image_of(config), made_us=made_ns // 1000)
    answers = command.ask(path, name)
    if answers is None:
        return seen
    running = answers.state in ("RUNNING", "FREEZING", "FROZEN", "THAWED")
    seen = attrs.evolve(seen, monitor_pid=answers.monitor_pid, unsettled=not running)
    if not running or not answers.init_pid:
        return seen
    try:
        with open(f"/proc/{answers.init_pid}/cgroup", encoding="utf-8") as file:
            member = cgroups.membership(file.read())
        run = identity.of_process(answers.init_pid)
        started = started_us(answers.init_pid)
    except OSError:
        return attrs.evolve(seen, unsettled=True)
    freezer = cgroups.directory(layout, member, "freezer")
    unified = layout.unified + member[cgroups.UNIFIED] if layout.unified else ""
    frozen, freezing = _frozen(freezer)
    watch = [f"{freezer}/freezer.state", f"{unified}/cgroup.events" if unified else ""]
    return attrs.evolve(
        seen,
        init_pid=answers.init_pid,
        started_us=started,
        run=run,
        frozen=frozen,
        unsettled=freezing,
        watch=tuple(file for file in watch if os.path.exists(file)),
    )


def image_of(config: str) -> str:
    """What a container was made from, as far as its configuration's comments tell."""
    release = re.search(
        r"^# Parameters.*?(?:--dist|-d)[ =](\S+).*?(?:--release|-r)[ =](\S+)", config, re.M
    )
    if release:
        return f"{release[1]}:{release[2]}"
    template = re.search(r"^# Template used to create this container: (\S+)", config, re.M)
    return os.path.basename(template[1]).removeprefix("lxc-") if template else ""


def started_us(pid: int) -> int:
    """When a process began, by the clock of now.

    @raise OSError: it is gone.
    """
    ticks = identity.start_ticks(pid)
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return int((time.time() - age) * 1_000_000)


def _frozen(directory: str) -> tuple[bool, bool]:
    """Whether a cgroup is frozen, and whether it is being frozen."""
    try:
        with open(f"{directory}/freezer.state", encoding="ascii") as file:
            state = file.read().strip()
        return state == "FROZEN", state == "FREEZING"
    except OSError:
        pass
    try:
        with open(f"{directory}/cgroup.events", encoding="ascii") as file:
            return cgroups.keyed(file.read()).get("frozen") == 1, False
    except OSError:
        return False, False
