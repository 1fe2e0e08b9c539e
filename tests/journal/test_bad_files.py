"""Files that cannot be read, in part or at all, and what is no file in the place of one: all
else is served, the damage is reported with the path, records go on, and repair mends it."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
from collections.abc import Callable

from stationd.errors import JournalUnreadable, JournalUnwritable
from stationd.interfaces import Query
from stationd.journal import partial_read
from stationd.journal.block_cache import BlockCache
from stationd.journal.disk import IDisk
from stationd.journal.query import select
from stationd.journal.read_only_journal import ReadOnlyJournal
from stationd.journal.repair import repair
from stationd.journal.seal import seal_segment
from stationd.journal.seal_verification import verify_sealed_file
from stationd.journal.store import Store
from stationd.journal.verify import verify
from stationd.records import Record
from tests.contracts.journal import draft
from tests.journal import test_repair
from tests.journal.bad_sector_disk import BadSectorDisk
from tests.journal.test_repair import COUNT, PER_FILE, nothing


class BadFilesCase(test_repair.RepairCase):
    """The journal of four files, on a disk that refuses."""

    def setUp(self) -> None:
        super().setUp()
        self.disk = BadSectorDisk()
        self.salts = itertools.count(99)

    def open(self) -> Store:
        store = Store(self.directory, 1 << 20, self.disk, lambda: 5, self.salts.__next__)
        self.addCleanup(store.close)
        return store

    def shown(self, store: Store) -> dict[int, Record]:
        found = select(store.view, Query(oldest_first=True), BlockCache())
        return {record.number: record for records in found for record in records}

    def check_served(self, path: str, lost: range) -> None:
        """All but some records are shown, by a reader and a writer, and the path is told."""
        expected = {n: record for n, record in self.good.items() if n not in lost}
        reader = ReadOnlyJournal(self.directory, self.disk)
        found = {r.number: r for records in reader.select(Query()) for r in records}
        self.assertEqual(found, expected)
        self.assertIn(path, "".join(reader.status().damage))
        self.assertIn(path, "".join(verify(self.directory, nothing, self.disk).damage))
        store = self.open()
        self.assertEqual(self.shown(store), expected)
        self.assertIn(path, "".join(store.status().damage))
        number = store.commit([draft("after")])
        self.assertGreater(number, max(expected))
        self.assertGreaterEqual(number, min(COUNT + 1, lost.start or COUNT + 1))
        store.close()
        again = self.open()
        self.assertEqual(self.shown(again).keys(), {*expected, number})
        again.close()

    def check_mended(self, lost: range) -> None:
        repair(self.directory, self.disk, nothing)
        self.assertEqual(verify(self.directory, nothing, self.disk).damage, ())
        self.assertEqual(repair(self.directory, self.disk, nothing), [])
        store = self.open()
        self.assertEqual(store.status().damage, ())
        shown = self.shown(store)
        missing = {n for n, record in self.good.items() if shown.get(n) != record}
        self.assertEqual(missing, {*lost})
        store.close()

    def fresh(self) -> list[str]:
        """Make the journal anew; its files."""
        shutil.rmtree(self.directory)
        self.write(sealed=3)
        return self.paths()


class UnreadableFileTests(BadFilesCase):
    """What is in a segment's place and is no file, or may not be read."""

    def put_directory(self, path: str) -> None:
        os.makedirs(os.path.join(path, "deep"))

    def put_dangling_link(self, path: str) -> None:
        os.symlink("nowhere", path)

    def put_device(self, path: str) -> None:
        os.symlink(os.devnull, path)

    def put_socket(self, path: str) -> None:
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        # The name of a socket has 107 characters at most.
        home = os.open(os.path.dirname(path), os.O_RDONLY)
        self.addCleanup(os.close, home)
        sock.bind(f"/proc/self/fd/{home}/{os.path.basename(path)}")

    def test_what_is_in_the_place_of_a_file(self) -> None:
        puts: list[Callable[[str], None]] = [
            self.put_directory,
            os.mkfifo,
            self.put_dangling_link,
            self.put_device,
            self.put_socket,
        ]
        places = [*((put, 1) for put in puts), *zip(puts, (0, 2, 3, 3, 3), strict=True)]
        for put, index in places:
            path = self.fresh()[index]
            os.unlink(path)
            put(path)
            lost = range(index * PER_FILE + 1, (index + 1) * PER_FILE + 1)
            self.check_served(path, lost)
            self.check_mended(lost)
            self.assertTrue(os.path.lexists(path + ".damaged"))

    def test_a_file_that_may_not_be_read(self) -> None:
        for index in range(4):
            path = self.fresh()[index]
            self.disk = BadSectorDisk()
            self.disk.deny(path)
            lost = range(index * PER_FILE + 1, (index + 1) * PER_FILE + 1)
            self.check_served(path, lost)
            (done,) = repair(self.directory, self.disk, nothing)
            self.assertEqual(done, f"{path} is left as it is: Permission denied")
            # With the right to read it nothing is lost, and no number was given twice.
            self.disk = BadSectorDisk()
            store = self.open()
            self.assertLessEqual(self.good.items(), self.shown(store).items())
            self.assertEqual(len(self.shown(store)), COUNT + 1)
            store.close()
            self.check_mended(range(0))

    def test_something_in_the_tombstones_place(self) -> None:
        for put in (os.mkfifo, self.put_directory, self.put_dangling_link):
            self.fresh()
            path = os.path.join(self.directory, "cleared")
            put(path)
            self.check_served(path, range(0))
            self.check_mended(range(0))
            os.unlink(next(p for p in self.all_paths() if p.endswith(".cleared")))
            put(os.path.join(self.directory, f"{200:020d}-{7:020d}.cleared"))
            store = self.open()
            self.assertEqual(min(self.shown(store)), 201)
            self.assertEqual(store.clear(9), COUNT - 200 + 1)
            store.close()
            self.assertEqual(self.paths(), [])

    def all_paths(self) -> list[str]:
        return [os.path.join(self.directory, name) for name in os.listdir(self.directory)]

    def test_what_means_nothing_and_cannot_be_removed(self) -> None:
        path = os.path.join(self.directory, "some.new")
        self.put_directory(path)
        store = self.open()
        self.assertEqual(store.commit([draft("after")]), COUNT + 1)
        self.assertEqual(len(self.shown(store)), COUNT + 1)


class EmptyFileTests(BadFilesCase):
    """Files of which nothing is left, or only zeros."""

    def test_a_file_without_a_byte(self) -> None:
        for index in range(4):
            path = self.fresh()[index]
            with open(path, "wb"):
                pass
            lost = range(index * PER_FILE + 1, (index + 1) * PER_FILE + 1)
            self.check_mended(lost)

    def test_a_row_segment_without_a_byte_between_others(self) -> None:
        for index in range(4):
            shutil.rmtree(self.directory)
            self.write(sealed=0)
            path = self.paths()[index]
            with open(path, "wb"):
                pass
            lost = range(index * PER_FILE + 1, (index + 1) * PER_FILE + 1)
            self.check_mended(lost)

    def test_the_newest_file_is_all_zeros(self) -> None:
        for size in (49, 5000):
            path = self.fresh()[3]
            with open(path, "wb") as file:
                file.write(bytes(size))
            self.check_served(path, range(301, 401))
            with open(path, "rb") as file:
                self.assertEqual(file.read(), bytes(size))
            self.check_mended(range(301, 401))


class BadSectorTests(BadFilesCase):
    """The disk gives all of a file but one sector.

    @cvar every: 1 for all sectors, 2 for every second, and so on.
    """

    every = 67

    sector = 64

    def setUp(self) -> None:
        super().setUp()
        self.patch(partial_read, "SECTOR_BYTES", self.sector)

    def test_every_sector_of_every_file(self) -> None:
        saved = self.directory + ".saved"
        os.rename(self.directory, saved)
        for sealed in (3, 0):
            if not sealed:
                shutil.rmtree(saved)
                self.directory = saved
                self.write(sealed=0)
                self.directory = saved.removesuffix(".saved")
            for name in sorted(os.listdir(saved)):
                size = os.path.getsize(os.path.join(saved, name))
                for offset in range(0, size, self.sector * self.every):
                    for check in (self.check, self.check_repair_first) if name != "lock" else ():
                        shutil.copytree(saved, self.directory)
                        check(os.path.join(self.directory, name), offset)
                        shutil.rmtree(self.directory)
        shutil.copytree(saved, self.directory)

    def check(self, path: str, offset: int) -> None:
        where = f"{path}, byte {offset}"
        self.disk = BadSectorDisk()
        self.disk.spoil(path, offset, offset + self.sector)
        report = verify(self.directory, nothing, self.disk)
        self.assertTrue(any(path in text for text in report.damage), where)
        store = self.open()
        before = self.shown(store)
        self.assertLessEqual(before.items(), self.good.items(), where)
        self.assertGreaterEqual(len(before), COUNT - 41, where)
        self.assertGreater(store.commit([draft("after")]), COUNT, where)
        store.close()
        done = repair(self.directory, self.disk, nothing)
        self.assertIn(path + ".damaged", "".join(self.all_kept()), where)
        self.assertTrue(done, where)
        self.assertEqual(verify(self.directory, nothing, self.disk).damage, (), where)
        again = self.open()
        shown = self.shown(again)
        again.close()
        self.assertLessEqual(before.items(), shown.items(), where)

    def check_repair_first(self, path: str, offset: int) -> None:
        self.disk = BadSectorDisk()
        self.disk.spoil(path, offset, offset + self.sector)
        repair(self.directory, self.disk, nothing)
        store = self.open()
        self.assertGreater(store.commit([draft("after")]), COUNT, f"{path}, byte {offset}")
        store.close()

    def all_kept(self) -> list[str]:
        return [os.path.join(self.directory, name) for name in os.listdir(self.directory)]


class SealTests(BadFilesCase):
    """A sector goes bad before its segment is sealed."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(partial_read, "SECTOR_BYTES", 64)
        shutil.rmtree(self.directory)
        self.write(sealed=0)

    def test_what_was_bad_at_the_start_is_not_sealed(self) -> None:
        self.disk.spoil(self.paths()[1], 100, 200)
        store = self.open()
        sealable = store.next_to_seal()
        assert sealable is not None
        self.assertEqual(sealable.path, self.paths()[0])
        self.assertIsNot(store.next_to_seal([sealable]), store.view.segments[1])

    def test_what_goes_bad_later_stays_as_it_is(self) -> None:
        store = self.open()
        segment = store.next_to_seal()
        assert segment is not None
        self.disk.spoil(segment.path, 100, 200)
        path = seal_segment(self.disk, segment, lambda: None)
        error = self.assertRaises(
            OSError, verify_sealed_file, self.disk, segment, path, lambda: None
        )
        self.assertIn(segment.path, str(error))
        self.assertFalse(os.path.exists(path))
        self.assertTrue(os.path.exists(segment.path))
        self.assertEqual(self.shown(store).keys(), {*range(21, COUNT + 1)})


class DirectoryTests(BadFilesCase):
    """The directory cannot be listed."""

    def test_the_error_has_its_path(self) -> None:
        class Unlisted(BadSectorDisk):
            """Lists nothing."""

            def names(self, directory: str) -> list[str]:
                raise OSError(5, "Input/output error", directory)

        self.disk = Unlisted()
        error = self.assertRaises(JournalUnwritable, self.open)
        self.assertIn(f"{self.directory}: Input/output error", str(error))
        unread = self.assertRaises(JournalUnreadable, ReadOnlyJournal, self.directory, self.disk)
        self.assertEqual(str(unread), f"{self.directory}: Input/output error")


class NoLinksTests(BadFilesCase):
    """A file system on which a file has one name only."""

    def test_the_damaged_file_is_copied(self) -> None:
        class NoLinks(BadSectorDisk):
            """Refuses a second name."""

            def link(self, path: str, to: str) -> None:
                raise PermissionError(1, "Operation not permitted", path)

        self.disk = NoLinks()
        path = self.paths()[3]
        size = os.path.getsize(path)
        self.disk.spoil(path, 0, 200)
        disk: IDisk = self.disk
        self.assertEqual(len(repair(self.directory, disk, nothing)), 1)
        self.assertEqual(os.path.getsize(path + ".damaged"), size)
        self.assertEqual(self.look().damage, ())
