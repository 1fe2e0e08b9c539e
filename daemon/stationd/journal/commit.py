"""Records on their way into the journal: rows gathered into the frames of a commit. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from stationd.journal.format import FLAG_CONTINUES, FRAME_BYTES, FrameHeader, pack_frame, pack_row
from stationd.records import MAX_TIME_US, Draft


@attrs.frozen
class Batch:
    """Rows for one frame.

    @ivar payload: the rows.
    @ivar records: how many, at least 1.
    @ivar min_us: the least time of them, C{max_us} the greatest.
    """

    payload: bytes
    records: int
    min_us: int
    max_us: int


def batches(drafts: Iterable[Draft]) -> list[Batch]:
    """The rows of some drafts, in batches of about L{FRAME_BYTES}."""
    return gather(Batch(pack_row(draft), 1, draft.time_us, draft.time_us) for draft in drafts)


def gather(small: Iterable[Batch]) -> list[Batch]:
    """The same rows in as few batches as L{FRAME_BYTES} allows."""
    gathered: list[Batch] = []
    parts: list[bytes] = []
    size = records = max_us = 0
    min_us = MAX_TIME_US
    for batch in small:
        if parts and size + len(batch.payload) > FRAME_BYTES:
            gathered.append(Batch(b"".join(parts), records, min_us, max_us))
            parts, size, records, min_us, max_us = [], 0, 0, MAX_TIME_US, 0
        parts.append(batch.payload)
        size += len(batch.payload)
        records += batch.records
        min_us = min(min_us, batch.min_us)
        max_us = max(max_us, batch.max_us)
    if parts:
        gathered.append(Batch(b"".join(parts), records, min_us, max_us))
    return gathered


def pack_commit(
    batches: Sequence[Batch], first: int, now_us: int, salt: int
) -> tuple[bytes, list[FrameHeader]]:
    """The frames of one commit, and their headers.

    @param first: the number of the first record.
    @param now_us: the time of the commit.
    """
    frames: list[bytes] = []
    headers: list[FrameHeader] = []
    for index, batch in enumerate(batches):
        header = FrameHeader(
            len(batch.payload),
            batch.records,
            first,
            batch.min_us,
            batch.max_us,
            now_us,
            0,
            FLAG_CONTINUES if index + 1 < len(batches) else 0,
        )
        frames.append(pack_frame(batch.payload, header, salt))
        headers.append(header)
        first += batch.records
    return b"".join(frames), headers
