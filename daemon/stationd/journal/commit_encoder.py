"""Encoding of a commit: drafts into frames. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stationd.journal.frame_codec import (
    FLAG_CONTINUES,
    KIND_COLUMN_PAYLOAD,
    MAX_FRAME_CHARACTERS,
    MAX_FRAME_RECORDS,
    FrameHeader,
    pack_columns,
    pack_frame,
)
from stationd.records import Draft


def frame_batches(drafts: Sequence[Draft]) -> Iterator[Sequence[Draft]]:
    """Drafts, as many at a time as a frame takes."""
    begin = characters = 0
    for index, draft in enumerate(drafts):
        length = sum(map(len, (draft.text, draft.origin, draft.container)))
        length += len(draft.category) + len(draft.user)
        characters += length
        if index > begin and (
            characters > MAX_FRAME_CHARACTERS or index - begin == MAX_FRAME_RECORDS
        ):
            yield drafts[begin:index]
            begin, characters = index, length
    yield drafts[begin:]


def encode_commit(
    drafts: Sequence[Draft], first: int, now_us: int, salt: int
) -> tuple[bytes, list[FrameHeader]]:
    """The frames of one commit, and their headers.

    @param drafts: one at least.
    @param first: the number of the first record.
    @param now_us: the time of the commit.
    """
    frames: list[bytes] = []
    headers: list[FrameHeader] = []
    last = first + len(drafts) - 1
    for batch in frame_batches(drafts):
        payload = pack_columns(batch)
        times_us = [draft.time_us for draft in batch]
        header = FrameHeader(
            length=len(payload),
            records=len(batch),
            first=first,
            min_us=min(times_us),
            max_us=max(times_us),
            committed_us=now_us,
            checksum=0,
            flags=FLAG_CONTINUES if first + len(batch) <= last else 0,
            kind=KIND_COLUMN_PAYLOAD,
        )
        frames.append(pack_frame(payload, header, salt))
        headers.append(header)
        first += len(batch)
    return b"".join(frames), headers
