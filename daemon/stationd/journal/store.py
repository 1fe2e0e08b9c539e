"""The files of one journal, as the writer sees them: open, commit, clear, vacuum.

Everything here blocks on the disk and is called from one thread at a time. Think
of the process being killed, or the power failing, after every line: each method
says in which order it does things and why that order is safe.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence

import attrs
from twisted.logger import Logger

from stationd.errors import JournalTooNew, JournalUnwritable
from stationd.interfaces import JournalStatus, Retention
from stationd.journal.active import create, cut
from stationd.journal.catalogue import TOMBSTONE_NAME, load
from stationd.journal.commit import pack_commit
from stationd.journal.disk import UNFINISHED, IDisk, Lock, replace, unwritable
from stationd.journal.format import SEALED, SegmentName, pack_tombstone
from stationd.journal.query import AnySegment, View, status
from stationd.journal.retention import expired
from stationd.journal.sealed import SealedSegment
from stationd.journal.segment import Segment
from stationd.records import Draft

SEGMENT_US = 24 * 3600 * 1_000_000
"""How long a segment is appended to at most, in microseconds: a day."""


class Store:
    """A journal directory, open for writing.

    Opening takes the lock, finishes what a crash interrupted (a clear, a torn
    frame) and reads every segment once.

    @ivar view: what readers may see now.
    @ivar disk: where everything is read and written.
    @raise JournalLocked: another process writes it.
    @raise JournalTooNew: a file can be read or written by a newer stationd only.
    @raise JournalUnwritable: the disk refused.
    """

    _log = Logger()

    def __init__(
        self,
        directory: str,
        segment_bytes: int,
        disk: IDisk,
        now_us: Callable[[], int],
        salt: Callable[[], int],
    ) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self.disk = disk
        self._now_us = now_us
        self._salt = salt
        self._fd: int | None = None
        self._suspect = False
        try:
            os.makedirs(directory, mode=0o750, exist_ok=True)
            self._lock = Lock(directory)
        except OSError as error:
            raise unwritable(error) from error
        try:
            self._open()
        except OSError as error:
            self.close()
            raise unwritable(error) from error
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        catalogue = load(self.disk, self._directory)
        for segment in catalogue.segments:
            if segment.read_only:
                raise JournalTooNew(segment.path, "a newer stationd wrote it")
        for path in catalogue.remove:
            self.disk.unlink(path)
        self._sequence = catalogue.sequence
        self._cleared_us = catalogue.cleared_us
        self._damage = catalogue.damage
        self.view = View(catalogue.segments, catalogue.last)
        for sentence in self.status().damage:
            self._log.warn("damage in the journal: {sentence}", sentence=sentence)
        active = self.view.segments[-1] if self.view.segments else None
        self._active: Segment | None = active if isinstance(active, Segment) else None
        if self._active and catalogue.torn:
            self._log.warn(
                "{torn} bytes of an unfinished commit were cut from {path} and kept in {broken}",
                torn=catalogue.torn,
                path=self._active.path,
                broken=cut(self.disk, self._active),
            )
        if (
            self._active
            and self._active.appendable
            and not self._active.damage
            and self._active.last == catalogue.last
        ):
            self._fd = self.disk.open(self._active.path, write=True)
        else:
            # A damaged file gets no more records, nor does one of an earlier version;
            # and numbers that only the tombstone still knows of are never given again.
            self._rotate()

    def status(self, view: View | None = None) -> JournalStatus:
        """See L{stationd.interfaces.IJournal.status}; of an earlier view, if one is
        given."""
        return status(view or self.view, self._cleared_us, self._damage)

    def commit(self, drafts: Sequence[Draft]) -> int:
        """Make records durable, in order, with one flush; all of them or none.

        A frame that could not be flushed is cut off again. Whether the cut reaches
        the disk is as uncertain as the frame was, and after a failed flush the
        kernel may call lost pages clean; so nothing more is written to this file.
        The next commit begins another, whose first number overrules the leftovers.

        @return: the number of the first record.
        @raise JournalUnwritable: none of them is stored.
        """
        try:
            if self._suspect or self._full():
                self._rotate()
            return self._commit(drafts)
        except OSError as error:
            raise unwritable(error) from error

    def _commit(self, drafts: Sequence[Draft]) -> int:
        segment = self._active
        assert self._fd is not None and segment is not None
        first = self.view.last + 1
        data, headers = pack_commit(drafts, first, self._now_us(), segment.name.salt)
        try:
            self.disk.write(self._fd, data)
            self.disk.sync(self._fd)
        except OSError:
            self._suspect = True
            try:
                self.disk.truncate(self._fd, segment.end)
            except OSError as error:
                self._log.warn(
                    "{path} could not be cut back after a failed write: {error}",
                    path=segment.path,
                    error=error,
                )
            raise
        for header in headers:
            segment.add(header)
        self.view = View(self.view.segments, segment.last)
        return first

    def _full(self) -> bool:
        """Whether the active segment has enough in it. On a quiet host that is a
        day's records, so that retention, which removes whole segments, is right
        to the day."""
        active = self._active
        assert active is not None
        aged = self._now_us() - active.created_us >= SEGMENT_US
        return active.end >= self._segment_bytes or (aged and bool(active.parts))

    def _rotate(self) -> None:
        """Begin a new segment."""
        name = SegmentName(self._sequence + 1, self.view.last + 1, self._salt())
        fd, segment = create(self.disk, self._directory, name, self._now_us())
        if self._fd is not None:
            self.disk.close(self._fd)
        self._fd = fd
        self._sequence += 1
        self._suspect = False
        self._active = segment
        self.view = View((*self.view.segments, segment), self.view.last)

    def sealable(self, given_up: Collection[Segment] = ()) -> Segment | None:
        """The oldest segment that gets no more records and is not sealed yet, and is
        none of those given up; C{None} if there is none. May be called from any
        thread. A damaged one is left as it is: what can be made of it is for repair
        to say."""
        for segment in self.view.segments[:-1]:
            if (
                isinstance(segment, Segment)
                and segment.records
                and not segment.damage
                and segment not in given_up
            ):
                return segment
        return None

    def adopt(self, segment: Segment, path: str) -> None:
        """Put the sealed form of a segment, which is durable already, in its place: a
        look whether it is whole, rename, then the names made durable, then the other
        file removed. Between them both are there, and opening takes the sealed one.

        @param path: what L{stationd.journal.seal.seal} returned.
        @raise JournalUnwritable: the disk refused; nothing has changed for readers.
        """
        to = path.removesuffix(UNFINISHED)
        try:
            if segment not in self.view.segments:
                self.disk.unlink(path)
                return
            name = attrs.evolve(segment.name, suffix=SEALED)
            sealed = SealedSegment(self.disk, self.disk.open(path, write=False), to, name)
            if sealed.damage or sealed.records != segment.records:
                # What was read of the segment is less than there was when it was opened.
                self.disk.unlink(path)
                raise JournalUnwritable(f"{segment.path} could not be read whole", False)
            self.disk.rename(path, to)
            self.disk.sync_directory(self._directory)
        except OSError as error:
            raise unwritable(error) from error
        segments = tuple(sealed if held is segment else held for held in self.view.segments)
        self.view = View(segments, self.view.last)
        try:
            self.disk.unlink(segment.path)
            self.disk.sync_directory(self._directory)
        except OSError as error:
            # Opening will remove it.
            self._log.warn("{path} is left over: {error}", path=segment.path, error=error)

    def clear(self, now_us: int) -> int:
        """Remove every record. A new segment first, so that numbers go on; then the
        tombstone, which is the moment it happens; then the files, which opening
        would remove if we do not get to it.

        @raise JournalUnwritable: nothing was removed.
        """
        removed = self.status().records
        through = self.view.last
        try:
            self._rotate()
            path = os.path.join(self._directory, TOMBSTONE_NAME)
            replace(self.disk, path, pack_tombstone(through, now_us))
        except OSError as error:
            raise unwritable(error) from error
        self._cleared_us = now_us
        self._damage = ()
        gone = self.view.segments[:-1]
        self.view = View(self.view.segments[-1:], through)
        self._remove(gone)
        return removed

    def vacuum(self, retention: Retention) -> int:
        """Remove the oldest segments that are not kept, oldest first, so that a
        crash leaves a whole journal that begins somewhere.

        @raise JournalUnwritable: the disk refused to begin a new segment.
        """
        segments = self.view.segments
        going = expired(segments, retention)
        if not going:
            return 0
        before = self.status().records
        try:
            if going == len(segments):
                self._rotate()
        except OSError as error:
            raise unwritable(error) from error
        gone = self._remove(self.view.segments[:going])
        self.view = View(self.view.segments[gone:], self.view.last)
        return before - self.status().records

    def _remove(self, segments: Sequence[AnySegment]) -> int:
        """Take files away, with the broken tails kept of them, oldest first.

        @return: of how many segments there are none any more.
        """
        removed = 0
        try:
            names = self.disk.names(self._directory)
            for segment in segments:
                # The segment itself last, so that nothing that was kept of it is left.
                gone = [name for name in names if name.startswith(segment.name.stem)]
                for name in sorted(gone, key=len, reverse=True):
                    self.disk.unlink(os.path.join(self._directory, name))
                removed += 1
            self.disk.sync_directory(self._directory)
        except OSError as error:
            self._log.warn("records could not be removed: {error}", error=error)
        return removed

    def close(self) -> None:
        """Release files and lock."""
        if self._fd is not None:
            self.disk.close(self._fd)
            self._fd = None
        self._lock.release()
