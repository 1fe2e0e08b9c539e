"""The files of one journal, as the writer sees them: open, commit, clear, vacuum.

Everything here blocks on the disk and is called from one thread at a time. Think
of the process being killed, or the power failing, after every line: each method
says in which order it does things and why that order is safe.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from twisted.logger import Logger

from stationd.errors import JournalLocked, JournalTooNew, JournalUnwritable
from stationd.interfaces import JournalStatus, Retention
from stationd.journal.catalogue import TOMBSTONE_NAME, load
from stationd.journal.commit import Batch, pack_commit
from stationd.journal.disk import IDisk, Lock
from stationd.journal.format import (
    KIND_ROWS,
    FileHeader,
    pack_file_header,
    pack_tombstone,
)
from stationd.journal.query import View, status
from stationd.journal.segment import Segment, SegmentName

LOCK_NAME = "lock"

SEGMENT_US = 24 * 3600 * 1_000_000
"""How long a segment is appended to at most, in microseconds: a day."""


class Store:
    """A journal directory, open for writing.

    Opening takes the lock, finishes what a crash interrupted (a clear, a torn
    frame) and reads every segment once.

    @ivar view: what readers may see now.
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
        self._disk = disk
        self._now_us = now_us
        self._salt = salt
        self._fd: int | None = None
        self._suspect = False
        try:
            os.makedirs(directory, mode=0o750, exist_ok=True)
            lock_path = os.path.join(directory, LOCK_NAME)
            self._lock = Lock(lock_path)
        except BlockingIOError:
            raise JournalLocked(directory, Lock.holder(lock_path)) from None
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
        catalogue = load(self._disk, self._directory)
        for segment in catalogue.segments:
            if segment.read_only:
                raise JournalTooNew(segment.path, "a newer stationd wrote it")
        for path in catalogue.remove:
            self._disk.unlink(path)
        self._sequence = catalogue.sequence
        self._cleared_us = catalogue.cleared_us
        self._damage = catalogue.damage
        self.view = View(catalogue.segments, catalogue.last)
        for sentence in self.status().damage:
            self._log.warn("damage in the journal: {sentence}", sentence=sentence)
        active = self.view.segments[-1] if self.view.segments else None
        if active and catalogue.torn:
            self._cut(active, catalogue.torn)
        if active and not active.damage and active.last == catalogue.last:
            self._fd = self._disk.open(active.path, write=True)
        else:
            # A damaged file gets no more records; and numbers that only the
            # tombstone still knows of are never given again.
            self._rotate()

    def _cut(self, segment: Segment, torn: int) -> None:
        """Cut what a crash left of the last frame. It was never acknowledged; a
        copy is kept all the same, because the disk may have done this to one
        that was."""
        broken = f"{segment.path}.{segment.end}.broken"
        self._disk.replace(broken, segment.tail())
        fd = self._disk.open(segment.path, write=True)
        try:
            self._disk.truncate(fd, segment.end)
            self._disk.sync(fd)
        finally:
            self._disk.close(fd)
        self._log.warn(
            "{torn} bytes of an unfinished commit were cut from {path} and kept in {broken}",
            torn=torn,
            path=segment.path,
            broken=broken,
        )

    def status(self, view: View | None = None) -> JournalStatus:
        """See L{stationd.interfaces.IJournal.status}; of an earlier view, if one is
        given."""
        return status(view or self.view, self._cleared_us, self._damage)

    def commit(self, batches: Sequence[Batch]) -> int:
        """Make batches durable, in order, with one flush; all of them or none.

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
            return self._commit(batches)
        except OSError as error:
            raise unwritable(error) from error

    def _commit(self, batches: Sequence[Batch]) -> int:
        assert self._fd is not None
        segment = self.view.segments[-1]
        first = self.view.last + 1
        data, headers = pack_commit(batches, first, self._now_us(), segment.name.salt)
        try:
            self._disk.write(self._fd, data)
            self._disk.sync(self._fd)
        except OSError:
            self._suspect = True
            try:
                self._disk.truncate(self._fd, segment.end)
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
        active = self.view.segments[-1]
        aged = self._now_us() - active.created_us >= SEGMENT_US
        return active.end >= self._segment_bytes or (aged and bool(active.spans))

    def _rotate(self) -> None:
        """Begin a new segment. Its name and header are durable before its first
        frame is written; a crash before that leaves a file without frames, which
        opening takes up or removes."""
        first = self.view.last + 1
        name = SegmentName(self._sequence + 1, first, self._salt())
        path = os.path.join(self._directory, str(name))
        now_us = self._now_us()
        header = FileHeader(kind=KIND_ROWS, first=first, created_us=now_us, salt=name.salt)
        fd = self._disk.create(path)
        try:
            self._disk.write(fd, pack_file_header(header))
            self._disk.sync(fd)
            self._disk.sync_directory(self._directory)
            reading = self._disk.open(path, write=False)
        except OSError:
            self._disk.close(fd)
            self._disk.unlink(path)
            raise
        if self._fd is not None:
            self._disk.close(self._fd)
        self._fd = fd
        self._sequence += 1
        self._suspect = False
        segment = Segment(self._disk, reading, path, name)
        segment.created_us = now_us
        self.view = View((*self.view.segments, segment), self.view.last)

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
            self._disk.replace(path, pack_tombstone(through, now_us))
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
        excess = sum(segment.end for segment in segments) - retention.max_bytes
        going = 0
        newest_us = 0
        for segment in segments:
            if segment.committed_us <= retention.now_us:
                newest_us = max(newest_us, segment.committed_us)
            old = (
                retention.max_age_us is not None
                and newest_us < retention.now_us - retention.max_age_us
            )
            if (segment is segments[-1] and not segment.spans) or not (old or excess > 0):
                break
            excess -= segment.end
            going += 1
        if not going:
            return 0
        before = self.status().records
        try:
            if going == len(segments):
                self._rotate()
        except OSError as error:
            raise unwritable(error) from error
        gone = self.view.segments[:going]
        self.view = View(self.view.segments[going:], self.view.last)
        self._remove(gone)
        return before - self.status().records

    def _remove(self, segments: Sequence[Segment]) -> None:
        """Take files away that count no more, with the broken tails kept of them."""
        try:
            names = self._disk.names(self._directory)
            for segment in segments:
                stem = str(segment.name)
                for name in sorted(name for name in names if name.startswith(stem)):
                    self._disk.unlink(os.path.join(self._directory, name))
            self._disk.sync_directory(self._directory)
        except OSError as error:
            self._log.warn("removed records still take room on the disk: {error}", error=error)

    def close(self) -> None:
        """Release files and lock."""
        if self._fd is not None:
            self._disk.close(self._fd)
            self._fd = None
        self._lock.release()


def unwritable(error: OSError) -> JournalUnwritable:
    """What the system said, as ours."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return JournalUnwritable(error.strerror or str(error), full)
