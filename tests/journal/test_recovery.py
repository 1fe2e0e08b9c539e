"""What opening makes of files that a crash or a bad disk left: what must survive,
what is reported, and that appending goes on."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import JournalTooNew, JournalUnreadable, JournalUnwritable
from stationd.interfaces import Query, Retention
from stationd.journal.block_cache import BlockCache
from stationd.journal.disk import Disk
from stationd.journal.file_header import (
    FILE_HEADER,
    SegmentName,
    pack_file_header,
    unpack_file_header,
)
from stationd.journal.query import select
from stationd.journal.read_only_journal import ReadOnlyJournal
from stationd.journal.store import Store
from tests.contracts.journal import draft


class FailingDisk(Disk):
    """A disk whose operations fail when a test says so.

    @ivar failing: by the name of the method, the error it raises.
    @ivar after: by the name of a method, what fails once it has been called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failing: dict[str, OSError] = {}
        self.after: dict[str, tuple[str, OSError]] = {}

    def _may(self, name: str) -> None:
        if error := self.failing.get(name):
            raise error

    def create(self, path: str) -> int:
        self._may("create")
        return super().create(path)

    def write(self, fd: int, data: bytes) -> None:
        if "write" in self.failing:
            super().write(fd, data[: len(data) // 2])
        self._may("write")
        super().write(fd, data)

    def sync(self, fd: int) -> None:
        self._may("sync")
        super().sync(fd)

    def truncate(self, fd: int, size: int) -> None:
        self._may("truncate")
        super().truncate(fd, size)

    def open(self, path: str, *, write: bool) -> int:
        self._may("open")
        return super().open(path, write=write)

    def close(self, fd: int) -> None:
        super().close(fd)
        self._may("close")

    def sync_directory(self, directory: str) -> None:
        self._may("sync_directory")
        super().sync_directory(directory)

    def link(self, path: str, to: str) -> None:
        self._may("link")
        super().link(path, to)

    def unlink(self, path: str) -> None:
        if path.endswith(".rows"):
            self._may("unlink")
        super().unlink(path)

    def rename(self, path: str, to: str) -> None:
        self._may("rename")
        super().rename(path, to)
        if then := self.after.get("rename"):
            self.failing[then[0]] = then[1]


class RecoveryCase(SynchronousTestCase):
    """A store in a directory, and ways to spoil its files."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.disk = FailingDisk()
        self.salts = itertools.count(0x5A17)

    def open(self, segment_bytes: int = 1 << 20) -> Store:
        store = Store(self.directory, segment_bytes, self.disk, lambda: 5, self.salts.__next__)
        self.addCleanup(store.close)
        return store

    def write(self, *texts: str, segment_bytes: int = 1 << 20) -> None:
        """Open, commit each text alone, and close."""
        store = self.open(segment_bytes)
        for text in texts:
            store.commit([draft(text)])
        store.close()

    def texts(self, store: Store) -> list[str]:
        found = select(store.view, Query(oldest_first=True), BlockCache())
        return [record.text for frame in found for record in frame]

    def names(self, suffix: str) -> list[str]:
        return sorted(name for name in os.listdir(self.directory) if name.endswith(suffix))

    def paths(self, suffix: str = ".rows") -> list[str]:
        return [os.path.join(self.directory, name) for name in self.names(suffix)]

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def spoil(self, path: str, change: Callable[[bytearray], None]) -> None:
        raw = bytearray(self.read(path))
        change(raw)
        with open(path, "wb") as file:
            file.write(raw)


class TornTailTests(RecoveryCase):
    """The last commit was cut short: it goes, everything before it stays."""

    def test_every_length_of_the_last_commit(self) -> None:
        self.write("one", "two")
        (path,) = self.paths()
        whole = len(self.read(path))
        self.write("three")
        full = self.read(path)
        for length in range(whole, len(full)):
            with open(path, "wb") as file:
                file.write(full[:length])
            store = self.open()
            self.assertEqual(self.texts(store), ["one", "two"], length)
            self.assertEqual(store.commit([draft("new")]), 3)
            self.assertEqual(self.texts(store), ["one", "two", "new"], length)
            store.close()
            again = self.open()
            self.assertEqual(self.texts(again), ["one", "two", "new"], length)
            again.close()

    def test_the_cut_bytes_are_kept(self) -> None:
        self.write("one", "two")
        (path,) = self.paths()
        raw = self.read(path)
        with open(path, "wb") as file:
            file.write(raw[:-1])
        self.open()
        (broken,) = self.paths(".broken")
        kept = self.read(broken)
        self.assertTrue(raw[:-1].endswith(kept))
        self.assertIn(b"tw", kept)

    def test_a_tail_of_zeros(self) -> None:
        self.write("one")
        self.spoil(self.paths()[0], lambda raw: raw.extend(bytes(5000)))
        store = self.open()
        self.assertEqual(self.texts(store), ["one"])
        self.assertEqual(store.commit([draft("two")]), 2)

    def test_a_commit_of_many_frames_counts_whole_or_not_at_all(self) -> None:
        self.write("one")
        (path,) = self.paths()
        before = len(self.read(path))
        store = self.open()
        store.commit([draft("x" * 20_000) for _ in range(4)])
        store.close()
        raw = self.read(path)
        self.assertEqual(raw.count(b"\xf5FRM", before), 4)
        last = raw.rindex(b"\xf5FRM")
        for length in (last, last + 10, len(raw) - 1):
            with open(path, "wb") as file:
                file.write(raw[:length])
            store = self.open()
            self.assertEqual(self.texts(store), ["one"])
            store.close()

    def test_a_file_without_its_whole_header(self) -> None:
        self.write("one")
        name = SegmentName(2, 2, 7)
        for length in (0, 1, FILE_HEADER.size - 1):
            with open(os.path.join(self.directory, str(name)), "wb") as file:
                file.write(b"S" * length)
            store = self.open()
            self.assertEqual(self.texts(store), ["one"])
            self.assertEqual(store.view.last, 1)
            self.assertEqual(store.status().damage, ())
            store.close()


class DamageTests(RecoveryCase):
    """Bytes went bad in the middle: everything else stays readable."""

    def test_every_byte_of_a_commit_in_the_middle(self) -> None:
        self.write("one")
        (path,) = self.paths()
        start = len(self.read(path))
        self.write("two")
        end = len(self.read(path))
        self.write("three")
        good = self.read(path)
        for offset in range(start, end):
            with open(path, "wb") as file:
                file.write(good[:offset] + bytes([good[offset] ^ 0x40]) + good[offset + 1 :])
            store = self.open()
            self.assertEqual(self.texts(store), ["one", "three"], offset)
            (sentence,) = store.status().damage
            self.assertIn(f"{path}, byte {start}:", sentence)
            self.assertEqual(store.commit([draft("four")]), 4)
            store.close()
            for added in self.paths()[1:]:
                os.unlink(added)
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_a_destroyed_file_header_loses_nothing(self) -> None:
        self.write("one", "two")
        (path,) = self.paths()

        def destroy(raw: bytearray) -> None:
            raw[: FILE_HEADER.size] = bytes(FILE_HEADER.size)

        self.spoil(path, destroy)
        store = self.open()
        self.assertEqual(self.texts(store), ["one", "two"])
        self.assertEqual(len(store.status().damage), 1)
        self.assertEqual(store.commit([draft("three")]), 3)
        self.assertEqual(len(self.paths()), 2)

    def test_a_missing_segment_is_reported(self) -> None:
        self.write(*[f"{n} " + "x" * 30_000 for n in range(8)], segment_bytes=64 << 10)
        os.unlink(self.paths()[1])
        store = self.open()
        (sentence,) = store.status().damage
        self.assertRegex(sentence, r"records \d+ to \d+ are missing")
        self.assertEqual(store.commit([draft("more")]), 9)

    def test_a_frame_that_goes_bad_while_open_is_passed_over(self) -> None:
        store = self.open()
        for text in ("one", "two", "three"):
            store.commit([draft(text)])

        def flip(raw: bytearray) -> None:
            raw[raw.index(b"two")] ^= 1

        self.spoil(self.paths()[0], flip)
        self.assertEqual(self.texts(store), ["one", "three"])

    def test_a_frame_forged_in_a_text_is_no_frame(self) -> None:
        self.write("one")
        (path,) = self.paths()
        frame = self.read(path)[FILE_HEADER.size :]
        # Latin-1 so that every byte of it is a character that UTF-8 can carry.
        self.write(frame.decode("latin-1"))
        self.spoil(path, lambda raw: raw.__delitem__(slice(-1, None)))
        self.assertEqual(self.texts(self.open()), ["one"])

    def test_a_file_of_a_newer_version_is_refused(self) -> None:
        self.write("one")
        (path,) = self.paths()
        header = unpack_file_header(self.read(path))
        assert header is not None
        for change in ({"version": 2}, {"kind": 2}, {"incompatible": 2}, {"compatible": 1}):
            fields = {"kind": 1, "first": 1, "created_us": 5, "salt": header.salt}
            newer = pack_file_header(type(header)(**(fields | change)))

            def spoil(raw: bytearray, newer: bytes = newer) -> None:
                raw[:48] = newer

            self.spoil(path, spoil)
            self.assertRaises(JournalTooNew, self.open)

    def test_a_destroyed_tombstone_of_the_first_writers_is_reported(self) -> None:
        self.write("one")
        self.put_first_tombstone(1, 9)
        self.spoil(os.path.join(self.directory, "cleared"), lambda raw: raw.__setitem__(9, 99))
        store = self.open()
        self.assertEqual(len(store.status().damage), 1)
        self.assertEqual(store.commit([draft("two")]), 2)

    def put_first_tombstone(self, through: int, when: int) -> None:
        """Clear as the first writers did."""
        raw = struct.pack("<8sQq", b"STATIONC", through, when)
        with open(os.path.join(self.directory, "cleared"), "wb") as file:
            file.write(raw + struct.pack("<I", zlib.crc32(raw)))

    def test_a_tombstone_of_the_first_writers_counts_and_gets_a_name(self) -> None:
        self.write("one", "two")
        self.put_first_tombstone(2, 9)
        self.assertEqual(ReadOnlyJournal(self.directory).status().records, 0)
        self.refuse_nothing_but_renames()
        store = self.open()
        self.assertEqual((self.texts(store), store.status().cleared_us), ([], 9))
        store.close()
        self.disk.failing.clear()
        store = self.open()
        self.assertEqual(self.names(".cleared"), [f"{2:020d}-{9:020d}.cleared"])
        self.assertEqual((self.texts(store), store.status().cleared_us), ([], 9))
        self.assertEqual(store.commit([draft("three")]), 3)

    def refuse_nothing_but_renames(self) -> None:
        self.disk.failing["rename"] = OSError(errno.EIO, os.strerror(errno.EIO))

    def test_of_several_tombstones_the_last_counts(self) -> None:
        self.write("one", "two")
        for name in (f"{1:020d}-{9:020d}.cleared", f"{0:020d}-{7:020d}.cleared"):
            with open(os.path.join(self.directory, name), "wb"):
                pass
        self.put_first_tombstone(1, 8)
        self.write("three", segment_bytes=1)
        self.assertEqual(self.names("cleared"), [f"{1:020d}-{9:020d}.cleared"])


class FailureCase(RecoveryCase):
    """The disk refuses while the store is open."""

    def refuse(self, method: str, number: int = errno.EIO) -> None:
        self.disk.failing[method] = OSError(number, os.strerror(number))

    def check(self, store: Store) -> None:
        """The store holds exactly one and two, now and after reopening."""
        self.disk.failing.clear()
        self.assertEqual(store.commit([draft("two")]), 2)
        self.assertEqual(self.texts(store), ["one", "two"])
        store.close()
        again = self.open()
        self.assertEqual(self.texts(again), ["one", "two"])
        self.assertEqual(again.status().damage, ())


class FailureTests(FailureCase):
    """It refuses different things, a few times."""

    def test_a_failed_commit_leaves_nothing_and_the_next_succeeds(self) -> None:
        for methods in (["write"], ["sync"], ["write", "truncate"], ["sync", "truncate"]):
            self.directory = self.mktemp()
            store = self.open()
            store.commit([draft("one")])
            for method in methods:
                self.refuse(method)
            error = self.assertRaises(JournalUnwritable, store.commit, [draft("lost")])
            self.assertFalse(error.full)
            self.assertEqual(self.texts(store), ["one"])
            self.check(store)

    def test_a_full_disk_is_said_to_be_full(self) -> None:
        store = self.open()
        store.commit([draft("one")])
        for _ in range(3):
            self.refuse("write", errno.ENOSPC)
            error = self.assertRaises(JournalUnwritable, store.commit, [draft("lost")])
            self.assertTrue(error.full)
            self.assertIn("No space left", str(error))
        self.check(store)

    def test_a_commit_that_fails_on_a_disk_that_closes_nothing_well(self) -> None:
        store = self.open()
        self.assertEqual(store.commit([draft("1")]), 1)
        error = OSError(errno.EIO, "Input/output error")
        self.disk.failing = {"sync": error, "close": error}
        for _ in range(3):
            self.assertRaises(JournalUnwritable, store.commit, [draft("2")])
        self.disk.failing = {"close": error}
        self.assertEqual(store.commit([draft("2")]), 2)
        self.assertEqual(store.commit([draft("3")]), 3)
        self.assertEqual(len(self.paths()), 2)
        store.close()
        self.disk.failing = {}
        self.assertEqual(self.texts(self.open()), ["1", "2", "3"])

    def test_a_disk_that_removes_nothing_gets_one_file_and_no_more(self) -> None:
        store = self.open()
        store.commit([draft("one")])
        self.refuse("sync")
        self.refuse("unlink")
        for _ in range(50):
            self.assertRaises(JournalUnwritable, store.commit, [draft("lost")])
        self.assertLessEqual(len(self.paths()), 2)
        self.check(store)
        self.assertEqual(len(self.paths()), 2)

    def test_retention_removes_on_a_full_disk(self) -> None:
        for texts in (["one", "two", "three"], ["one"]):
            self.directory = self.mktemp()
            store = self.open(segment_bytes=1)
            for text in texts:
                store.commit([draft(text)])
            for method in ("create", "write", "link"):
                self.refuse(method, errno.ENOSPC)
            keep = Retention(max_age_us=None, max_bytes=0)
            self.assertEqual(store.vacuum(keep), len(texts))
            self.assertEqual(self.paths(), [])
            self.assertEqual(store.vacuum(keep), 0)
            self.assertRaises(JournalUnwritable, store.commit, [draft("lost")])
            self.assertEqual(store.status().cleared_us, 0)
            self.disk.failing.clear()
            self.assertEqual(store.commit([draft("next")]), len(texts) + 1)
            store.close()

    def test_clear_frees_a_full_disk(self) -> None:
        for prepared in (True, False):
            self.directory = self.mktemp()
            store = self.open(segment_bytes=1)
            if not prepared:
                os.unlink(self.paths(".cleared")[0])
            for text in ("one", "two", "three"):
                store.commit([draft(text)])
            for method in ("create", "write", "link"):
                self.refuse(method, errno.ENOSPC)
            self.assertEqual(store.clear(9), 3)
            self.assertEqual(self.paths(), [])
            (tombstone,) = self.paths(".cleared")
            self.assertEqual(os.path.getsize(tombstone), 0)
            self.assertEqual((store.status().records, store.status().cleared_us), (0, 9))
            self.assertEqual(store.clear(10), 0)
            store.close()
            again = self.open()
            self.assertEqual((again.view.last, again.status().cleared_us), (3, 10))
            self.disk.failing.clear()
            self.assertEqual(again.commit([draft("four")]), 4)
            again.close()

    def test_a_segment_that_became_the_tombstone_is_emptied_late(self) -> None:
        store = self.open()
        store.commit([draft("one")])
        os.unlink(self.paths(".cleared")[0])
        self.refuse("truncate")
        store.clear(9)
        (tombstone,) = self.paths(".cleared")
        self.assertGreater(os.path.getsize(tombstone), 0)
        store.close()
        self.disk.failing.clear()
        self.open().close()
        self.assertEqual(os.path.getsize(tombstone), 0)

    def test_a_torn_tail_on_a_full_disk_is_no_reason_not_to_start(self) -> None:
        for method in ("create", "write"):
            self.directory = self.mktemp()
            self.write("one")
            (path,) = self.paths()
            self.spoil(path, lambda raw: raw.extend(b"torn"))
            raw = self.read(path)
            for _ in range(2):
                self.refuse(method, errno.ENOSPC)
                store = self.open()
                self.assertEqual(self.texts(store), ["one"])
                self.assertRaises(JournalUnwritable, store.commit, [draft("lost")])
                self.assertEqual((self.paths(), self.read(path)), ([path], raw))
                self.disk.failing.clear()
                self.assertEqual(self.names(".new"), [])
                store.close()
            self.refuse(method, errno.ENOSPC)
            self.check(self.open())
            self.assertEqual(self.read(path), raw)

    def test_a_clear_that_cannot_be_made_durable_clears_nothing(self) -> None:
        store = self.open()
        store.commit([draft("one")])
        self.refuse("rename")
        self.assertRaises(JournalUnwritable, store.clear, 9)
        self.assertEqual(self.texts(store), ["one"])
        self.check(store)

    def test_a_clear_whose_last_step_fails_has_happened_all_the_same(self) -> None:
        store = self.open()
        for number in range(10):
            store.commit([draft(f"{number}")])
        self.disk.after["rename"] = ("sync_directory", OSError(errno.EIO, "Input/output error"))
        error = self.assertRaises(JournalUnwritable, store.clear, 9)
        self.assertRegex(str(error), "are cleared, but come back if the power fails now: Input")
        self.disk.failing.clear()
        self.assertEqual((self.texts(store), store.status().records), ([], 0))
        self.assertEqual(ReadOnlyJournal(self.directory).status().records, 0)
        self.assertEqual(len(self.paths()), 1, "nothing goes before the tombstone is durable")
        self.assertEqual(store.commit([draft("after")]), 11)
        store.vacuum(Retention(max_age_us=None, max_bytes=1 << 30))
        self.assertEqual(len(self.paths()), 1)
        store.close()
        self.assertEqual(self.texts(self.open()), ["after"])

    def test_cleared_files_that_could_not_be_removed_do_not_come_back(self) -> None:
        store = self.open()
        store.commit([draft("one")])
        self.refuse("unlink")
        self.assertEqual(store.clear(9), 1)
        self.disk.failing.clear()
        store.close()
        self.assertEqual(len(self.paths()), 1)
        again = self.open()
        self.assertEqual(self.texts(again), [])
        self.assertEqual(len(self.paths()), 1)
        self.assertEqual(again.commit([draft("two")]), 2)

    def test_a_file_that_cannot_be_read_is_passed_over(self) -> None:
        self.write("one", "two " + "x" * 1000, segment_bytes=600)
        store = self.open(600)
        store.commit([draft("three")])
        bad = store.view.segments[0]._fd
        read = self.disk.read

        def fails(fd: int, size: int, offset: int) -> bytes:
            if fd == bad:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return read(fd, size, offset)

        self.patch(self.disk, "read", fails)
        self.assertEqual(self.texts(store), ["three"])

    def test_clearing_that_was_cut_short_takes_what_was_kept_too(self) -> None:
        store = self.open()
        store.commit([draft("one")])
        (path,) = self.paths()
        for suffix in (".100.broken", ".damaged", ".damaged2"):
            with open(path + suffix, "wb") as file:
                file.write(b"kept")
        self.disk.failing["unlink"] = OSError(errno.EIO, "Input/output error")
        store.clear(9)
        store.close()
        self.disk.failing.clear()
        with open(path + ".damaged", "wb") as file:
            file.write(b"kept")
        self.open()
        kept = [n for n in os.listdir(self.directory) if "damaged" in n or "broken" in n]
        self.assertEqual(kept, [])

    def test_however_many_files_there_are_none_is_removed_for_it(self) -> None:
        store = self.open(segment_bytes=1)
        for number in range(300):
            store.commit([draft(f"{number}")])
        self.assertEqual(store.vacuum(Retention(max_age_us=None, max_bytes=1 << 30)), 0)
        self.assertEqual(len(store.view.segments), 300)

    def test_retention_takes_broken_tails_with_their_segment(self) -> None:
        self.write("one")
        self.spoil(self.paths()[0], lambda raw: raw.extend(b"torn"))
        store = self.open()
        self.assertEqual(len(self.paths(".broken")), 1)
        store.clear(9)
        self.assertEqual(self.paths(".broken"), [])


class RepeatedFailureTests(FailureCase):
    """It refuses one thing again and again.

    @cvar times: how often.
    """

    times = 10

    def test_commits_that_fail_leave_nothing_behind(self) -> None:
        for method in ("create", "write", "sync", "sync_directory", "open", "truncate"):
            self.directory = self.mktemp()
            store = self.open()
            store.commit([draft("one")])
            gc.collect()
            names, descriptors = os.listdir(self.directory), os.listdir("/proc/self/fd")
            if method == "truncate":
                self.refuse("write", errno.ENOSPC)
            elif method != "write":
                # The first one takes the segment out of use.
                self.refuse("write")
                self.assertRaises(JournalUnwritable, store.commit, [draft("lost")])
                self.disk.failing.clear()
            self.refuse(method)
            for _ in range(self.times):
                self.assertRaises(JournalUnwritable, store.commit, [draft("lost")])
            self.assertEqual(sorted(os.listdir(self.directory)), sorted(names), method)
            self.assertEqual(len(os.listdir("/proc/self/fd")), len(descriptors), method)
            self.assertEqual(store.vacuum(Retention(max_age_us=None, max_bytes=1 << 30)), 0)
            self.check(store)


class OtherProcessTests(RecoveryCase):
    """Reading beside a writer, without its lock."""

    def test_a_reader_sees_what_is_committed_and_changes_nothing(self) -> None:
        store = self.open()
        store.commit([draft("one")])
        before = self.read(self.paths()[0])
        self.spoil(self.paths()[0], lambda raw: raw.extend(b"half a frame"))
        reader = ReadOnlyJournal(self.directory)
        found = reader.select(Query())
        self.assertEqual([r.text for frame in found for r in frame], ["one"])
        self.assertEqual(reader.status().last, 1)
        self.assertEqual(self.read(self.paths()[0]), before + b"half a frame")

    def test_a_reader_goes_on_when_the_writer_clears(self) -> None:
        store = self.open()
        store.commit([draft("one"), draft("two")])
        reader = ReadOnlyJournal(self.directory)
        store.clear(9)
        found = reader.select(Query(oldest_first=True))
        self.assertEqual([r.text for frame in found for r in frame], ["one", "two"])
        self.assertEqual(list(ReadOnlyJournal(self.directory).select(Query())), [])

    def test_a_reader_of_a_segment_that_becomes_the_tombstone_ends(self) -> None:
        store = self.open()
        store.commit([draft("one"), draft("two")])
        os.unlink(self.paths(".cleared")[0])
        reader = ReadOnlyJournal(self.directory)
        store.clear(9)
        self.assertEqual([r for found in reader.select(Query()) for r in found], [])
        self.assertIn("records 1 to 2", "".join(reader.status().damage))

    def test_a_directory_that_is_not_there(self) -> None:
        error = self.assertRaises(JournalUnreadable, ReadOnlyJournal, "/nowhere/log")
        self.assertEqual(str(error), "/nowhere/log: No such file or directory")

    def test_a_process_that_reads_while_another_writes(self) -> None:
        code = (
            "import sys\n"
            "from stationd.journal.read_only_journal import ReadOnlyJournal\n"
            "from stationd.interfaces import Query\n"
            "found = [r for f in ReadOnlyJournal(sys.argv[1]).select(Query()) for r in f]\n"
            "print(len(found), found[0].text)\n"
        )
        store = self.open()
        for number in range(1, 4):
            store.commit([draft(f"text {number}")])
            command = [sys.executable, "-c", code, self.directory]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            self.assertEqual(done.stdout, f"{number} text {number}\n")
