"""What tells a container from another of the same name, and a run of it from another, so
that what nobody saw can be worked out from what is recorded. Blocking."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct

from stationd_plugins.host import process

AT_FDCWD = -100
STATX_BTIME = 0x800
STATX_BYTES = 256
"""C{linux/fcntl.h} and C{linux/stat.h}."""

_MASK = struct.Struct("=I")
_BIRTH = struct.Struct("=qI")
BIRTH_OFFSET = 80
"""Of C{stx_btime} in C{struct statx} (statx(2)): seconds and nanoseconds."""

_NOT_ASKED = frozenset([errno.ENOSYS, errno.EPERM, errno.EINVAL])
"""What a kernel before 4.11 says to statx, and a sandbox that does not know it."""


def birth_ns(path: str) -> int:
    """When a file was made, in nanoseconds since the epoch; 0 if the file system or the C
    library does not tell. Python does not ask. It is the time of the last tick of the
    kernel, which other files may share.

    @raise OSError: there is none, or its disk does not tell.
    """
    buffer = ctypes.create_string_buffer(STATX_BYTES)
    try:
        failed = _libc().statx(AT_FDCWD, os.fsencode(path), 0, STATX_BTIME, buffer)
    except AttributeError:
        return 0
    if failed and (error := ctypes.get_errno()) not in _NOT_ASKED:
        raise OSError(error, os.strerror(error), path)
    if failed or not _MASK.unpack_from(buffer)[0] & STATX_BTIME:
        return 0
    seconds, nanoseconds = _BIRTH.unpack_from(buffer, BIRTH_OFFSET)
    born: int = seconds * 1_000_000_000 + nanoseconds
    return max(0, born)


def of_process(stat: process.ProcessStat) -> str:
    """What tells a process from all others of this host, in the past too: the boot, the
    number, and the start in ticks since that boot (proc(5)).
    """
    return f"{_boot()}-{stat.pid}-{stat.start_ticks}"


def lives(unique: str) -> bool:
    """Whether the process that L{of_process} named is still there."""
    pid = unique.split("-")[1] if unique.count("-") == 2 else "0"
    try:
        return of_process(process.read_stat(int(pid))) == unique
    except (OSError, ValueError):
        return False


@functools.cache
def _boot() -> str:
    return process.read_text("/proc/sys/kernel/random/boot_id")[:8]


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
