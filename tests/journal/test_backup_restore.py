"""Restoring, and comparing with a manifest."""

from __future__ import annotations

import itertools
import os
import shutil

from stationd.errors import BackupFailed, JournalLocked
from stationd.journal.backup_comparison import compare_with_backup
from stationd.journal.backup_restore import FORMER_SUFFIX, RESTORING_SUFFIX
from stationd.journal.directory_lock import Lock
from stationd.journal.store import Store
from tests.contracts.journal import draft
from tests.journal.backup_case import (
    NAMES,
    BackupCase,
    Killed,
    QuickDisk,
    contents,
    kill_at,
)
from tests.journal.faulty_disk import FAULTS, FaultyDisk


class RestoreCase(BackupCase):
    """A backup, and a directory to restore it to."""

    def setUp(self) -> None:
        super().setUp()
        self.clear()
        self.append()
        self.seal()
        self.append()
        self.back_up()
        self.backed_up = contents(self.source)
        self.directory = self.mktemp()

    def write(self, text: str) -> None:
        """Have other journals in the directory."""
        for name in NAMES:
            path = os.path.join(self.directory, name)
            store = Store(path, 300, QuickDisk(), lambda: 5, self.salts.__next__)
            store.commit([draft(text)])
            store.close()


class RestoreTests(RestoreCase):
    """A backup is put in place."""

    def test_numbers_go_on_after_it(self) -> None:
        self.assertEqual(self.restore(self.directory).kept, ())
        self.assertEqual(contents(self.directory), self.backed_up)
        path = os.path.join(self.directory, "log")
        store = Store(path, 300, QuickDisk(), lambda: 5, self.salts.__next__)
        self.addCleanup(store.close)
        self.assertEqual(store.commit([draft("more")]), max(self.backed_up["log"]) + 1)
        self.assertEqual(store.status().cleared_us, 9)

    def test_the_backup_is_left_as_it_is(self) -> None:
        before = self.files(self.target)
        self.restore(self.directory)
        self.assertEqual(self.files(self.target), before)

    def test_nothing_is_shared_with_the_backup(self) -> None:
        self.restore(self.directory)
        for path in self.files(self.directory):
            self.assertEqual(os.stat(os.path.join(self.directory, path)).st_nlink, 1, path)

    def test_a_journal_that_is_not_empty_is_set_aside_if_one_says_so(self) -> None:
        self.write("first")
        with self.assertRaisesRegex(BackupFailed, "log: the journal is not empty; --force"):
            self.restore(self.directory)
        self.assertEqual(contents(self.directory)["log"], {1: "first"})
        report = self.restore(self.directory, force=True)
        self.assertEqual(contents(self.directory), self.backed_up)
        (log, event) = report.kept
        self.assertEqual(log, os.path.join(self.directory, "log") + FORMER_SUFFIX)
        self.assertEqual(event, os.path.join(self.directory, "event") + FORMER_SUFFIX)
        log = self.restore(self.directory, force=True).kept[0]
        self.assertEqual(log, os.path.join(self.directory, "log") + FORMER_SUFFIX + "2")

    def test_the_daemon_runs(self) -> None:
        self.write("first")
        lock = Lock(os.path.join(self.directory, "event"))
        self.addCleanup(lock.release)
        with self.assertRaises(JournalLocked):
            self.restore(self.directory, force=True)
        self.assertEqual(contents(self.directory)["log"], {1: "first"})

    def test_each_file_that_is_damaged_cut_or_missing_is_named(self) -> None:
        for path, raw in self.files(self.target).items():
            if "/" not in path or path.endswith("cleared"):
                continue
            where = os.path.join(self.target, path)
            os.unlink(where)
            with self.assertRaisesRegex(BackupFailed, f"{where} is missing"):
                self.restore(self.directory)
            for bad, problem in ((raw[:-1], "bytes; the manifest has"), (b"x" + raw[1:], "differ")):
                with open(where, "wb") as file:
                    file.write(bad)
                with self.assertRaisesRegex(BackupFailed, f"{where} .*{problem}"):
                    self.restore(self.directory)
            with open(where, "wb") as file:
                file.write(raw)
        self.assertFalse(os.path.exists(self.directory))

    def test_what_is_no_backup(self) -> None:
        self.target = self.source
        with self.assertRaisesRegex(BackupFailed, "it has no manifest.json"):
            self.restore(self.directory)


class InterruptedTests(RestoreCase):
    """The process ends, or the disk refuses, at each operation: each journal is as it was or
    restored, or still under its other name.

    @cvar every: 1 for all of them, 2 for every second, and so on.
    """

    every = 4

    def check(self, where: str, *, written: bool) -> None:
        found = contents(self.directory) if os.path.isdir(self.directory) else {}
        for name in NAMES:
            former: list[dict[int, str]] = [{1: "first"}] if written else [{}]
            texts = found.get(name)
            if texts is None:
                kept = os.path.join(self.directory, name + FORMER_SUFFIX)
                self.assertTrue(not written or os.path.isdir(kept), where)
            else:
                self.assertIn(texts, [*former, self.backed_up[name]], where)
        self.restore(self.directory, force=True)
        self.assertEqual(contents(self.directory), self.backed_up, where)
        left = {name for name in os.listdir(self.directory) if name.endswith(RESTORING_SUFFIX)}
        self.assertEqual(left, set(), where)

    def test_killed_at_each_operation(self) -> None:
        for written in (False, True):
            killed = 0
            for at in itertools.count(1, self.every):
                self.directory = self.mktemp()
                if written:
                    self.write("first")
                try:
                    self.restore(self.directory, kill_at(at), force=written)
                except Killed:
                    killed += 1
                    self.check(f"killed at {at}", written=written)
                else:
                    break
            self.assertGreater(killed, 20 // self.every)

    def test_the_disk_refuses(self) -> None:
        refused = 0
        for fault in FAULTS:
            for at in itertools.count(1, 2 * self.every):
                self.directory = self.mktemp()
                self.write("first")
                disk = FaultyDisk(QuickDisk(), fault, at, 1)
                try:
                    self.restore(self.directory, disk, force=True)
                except BackupFailed:
                    refused += 1
                self.check(f"{fault} at {at}", written=True)
                if disk.operations < at:
                    break
        self.assertGreater(refused, 20 // self.every)


class ComparisonTests(BackupCase):
    """What a copy, or the journals themselves, have not got that a backup has."""

    def setUp(self) -> None:
        super().setUp()
        self.back_up()

    def compare(self, directory: str, backup: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = compare_with_backup(directory, backup, lambda done, of: None)
        return found.missing, found.notes

    def newest(self, directory: str) -> str:
        log = os.path.join(directory, "log")
        return os.path.join(log, max(name for name in os.listdir(log) if name[0] == "0"))

    def test_nothing_is_missing(self) -> None:
        for directory in (self.source, self.target, os.path.join(self.target, "log")):
            self.assertEqual(self.compare(directory, self.target), ((), ()))
        self.append()
        self.seal()
        self.assertEqual(self.compare(self.source, self.target), ((), ()))

    def test_a_copy_by_cp_lacks_the_newest_file(self) -> None:
        copy = self.mktemp()
        shutil.copytree(self.source, copy)
        os.unlink(self.newest(copy))
        (sentence,), _ = self.compare(copy, self.target)
        self.assertRegex(sentence, r"log ends with record \d+; the manifest ends with 12$")

    def test_a_copy_of_a_backup_lacks_the_newest_file(self) -> None:
        copy = self.mktemp()
        shutil.copytree(self.target, copy)
        path = self.newest(copy)
        os.unlink(path)
        for directory in (copy, os.path.join(copy, "log")):
            missing, _ = self.compare(directory, copy)
            self.assertIn(os.path.basename(path), missing[0])
            self.assertIn("is missing; the manifest has it", missing[0])
            self.assertIn("the manifest ends with 12", missing[1])

    def test_a_whole_journal_is_missing(self) -> None:
        copy = self.mktemp()
        shutil.copytree(self.source, copy)
        shutil.rmtree(os.path.join(copy, "event"))
        (sentence,), _ = self.compare(copy, self.target)
        self.assertIn("event has no journal; the manifest has its records 1 to 12", sentence)

    def test_what_retention_has_removed_is_a_note(self) -> None:
        self.vacuum()
        missing, notes = self.compare(self.source, self.target)
        self.assertEqual(missing, ())
        self.assertEqual(len(notes), 2)
        self.assertRegex(notes[0], r"log begins with record \d+; the manifest begins with 1$")

    def test_there_is_no_manifest(self) -> None:
        with self.assertRaisesRegex(BackupFailed, "it has no manifest.json"):
            self.compare(self.source, self.source)
