"""Retention: which segments are not kept, and their removal."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from twisted.logger import Logger

from stationd.interfaces import Retention
from stationd.journal.disk import IDisk
from stationd.journal.snapshot import AnySegment
from stationd.messages import journal_log_messages as log_messages

_log = Logger()


def count_removable(
    segments: Sequence[AnySegment], retention: Retention, age_us: Callable[[AnySegment], int]
) -> int:
    """How many segments may go, from the oldest on. How many there are is no reason;
    nor is age for one without records, which goes with the next one that has some.
    An empty one that is being written is no reason to begin another.

    @param segments: ascending.
    @param age_us: how old a segment with records is.
    """
    excess = sum(segment.end for segment in segments) - retention.max_bytes
    going = 0
    for index, segment in enumerate(segments):
        old = retention.max_age_us is not None and (
            not segment.records or age_us(segment) > retention.max_age_us
        )
        if not old and excess <= 0:
            break
        if segment.records or excess > 0:
            going = index + 1
        excess -= segment.end
    return going - 1 if 0 < going == len(segments) and not segments[-1].records else going


def remove_files(disk: IDisk, directory: str, segments: Sequence[AnySegment]) -> int:
    """Remove the files of segments, with what was cut from them or kept of them, in the
    order given.

    @return: how many are removed; the disk may refuse the next.
    """
    removed = 0
    if not segments:
        return removed
    try:
        names = disk.names(directory)
        for segment in segments:
            # The segment itself last, so that nothing that was kept of it is left.
            gone = [name for name in names if name.startswith(segment.name.stem)]
            for name in sorted(gone, key=len, reverse=True):
                disk.unlink(os.path.join(directory, name))
            removed += 1
        disk.sync_directory(directory)
    except OSError as error:
        log_messages.SEGMENT_FILES_REMOVE_FAILED.emit(_log, error=error)
    return removed
