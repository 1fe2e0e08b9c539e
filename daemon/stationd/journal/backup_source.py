"""A journal as it was at one moment, with all of its files open: what a backup copies.

The writer may append, seal, clear and remove meanwhile. It is not asked, and its lock
is not taken.
"""

from __future__ import annotations

import contextlib

import attrs

from stationd.errors import BackupFailed, JournalUnreadable
from stationd.interfaces import JournalStatus
from stationd.journal.disk import IDisk
from stationd.journal.file_header import FIRST_TOMBSTONE_NAME, TombstoneName
from stationd.journal.segment_catalogue import MAX_ATTEMPTS, load_catalogue
from stationd.journal.snapshot import AnySegment, Snapshot, status
from stationd.messages.file_reason_messages import BACKUP_SOURCE_CHANGING, BACKUP_SOURCE_MISSING


@attrs.frozen(kw_only=True)
class OpenJournal:
    """A journal whose files are open, so that removing them takes nothing away.

    @ivar segments: those that count, ascending, each with a descriptor.
    @ivar status: what they hold.
    @ivar cleared_through: the last number that was cleared, 0 if none was.
    """

    directory: str
    segments: tuple[tuple[AnySegment, int], ...]
    status: JournalStatus
    cleared_through: int


def open_source(disk: IDisk, directory: str, stack: contextlib.ExitStack) -> OpenJournal:
    """Open all files of a journal; if one is gone by then, all anew.

    @param stack: closes them.
    @raise JournalUnreadable: the directory cannot be read.
    @raise BackupFailed: there is no journal in it.
    @raise stationd.errors.JournalTooNew: a newer stationd wrote it.
    """
    try:
        disk.names(directory)
        for _ in range(MAX_ATTEMPTS):
            # Clearing renames the tombstone before it removes: as long as its name is the
            # same, the files are those that it leaves.
            tombstones = _tombstones(disk, directory)
            with contextlib.ExitStack() as opened, contextlib.suppress(FileNotFoundError):
                found = _open_once(disk, directory, opened)
                if _tombstones(disk, directory) == tombstones:
                    if not found.segments and not tombstones:
                        raise BackupFailed(directory, BACKUP_SOURCE_MISSING.text)
                    stack.push(opened.pop_all())
                    return found
    except OSError as error:
        raise JournalUnreadable(directory, error.strerror or str(error)) from error
    raise BackupFailed(directory, BACKUP_SOURCE_CHANGING.text)


def _open_once(disk: IDisk, directory: str, opened: contextlib.ExitStack) -> OpenJournal:
    catalogue = load_catalogue(disk, directory)
    segments: list[tuple[AnySegment, int]] = []
    for segment in catalogue.segments:
        fd = disk.open(segment.path, write=False)
        opened.callback(disk.close, fd)
        segments.append((segment, fd))
    view = Snapshot(catalogue.segments, catalogue.last)
    return OpenJournal(
        directory=directory,
        segments=tuple(segments),
        status=status(view, catalogue.cleared.cleared_us, catalogue.damage),
        cleared_through=catalogue.cleared.through,
    )


def _tombstones(disk: IDisk, directory: str) -> list[str]:
    """The names of all tombstones."""
    return sorted(
        name
        for name in disk.names(directory)
        if name == FIRST_TOMBSTONE_NAME or TombstoneName.parse(name)
    )
