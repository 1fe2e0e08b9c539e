"""What tells a container from another of the same name, and a run of it from another, so
that what nobody saw can be worked out without comparing clocks. Blocking."""

from __future__ import annotations

import ctypes
import functools
import os
import struct

AT_FDCWD = -100
STATX_BTIME = 0x800
STATX_BYTES = 256
"""C{linux/fcntl.h} and C{linux/stat.h}."""

_MASK = struct.Struct("=I")
_BIRTH = struct.Struct("=qI")
BIRTH_OFFSET = 80
"""Of C{stx_btime} in C{struct statx} (statx(2)): seconds and nanoseconds."""


def birth_ns(path: str) -> int:
    """When a file was made, in nanoseconds since the epoch; 0 if the file system or the C
    library does not tell. Python does not ask."""
    buffer = ctypes.create_string_buffer(STATX_BYTES)
    try:
        failed = _libc().statx(AT_FDCWD, os.fsencode(path), 0, STATX_BTIME, buffer)
    except AttributeError:
        return 0
    if failed or not _MASK.unpack_from(buffer)[0] & STATX_BTIME:
        return 0
    seconds, nanoseconds = _BIRTH.unpack_from(buffer, BIRTH_OFFSET)
    born: int = seconds * 1_000_000_000 + nanoseconds
    return max(0, born)


def of_directory(path: str, inode: int) -> str:
    """What tells a directory from others that are or were. Numbers of inodes are used
    again; times of birth are those of the last tick of the kernel, which others share."""
    return f"{birth_ns(path)}-{inode}"


def of_process(pid: int) -> str:
    """What tells a process from all others of this host, in the past too: the boot, the
    number, and the start in ticks since that boot (proc(5)).

    @raise OSError: it is gone.
    """
    return f"{_boot()}-{pid}-{start_ticks(pid)}"


def lives(process: str) -> bool:
    """Whether the process that L{of_process} named is still there."""
    pid = process.split("-")[1] if process.count("-") == 2 else "0"
    try:
        return of_process(int(pid)) == process
    except (OSError, ValueError):
        return False


def start_ticks(pid: int) -> int:
    """When a process began, in ticks since the boot.

    @raise OSError: it is gone.
    """
    return int(_stat(pid)[19])


def parent(pid: int) -> int:
    """The parent of a process: of the first of a container, its monitor.

    @raise OSError: it is gone.
    """
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """The fields of C{/proc/PID/stat} from the third on: before it is the name, which
    can contain anything (proc(5))."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    if len(fields) < 20:
        raise ProcessLookupError(pid)
    return fields


@functools.cache
def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read()[:8]


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
