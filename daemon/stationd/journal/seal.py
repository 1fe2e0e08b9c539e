"""Sealing: what was appended, written once more as compressed columns.

It is done beside the journal's work, in a thread of its own, from files that do
not change any more. Nothing counts until the writer has put the result in place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from stationd.journal.block import Columns
from stationd.journal.blocks import pack_footer, unpack_summary
from stationd.journal.disk import UNFINISHED, IDisk
from stationd.journal.format import (
    KIND_SEALED,
    SEALED,
    FileHeader,
    pack_file_header,
)
from stationd.journal.pack import BLOCK_RECORDS, BLOCK_TEXT_BYTES, pack_block
from stationd.journal.segment import Segment


def seal(disk: IDisk, segment: Segment, pause: Callable[[], None]) -> str:
    """Write the sealed form of a row segment beside it, under a name that means
    nothing yet, and make it durable. What of the segment is unreadable is left out.

    @param pause: called between pieces of a millisecond or two. What it raises
        ends the work; the unfinished file is removed.
    @return: the path of the file.
    @raise OSError: the disk refused; the unfinished file is removed.
    """
    path = sealed_path(segment) + UNFINISHED
    disk.unlink(path)
    fd = disk.create(path)
    try:
        header = FileHeader(
            kind=KIND_SEALED,
            first=segment.name.first,
            created_us=segment.created_us,
            salt=segment.name.salt,
        )
        raw = pack_file_header(header)
        disk.write(fd, raw)
        offset = len(raw)
        headers: list[bytes] = []
        for columns in _blocks(segment, pause):
            raw = pack_block(columns, segment.committed_us, segment.name.salt)
            summary = unpack_summary(raw, 0, offset, segment.name.salt)
            assert summary is not None
            headers.append(raw[: summary.size])
            disk.write(fd, raw)
            offset += len(raw)
            pause()
        disk.write(fd, pack_footer(headers, offset, segment.name.salt))
        disk.sync(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.unlink(path)
        raise
    finally:
        disk.close(fd)
    return path


def sealed_path(segment: Segment) -> str:
    """Where the sealed form of a row segment goes."""
    return segment.path.removesuffix(segment.name.suffix) + SEALED


def _blocks(segment: Segment, pause: Callable[[], None]) -> Iterator[Columns]:
    """The records of a segment, as many at a time as a block takes, and no numbers
    left out within a block."""
    columns = Columns()
    following = 0
    for part in segment.parts:
        for first, rows, _ in segment.frames(part, part.offset, part.end - part.offset):
            count = len(rows.texts)
            if not count:
                continue
            full = columns.records + count > BLOCK_RECORDS or columns.text_bytes >= BLOCK_TEXT_BYTES
            if columns.records and (full or first != following):
                yield columns
                columns = Columns()
            columns.extend(first, rows)
            following = first + count
        pause()
    if columns.records:
        yield columns
