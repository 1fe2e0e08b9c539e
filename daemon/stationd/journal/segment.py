"""One row segment: what a scan of its file finds, and reading records back.

A scan makes a sparse time index, one L{Span} for some 32 KiB of frames; it is
never stored, so it can never be wrong about the file.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import attrs
from twisted.logger import Logger

from stationd.errors import JournalTooNew
from stationd.journal.disk import IDisk
from stationd.journal.format import (
    COMPATIBLE_KNOWN,
    FILE_HEADER,
    FLAG_CONTINUES,
    FRAME_BYTES,
    FRAME_HEADER,
    FRAME_MARKER,
    INCOMPATIBLE_KNOWN,
    KIND_ROWS,
    VERSION,
    FileHeader,
    FrameHeader,
    unpack_file_header,
    unpack_frame_header,
    unpack_rows,
)
from stationd.records import MAX_TIME_US, Record

SPAN_BYTES = FRAME_BYTES
"""Frames are indexed together until they are this long: reading one span is a
millisecond's work, and a gigabyte needs 32,768 index entries."""

UNWRITTEN = bytes(512)
"""A disk's smallest block, as a file system shows one that it has not written."""

SUFFIX = ".rows"


class Span(NamedTuple):
    """Frames that stand one after the other, with nothing damaged between them.

    @ivar offset: where the first begins in the file, C{end} where the last ends.
    @ivar first: the number of the first record, C{records} how many there are.
    @ivar min_us: the least time of them, C{max_us} the greatest.
    """

    offset: int
    end: int
    first: int
    records: int
    min_us: int
    max_us: int


@attrs.frozen
class SegmentName:
    """What a segment's file name tells; with it a file can be read even if its
    header is destroyed.

    @ivar sequence: 1, 2, 3, … in the order in which segments were made.
    @ivar first: see L{FileHeader.first}.
    @ivar salt: see L{FileHeader.salt}.
    """

    sequence: int
    first: int
    salt: int

    def __str__(self) -> str:
        return f"{self.sequence:08d}-{self.first:020d}-{self.salt:08x}{SUFFIX}"

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """The parts of a file name, C{None} if it is not a segment's."""
        parts = name.removesuffix(SUFFIX).split("-")
        if not name.endswith(SUFFIX) or [len(part) for part in parts] != [8, 20, 8]:
            return None
        try:
            found = cls(int(parts[0]), int(parts[1]), int(parts[2], 16))
        except ValueError:
            return None
        return found if str(found) == name else None


class Segment:
    """A segment that can be read, at any time from any thread.

    @ivar name: its file name's parts.
    @ivar path: where the file is.
    @ivar spans: the time index, ascending. The writer appends to it (and replaces
        the last) while readers read: who reads bounds what it takes by number.
    @ivar end: where the last whole frame ends, in bytes; the next one goes there.
    @ivar records: how many records it has.
    @ivar min_us: the least time of them, C{max_us} the greatest; without meaning
        if there is none.
    @ivar created_us: when it was made.
    @ivar committed_us: the greatest time of a commit in it, 0 if it has none.
    @ivar damage: a sentence for each place that is not what the format says.
    """

    _log = Logger()

    def __init__(self, disk: IDisk, fd: int, path: str, name: SegmentName) -> None:
        self._disk = disk
        self._fd = fd
        self.name = name
        self.path = path
        self.created_us = 0
        self._forget()
        # A reader half-way through a query may be the last to let go of a
        # segment that the writer has removed.
        weakref.finalize(self, disk.close, fd)

    def _forget(self) -> None:
        self.spans: list[Span] = []
        self.end = FILE_HEADER.size
        self.records = 0
        self.min_us, self.max_us = MAX_TIME_US, 0
        self.committed_us = 0
        self.damage: list[str] = []

    @property
    def last(self) -> int:
        """The greatest number in it, C{first - 1} if it is empty."""
        if not self.spans:
            return self.name.first - 1
        return self.spans[-1].first + self.spans[-1].records - 1

    def add(self, header: FrameHeader) -> None:
        """Take a frame that ends where the file now ends into the index."""
        size = FRAME_HEADER.size + header.length
        span = Span(
            self.end, self.end + size, header.first, header.records, header.min_us, header.max_us
        )
        self.end += size
        self.records += header.records
        self.min_us = min(self.min_us, header.min_us)
        self.max_us = max(self.max_us, header.max_us)
        self.committed_us = max(self.committed_us, header.committed_us)
        before = self.spans[-1] if self.spans else None
        if (
            before
            and before.end == span.offset
            and before.first + before.records == span.first
            and span.end - before.offset <= SPAN_BYTES
        ):
            self.spans[-1] = Span(
                before.offset,
                span.end,
                before.first,
                before.records + span.records,
                min(before.min_us, span.min_us),
                max(before.max_us, span.max_us),
            )
        else:
            self.spans.append(span)

    def scan(self, below: int | None) -> int:
        """Read the whole file and make the index afresh.

        @param below: the first number of the next segment; frames from there on
            were taken back when their commit failed, and are passed over.
        @return: how many bytes after L{end} are no frame: a torn tail, if nothing
            follows in another segment.
        @raise JournalTooNew: the file says that this code cannot read it.
        """
        raw = self._disk.read(self._fd, self._disk.size(self._fd), 0)
        self._forget()
        header = unpack_file_header(raw)
        if header is None:
            self.unfinished = not any(raw[FILE_HEADER.size :])
            if not self.unfinished:
                self.damage.append(f"{self.path}, byte 0: the file header is damaged")
        else:
            self._check(header)
            self.created_us = header.created_us
        self._frames(raw, below)
        return max(0, len(raw) - self.end)

    def _frames(self, raw: bytes, below: int | None) -> None:
        """Find the commits that count."""
        offset = FILE_HEADER.size
        commit: list[tuple[int, FrameHeader]] = []
        hole = ""
        last = self.last
        while offset < len(raw):
            frame = self._frame(raw, offset, last)
            if frame is None:
                found = self._next_frame(raw, offset + 1, last)
                if found is None:
                    return
                bad = f"{found - offset} bytes are damaged; records from {last + 1} on"
                sentence = f"{self.path}, byte {offset}: {bad} may be lost there"
                if UNWRITTEN in raw[offset:found]:
                    # The power may have gone in the middle of this very commit. It
                    # counts if another one follows, which was written after it.
                    hole = sentence
                else:
                    self._take(commit)
                    self.damage.append(sentence)
                offset = found
                continue
            if below is not None and frame.first >= below:
                return
            if hole and commit and not commit[-1][1].flags & FLAG_CONTINUES:
                self._take(commit)
                self.damage.append(hole)
                hole = ""
            commit.append((offset, frame))
            last = frame.first + frame.records - 1
            offset += FRAME_HEADER.size + frame.length
            if not frame.flags & FLAG_CONTINUES and not hole:
                self._take(commit)

    def _take(self, commit: list[tuple[int, FrameHeader]]) -> None:
        for offset, frame in commit:
            self.end = offset
            self.add(frame)
        commit.clear()

    def _check(self, header: FileHeader) -> None:
        if header.version > VERSION or header.kind != KIND_ROWS:
            raise JournalTooNew(self.path, f"version {header.version}, kind {header.kind}")
        if unknown := header.incompatible & ~INCOMPATIBLE_KNOWN:
            raise JournalTooNew(self.path, f"incompatible flags {unknown:#x}")
        self.read_only = bool(header.compatible & ~COMPATIBLE_KNOWN)

    unfinished = False
    """Whether the power went while the file was made: it has neither header nor frames."""

    read_only = False
    """Whether it has flags that only a newer writer understands."""

    def _frame(self, raw: bytes, offset: int, last: int) -> FrameHeader | None:
        """The frame at an offset if it is whole and right, and its numbers go up."""
        header = unpack_frame_header(raw, offset, self.name.salt)
        if header is None or header.first <= last:
            return None
        start = offset + FRAME_HEADER.size
        payload = memoryview(raw)[start : start + header.length]
        if len(payload) < header.length or zlib.crc32(payload, self.name.salt) != header.checksum:
            return None
        return header

    def _next_frame(self, raw: bytes, offset: int, last: int) -> int | None:
        """Where the next whole frame begins, at or after an offset."""
        while (offset := raw.find(FRAME_MARKER, offset)) >= 0:
            if self._frame(raw, offset, last):
                return offset
            offset += 1
        return None

    def tail(self) -> bytes:
        """The bytes after the last whole frame."""
        return self._disk.read(self._fd, self._disk.size(self._fd) - self.end, self.end)

    def read(self, span: Span) -> Iterator[list[Record]]:
        """The records of a span, a list for each frame. What has gone bad since the
        scan, or cannot be read, is left out."""
        try:
            raw = self._disk.read(self._fd, span.end - span.offset, span.offset)
        except OSError as error:
            self._log.warn(
                "{path}, byte {offset}: {error}",
                path=self.path,
                offset=span.offset,
                error=error,
            )
            return
        offset = 0
        while offset < len(raw):
            header = unpack_frame_header(raw, offset, self.name.salt)
            if header is None:
                return
            offset += FRAME_HEADER.size + header.length
            payload = raw[offset - header.length : offset]
            if zlib.crc32(payload, self.name.salt) == header.checksum:
                try:
                    yield unpack_rows(payload, header.first)
                except ValueError:
                    continue
