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
from stationd.journal.commit_clock import CommitClock, boot_time_us
from stationd.journal.commit_encoder import encode_commit
from stationd.journal.directory_lock import Lock
from stationd.journal.disk import TEMPORARY_SUFFIX, IDisk, as_unwritable
from stationd.journal.file_header import SEALED_SUFFIX, SegmentName, TombstoneName
from stationd.journal.retention import count_removable, remove_files
from stationd.journal.row_segment import RowSegment
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.segment_catalogue import load_catalogue
from stationd.journal.segment_writer import SegmentWriter, cut_torn_tail
from stationd.journal.snapshot import Snapshot, status
from stationd.journal.tombstone import Tombstone
from stationd.messages import journal_log_messages as log_messages
from stationd.messages.file_reason_messages import SEGMENT_INCOMPLETE, WRITTEN_BY_A_NEWER
from stationd.records import Draft

SEGMENT_US = 24 * 3600 * 1_000_000
"""How long a segment is appended to at most, in microseconds: a day."""


class Store:
    """A journal directory, open for writing.

    Opening takes the lock, finishes what a crash interrupted (a clear, a torn
    frame) and reads every segment once.

    @param now_us: the system's clock.
    @param elapsed_us: one that cannot be set, see L{CommitClock}.
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
        elapsed_us: Callable[[], int] = boot_time_us,
    ) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self.disk = disk
        self._wall_us = now_us
        self._elapsed_us = elapsed_us
        self._salt = salt
        self._writer = SegmentWriter(disk, directory)
        self._tombstone = Tombstone(disk, directory)
        try:
            os.makedirs(directory, mode=0o750, exist_ok=True)
            self._lock = Lock(directory)
        except OSError as error:
            raise as_unwritable(error) from error
        try:
            self._open()
        except OSError as error:
            self.close()
            raise as_unwritable(error) from error
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        directory = self._directory
        catalogue = load_catalogue(self.disk, directory)
        for segment in catalogue.segments:
            if segment.read_only:
                raise JournalTooNew(segment.path, WRITTEN_BY_A_NEWER.text)
        stuck = [path for path in catalogue.leftovers if not self._writer.remove_leftover(path)]
        self._sequence = catalogue.sequence
        self._tombstone.open(catalogue.tombstone, catalogue.cleared)
        self._damage = catalogue.damage
        self._clock = CommitClock(catalogue.segments, self._wall_us, self._elapsed_us)
        self.view = Snapshot(catalogue.segments, catalogue.last)
        for sentence in self.status().damage:
            log_messages.JOURNAL_DAMAGED.emit(self._log, sentence=sentence)
        try:
            beyond = max((file.name.sequence for file in catalogue.unreadable), default=0)
            if stuck or not self._resumable(catalogue.torn, beyond):
                self._publish(self._rotate())
        except OSError as error:
            # A full disk, for one: what is there can be read, and a commit tries again.
            log_messages.SEGMENT_OPEN_FAILED.emit(self._log, path=directory, error=error)

    def _resumable(self, torn: int, beyond: int) -> bool:
        """Go on with the newest segment, if that may be. A damaged file gets no more
        records, nor does one of an earlier version, or one from before a leap of the
        clock; and numbers that only the tombstone still knows of are never given again.

        @param torn: how many bytes of an unfinished commit are at its end.
        @param beyond: the greatest sequence number of something unreadable: nothing is
            appended to a segment that was followed by another one.
        """
        active = self.view.segments[-1] if self.view.segments else None
        if (
            not isinstance(active, RowSegment)
            or not active.appendable
            or active.damage
            or active.last != self.view.last
            or active.name.sequence < beyond
            or (active.records and not self._clock.continues)
        ):
            return False
        if torn:
            broken = cut_torn_tail(self.disk, active)
            log_messages.TORN_TAIL_TRUNCATED.emit(
                self._log, torn=torn, path=active.path, broken=broken
            )
        self._writer.resume(active)
        return True

    def status(self, view: Snapshot | None = None) -> JournalStatus:
        """See L{stationd.interfaces.IJournal.status}; of an earlier view, if one is
        given."""
        return status(view or self.view, self._tombstone.name.cleared_us, self._damage)

    def commit(self, drafts: Sequence[Draft]) -> int:
        """Make records durable, in order, with one flush; all of them or none.

        After one that failed the next begins another segment, whose first number
        overrules what may be left of it. If that fails too, the segment is removed.

        @return: the number of the first record.
        @raise JournalUnwritable: none of them is stored, and no file is left of them.
        """
        appender, first, now_us = self._writer, self.view.last + 1, self._clock.now_us()
        try:
            begun = self._rotate() if not appender.usable or self._is_full(now_us) else None
            segment = appender.segment
            assert segment is not None
            try:
                data, headers = encode_commit(drafts, first, now_us, segment.name.salt)
                appender.append(data)
            except BaseException:
                if begun:
                    appender.undo_rotation()
                raise
        except OSError as error:
            raise as_unwritable(error) from error
        for header in headers:
            segment.add_frame(header)
        if begun:
            self._publish(begun)
        self.view = Snapshot(self.view.segments, segment.last)
        return first

    def _is_full(self, now_us: int) -> bool:
        """Whether the active segment has enough in it. On a quiet host that is a
        day's records, so that retention, which removes whole segments, is right
        to the day."""
        active = self._writer.segment
        assert active is not None
        aged = abs(now_us - active.created_us) >= SEGMENT_US
        return active.end >= self._segment_bytes or (aged and bool(active.parts))

    def _rotate(self) -> RowSegment:
        """Begin a new segment, which readers do not see yet.

        @raise OSError: there is none.
        """
        # Its number is not given again even if it fails, see L{SegmentWriter}.
        self._sequence += 1
        name = SegmentName(self._sequence, self.view.last + 1, self._salt())
        return self._writer.rotate(name, self._clock.now_us())

    def _publish(self, segment: RowSegment) -> None:
        """Let readers see a segment that was begun. One before it in which nothing was
        ever stored goes: its first number is that of the new one."""
        self._writer.finish_rotation()
        segments = self.view.segments
        before = segments[-1] if segments else None
        if before and before.name.first == segment.name.first and not before.damage:
            self._writer.remove(before.path)
            segments = segments[:-1]
        self.view = Snapshot((*segments, segment), self.view.last)

    def next_to_seal(self, given_up: Collection[RowSegment] = ()) -> RowSegment | None:
        """The oldest segment that gets no more records and is not sealed yet, and is
        none of those given up; C{None} if there is none. May be called from any
        thread. A damaged one is left as it is: what can be made of it is for repair
        to say."""
        for segment in self.view.segments[:-1]:
            if (
                isinstance(segment, RowSegment)
                and segment.records
                and not segment.damage
                and segment not in given_up
            ):
                return segment
        return None

    def install_sealed(self, segment: RowSegment, path: str) -> None:
        """Put the sealed form of a segment, which is durable already, in its place: a
        look whether it is whole, rename, then the names made durable, then the other
        file removed. Between them both are there, and opening takes the sealed one.

        @param path: what L{stationd.journal.seal.seal_segment} returned.
        @raise JournalUnwritable: the disk refused; nothing has changed for readers.
        """
        to = path.removesuffix(TEMPORARY_SUFFIX)
        try:
            if segment not in self.view.segments:
                self.disk.unlink(path)
                return
            name = attrs.evolve(segment.name, suffix=SEALED_SUFFIX)
            sealed = SealedSegment(self.disk, self.disk.open(path, write=False), to, name)
            if sealed.damage or sealed.records != segment.records:
                # What was read of the segment is less than there was when it was opened.
                self.disk.unlink(path)
                raise JournalUnwritable(SEGMENT_INCOMPLETE.render(path=segment.path), False)
            self.disk.rename(path, to)
            self.disk.sync_directory(self._directory)
        except OSError as error:
            raise as_unwritable(error) from error
        segments = tuple(sealed if held is segment else held for held in self.view.segments)
        self.view = Snapshot(segments, self.view.last)
        try:
            self.disk.unlink(segment.path)
            self.disk.sync_directory(self._directory)
        except OSError as error:
            # Opening will remove it.
            log_messages.ROW_SEGMENT_REMOVE_FAILED.emit(self._log, path=segment.path, error=error)

    def clear(self, now_us: int) -> int:
        """Remove every record: the tombstone is renamed, which is the moment it happens and
        needs no room; then the files go, which opening would remove if we do not get to
        it. The next commit begins a segment, with the next number.

        @raise JournalUnwritable: nothing was removed; or everything, as C{view} shows, but
            it comes back if the power fails before L{vacuum} has made it durable.
        """
        removed = self.status().records
        self._erase(max(0, now_us))
        return removed

    def _erase(self, cleared_us: int) -> None:
        """Let no record of today count. Raises as L{clear} does."""
        newest = self.view.segments[-1].path if self.view.segments else ""
        try:
            self._tombstone.mark(TombstoneName(self.view.last, cleared_us), newest)
        except OSError as error:
            raise as_unwritable(error) from error
        self._writer.retire()
        self._damage = ()
        self.view = Snapshot((), self.view.last)
        self._tombstone.finish()

    def vacuum(self, retention: Retention) -> int:
        """Remove the oldest segments that are not kept, oldest first, so that a
        crash leaves a whole journal that begins somewhere. The newest goes as if it was
        cleared: the tombstone then has the numbers. None of it needs room on the disk.

        @raise JournalUnwritable: nothing was removed: the disk refused that, or to make a
            clear durable.
        """
        self._tombstone.finish()
        segments = self.view.segments
        going = count_removable(segments, retention, self._clock.age_us)
        before = self.status().records
        gone = remove_files(self.disk, self._directory, segments[: min(going, len(segments) - 1)])
        self.view = Snapshot(segments[gone:], self.view.last)
        if going and going == len(segments) == gone + 1:
            try:
                self._erase(self._tombstone.name.cleared_us)
            except JournalUnwritable as error:
                if not gone:
                    raise
                log_messages.RETENTION_ROTATE_FAILED.emit(self._log, error=error)
        return before - self.status().records

    def close(self) -> None:
        """Release files and lock."""
        self._writer.close()
        self._lock.release()
