"""Verification finds whatever is wrong; repair fences it and keeps the rest."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import JournalLocked, JournalUnreadable, JournalUnwritable
from stationd.interfaces import Query
from stationd.journal import block_encoder
from stationd.journal import seal as seal_module
from stationd.journal.block_cache import BlockCache
from stationd.journal.disk import Disk
from stationd.journal.query import select
from stationd.journal.read_only_journal import ReadOnlyJournal
from stationd.journal.repair import repair
from stationd.journal.sealed_codec import (
    BLOCK_HEADER,
    CHUNK,
    COLUMNS,
    LENGTHS,
    NAMES,
    ORIGINS,
    TEXTS,
    TRAILER,
    TRIGRAMS,
    BlockHeader,
)
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.segment_catalogue import load_catalogue
from stationd.journal.store import Store
from stationd.journal.verify import VerifyReport, verify
from stationd.records import Draft, Level, Record
from tests.journal.faulty_disk import FaultyDisk
from tests.journal.memory_disk import Inode, MemoryDisk, PowerCut

COUNT = 400

PER_FILE = 100


def nothing(done: int, of: int) -> None:
    """Progress that nobody looks at."""


def drafts() -> list[Draft]:
    return [
        Draft(
            time_us=1000 + n * 10,
            level=Level(n % 4),
            category=("container", "image")[n % 2],
            user=("all", "root", "Jörg")[n % 3],
            container=f"lxc/c{n % 7}",
            text=f"Größe {n}" if n % 5 else f"size {n % 9}",
            origin=f"docker:{n}",
        )
        for n in range(COUNT)
    ]


class RepairCase(SynchronousTestCase):
    """A journal of four files: three sealed, of which each has blocks of 40 records in
    groups of 16, and one of rows."""

    def setUp(self) -> None:
        self.patch(block_encoder, "GROUP_RECORDS", 16)
        self.patch(seal_module, "BLOCK_RECORDS", 40)
        self.directory = self.mktemp()
        self.write(sealed=3)
        self.assertEqual(self.look().damage, ())
        self.good = self.records()
        self.assertEqual(len(self.good), COUNT)

    def write(self, sealed: int) -> None:
        salts = itertools.count(0x5A17)
        store = Store(self.directory, 1, Disk(), lambda: 5, salts.__next__)
        given = drafts()
        for begin in range(0, COUNT, PER_FILE):
            store._segment_bytes = 1 if begin else 1 << 20
            for at in range(begin, begin + PER_FILE, 20):
                store.commit(given[at : at + 20])
                store._segment_bytes = 1 << 20
        for _ in range(sealed):
            segment = store.next_to_seal()
            assert segment is not None
            store.install_sealed(
                segment, seal_module.seal_segment(store.disk, segment, lambda: None)
            )
        store.close()

    def look(self) -> VerifyReport:
        seen: list[tuple[int, int]] = []
        report = verify(self.directory, lambda done, of: seen.append((done, of)))
        self.assertEqual(seen[-1][0], seen[-1][1])
        return report

    def repair(self) -> list[str]:
        return repair(self.directory, Disk(), nothing)

    def records(self) -> dict[int, Record]:
        found = ReadOnlyJournal(self.directory).select(Query(oldest_first=True))
        return {record.number: record for records in found for record in records}

    def paths(self) -> list[str]:
        names = sorted(os.listdir(self.directory))
        return [os.path.join(self.directory, n) for n in names if n.endswith((".rows", ".sealed"))]

    def flip(self, path: str, offset: int) -> None:
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x10]))

    def summaries(self, path: str) -> list[BlockHeader]:
        segments = load_catalogue(Disk(), self.directory).segments
        (segment,) = (s for s in segments if s.path == path)
        assert isinstance(segment, SealedSegment)
        return list(segment.parts)

    def chunk(self, path: str, wanted: int) -> int:
        """An offset within the first chunk of a kind in the second block of a file."""
        part = self.summaries(path)[1]
        offset = part.offset + part.size
        for kind, stored, *_ in CHUNK.iter_unpack(part.chunks):
            if kind == wanted:
                return offset + int(stored) // 2
            offset += int(stored)
        raise AssertionError("no such chunk")

    def check_repaired(self, lost: range | int) -> None:
        """The journal is whole again, and has not lost more than it must.

        @param lost: which numbers may be gone, or how many.
        """
        report = self.look()
        self.assertEqual(report.damage, ())
        found = self.records()
        self.assertLessEqual(found.items(), self.good.items())
        missing = self.good.keys() - found.keys()
        if isinstance(lost, range):
            self.assertLessEqual(missing, set(lost))
        else:
            self.assertEqual(len(missing), lost)
        self.assertEqual(ReadOnlyJournal(self.directory).status().damage, ())
        self.assertEqual(self.repair(), [], "there is nothing left to repair")
        store = Store(self.directory, 1 << 20, Disk(), lambda: 5, itertools.count(99).__next__)
        try:
            self.assertEqual(store.status().damage, ())
            number = store.commit(drafts()[:1])
            self.assertEqual(number, COUNT + 1)
            again = [r for rs in select(store.view, Query(), BlockCache()) for r in rs]
            self.assertEqual(len(again), len(found) + 1)
        finally:
            store.close()


class DamageTests(RepairCase):
    """One thing is spoiled at a time."""

    def spoil_and_repair(self, path: str, said: str, lost: range | int) -> None:
        with open(path, "rb") as file:
            spoiled = file.read()
        report = self.look()
        self.assertTrue(any(re.search(said, text) for text in report.damage), report.damage)
        done = self.repair()
        self.assertEqual(len(done), 1, done)
        kept = path + ".damaged"
        with open(kept, "rb") as file:
            self.assertEqual(file.read(), spoiled)
        self.assertIn(os.path.basename(kept), done[0])
        self.assertIn(f"{kept} was set aside", self.look().notes)
        self.check_repaired(lost)

    def test_a_chunk_of_each_kind(self) -> None:
        # The block goes with its names, a group of 16 with its columns, origins or texts.
        # The filter is made anew, and texts tell their lengths.
        for kind, said, lost in (
            (NAMES, "the table of names", 40),
            (TRIGRAMS, "the text filter", 0),
            (COLUMNS, "the columns of a group", 16),
            (ORIGINS, "the origins of a group", 16),
            (LENGTHS, "the lengths", 0),
            (TEXTS, "a chunk of texts", 16),
        ):
            self.directory = self.mktemp()
            self.write(sealed=3)
            path = self.paths()[1]
            self.flip(path, self.chunk(path, kind))
            self.spoil_and_repair(path, rf"byte \d+: {said}.* of records 141 to 180", lost)

    def test_all_chunks_are_reported(self) -> None:
        path = self.paths()[1]
        self.flip(path, self.chunk(path, COLUMNS))
        self.flip(path, self.chunk(path, TEXTS))
        self.assertEqual(len(self.look().damage), 2)

    def test_headers_and_footers_lose_nothing(self) -> None:
        for said, where in (
            ("the file header", lambda path: 9),
            ("the header of records 101 to 140 is damaged", lambda path: 48 + 20),
            ("the footer", lambda path: os.path.getsize(path) - TRAILER.size - 9),
            ("the footer", lambda path: os.path.getsize(path) - 9),
        ):
            self.directory = self.mktemp()
            self.write(sealed=3)
            path = self.paths()[1]
            self.flip(path, where(path))
            self.spoil_and_repair(path, said, 0)

    def test_a_block_that_cannot_be_found(self) -> None:
        path = self.paths()[1]
        self.flip(path, self.summaries(path)[1].offset + 20)
        self.flip(path, os.path.getsize(path) - 9)
        self.spoil_and_repair(path, "records 141 to 180 may be missing", 40)
        self.assertTrue(any("40 records were lost" in note for note in self.look().notes))

    def test_rows(self) -> None:
        for sealed, index in ((3, 3), (0, 1)):
            for said, offset, lost in (
                ("the file header", 9, 0),
                (r"\d+ bytes are damaged", 48 + 70, 20),
            ):
                self.directory = self.mktemp()
                self.write(sealed)
                path = self.paths()[index]
                self.flip(path, offset)
                self.spoil_and_repair(path, said, lost)

    def test_an_older_file_that_was_cut(self) -> None:
        self.directory = self.mktemp()
        self.write(sealed=0)
        path = self.paths()[1]
        os.truncate(path, os.path.getsize(path) - 3)
        self.assertIn("records 181 to 200 are missing", "".join(self.look().damage))
        (done,) = self.repair()
        self.assertIn("now has the 80 records that can be read; 20 are lost", done)
        self.check_repaired(range(181, 201))

    def test_a_file_that_is_gone(self) -> None:
        os.unlink(self.paths()[1])
        self.assertIn("records 101 to 200 are missing", "".join(self.look().damage))
        self.assertEqual(len(self.repair()), 1)
        self.check_repaired(range(101, 201))
        self.assertIn("100 records were lost", "".join(self.look().notes))

    def test_a_file_of_nothing_but_rubbish(self) -> None:
        for index in (1, 3):
            self.directory = self.mktemp()
            self.write(sealed=3)
            path = self.paths()[index]
            with open(path, "wb") as file:
                file.write(b"rubbish " * 1000)
            self.look()
            self.assertEqual(len(self.repair()), 1)
            if index == 1:
                self.check_repaired(range(101, 201))
            else:
                # Nothing tells any more that these numbers were given.
                self.assertEqual(len(self.records()), 300)
                self.assertEqual(self.look().damage, ())

    def test_a_tombstone(self) -> None:
        path = os.path.join(self.directory, "cleared")
        with open(path, "wb") as file:
            file.write(b"?" * 28)
        self.spoil_and_repair(path, "not a tombstone", 0)

    def test_damage_twice_keeps_both_files(self) -> None:
        path = self.paths()[0]
        for _ in range(2):
            self.flip(path, self.chunk(path, TEXTS))
            self.assertEqual(len(self.repair()), 1)
        names = [name for name in os.listdir(self.directory) if ".damaged" in name]
        self.assertEqual(len(names), 2, names)
        self.assertEqual(self.look().damage, ())

    def test_an_unfinished_commit_is_no_damage(self) -> None:
        with open(self.paths()[-1], "ab") as file:
            file.write(b"half a frame")
        report = self.look()
        self.assertEqual(report.damage, ())
        self.assertIn("12 bytes at its end", report.notes[0])
        self.assertEqual(self.repair(), [])


class SummaryTests(RepairCase):
    """What is whole by its checksums and wrong all the same, as a writer's fault would
    make it, is found; repair makes it right where the records themselves are."""

    def forge(self, name: str, made: Callable[..., object]) -> None:
        patch = self.patch(block_encoder, name, made)
        self.directory = self.mktemp()
        self.write(sealed=3)
        patch.restore()

    def test_what_is_said_of_a_block(self) -> None:
        header = BLOCK_HEADER

        class Wrong:
            """Packs a header with something else in one of its fields."""

            size = header.size

            def __init__(self, index: int, add: int) -> None:
                self.index, self.add = index, add

            def pack(self, *fields: object) -> bytes:
                values = list(fields)
                values[self.index] += self.add  # type: ignore[operator]
                return header.pack(*values)

        for index, add, said in (
            (4, 1, "the note that all texts are ASCII"),
            (6, 1, "the first or the last number"),
            (7, -1, "the least or the greatest time"),
            (8, 1, "the least or the greatest time"),
            (10, 16, "the set of levels"),
        ):
            self.forge("BLOCK_HEADER", Wrong(index, add))  # type: ignore[arg-type]
            self.assertIn(f"{said} of records", "".join(self.look().damage))
            self.assertEqual(len(self.repair()), 3)
            if index != 7:
                self.check_repaired(0)

    def test_keys_and_filters(self) -> None:
        for name, made, said in (
            ("trigram_filter", lambda texts: bytes(8192), "the text filter"),
            ("trigram_filter", lambda texts: bytes(100), "the text filter"),
            ("name_key", lambda name: name[:4].ljust(4), "a set of keys"),
        ):
            self.forge(name, made)
            self.assertIn(said, "".join(self.look().damage))
            self.assertEqual(len(self.repair()), 3)
            self.check_repaired(0)


class InterruptedCase(RepairCase):
    """A journal of which three files are spoiled."""

    def spoil(self) -> None:
        paths = self.paths()
        self.flip(paths[1], self.chunk(paths[1], TEXTS))
        self.flip(paths[3], 48 + 70)
        os.unlink(paths[2])


class PowerCutTests(InterruptedCase):
    """Repair is cut short at changes.

    @cvar every: 1 for all of them, 2 for every second, and so on.
    """

    every = 12

    def test_the_power_goes(self) -> None:
        self.spoil()

        def disk(cut_at: int | None = None) -> MemoryDisk:
            made = MemoryDisk(cut_at)
            for name in os.listdir(self.directory):
                with open(os.path.join(self.directory, name), "rb") as file:
                    made.names_now[name] = Inode(file.read())
            made.names_durable = dict(made.names_now)
            return made

        def records(disk: MemoryDisk) -> dict[int, Record]:
            store = Store(self.directory, 1 << 20, disk, lambda: 5, itertools.count(99).__next__)
            try:
                found = select(store.view, Query(oldest_first=True), BlockCache())
                return {record.number: record for rs in found for record in rs}
            finally:
                store.close()

        whole = disk()
        self.assertEqual(len(repair(self.directory, whole, nothing)), 2)
        changes = whole.changes
        best = records(whole)
        self.assertEqual(len(best), COUNT - 16 - PER_FILE - 20)
        self.assertGreater(changes, 20)
        for cut_at in range(1, changes + 1, self.every):
            cut = disk(cut_at)
            with self.assertRaises(PowerCut):
                repair(self.directory, cut, nothing)
            for variant, survivor in cut.survivors():
                for path, inode in survivor.names_now.items():
                    survivor.names_durable[path] = inode
                repair(self.directory, survivor, nothing)
                self.assertEqual(records(survivor), best, f"cut at {cut_at}, {variant}")


class RefusalTests(InterruptedCase):
    """Repair cannot begin or go on."""

    def test_a_disk_that_refuses(self) -> None:
        self.spoil()
        faulty = FaultyDisk(Disk(), "EIO of a change", 1, 1)
        with self.assertRaises(JournalUnwritable):
            repair(self.directory, faulty, nothing)
        self.assertEqual(len(self.repair()), 2)
        self.assertEqual(self.look().damage, ())

    def test_somebody_writes_it(self) -> None:
        store = Store(self.directory, 1 << 20, Disk(), lambda: 5, itertools.count(99).__next__)
        self.addCleanup(store.close)
        with self.assertRaises(JournalLocked):
            self.repair()
        self.assertEqual(self.look().damage, ())

    def test_there_is_no_such_directory(self) -> None:
        for do in (verify, lambda directory, told: repair(directory, Disk(), told)):
            with self.assertRaises(JournalUnreadable):
                do(self.mktemp(), nothing)
