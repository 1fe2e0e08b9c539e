"""OOM kills in the kernel's log. An engine tells of it late or never, and a cgroup that counts it
is gone with the container."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator

import attrs

from stationd_plugins.host.process import read_text

KERNEL_LOG = "/dev/kmsg"
"""Documentation/ABI/testing/dev-kmsg: each read gives one record, from the oldest on."""

VMSTAT = "/proc/vmstat"
"""proc(5)."""

RECORD_BYTES = 8192
"""C{CONSOLE_EXT_LOG_MAX}: no record is longer."""

NEAR_SECONDS = 10.0
"""Seconds between a kill and the exit that it caused, and what two clocks may differ by."""

SIGKILL_EXIT_CODE = 137
"""The exit code of who was ended by SIGKILL, or whose child was and who says so."""

_COUNTER = re.compile(r"^oom_kill (\d+)$", re.M)
_RECORD = re.compile(r"\d+,\d+,(\d+),[^;]*;(.*)")
_LIMIT = re.compile(r"memory: usage \d+kB, limit (\d+)kB, failcnt \d+")
_VICTIM = re.compile(r"oom-kill:constraint=.*,task_memcg=(/.*),task=.*,pid=(\d+),uid=\d+")
_CGROUP = re.compile(r"Task in (/.*) killed as a result of limit of /.*")
_PROCESS = re.compile(
    r"(?:(Out of memory|Memory cgroup out of memory)[^:]*: )?(Kill|Killed) process (\d+)\b"
)


@attrs.frozen
class OomKill:
    """A process that was killed.

    @ivar at: when, in seconds on the kernel's clock (C{CLOCK_MONOTONIC_RAW}, nearly).
    @ivar cgroup: its memory cgroup, from the root of the hierarchy; C{""} if it is not said:
        of so many kills in a short time the kernel says no more than that they were.
    @ivar limit_bytes: the limit that was reached, 0 if it is not said.
    @ivar of_host: whether the host had no memory left, and not the cgroup.
    """

    at: float
    pid: int
    cgroup: str = ""
    limit_bytes: int = 0
    of_host: bool = False

    def is_in(self, cgroup: str) -> bool:
        """Whether it was in a cgroup or one below it."""
        return bool(cgroup) and f"{self.cgroup}/".startswith(f"{cgroup}/")


def oom_kills_since_boot(counters: str = VMSTAT) -> int:
    """How many it has killed since the boot, 0 if it does not count them (before Linux 4.13).
    Blocking: 0.05 ms."""
    try:
        found = _COUNTER.search(read_text(counters))
    except OSError:
        return 0
    return 0 if found is None else int(found[1])


def read_oom_kills(log: str = KERNEL_LOG) -> list[OomKill]:
    """All that the kernel remembers, the oldest first; none if we may not look
    (C{CAP_SYSLOG}). Blocking: two milliseconds for a log of two thousand lines."""
    try:
        return list(parse_oom_kills(_read_records(log)))
    except OSError:
        return []


def oom_kills_near(age: float, log: str = KERNEL_LOG) -> list[OomKill]:
    """Those about so many seconds ago, the newest first."""
    then = time.clock_gettime(time.CLOCK_MONOTONIC_RAW) - age
    return [kill for kill in reversed(read_oom_kills(log)) if abs(kill.at - then) < NEAR_SECONDS]


def parse_oom_kills(records: Iterable[str]) -> Iterator[OomKill]:
    """Find them in the kernel's records. Pure.

    The lines are those of C{mm/oom_kill.c} and C{mm/memcontrol.c}: the limit of the cgroup,
    its victim (in one line since Linux 4.20), and that it was killed, which until 5.0 was
    said twice, before and after.
    """
    limit_bytes, cgroup, victim, of_host = 0, "", 0, False
    for record in records:
        found = _RECORD.match(record)
        if found is None:
            continue
        said = found[2]
        if " invoked oom-killer: " in said:
            limit_bytes, cgroup, victim, of_host = 0, "", 0, False
        elif match := _LIMIT.match(said):
            limit_bytes = 1024 * int(match[1])
        elif match := _VICTIM.match(said):
            cgroup, victim = match[1], int(match[2])
        elif match := _CGROUP.match(said):
            cgroup, victim = match[1], 0
        elif match := _PROCESS.match(said):
            pid = int(match[3])
            of_host = match[1] == "Out of memory" or (of_host and not match[1])
            if match[2] == "Kill":
                # That it was killed is still to come.
                continue
            known = victim in (0, pid)
            yield OomKill(
                at=int(found[1]) / 1e6,
                pid=pid,
                cgroup=cgroup if known else "",
                limit_bytes=0 if of_host or not known else limit_bytes,
                of_host=of_host,
            )


def _read_records(log: str) -> Iterator[str]:
    descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while True:
            try:
                yield os.read(descriptor, RECORD_BYTES).decode("utf-8", "replace")
            except BrokenPipeError:
                # It was overwritten before we read it; the next read goes on behind it.
                continue
            except BlockingIOError:
                return
    finally:
        os.close(descriptor)
