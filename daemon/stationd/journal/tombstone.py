"""The file that says which records were cleared, and the removal of theirs.

Readers, and whoever opens the journal, heed it from the moment it has its name. The power
may still take that back until the directory is synced, and until then the cleared files stay:
they must come back whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from stationd.errors import JournalUnwritable
from stationd.journal.disk import IDisk, as_unwritable, write_file
from stationd.journal.file_header import pack_tombstone
from stationd.journal.retention import remove_files
from stationd.journal.segment_catalogue import TOMBSTONE_NAME
from stationd.journal.snapshot import AnySegment
from stationd.messages.file_reason_messages import CLEAR_NOT_DURABLE


class Tombstone:
    """That of one journal, and what it covers of the files."""

    def __init__(self, disk: IDisk, directory: str) -> None:
        self._disk = disk
        self._directory = directory
        self._covered: tuple[AnySegment, ...] = ()

    def write(self, through: int, now_us: int, covered: Sequence[AnySegment]) -> None:
        """Clear; L{finish} must follow.

        @param through: the last number that is cleared.
        @param covered: the segments that this makes meaningless.
        @raise OSError: nothing is cleared.
        """
        path = os.path.join(self._directory, TOMBSTONE_NAME)
        write_file(self._disk, path, pack_tombstone(through, now_us))
        self._covered = (*self._covered, *covered)

    def finish(self) -> None:
        """Make it durable, then remove the files that it covers. What the disk refuses to
        remove is left to the next opening.

        @raise JournalUnwritable: it is not durable. The files stay until this is called
            again, or the journal is opened.
        """
        if not self._covered:
            return
        try:
            self._disk.sync_directory(self._directory)
        except OSError as error:
            refused = as_unwritable(error)
            reason = CLEAR_NOT_DURABLE.render(reason=refused.reason)
            raise JournalUnwritable(reason, refused.full) from error
        covered, self._covered = self._covered, ()
        remove_files(self._disk, self._directory, covered)
