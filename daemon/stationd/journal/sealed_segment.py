"""A sealed segment: opened by its footer, read chunk by chunk.

If the footer is damaged, the blocks are found by their markers; if a block's header
is, the footer has it. Only a damaged chunk loses records, and only those that need it.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator

from stationd.errors import JournalTooNew
from stationd.journal.block import Block, BlockSummary
from stationd.journal.block_reader import SealedBlock
from stationd.journal.column_batch import ColumnBatch
from stationd.journal.disk import IDisk
from stationd.journal.file_header import (
    FILE_HEADER,
    KIND_SEALED,
    KNOWN_INCOMPATIBLE,
    VERSION,
    SegmentName,
    unpack_file_header,
)
from stationd.journal.partial_read import read_available, unread_damage
from stationd.journal.salvage import salvage_block
from stationd.journal.sealed_codec import (
    BLOCK_MARKER,
    TRAILER,
    BlockHeader,
    unpack_block_header,
    unpack_footer,
    unpack_trailer,
)
from stationd.messages import damage_messages
from stationd.messages.file_reason_messages import SEALED_VERSION_UNKNOWN
from stationd.records import MAX_TIME_US


class SealedSegment:
    """A sealed segment that can be read, at any time from any thread.

    @ivar name: its file name's parts; C{path}: where the file is.
    @ivar parts: the summaries of its blocks, ascending.
    @ivar end: how long the file is, in bytes.
    @ivar records: how many records it has.
    @ivar last: the greatest number in it, or that it answers for: damage may have taken
        records before it was sealed.
    @ivar last_given: the same.
    @ivar min_us: the least time of them, C{max_us} the greatest.
    @ivar created_us: when it was made.
    @ivar committed_us: the greatest time of a commit in it.
    @ivar damage: a sentence for each place that is not what the format says.
    @raise JournalTooNew: the file says that this code cannot read it.
    """

    unfinished = False
    read_only = False

    def __init__(self, disk: IDisk, fd: int, path: str, name: SegmentName) -> None:
        self._disk = disk
        self._fd = fd
        self.name = name
        self.path = path
        # See L{RowSegment}: a query may be the last to let go of it.
        weakref.finalize(self, disk.close, fd)
        self.damage: list[str] = []
        self._intact: set[int] = set()
        self.created_us = 0
        self.end = disk.size(fd)
        header = unpack_file_header(self._available(FILE_HEADER.size, 0))
        if header is None:
            self.damage.append(damage_messages.FILE_HEADER_DAMAGED.render(path=path))
        elif (
            header.version > VERSION
            or header.kind != KIND_SEALED
            or header.incompatible & ~KNOWN_INCOMPATIBLE
        ):
            has = {"version": header.version, "kind": header.kind, "flags": header.incompatible}
            raise JournalTooNew(path, SEALED_VERSION_UNKNOWN.render(**has))
        else:
            self.created_us = header.created_us
        footer = self.read_footer()
        if footer is None:
            bad = damage_messages.FOOTER_DAMAGED
            self.damage.append(bad.render(path=path, offset=self.end))
            self.parts = self.scan_blocks()
            self.last = self.parts[-1].last if self.parts else name.first - 1
        else:
            self.parts, self.last = footer
        self.last_given = self.last
        self.records = sum(part.records for part in self.parts)
        self.min_us = min((part.min_us for part in self.parts), default=MAX_TIME_US)
        self.max_us = max((part.max_us for part in self.parts), default=0)
        self.committed_us = max((part.committed_us for part in self.parts), default=0)

    def _available(self, size: int, offset: int) -> bytes:
        """Bytes of the file; others, which match no checksum, in place of those that the
        disk does not give. These are reported once."""
        raw, unread = read_available(self._disk, self._fd, size, offset)
        self.damage += [s for s in unread_damage(self.path, unread) if s not in self.damage]
        return raw

    def read_footer(self) -> tuple[list[BlockHeader], int] | None:
        """The summaries of all blocks and the last number that the segment answers for,
        C{None} if the footer is damaged."""
        salt = self.name.salt
        at = self.end - TRAILER.size
        trailer = unpack_trailer(self._available(TRAILER.size, max(0, at)), salt)
        if trailer is None:
            return None
        stored = self._available(trailer.stored, trailer.offset)
        summaries = unpack_footer(stored, trailer, FILE_HEADER.size, salt)
        return None if summaries is None else (summaries, trailer.through)

    def scan_blocks(self) -> list[BlockHeader]:
        """The blocks whose headers are in the file, whole and right. Numbers that are
        missing between them are reported."""
        raw = self._available(self.end, 0)
        parts: list[BlockHeader] = []
        at = raw.find(BLOCK_MARKER)
        while at >= 0:
            summary = unpack_block_header(raw, at, at, self.name.salt)
            if summary is not None and (not parts or summary.first > parts[-1].last):
                parts.append(summary)
                at = summary.end - 1
            at = raw.find(BLOCK_MARKER, at + 1)
        for before, after in itertools.pairwise(parts):
            if before.last + 1 != after.first:
                numbers = {"first": before.last + 1, "last": after.first - 1}
                missing = damage_messages.BLOCKS_MISSING
                self.damage.append(missing.render(path=self.path, offset=after.offset, **numbers))
        return parts

    def read_header(self, part: BlockHeader) -> bytes:
        """A block's header, as it stands in the file."""
        return self._available(part.size, part.offset)

    def block(self, part: BlockSummary, known: Block | None) -> Block:
        """See L{stationd.journal.block.BlockSource}; nothing is read yet."""
        assert isinstance(part, BlockHeader)
        return known or SealedBlock(self, part)

    def is_intact(self, part: BlockSummary) -> bool:
        """See L{stationd.journal.block.BlockSource}. A block that was found to be whole
        is not read again."""
        assert isinstance(part, BlockHeader)
        if part.first not in self._intact and SealedBlock(self, part).has_checksums():
            self._intact.add(part.first)
        return part.first in self._intact

    def salvage(self, part: BlockSummary) -> Iterator[ColumnBatch | None]:
        """See L{stationd.journal.block.BlockSource}."""
        assert isinstance(part, BlockHeader)
        return salvage_block(SealedBlock(self, part))

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file.

        @raise OSError: the disk does not give them.
        """
        return self._disk.read(self._fd, size, offset)

    def report_damage(self, part: BlockSummary, what: str) -> None:
        """Report damage in a block, once."""
        assert isinstance(part, BlockHeader)
        span = {"offset": part.offset, "first": part.first, "last": part.last}
        sentence = damage_messages.BLOCK_DAMAGED.render(path=self.path, what=what, **span)
        if sentence not in self.damage:
            self.damage.append(sentence)
