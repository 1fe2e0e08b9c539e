"""A row segment: scanned, indexed, read.

Its sparse time index, one L{FrameSpan} for some hundred records, is never stored.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from stationd.errors import JournalTooNew
from stationd.journal.block import Block, BlockSummary
from stationd.journal.column_batch import ColumnBatch
from stationd.journal.disk import IDisk
from stationd.journal.file_header import (
    FILE_HEADER,
    FLAG_COLUMN_FRAMES,
    KIND_ROWS,
    KNOWN_COMPATIBLE,
    KNOWN_INCOMPATIBLE,
    VERSION,
    FileHeader,
    SegmentName,
    unpack_file_header,
)
from stationd.journal.frame_codec import (
    FIXED_BYTES_PER_RECORD,
    FRAME_HEADER,
    MAX_PAYLOAD_BYTES,
    NO_COLUMNS,
    FrameColumns,
    FrameHeader,
    check_columns,
    find_frame_header,
    unpack_frame_header,
    unpack_payload,
)
from stationd.journal.frame_scanner import FrameScanner
from stationd.journal.partial_read import read_available, unread_damage
from stationd.messages import damage_messages, damaged_parts, file_reason_messages
from stationd.records import MAX_TIME_US

SPAN_RECORDS = 4096
SPAN_BYTES = 512 << 10
"""Frames are indexed together until they have so many records or bytes. Questions with
rare answers take some 50 us for each span."""

READ_BYTES = 48 << 10
"""What of a span is decoded at a time: some milliseconds' work, if each record was a
commit of its own."""

MIN_RECORD_BYTES = FIXED_BYTES_PER_RECORD + 2
"""What a record takes at least: its columns, and the ends of its origin and text."""


class FrameSpan(NamedTuple):
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

    @property
    def last(self) -> int:
        """The number of the last record."""
        return self.first + self.records - 1


class RowSegment:
    """A segment that can be read, at any time from any thread.

    @ivar name: its file name's parts.
    @ivar path: where the file is.
    @ivar parts: the time index, ascending. The writer appends to it (and replaces
        the last) while readers read: who reads bounds what it takes by number.
    @ivar end: where the last whole frame ends, in bytes; the next one goes there.
    @ivar records: how many records it has.
    @ivar last: the greatest number in it, C{first - 1} if it is empty.
    @ivar last_given: the same, if the bytes at its end were records. They count if some of
        them cannot be read.
    @ivar min_us: the least time of them, C{max_us} the greatest; without meaning
        if there is none.
    @ivar created_us: when it was made.
    @ivar committed_us: the greatest time of a commit in it, 0 if it has none.
    @ivar damage: a sentence for each place that is not what the format says.
    @ivar unfinished: whether the power went while the file was made: it is no longer
        than a header, and has none.
    @ivar read_only: whether it has flags that only a newer writer understands.
    @ivar appendable: whether frames of today's kind may be added.
    """

    unfinished = False
    read_only = False
    appendable = False

    def __init__(self, disk: IDisk, fd: int, path: str, name: SegmentName) -> None:
        self._disk = disk
        self._fd = fd
        self.name = name
        self.path = path
        self.created_us = 0
        self._intact: dict[int, int] = {}
        self._forget()
        # A reader half-way through a query may be the last to let go of a
        # segment that the writer has removed.
        self._closing = weakref.finalize(self, disk.close, fd)

    def _forget(self) -> None:
        self.parts: list[FrameSpan] = []
        self.end = FILE_HEADER.size
        self.records = 0
        self.last = self.last_given = self.name.first - 1
        self.min_us, self.max_us = MAX_TIME_US, 0
        self.committed_us = 0
        self.damage: list[str] = []

    def release(self) -> None:
        """Give the descriptor back now: nothing was read of it, and nothing will be."""
        self._closing()

    def add_frame(self, header: FrameHeader) -> None:
        """Take a frame that ends where the file now ends into the index."""
        size = FRAME_HEADER.size + header.length
        span = FrameSpan(
            self.end, self.end + size, header.first, header.records, header.min_us, header.max_us
        )
        self.end += size
        self.last = header.first + header.records - 1
        self.min_us = min(self.min_us, header.min_us)
        self.max_us = max(self.max_us, header.max_us)
        self.committed_us = max(self.committed_us, header.committed_us)
        before = self.parts[-1] if self.parts else None
        if (
            before
            and before.end == span.offset
            and before.last + 1 == span.first
            and span.end - before.offset <= SPAN_BYTES
            and before.records + span.records <= SPAN_RECORDS
        ):
            self.parts[-1] = FrameSpan(
                before.offset,
                span.end,
                before.first,
                before.records + span.records,
                min(before.min_us, span.min_us),
                max(before.max_us, span.max_us),
            )
        else:
            self.parts.append(span)
        # Last: whoever sees that there are records finds them.
        self.records += header.records

    def scan(self, below: int | None) -> int:
        """Read the whole file and make the index afresh.

        @param below: the first number of the next segment, see L{FrameScanner}.
        @return: how many bytes after L{end} are no frame: a torn tail, if nothing
            follows in another segment.
        @raise JournalTooNew: the file says that this code cannot read it.
        """
        raw, unread = read_available(self._disk, self._fd, self._disk.size(self._fd), 0)
        self._forget()
        self.damage += unread_damage(self.path, unread)
        header = unpack_file_header(raw)
        if header is None:
            self.unfinished = len(raw) <= FILE_HEADER.size and not unread
            if not self.unfinished:
                self.damage.append(damage_messages.FILE_HEADER_DAMAGED.render(path=self.path))
        else:
            self._check_header(header)
            self.created_us = header.created_us
        found = FrameScanner(raw, self.path, self.name.salt, self.name.first, None)
        if below is not None and found.has_rolled_back_tail(below):
            found = FrameScanner(raw, self.path, self.name.salt, self.name.first, below)
        for offset, frame in found.frames:
            self.end = offset
            self.add_frame(frame)
        self.damage += found.damage
        torn = max(0, len(raw) - self.end)
        at_end = bool(unread) and unread[-1].offset + unread[-1].size > self.end
        self.last_given = self.last + torn // MIN_RECORD_BYTES * at_end
        return torn

    def _check_header(self, header: FileHeader) -> None:
        if header.version > VERSION or header.kind != KIND_ROWS:
            has = {"version": header.version, "kind": header.kind}
            raise JournalTooNew(self.path, file_reason_messages.VERSION_UNKNOWN.render(**has))
        if unknown := header.incompatible & ~KNOWN_INCOMPATIBLE:
            raise JournalTooNew(self.path, file_reason_messages.FLAGS_UNKNOWN.render(flags=unknown))
        self.read_only = bool(header.compatible & ~KNOWN_COMPATIBLE)
        self.appendable = bool(header.incompatible & FLAG_COLUMN_FRAMES)

    def tail(self) -> bytes:
        """The bytes after the last whole frame."""
        return self._disk.read(self._fd, self._disk.size(self._fd) - self.end, self.end)

    def block(self, part: BlockSummary, known: Block | None) -> Block:
        """See L{stationd.journal.block.BlockSource}. What has gone bad since the
        scan, or cannot be read, is left out, and reported."""
        columns = known if isinstance(known, ColumnBatch) else ColumnBatch(part.offset)
        if columns.covers(part):
            # It may hold more: another query has seen a later commit.
            return columns
        for first, rows, end in self.frames(part, columns.end, READ_BYTES):
            columns.append_frame(first, rows)
            columns.end = end
            columns.is_cacheable = columns.is_cacheable and rows is not NO_COLUMNS
        return columns

    def is_intact(self, part: BlockSummary) -> bool:
        """See L{stationd.journal.block.BlockSource}. A span that was found to be whole is
        not read again."""
        if self.damage or self._intact.get(part.offset, 0) >= part.end:
            return not self.damage
        raw = self._span(part, part.offset, part.end - part.offset)
        offset, salt = 0, self.name.salt
        while offset < len(raw):
            header = unpack_frame_header(raw, offset, salt)
            begin = offset + FRAME_HEADER.size
            offset = begin + (header.length if header else 0)
            if header is None or zlib.crc32(raw[begin:offset], salt) != header.checksum:
                self.report_damage(part, damaged_parts.FRAME)
                return False
        self._intact[part.offset] = part.end
        return not self.damage

    def salvage(self, part: BlockSummary) -> Iterator[ColumnBatch | None]:
        """See L{stationd.journal.block.BlockSource}."""
        columns = ColumnBatch(part.offset)
        while not columns.covers(part):
            for first, rows, end in self.frames(part, columns.end, READ_BYTES):
                columns.end = end
                try:
                    check_columns(rows)
                except (LookupError, ValueError) as error:
                    self.report_damage(part, str(error))
                else:
                    columns.append_frame(first, rows)
            yield None
        yield columns

    def frames(
        self, part: BlockSummary, begin: int, size: int
    ) -> Iterator[tuple[int, FrameColumns, int]]:
        """The frames of a span from an offset on, one at least: the number of the first
        record of each, its records, and the offset where it ends. What cannot be read
        is left out, and reported: a frame without records.

        @param size: how many bytes of them.
        """
        raw = self._span(part, begin, size)
        offset = 0
        while offset < min(size, len(raw)):
            header = unpack_frame_header(raw, offset, self.name.salt)
            if header is None or offset + FRAME_HEADER.size + header.length > len(raw):
                self.report_damage(part, damaged_parts.FRAME)
                # All of the span, as the next frame may be further on than was asked for.
                raw = raw if begin + len(raw) == part.end else self._span(part, begin, part.end)
                offset = find_frame_header(raw, offset + 1, self.name.salt)
                yield part.first, NO_COLUMNS, begin + offset
                continue
            offset += FRAME_HEADER.size + header.length
            rows = NO_COLUMNS
            payload = raw[offset - header.length : offset]
            if zlib.crc32(payload, self.name.salt) != header.checksum:
                self.report_damage(part, damaged_parts.FRAME)
            else:
                try:
                    rows = unpack_payload(header.kind, payload, header.records)
                except ValueError as error:
                    self.report_damage(part, str(error))
            yield header.first, rows, begin + offset

    def _span(self, part: BlockSummary, begin: int, size: int) -> bytes:
        """So many bytes of a span, and some more for the frame that they end in. In place of
        those that the disk does not give are others, which are no frame."""
        end = min(part.end, begin + max(size, FRAME_HEADER.size + MAX_PAYLOAD_BYTES))
        raw, unread = read_available(self._disk, self._fd, end - begin, begin)
        if unread:
            self.report_damage(part, unread[0].error)
        return raw

    def report_damage(self, part: BlockSummary, what: str) -> None:
        """Report what was read once and cannot be any more, once."""
        span = {"offset": part.offset, "first": part.first, "last": part.last}
        sentence = damage_messages.SPAN_DAMAGED.render(path=self.path, what=what, **span)
        if sentence not in self.damage:
            self.damage.append(sentence)
