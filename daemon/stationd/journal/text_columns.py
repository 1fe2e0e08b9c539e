"""The texts of a sealed block: each group has every different text once. Each group has every
different text once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from stationd.journal.block import BlockUnreadable
from stationd.journal.byte_shuffle import unshuffle_bytes
from stationd.journal.chunk_reader import ChunkReader
from stationd.journal.file_header import TERMINATOR
from stationd.journal.sealed_codec import LENGTHS, TEXTS
from stationd.journal.text_search import Indexes
from stationd.messages import damaged_parts


class GroupTexts:
    """The different texts of a group.

    @param kinds: for each kind of chunk the indexes of those of this group.
    @ivar records: how many texts there are.
    """

    def __init__(self, chunks: ChunkReader, kinds: Mapping[int, Sequence[int]]) -> None:
        self._chunks = chunks
        self._lengths = kinds[LENGTHS][0]
        self._blobs = kinds[TEXTS]
        self.records = chunks.directory[self._lengths][1]
        self._begins = [0]
        for index in self._blobs:
            self._begins.append(self._begins[-1] + chunks.size(index))

    def blob(self, index: int) -> bytes:
        """A chunk of texts, each with its terminator."""

        def make() -> tuple[bytes, int]:
            raw = self._chunks.read(self._blobs[index])
            return raw, len(raw)

        return self._chunks.cached(("blob", self._blobs[index]), make)

    def blobs(self) -> list[bytes]:
        """All chunks."""
        return [self.blob(index) for index in range(len(self._blobs))]

    def ends(self) -> Indexes:
        """The offsets of the terminators in all chunks together."""

        def make() -> tuple[Indexes, int]:
            raw = np.frombuffer(self._chunks.read(self._lengths), np.uint8)
            lengths = unshuffle_bytes(raw.reshape(-1, self.records))
            ends = lengths.cumsum() + np.arange(self.records)
            return ends, ends.nbytes

        return self._chunks.cached(("ends", self._lengths), make)

    def strings(self) -> list[str]:
        """All of them, as strings.

        @raise ValueError: there are more or fewer than there should be.
        """
        texts = b"".join(self.blobs()).split(TERMINATOR)
        if len(texts) != self.records + 1:
            found = len(texts) - 1
            raise ValueError(damaged_parts.TEXT_COUNT.format(found=found, count=self.records))
        return [text.decode() for text in texts[:-1]]

    def split(self) -> list[bytes | None]:
        """All of them, C{None} for those in a chunk that cannot be read: each chunk says
        how many it has."""
        found: list[bytes | None] = []
        for index in range(len(self._blobs)):
            count = self._chunks.directory[self._blobs[index]][1]
            try:
                texts = self.blob(index).split(TERMINATOR)[:-1]
            except BlockUnreadable:
                texts = []
            found += texts if len(texts) == count else [None] * count
        return found

    def texts(self, which: Indexes) -> list[bytes]:
        """Some of them, counted from 0."""
        ends = self.ends()
        stops = ends[which]
        starts = np.where(which > 0, ends[which - 1], -1) + 1
        found: list[bytes] = []
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            index = bisect_right(self._begins, start) - 1
            begin = self._begins[index]
            found.append(self.blob(index)[start - begin : stop - begin])
        return found


class BlockTexts:
    """Provides L{stationd.journal.text_search.SearchableTexts}: the texts of all groups.

    @ivar begins: how many texts are in the groups before each.
    """

    def __init__(self, groups: Sequence[GroupTexts], ascii: bool) -> None:
        self._groups = groups
        self.ascii = ascii
        ends = np.cumsum([0, *(group.records for group in groups)]).tolist()
        self.begins: list[int] = ends[:-1]
        self.records: int = ends[-1]

    def blobs(self) -> list[bytes]:
        return [blob for group in self._groups for blob in group.blobs()]

    def ends(self) -> Indexes:
        ahead = 0
        parts: list[Indexes] = []
        for group in self._groups:
            parts.append(group.ends() + ahead)
            ahead = int(parts[-1][-1]) + 1
        return np.concatenate(parts)

    def texts(self, places: Indexes) -> list[bytes]:
        found: list[bytes] = []
        within = np.searchsorted(self.begins, places, "right") - 1
        for index in np.unique(within).tolist():
            found += self._groups[index].texts(places[within == index] - self.begins[index])
        return found
