"""C{/proc} of a process, and how its files are read."""

from __future__ import annotations

import errno
import signal

import attrs

RESOURCE_EXHAUSTED = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOMEM])
"""Errors that are about us, and not about what we look at."""


def read_text(path: str) -> str:
    """A file of the kernel's.

    @raise OSError: it is gone, or we may not look.
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


@attrs.frozen
class ProcessStat:
    """What C{/proc/PID/stat} says (proc(5)).

    @ivar parent: its parent: of the first process of an LXC container, the monitor.
    @ivar start_ticks: when it began, in ticks since the boot.
    """

    pid: int
    parent: int
    start_ticks: int


def read_stat(pid: int) -> ProcessStat:
    """Read it.

    @raise OSError: it is gone.
    """
    # Before the third field is the name, which can contain anything.
    fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20:
        raise ProcessLookupError(pid)
    return ProcessStat(pid, int(fields[1]), int(fields[19]))


def signal_name(number: int) -> str:
    """C{SIGTERM} for 15; the number itself where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
