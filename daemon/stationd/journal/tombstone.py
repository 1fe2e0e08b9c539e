"""The file whose name says which records were cleared, and the removal of theirs.

It is renamed for each clear, which takes no room on the disk. Readers, and whoever opens the
journal, heed it from that moment. The power may still take that back until the directory is
synced, and until then the cleared files stay: they must come back whole or not at all.
"""

from __future__ import annotations

import contextlib
import os

from twisted.logger import Logger

from stationd.errors import JournalUnwritable
from stationd.journal.disk import IDisk, as_unwritable
from stationd.journal.file_header import FIRST_TOMBSTONE_NAME, SegmentName, TombstoneName
from stationd.messages import journal_log_messages as log_messages
from stationd.messages.file_reason_messages import CLEAR_NOT_DURABLE


class Tombstone:
    """That of one journal, and what it covers of the files.

    @ivar name: what it says.
    """

    _log = Logger()

    def __init__(self, disk: IDisk, directory: str) -> None:
        self._disk = disk
        self._directory = directory
        self._path = ""
        self._unfinished = False
        self.name = TombstoneName()

    def open(self, path: str, name: TombstoneName) -> None:
        """Go on with what was found, and have a file for the next clear, as far as the disk
        allows: L{mark} can do without.

        @param path: where it is, C{""} if there is none.
        """
        self.name = name
        to = os.path.join(self._directory, str(name))
        try:
            if not path:
                self._disk.close(self._disk.create(to))
            elif path != to:
                self._disk.rename(path, to)
            elif self._disk.size_of_path(path):
                # It was a segment. As long as its old name can come back it must be whole.
                self._disk.sync_directory(self._directory)
                self._empty(path)
            self._path = to
        except OSError as error:
            self._path = path
            log_messages.TOMBSTONE_NOT_PREPARED.emit(self._log, path=to, error=error)

    def mark(self, name: TombstoneName, newest: str) -> None:
        """Clear; L{finish} must follow.

        @param newest: the path of a segment that this makes meaningless, C{""} if there is
            none. Its file becomes the tombstone if there is no other.
        @raise OSError: nothing is cleared.
        """
        to = os.path.join(self._directory, str(name))
        try:
            self._rename(self._path or newest, to)
        except FileNotFoundError:
            # Somebody has removed it.
            self._rename(newest, to)
        self._path, self.name, self._unfinished = to, name, True

    def _rename(self, path: str, to: str) -> None:
        if path:
            self._disk.rename(path, to)
        else:
            self._disk.close(self._disk.create(to))

    def finish(self) -> None:
        """Make it durable, then remove the files that it covers. What the disk refuses to
        remove is tried again with the next call.

        @raise JournalUnwritable: it is not durable. The files stay until this is called
            again, or the journal is opened.
        """
        if not self._unfinished:
            return
        try:
            self._disk.sync_directory(self._directory)
        except OSError as error:
            refused = as_unwritable(error)
            reason = CLEAR_NOT_DURABLE.render(reason=refused.reason)
            raise JournalUnwritable(reason, refused.full) from error
        try:
            self._remove_covered()
        except OSError as error:
            log_messages.SEGMENT_FILES_REMOVE_FAILED.emit(self._log, error=error)
        else:
            self._unfinished = False

    def _remove_covered(self) -> None:
        """Remove all files of the records that were cleared, those that do not count too."""
        refused: OSError | None = None
        for name in self._disk.names(self._directory):
            of = SegmentName.parse(name) or SegmentName.parse_kept(name)
            if of is not None and of.first <= self.name.through:
                try:
                    self._disk.unlink(os.path.join(self._directory, name))
                except OSError as error:
                    refused = error
        if self._disk.size_of_path(self._path):
            self._empty(self._path)
        self._disk.sync_directory(self._directory)
        if refused is not None:
            raise refused

    def _empty(self, path: str) -> None:
        """Give back the room of a segment that has become the tombstone."""
        fd = self._disk.open(path, write=True)
        try:
            self._disk.truncate(fd, 0)
        finally:
            self._disk.close(fd)


def put_tombstone(disk: IDisk, directory: str, name: TombstoneName) -> None:
    """Let a directory that nobody writes have one tombstone, that of this name. It is durable
    after a sync of the directory."""
    with contextlib.suppress(FileExistsError):
        disk.close(disk.create(os.path.join(directory, str(name))))
    for other in disk.names(directory):
        is_tombstone = other == FIRST_TOMBSTONE_NAME or TombstoneName.parse(other) is not None
        if is_tombstone and other != str(name):
            disk.unlink(os.path.join(directory, other))
