"""The segment that is appended to: made, written, cut where a write failed, given up
for another one."""

from __future__ import annotations

import contextlib
import os

from twisted.logger import Logger

from stationd.journal.disk import IDisk, replace_file
from stationd.journal.file_header import (
    FLAG_COLUMN_FRAMES,
    KIND_ROWS,
    FileHeader,
    SegmentName,
    pack_file_header,
)
from stationd.journal.row_segment import RowSegment
from stationd.messages import journal_log_messages as log_messages


class SegmentWriter:
    """What is appended to. Of every change that fails it leaves no file and no
    descriptor behind.

    Think of a file that was removed: until its directory is synced, a power cut can
    bring it back, and its first number overrules what the file before it has from
    there on. So a segment that another was ever meant to follow is not written to
    again: the numbers go to a third one, made in a directory that is synced by then.

    @ivar segment: it, C{None} if there is none.
    @ivar usable: whether more may be written to it.
    """

    _log = Logger()

    def __init__(self, disk: IDisk, directory: str) -> None:
        self._disk = disk
        self._directory = directory
        self._fd: int | None = None
        self._before: tuple[RowSegment | None, int | None] | None = None
        self._unremoved: list[str] = []
        self.segment: RowSegment | None = None
        self.usable = False

    def resume(self, segment: RowSegment) -> None:
        """Go on with a segment that was found.

        @raise OSError: it cannot be written.
        """
        # What an earlier process has removed must not come back after the next commit.
        self._disk.sync_directory(self._directory)
        self._fd = self._disk.open(segment.path, write=True)
        self.segment, self.usable = segment, True

    def rotate(self, name: SegmentName, now_us: int) -> RowSegment:
        """Begin another segment. L{finish_rotation} or L{undo_rotation} must follow.

        @raise OSError: it is not there; nothing more is written to the one before.
        """
        self.usable = False
        while self._unremoved:
            # A disk that does not remove files does not get more of them.
            self._disk.unlink(self._unremoved[-1])
            self._unremoved.pop()
        path = os.path.join(self._directory, str(name))
        fd, segment = self._create(path, name, now_us)
        self._before = self.segment, self._fd
        self.segment, self._fd, self.usable = segment, fd, True
        return segment

    def _create(self, path: str, name: SegmentName, now_us: int) -> tuple[int, RowSegment]:
        """A new segment, and a descriptor for appending to it. Its name and header are
        durable; a crash before that leaves a file without frames, which opening removes."""
        header = FileHeader(
            kind=KIND_ROWS,
            first=name.first,
            created_us=now_us,
            salt=name.salt,
            incompatible=FLAG_COLUMN_FRAMES,
        )
        fd = self._disk.create(path)
        try:
            self._disk.write(fd, pack_file_header(header))
            self._disk.sync(fd)
            self._disk.sync_directory(self._directory)
            reading = self._disk.open(path, write=False)
        except BaseException:
            self.remove(path)
            self._close(fd)
            raise
        segment = RowSegment(self._disk, reading, path, name)
        segment.created_us = now_us
        segment.appendable = True
        return fd, segment

    def finish_rotation(self) -> None:
        """The segment that was begun counts; the one before it gets no more."""
        _, fd = self._before or (None, None)
        self._before = None
        if fd is not None:
            self._close(fd)

    def undo_rotation(self) -> None:
        """Take back what L{rotate} did. What was written to the segment meanwhile was
        not acknowledged."""
        assert self._before is not None and self.segment is not None and self._fd is not None
        begun, fd = self.segment, self._fd
        self.segment, self._fd = self._before
        self._before, self.usable = None, False
        self.remove(begun.path)
        self._close(fd)
        with contextlib.suppress(OSError):
            begun.release()

    def retire(self) -> None:
        """Nothing more is written to the segment, nor is it one any more."""
        self.usable = False
        self.segment = None
        self.close()

    def append(self, data: bytes) -> None:
        """Write at the end of the segment, durable.

        @raise OSError: it is cut off again, as far as the disk allows. Whether the cut
            reaches the disk is as uncertain as what was written, and after a failed
            flush the kernel may call lost pages clean; so nothing more is written here.
        """
        assert self._fd is not None and self.segment is not None
        try:
            self._disk.write(self._fd, data)
            self._disk.sync(self._fd)
        except OSError:
            self.usable = False
            try:
                self._disk.truncate(self._fd, self.segment.end)
            except OSError as error:
                path = self.segment.path
                log_messages.COMMIT_ROLLBACK_FAILED.emit(self._log, path=path, error=error)
            raise

    def remove(self, path: str) -> None:
        """Remove a segment that has no records. If the disk refuses, it is tried again
        before another one is made."""
        try:
            self._disk.unlink(path)
        except OSError as error:
            self._unremoved.append(path)
            log_messages.SEGMENT_REMOVE_FAILED.emit(self._log, path=path, error=error)

    def remove_leftover(self, path: str) -> bool:
        """Remove a file that means nothing: whether the disk did. If not, it is tried again
        when the journal is opened once more."""
        try:
            self._disk.unlink(path)
        except OSError as error:
            log_messages.SEGMENT_REMOVE_FAILED.emit(self._log, path=path, error=error)
            return False
        return True

    def close(self) -> None:
        """Give the descriptor back."""
        fd, self._fd = self._fd, None
        if fd is not None:
            self._close(fd)

    def _close(self, fd: int) -> None:
        """Give a descriptor back. That closing fails says nothing new: what counts of the
        file was synced, and the descriptor is free all the same (close(2))."""
        try:
            self._disk.close(fd)
        except OSError as error:
            log_messages.SEGMENT_CLOSE_FAILED.emit(self._log, path=self._directory, error=error)


def cut_torn_tail(disk: IDisk, segment: RowSegment) -> str:
    """Cut what a crash left of the last commit. It was never acknowledged; a copy
    is kept all the same, because the disk may have done this to one that was.

    @return: where the copy is.
    @raise OSError: the disk refused; what is there may be copied, and is not cut.
    """
    broken = f"{segment.path}.{segment.end}.broken"
    replace_file(disk, broken, segment.tail())
    fd = disk.open(segment.path, write=True)
    try:
        disk.truncate(fd, segment.end)
        disk.sync(fd)
    finally:
        disk.close(fd)
    return broken
