"""A sealed file is compared with the rows that it was made from before they go, and
what the format cannot hold is not sealed."""

from __future__ import annotations

import itertools
import os

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import Query
from stationd.journal.block_cache import BlockCache
from stationd.journal.block_encoder import encode_block
from stationd.journal.column_batch import ColumnBatch
from stationd.journal.disk import Disk
from stationd.journal.file_header import FILE_HEADER, SEALED_SUFFIX
from stationd.journal.frame_codec import FrameColumns
from stationd.journal.query import select
from stationd.journal.row_segment import RowSegment
from stationd.journal.seal import seal_segment
from stationd.journal.seal_verification import STEP_RECORDS, segment_difference, verify_sealed_file
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.store import Store
from stationd.records import Draft, Level


def nothing() -> None:
    """A pause that takes no time."""


def some(count: int) -> list[Draft]:
    return [
        Draft(
            time_us=1000 + n * 7 % 100,
            level=Level(n % 4),
            category=f"category{n % 3}",
            user=f"Üser{n % 5}",
            container=f"lxc/{n % 11}",
            text=f"Größe {n % 70}",
            origin=f"docker:{n}" if n % 2 else "",
        )
        for n in range(count)
    ]


class ReadBackCase(SynchronousTestCase):
    """One segment that is full, of several groups."""

    def store(self, drafts: list[Draft]) -> tuple[Store, RowSegment]:
        salts = itertools.count(9)
        store = Store(self.mktemp(), 1, Disk(), lambda: 5, salts.__next__, lambda: 0)
        self.addCleanup(store.close)
        store.commit(drafts)
        store.commit(some(1))
        segment = store.next_to_seal()
        assert segment is not None
        return store, segment

    def sealed(self, store: Store, segment: RowSegment) -> SealedSegment:
        path = seal_segment(store.disk, segment, nothing)
        name = attrs.evolve(segment.name, suffix=SEALED_SUFFIX)
        return SealedSegment(Disk(), os.open(path, os.O_RDONLY), path, name)


class ReadBackTests(ReadBackCase):
    """What is found, and what is done."""

    def test_what_is_the_same(self) -> None:
        store, segment = self.store(some(9000))
        pauses: list[None] = []
        sealed = self.sealed(store, segment)
        self.assertEqual(segment_difference(sealed, segment, lambda: pauses.append(None)), "")
        self.assertGreater(
            len(pauses), 2 * 9000 / STEP_RECORDS, "in pieces of a millisecond or two"
        )

    def test_any_field_of_any_record(self) -> None:
        drafts = some(5000)
        sealed = self.sealed(*self.store(drafts))
        for at in (0, 4321):
            for change in (
                {"time_us": 1001 + drafts[at].time_us},
                {"level": Level((drafts[at].level + 1) % 4)},
                {"category": "category1x"},
                {"category": drafts[at + 1].category},
                {"user": drafts[at + 1].user},
                {"container": drafts[at + 1].container},
                {"text": "Größe 71"},
                {"text": drafts[at + 1].text},
                {"origin": "docker:x"},
            ):
                other = [*drafts]
                other[at] = attrs.evolve(drafts[at], **change)
                _, segment = self.store(other)
                self.assertNotEqual(segment_difference(sealed, segment, nothing), "", change)
        for other in (drafts[:-1], [*drafts, drafts[0]]):
            self.assertNotEqual(segment_difference(sealed, self.store(other)[1], nothing), "")

    def test_a_block_header_that_is_wrong_in_the_file_only(self) -> None:
        store, segment = self.store(some(500))
        path = seal_segment(store.disk, segment, nothing)
        with open(path, "r+b") as file:
            file.seek(FILE_HEADER.size + 40)
            byte = file.read(1)
            file.seek(FILE_HEADER.size + 40)
            file.write(bytes([byte[0] ^ 1]))
        error = self.assertRaises(
            ValueError, verify_sealed_file, store.disk, segment, path, nothing
        )
        self.assertRegex(str(error), "records 1 to 500: the header of the block")

    def test_a_file_that_is_not_right_is_removed(self) -> None:
        store, segment = self.store(some(500))
        path = seal_segment(store.disk, segment, nothing)
        with open(path, "r+b") as file:
            file.seek(-400, os.SEEK_END)
            byte = file.read(1)
            file.seek(-400, os.SEEK_END)
            file.write(bytes([byte[0] ^ 1]))
        self.assertRaises(ValueError, verify_sealed_file, store.disk, segment, path, nothing)
        self.assertFalse(os.path.exists(path))
        self.assertTrue(os.path.exists(segment.path))


class LimitTests(ReadBackCase):
    """As much as can be in a record.

    @cvar records: how many have names of which none is that of another.
    """

    records = 2_000

    def test_long_names_make_more_blocks(self) -> None:
        long = "\U0001d518" * 250
        drafts = [
            Draft(
                time_us=n,
                category=f"a{n}{long}",
                user=f"b{n}{long}",
                container=f"c{n}{long}",
                text=f"{n}",
            )
            for n in range(self.records)
        ]
        store, segment = self.store(drafts)
        path = seal_segment(store.disk, segment, nothing)
        verify_sealed_file(store.disk, segment, path, nothing)
        store.install_sealed(segment, path)
        self.assertGreater(len(store.view.segments[0].parts), 1)
        found = [
            r.category
            for rs in select(
                store.view, Query(oldest_first=True, before=self.records + 1), BlockCache()
            )
            for r in rs
        ]
        self.assertEqual(found, [draft.category for draft in drafts])
        self.assertEqual(store.status().damage, ())

    def test_what_a_reader_would_refuse_is_not_packed(self) -> None:
        # A few names that are longer than a record can have, so that it is quick.
        columns = ColumnBatch()
        names = [bytes([65 + n]) * (13 << 20) for n in range(6)]
        count = range(2)
        columns.append_frame(
            1,
            FrameColumns(
                [5, 5], [1, 1], names, [0, 3], [1, 4], [2, 5], [b"" for _ in count], [b"", b""]
            ),
        )
        self.assertRaises(ValueError, encode_block, columns, 5, 9)


del ReadBackCase
