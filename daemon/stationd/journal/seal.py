"""Sealing: a row segment written once more as compressed columns.

It is done beside the journal's work, in a thread of its own, from files that do
not change any more. Nothing counts until the writer has put the result in place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

from stationd.journal.block_encoder import (
    BLOCK_NAME_BYTES,
    BLOCK_RECORDS,
    BLOCK_TEXT_BYTES,
    MAX_NAMES,
    MAX_SPAN,
    encode_block,
)
from stationd.journal.column_batch import ColumnBatch
from stationd.journal.disk import TEMPORARY_SUFFIX, IDisk
from stationd.journal.file_header import KIND_SEALED, SEALED_SUFFIX, FileHeader, pack_file_header
from stationd.journal.frame_codec import FrameColumns
from stationd.journal.row_segment import RowSegment
from stationd.journal.sealed_codec import pack_footer, unpack_block_header

STEP_RECORDS = 1024
"""Records of frames that are read without a pause."""


def seal_segment(disk: IDisk, segment: RowSegment, pause: Callable[[], None]) -> str:
    """Write the sealed form of a row segment beside it, under a name that means
    nothing yet, and make it durable. What of the segment is unreadable is left out.

    @param pause: called between pieces of a millisecond or two. What it raises
        ends the work; the unfinished file is removed.
    @return: the path of the file.
    @raise OSError: the disk refused; the unfinished file is removed.
    @raise ValueError: the format cannot hold a block; the unfinished file is removed.
    """
    header = FileHeader(
        kind=KIND_SEALED,
        first=segment.name.first,
        created_us=segment.created_us,
        salt=segment.name.salt,
    )
    path = segment.path.removesuffix(segment.name.suffix) + SEALED_SUFFIX + TEMPORARY_SUFFIX
    blocks = gather_blocks(read_frames(segment, pause), pause)
    write_sealed(disk, path, header, blocks, segment.committed_us, segment.last)
    return path


def write_sealed(
    disk: IDisk,
    path: str,
    header: FileHeader,
    blocks: Iterable[ColumnBatch],
    committed_us: int,
    through: int,
) -> None:
    """Write a sealed segment and make it durable, but not its name.

    @param path: there is no file there, or one that means nothing.
    @param blocks: at most L{BLOCK_RECORDS} records each, ascending.
    @param committed_us: the greatest time of a commit.
    @param through: the last number that it answers for.
    @raise OSError: the disk refused; the unfinished file is removed.
    """
    disk.unlink(path)
    fd = disk.create(path)
    try:
        raw = pack_file_header(header)
        disk.write(fd, raw)
        offset = len(raw)
        headers: list[bytes] = []
        for columns in blocks:
            raw = encode_block(columns, committed_us, header.salt)
            summary = unpack_block_header(raw, 0, offset, header.salt)
            assert summary is not None
            headers.append(raw[: summary.size])
            disk.write(fd, raw)
            offset += len(raw)
        disk.write(fd, pack_footer(headers, offset, through, header.salt))
        disk.sync(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.unlink(path)
        raise
    finally:
        disk.close(fd)


def gather_blocks(
    frames: Iterable[tuple[int, FrameColumns]], pause: Callable[[], None]
) -> Iterator[ColumnBatch]:
    """Frames, each with the number of its first record, as many at a time as a block
    takes."""
    columns = ColumnBatch()
    for first, rows in frames:
        count = len(rows.texts)
        if columns.records and (
            columns.records + count > BLOCK_RECORDS
            or columns.text_bytes >= BLOCK_TEXT_BYTES
            or first + count - columns.first > MAX_SPAN
            or columns.name_count + len(rows.names) > MAX_NAMES
            or columns.name_bytes + sum(map(len, rows.names)) > BLOCK_NAME_BYTES
        ):
            yield columns
            pause()
            columns = ColumnBatch()
        columns.append_frame(first, rows)
    if columns.records:
        yield columns


def read_frames(
    segment: RowSegment, pause: Callable[[], None]
) -> Iterator[tuple[int, FrameColumns]]:
    """The frames of a row segment, each with the number of its first record."""
    since = 0
    for part in segment.parts:
        for first, rows, _ in segment.frames(part, part.offset, part.end - part.offset):
            yield first, rows
            since += len(rows.texts)
            if since >= STEP_RECORDS:
                pause()
                since = 0
        pause()
