"""A scanner for the commits in the bytes of a row segment, damaged or not. No I/O."""

from __future__ import annotations

import zlib

from stationd.journal.file_header import FILE_HEADER
from stationd.journal.frame_codec import (
    FLAG_CONTINUES,
    FRAME_HEADER,
    FRAME_MARKER,
    FrameHeader,
    unpack_frame_header,
)
from stationd.messages.damage_messages import FRAMES_DAMAGED

UNWRITTEN_SECTOR = bytes(512)
"""A disk's smallest block, as a file system shows one that it has not written."""

ScannedFrame = tuple[int, FrameHeader]
"""A frame: its offset in the file, and its header."""


class FrameScanner:
    """What the bytes of a row segment hold.

    @param below: the first number of the next segment, if L{has_rolled_back_tail} is true of it:
        frames from there on were taken back when their commit failed, and are left out.
    @ivar frames: those that count, ascending.
    @ivar damage: a sentence for each place that is not what the format says.
    """

    def __init__(self, raw: bytes, path: str, salt: int, first: int, below: int | None) -> None:
        self._raw = raw
        self._salt = salt
        self.frames: list[ScannedFrame] = []
        self.damage: list[str] = []
        self._scan_from(path, first - 1, below)

    def has_rolled_back_tail(self, below: int) -> bool:
        """Whether the frames from a number on are one commit, the last. Only that can
        have been taken back; another file's first number is no reason to doubt more."""
        rest = [frame for _, frame in self.frames if frame.first >= below]
        return (
            bool(rest)
            and all(frame.flags & FLAG_CONTINUES for frame in rest[:-1])
            and (rest[0].first == below or bool(self.damage))
        )

    def _scan_from(self, path: str, last: int, below: int | None) -> None:
        offset = FILE_HEADER.size
        commit: list[ScannedFrame] = []
        hole = ""
        while offset < len(self._raw):
            frame = self._frame_at(offset, last)
            if frame is None:
                found = self._find_frame(offset + 1, last)
                if found is None:
                    return
                bad = {"offset": offset, "size": found - offset, "first": last + 1}
                sentence = FRAMES_DAMAGED.render(path=path, **bad)
                if UNWRITTEN_SECTOR in self._raw[offset:found]:
                    # The power may have gone in the middle of this very commit. It
                    # counts if another one follows, which was written after it.
                    hole = sentence
                else:
                    self._accept_commit(commit)
                    self.damage.append(sentence)
                offset = found
                continue
            if below is not None and frame.first >= below:
                return
            if hole and commit and not commit[-1][1].flags & FLAG_CONTINUES:
                self._accept_commit(commit)
                self.damage.append(hole)
                hole = ""
            commit.append((offset, frame))
            last = frame.first + frame.records - 1
            offset += FRAME_HEADER.size + frame.length
            if not frame.flags & FLAG_CONTINUES and not hole:
                self._accept_commit(commit)

    def _accept_commit(self, commit: list[ScannedFrame]) -> None:
        self.frames += commit
        commit.clear()

    def _frame_at(self, offset: int, last: int) -> FrameHeader | None:
        """The frame at an offset if it is whole and right, and its numbers go up."""
        header = unpack_frame_header(self._raw, offset, self._salt)
        if header is None or header.first <= last:
            return None
        start = offset + FRAME_HEADER.size
        payload = memoryview(self._raw)[start : start + header.length]
        if len(payload) < header.length or zlib.crc32(payload, self._salt) != header.checksum:
            return None
        return header

    def _find_frame(self, offset: int, last: int) -> int | None:
        """Where the next whole frame begins, at or after an offset."""
        while (offset := self._raw.find(FRAME_MARKER, offset)) >= 0:
            if self._frame_at(offset, last):
                return offset
            offset += 1
        return None
