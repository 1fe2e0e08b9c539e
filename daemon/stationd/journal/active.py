"""The file that is appended to: made, and cut where a crash left half a commit."""

from __future__ import annotations

import os

from stationd.journal.disk import IDisk, replace
from stationd.journal.format import (
    COLUMN_FRAMES,
    KIND_ROWS,
    FileHeader,
    SegmentName,
    pack_file_header,
)
from stationd.journal.segment import Segment


def create(disk: IDisk, directory: str, name: SegmentName, now_us: int) -> tuple[int, Segment]:
    """A new segment, and a descriptor for appending to it. Its name and header are
    durable; a crash before that leaves a file without frames, which opening removes.

    @raise OSError: there is no new segment.
    """
    path = os.path.join(directory, str(name))
    header = FileHeader(
        kind=KIND_ROWS,
        first=name.first,
        created_us=now_us,
        salt=name.salt,
        incompatible=COLUMN_FRAMES,
    )
    fd = disk.create(path)
    try:
        disk.write(fd, pack_file_header(header))
        disk.sync(fd)
        disk.sync_directory(directory)
        reading = disk.open(path, write=False)
    except OSError:
        disk.close(fd)
        disk.unlink(path)
        raise
    segment = Segment(disk, reading, path, name)
    segment.created_us = now_us
    segment.appendable = True
    return fd, segment


def cut(disk: IDisk, segment: Segment) -> str:
    """Cut what a crash left of the last commit. It was never acknowledged; a copy
    is kept all the same, because the disk may have done this to one that was.

    @return: where the copy is.
    @raise OSError: the disk refused.
    """
    broken = f"{segment.path}.{segment.end}.broken"
    replace(disk, broken, segment.tail())
    fd = disk.open(segment.path, write=True)
    try:
        disk.truncate(fd, segment.end)
        disk.sync(fd)
    finally:
        disk.close(fd)
    return broken
