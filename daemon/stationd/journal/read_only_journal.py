"""Reading a journal that another process may be writing, or that nobody writes any
more: without its lock, and without changing anything."""

from __future__ import annotations

from collections.abc import Iterator

from stationd.interfaces import JournalStatus, Query
from stationd.journal.block_cache import BlockCache
from stationd.journal.disk import Disk, IDisk, as_unreadable
from stationd.journal.query import select
from stationd.journal.segment_catalogue import load_catalogue
from stationd.journal.snapshot import Snapshot, status
from stationd.records import Record


class ReadOnlyJournal:
    """A journal as it was when this was made; make another to see what came since.

    @param disk: where it is, C{None} for the real one.
    @raise JournalUnreadable: the directory cannot be read.
    @raise stationd.errors.JournalTooNew: a newer stationd wrote it.
    """

    def __init__(self, directory: str, disk: IDisk | None = None) -> None:
        try:
            self._catalogue = load_catalogue(disk or Disk(), directory)
        except OSError as error:
            raise as_unreadable(error, directory) from error
        self._cache = BlockCache()
        self._view = Snapshot(self._catalogue.segments, self._catalogue.last)

    def select(self, query: Query) -> Iterator[list[Record]]:
        """See L{stationd.interfaces.IJournal.select}."""
        return select(self._view, query, self._cache)

    def status(self) -> JournalStatus:
        """See L{stationd.interfaces.IJournal.status}."""
        return status(self._view, self._catalogue.cleared.cleared_us, self._catalogue.damage)
