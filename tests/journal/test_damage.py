"""Queries of a journal of which bytes have gone bad, or do not come: all that can be read
is found, in order, none twice, and offset and limit count that alone."""

from __future__ import annotations

import errno
import itertools
import os
import random
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import Query
from stationd.journal import block_encoder, row_segment, seal
from stationd.journal.block_cache import BlockCache
from stationd.journal.block_reader import SealedBlock
from stationd.journal.disk import Disk
from stationd.journal.frame_codec import FRAME_HEADER, unpack_frame_header
from stationd.journal.query import select
from stationd.journal.row_segment import RowSegment
from stationd.journal.sealed_codec import CHUNK, COLUMNS, NAMES, ORIGINS, TEXTS
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.snapshot import AnySegment
from stationd.journal.store import Store
from stationd.records import Record
from stationd.testing import query_matches
from tests.journal.test_query import drafts, queries

Place = tuple[str, int, int, frozenset[int]]
"""A path, from which byte to which, and the numbers of the records that need these bytes."""


class BadDisk(Disk):
    """A disk that gives no bytes of some places.

    @ivar bad: of each file, by its path, where these are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bad: dict[str, list[tuple[int, int]]] = {}

    def read(self, fd: int, size: int, offset: int) -> bytes:
        for begin, end in self.bad.get(os.readlink(f"/proc/self/fd/{fd}"), ()):
            if begin < offset + size and offset < end:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(fd, size, offset)


class DamageTests(SynchronousTestCase):
    """One journal of a thousand records, three of its segments sealed.

    @cvar examples: how many places are damaged, and some queries asked for each.
    """

    examples = 20

    def setUp(self) -> None:
        self.patch(block_encoder, "GROUP_RECORDS", 32)
        self.patch(seal, "BLOCK_RECORDS", 100)
        self.patch(block_encoder, "CHUNK_TEXT_BYTES", 300)
        self.patch(row_segment, "SPAN_RECORDS", 40)
        self.patch(row_segment, "READ_BYTES", 500)
        self.disk = self.make_disk()
        salts = itertools.count(9)
        self.store = Store(self.mktemp(), 14_000, self.disk, lambda: 5, salts.__next__, lambda: 0)
        self.addCleanup(self.store.close)
        made = drafts(1000)
        for batch in range(0, 1000, 8):
            self.store.commit(made[batch : batch + 8])
        for _ in range(3):
            segment_ = self.store.next_to_seal()
            assert segment_ is not None
            path = seal.seal_segment(self.store.disk, segment_, lambda: None)
            self.store.install_sealed(segment_, path)
        self.records = [
            Record(n, d.time_us, d.level, d.category, d.user, d.container, d.text, d.origin)
            for n, d in enumerate(made, 1)
        ]
        self.places = [place for one in self.store.view.segments for place in self.needed(one)]

    def make_disk(self) -> BadDisk:
        return BadDisk()

    def steps(self, query: Query, cache: BlockCache) -> Iterator[list[Record]]:
        """The steps of a query."""
        return select(self.store.view, query, cache)

    def needed(self, of: AnySegment) -> list[Place]:
        """Which records need which bytes of a file, as the page says."""
        path = os.path.realpath(of.path)
        found: list[Place] = []
        if isinstance(of, SealedSegment):
            for part in of.parts:
                block = SealedBlock(of, part)
                numbers = block.numbers(slice(None)).tolist()
                groups = [places.tolist() for places in block.groups()]
                offset, group, texts = part.offset + part.size, -1, 0
                for kind, stored, _, count, _ in CHUNK.iter_unpack(part.chunks):
                    lost: frozenset[int] = frozenset()
                    if kind == COLUMNS:
                        group, texts = group + 1, 0
                    if kind == NAMES:
                        lost = frozenset(numbers)
                    elif kind in (COLUMNS, ORIGINS):
                        lost = frozenset(numbers[place] for place in groups[group])
                    elif kind == TEXTS:
                        which = block._text_indexes(group).tolist()
                        lost = frozenset(
                            numbers[place]
                            for place, text in zip(groups[group], which, strict=True)
                            if texts <= text < texts + count
                        )
                        texts += count
                    found.append((path, offset, offset + stored, lost))
                    offset += stored
            return found
        with open(path, "rb") as file:
            raw = file.read()
        at = 48
        while at < len(raw):
            header = unpack_frame_header(raw, at, of.name.salt)
            assert header is not None
            end = at + FRAME_HEADER.size + header.length
            numbers_here = range(header.first, header.first + header.records)
            found.append((path, at, end, frozenset(numbers_here)))
            at = end
        return found

    def check(self, query: Query, lost: frozenset[int], cache: BlockCache) -> None:
        records = self.records if query.oldest_first else self.records[::-1]
        records = [r for r in records if r.number not in lost and query_matches(query, r)]
        expected = records[query.offset :]
        expected = expected if query.limit is None else expected[: query.limit]
        found = [r for rs in self.steps(query, cache) for r in rs]
        self.assertEqual(found, expected)

    def forget(self) -> None:
        """What was found damaged is so no longer."""
        for one in self.store.view.segments:
            one.damage.clear()
            one._intact.clear()

    def test_a_byte_that_has_flipped(self) -> None:
        @settings(max_examples=self.examples, deadline=None, derandomize=True)
        @given(st.lists(queries, min_size=1, max_size=4), st.randoms(use_true_random=False))
        def check(asked: list[Query], rng: random.Random) -> None:
            path, begin, end, lost = rng.choice(self.places)
            at = rng.randrange(begin, end)
            self.flip(path, at)
            try:
                cache = BlockCache(200_000)
                for query in asked:
                    self.check(query, lost, cache)
            finally:
                self.flip(path, at)
                self.forget()

        check()

    def flip(self, path: str, at: int) -> None:
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x10]))

    def test_bytes_that_do_not_come(self) -> None:
        @settings(max_examples=self.examples, deadline=None, derandomize=True)
        @given(st.lists(queries, min_size=1, max_size=4), st.randoms(use_true_random=False))
        def check(asked: list[Query], rng: random.Random) -> None:
            path, begin, end, lost = rng.choice(self.places)
            at = rng.randrange(begin, end)
            if path.endswith(".rows"):
                # A page of the disk, of which some frames are.
                at -= at % 4096
                self.disk.bad[path] = [(at, at + 4096)]
                lost = frozenset().union(
                    *(p[3] for p in self.places if p[0] == path and p[1] < at + 4096 and at < p[2])
                )
            else:
                self.disk.bad[path] = [(at, at + 1)]
            try:
                cache = BlockCache(200_000)
                for query in asked:
                    self.check(query, lost, cache)
                # They come again.
                self.disk.bad.clear()
                self.forget()
                for query in asked:
                    self.check(query, frozenset(), cache)
            finally:
                self.disk.bad.clear()
                self.forget()

        check()

    def test_the_newest_twenty_that_can_be_read(self) -> None:
        for path, begin, _, lost in self.places:
            self.flip(path, begin)
            for query in (Query(limit=20), Query(limit=20, offset=30, before=max(lost or {9}) + 2)):
                self.check(query, lost, BlockCache())
            self.flip(path, begin)
            self.forget()

    def test_one_bad_frame_costs_its_own_records(self) -> None:
        rows = [place for place in self.places if place[0].endswith(".rows")]
        path, begin, _, lost = rows[3]
        self.assertEqual(len(lost), 8)
        for at in (begin, begin + 60):
            self.flip(path, at)
            self.check(Query(), lost, BlockCache())
            self.assertTrue(
                any(isinstance(s, RowSegment) and s.damage for s in self.store.view.segments)
            )
            self.flip(path, at)
            self.forget()
