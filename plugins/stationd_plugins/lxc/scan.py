"""What LXC containers there are at one moment, and what each does. Blocking, for a
worker's thread; 30 containers take a millisecond or two."""

from __future__ import annotations

import errno
import functools
import os
import re
import stat
import time
from collections.abc import Mapping

import attrs
from twisted.logger import Logger

from stationd_plugins.live import cgroups, process
from stationd_plugins.lxc import command, identity, place

MAX_NAME_LENGTH = 252
"""Characters: with C{lxc/} before it, what a record can hold."""


MAX_CONFIG_BYTES = 1 << 20
"""What is read of a configuration."""

EXHAUSTED = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOMEM])
"""Errors that are about us, and not about a container."""

ASK_AGAIN = 1.0
"""Seconds after which a monitor is asked again that did not answer."""

Silent = dict[str, float]
"""By the directories of containers whose monitors do not answer: when to ask again."""


@attrs.frozen
class Seen:
    """One container as a scan sees it.

    @ivar path: the LXC path it is under, C{identity} what tells its directory from others.
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
    @ivar is_silent: its monitor does not answer: what it does is not known.
    @ivar is_bare: its configuration is not there, or cannot be read: it is being removed,
        or just edited.
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


def scan(
    paths: tuple[str, ...], layout: cgroups.Layout, silent: Silent | None = None
) -> tuple[dict[str, Seen], list[str]]:
    """All containers of some LXC paths, by name, and all directories there: one
    that is no container may become one.

    @param silent: kept from scan to scan.

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
            try:
                if not entry.is_dir():
                    continue
            except OSError:
                # A link to itself.
                continue
            if not _is_usable(entry.name):
                _pass_over(entry.path)
                continue
            directories.append(entry.path)
            seen = look(path, entry.name, layout, silent)
            before = found.get(entry.name)
            if seen is not None and (before is None or (before.is_bare and not seen.is_bare)):
                found[entry.name] = seen
    if len(missing) == len(paths):
        raise missing[0]
    return found, directories


def look(path: str, name: str, layout: cgroups.Layout, silent: Silent | None = None) -> Seen | None:
    """One container; C{None} if there is none, or it is still being created.

    @raise OSError: we have no more descriptors or memory, or the disk fails.
    """
    directory = os.path.join(path, name)
    try:
        if os.path.exists(f"{directory}/partial"):
            return None
        made = os.stat(directory)
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError):
        return None
    config, written_ns = "", made.st_ctime_ns
    is_bare = False
    try:
        config, written_ns = _read(f"{directory}/config")
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        is_bare = True
    try:
        born_ns = identity.birth_ns(directory)
    except FileNotFoundError:
        return None
    made_ns = born_ns or min(made.st_ctime_ns, written_ns)
    unique = f"{born_ns}-{made.st_ino}"
    seen = Seen(name, path, unique, image_of(config), made_us=made_ns // 1000, is_bare=is_bare)
    asked = silent if silent is not None else {}
    if time.monotonic() < asked.get(directory, 0.0):
        return attrs.evolve(seen, is_silent=True)
    try:
        answers = command.ask(path, name)
        asked.pop(directory, None)
    except TimeoutError:
        asked[directory] = time.monotonic() + ASK_AGAIN
        return attrs.evolve(seen, is_silent=True)
    if answers is None:
        return seen
    running = answers.state in ("RUNNING", "FREEZING", "FROZEN", "THAWED")
    seen = attrs.evolve(seen, unsettled=not running)
    if not running or not answers.init_pid:
        return seen
    try:
        init = process.stat(answers.init_pid)
        monitor = identity.of_process(process.stat(init.parent))
        run = identity.of_process(init)
        places = place.of_run(layout, path, name, run, init)
    except OSError:
        return attrs.evolve(seen, unsettled=True)
    freezer = cgroups.directory(layout, places, "freezer")
    frozen, freezing = is_frozen(freezer)
    memory = cgroups.directory(layout, places, "memory")
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
        ooms=cgroups.oom_kills(memory),
        cgroups=places,
        watch=tuple(file for file in watch if os.path.exists(file)),
    )


def _read(path: str) -> tuple[str, int]:
    """A configuration, and when it was written; nothing of what is no file.

    @raise OSError: it is not there, or cannot be read.
    """
    # Whoever owns the path may have put anything there: a FIFO, a directory.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        written = os.fstat(descriptor)
        data = os.read(descriptor, MAX_CONFIG_BYTES) if stat.S_ISREG(written.st_mode) else b""
    finally:
        os.close(descriptor)
    return data.decode("utf-8", "replace"), min(written.st_ctime_ns, written.st_mtime_ns)


def _is_usable(name: str) -> bool:
    """Whether the journal can hold a name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.isprintable() and len(name) <= MAX_NAME_LENGTH


@functools.cache
def _pass_over(path: str) -> None:
    """Say once that there is something that we do not watch."""
    Logger().warn("{path} cannot be recorded by its name and is passed over", path=repr(path))


def image_of(config: str) -> str:
    """What a container was made from, as far as its configuration's comments tell."""
    release = re.search(
        r"^# Parameters.*?(?:--dist|-d)[ =](\S+).*?(?:--release|-r)[ =](\S+)", config, re.M
    )
    if release:
        return f"{release[1]}:{release[2]}"
    template = re.search(r"^# Template used to create this container: (\S+)", config, re.M)
    return os.path.basename(template[1]).removeprefix("lxc-") if template else ""


def started_us(of: process.Stat) -> int:
    """When a process began, by the clock of now."""
    began = of.start_ticks / os.sysconf("SC_CLK_TCK")
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - began
    return int((time.time() - age) * 1_000_000)


def is_frozen(directory: str) -> tuple[bool, bool]:
    """Whether a cgroup is frozen, and whether it is being frozen: by the freezer of v1, or
    by v2."""
    try:
        state = process.text(f"{directory}/freezer.state").strip()
        return state == "FROZEN", state == "FREEZING"
    except OSError:
        pass
    try:
        events = cgroups.keyed(process.text(f"{directory}/cgroup.events"))
        return events.get("frozen") == 1, False
    except OSError:
        return False, False
