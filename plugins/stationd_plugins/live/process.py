"""What C{/proc} says of a process, and how its files are read."""

from __future__ import annotations


def text(path: str) -> str:
    """A file of the kernel's.

    @raise OSError: it is gone, or we may not look.
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def start_ticks(pid: int) -> int:
    """When a process began, in ticks since the boot.

    @raise OSError: it is gone.
    """
    return int(_stat(pid)[19])


def parent(pid: int) -> int:
    """The parent of a process: of the first of an LXC container, its monitor.

    @raise OSError: it is gone.
    """
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """The fields of C{/proc/PID/stat} from the third on: before it is the name, which
    can contain anything (proc(5))."""
    fields = text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20:
        raise ProcessLookupError(pid)
    return fields
