"""Files of a backup: hashed, copied, linked."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable

from stationd.journal.disk import TEMPORARY_SUFFIX, IDisk, replacing

PIECE_BYTES = 1 << 20
"""What of a file is read at a time."""

ReadBytes = Callable[[int], None]
"""Told how many bytes have been read."""

_NO_LINKS = frozenset(
    {
        *(errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS),
        *(errno.EINVAL, errno.ENOENT),
    }
)
"""Why a file cannot be linked but may be copied: another file system, one without links,
a file that is gone but open."""


def count_bytes(total: int, progress: Callable[[int, int], None]) -> ReadBytes:
    """What adds up the bytes that have been read, and tells the progress.

    @param total: how many there are to read.
    """
    done = 0

    def read(size: int) -> None:
        nonlocal done
        done += size
        progress(min(done, total), total)

    progress(done, total)
    return read


class SourceChanged(Exception):
    """A file is shorter than it was when it was opened: a commit that failed was cut off."""


def hash_file(disk: IDisk, path: str, size: int, read: ReadBytes) -> tuple[int, str]:
    """How long a file is, and the SHA-256 of its first bytes.

    @param size: how many, or fewer if the file is shorter.
    @raise OSError: it is not there, or the disk does not give it.
    """
    fd = disk.open(path, write=False)
    try:
        return disk.size(fd), hash_descriptor(disk, fd, size, read)
    finally:
        disk.close(fd)


def hash_descriptor(disk: IDisk, fd: int, size: int, read: ReadBytes) -> str:
    """The SHA-256 of the first bytes of an open file."""
    digest = hashlib.sha256()
    for offset in range(0, size, PIECE_BYTES):
        data = disk.read(fd, min(PIECE_BYTES, size - offset), offset)
        digest.update(data)
        read(len(data))
    return digest.hexdigest()


def copy_file(disk: IDisk, fd: int, size: int, to: str) -> str:
    """Copy the beginning of an open file, durable, in place of any file of that name; its
    SHA-256. The name is durable after L{IDisk.sync_directory}.

    @raise SourceChanged: it has not so many bytes.
    @raise OSError: the disk refused; what was there is there.
    """
    digest = hashlib.sha256()
    with replacing(disk, to) as out:
        for offset in range(0, size, PIECE_BYTES):
            data = disk.read(fd, min(PIECE_BYTES, size - offset), offset)
            if len(data) < min(PIECE_BYTES, size - offset):
                raise SourceChanged
            disk.write(out, data)
            digest.update(data)
    return digest.hexdigest()


def link_file(disk: IDisk, path: str, to: str) -> bool:
    """Give a file a second name, in place of any file of that name; whether that is possible:
    both must be on one file system. The name is durable after L{IDisk.sync_directory}.

    @raise OSError: the disk refused; what was there is there.
    """
    temporary = to + TEMPORARY_SUFFIX
    disk.unlink(temporary)
    try:
        disk.link(path, temporary)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    disk.rename(temporary, to)
    # Renaming one name of a file to another name of it does nothing (rename(2)).
    disk.unlink(temporary)
    return True
