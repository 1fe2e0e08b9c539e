"""What an LXC container does at one moment. Blocking, for a worker's thread; 100 containers
take some 30 ms."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Mapping

import attrs

from stationd_plugins.host import cgroups, process
from stationd_plugins.host.process import RESOURCE_EXHAUSTED
from stationd_plugins.lxc import command, identity, place

MAX_CONFIG_BYTES = 1 << 20
"""What is read of a configuration."""

GONE = frozenset([errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG])
"""Errors that say that there is nothing; all others, that it is not known."""

ASK_AGAIN = 2.0
"""Seconds after which a monitor is asked again that did not answer, for each of those that do
not: so waiting for them takes a tenth of the time, however many they are."""

Silent = dict[str, float]
"""By the directories of containers whose monitors do not answer: when to ask again."""


@attrs.frozen
class Seen:
    """One container as a scan sees it.

    @ivar path: the LXC path it is under, C{identity} what tells its directory from others,
        C{""} if that cannot be read.
    @ivar monitor: what tells its monitor from all other processes, C{""} if it has none.
    @ivar init_pid: its first process, 0 if it does not run (yet, or any more).
    @ivar frozen: whether it is.
    @ivar unsettled: whether it is on its way from one state to another.
    @ivar ooms: how many of its processes the kernel has killed for want of memory.
    @ivar cgroups: where it is, while it runs; see L{place.of_run}.
    @ivar watch: cgroup files that change when it stops, freezes or thaws.
    @ivar made_us: when it was made, as far as its directory and its configuration tell;
        C{started_us}: when its first process began, by the clock of now, 0 without one.
    @ivar run: what tells that process from all others, C{""} without one.
    @ivar is_silent: its monitor does not answer, or its directory cannot be read: what it
        does is not known.
    @ivar is_bare: its configuration is not there, or cannot be read: it is being removed,
        or just edited; of one that C{is_silent} too it is not even known whether it is a
        container.
    @ivar ports: what the host forwards to it, as C{"0.0.0.0:8080->80/tcp"}, in order.
    """

    name: str
    path: str
    identity: str
    image: str
    monitor: str = ""
    init_pid: int = 0
    frozen: bool = False
    unsettled: bool = False
    ooms: int = 0
    cgroups: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    watch: tuple[str, ...] = ()
    made_us: int = 0
    started_us: int = 0
    run: str = ""
    is_silent: bool = False
    is_bare: bool = False
    ports: tuple[str, ...] = ()


def look(path: str, name: str, layout: cgroups.Layout, silent: Silent | None = None) -> Seen | None:
    """One container; C{None} if there is none, or it is still being created.

    @param silent: kept from look to look.
    @raise OSError: we have no more descriptors or memory.
    """
    try:
        return _look(path, name, layout, {} if silent is None else silent)
    except OSError as error:
        if error.errno in RESOURCE_EXHAUSTED:
            raise
        # A disk that fails, a mount whose server is gone.
        is_there = error.errno not in GONE
        return Seen(name, path, "", "", is_silent=True, is_bare=True) if is_there else None


def _look(path: str, name: str, layout: cgroups.Layout, silent: Silent) -> Seen | None:
    directory = os.path.join(path, name)
    if os.path.exists(f"{directory}/partial"):
        return None
    made = os.stat(directory)
    config, written_ns = "", made.st_ctime_ns
    is_bare = is_unreadable = False
    try:
        config, written_ns = _read(f"{directory}/config")
    except OSError as error:
        if error.errno in RESOURCE_EXHAUSTED:
            raise
        is_bare, is_unreadable = True, error.errno not in GONE
    born_ns = identity.birth_ns(directory)
    made_ns = born_ns or min(made.st_ctime_ns, written_ns)
    unique = f"{born_ns}-{made.st_ino}"
    seen = Seen(name, path, unique, image_of(config), made_us=made_ns // 1000, is_bare=is_bare)
    if time.monotonic() < silent.get(directory, 0.0):
        return attrs.evolve(seen, is_silent=True)
    try:
        answers = command.ask(path, name)
        if answers is None:
            seen = attrs.evolve(seen, is_silent=is_unreadable)
        else:
            seen = _answered(seen, answers, layout)
    except TimeoutError:
        # With itself, that may be there from the last time.
        number = len({*silent, directory})
        silent[directory] = time.monotonic() + ASK_AGAIN * number
        return attrs.evolve(seen, is_silent=True)
    silent.pop(directory, None)
    return seen


def _answered(seen: Seen, answers: command.Answers, layout: cgroups.Layout) -> Seen:
    """The same, with what its monitor says, and the kernel of its first process.

    @raise TimeoutError: the monitor does not say where it is.
    """
    running = answers.state in ("RUNNING", "FREEZING", "FROZEN", "THAWED")
    seen = attrs.evolve(seen, unsettled=not running)
    if not running or not answers.init_pid:
        return seen
    try:
        init = process.read_stat(answers.init_pid)
        monitor = identity.of_process(process.read_stat(init.parent))
        run = identity.of_process(init)
        places = place.of_run(layout, seen.path, seen.name, run, init)
    except OSError as error:
        if error.errno in RESOURCE_EXHAUSTED or isinstance(error, TimeoutError):
            raise
        return attrs.evolve(seen, unsettled=True)
    freezer = cgroups.controller_directory(layout, places, "freezer")
    frozen, freezing = is_frozen(freezer)
    memory = cgroups.controller_directory(layout, places, "memory")
    watch = [f"{freezer}/freezer.state", f"{memory}/memory.events"]
    if cgroups.UNIFIED in places:
        watch.append(f"{layout.unified}{places[cgroups.UNIFIED]}/cgroup.events")
    return attrs.evolve(
        seen,
        init_pid=answers.init_pid,
        started_us=started_us(init),
        run=run,
        monitor=monitor,
        frozen=frozen,
        unsettled=freezing,
        ooms=cgroups.oom_kill_count(memory),
        cgroups=places,
        watch=tuple(file for file in watch if os.path.exists(file)),
    )


def _read(path: str) -> tuple[str, int]:
    """A configuration, and when it was written; nothing of what is no file.

    @raise OSError: it is not there, or cannot be read.
    """
    # Whoever owns the path may have put anything there: a FIFO, a link to a device, which
    # may do something when it is opened.
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        written, data = os.fstat(found), b""
        if stat.S_ISREG(written.st_mode):
            with open(f"/proc/self/fd/{found}", "rb", buffering=0) as file:
                data = file.read(MAX_CONFIG_BYTES)
    finally:
        os.close(found)
    return data.decode("utf-8", "replace"), min(written.st_ctime_ns, written.st_mtime_ns)


def image_of(config: str) -> str:
    """What a container was made from, as far as its configuration's comments tell."""
    release = re.search(
        r"^# Parameters.*?(?:--dist|-d)[ =](\S+).*?(?:--release|-r)[ =](\S+)", config, re.M
    )
    if release:
        return f"{release[1]}:{release[2]}"
    template = re.search(r"^# Template used to create this container: (\S+)", config, re.M)
    return os.path.basename(template[1]).removeprefix("lxc-") if template else ""


def started_us(of: process.ProcessStat) -> int:
    """When a process began, by the clock of now."""
    began = of.start_ticks / os.sysconf("SC_CLK_TCK")
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - began
    return int((time.time() - age) * 1_000_000)


def is_frozen(directory: str) -> tuple[bool, bool]:
    """Whether a cgroup is frozen, and whether it is being frozen: by the freezer of v1, or
    by v2; neither if it is gone.

    @raise OSError: we have no more descriptors or memory.
    """
    if state := cgroups.read_first(f"{directory}/freezer.state").strip():
        return state == "FROZEN", state == "FREEZING"
    events = cgroups.parse_flat_keyed(cgroups.read_first(f"{directory}/cgroup.events"))
    return events.get("frozen") == 1, False
