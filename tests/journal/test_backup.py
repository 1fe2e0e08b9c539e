"""Backups: of what is there, beside the writer, interrupted at each of its operations."""

from __future__ import annotations

import errno
import itertools
import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import BackupFailed, JournalLocked, JournalUnreadable
from stationd.journal.backup import back_up
from stationd.journal.backup_manifest import (
    MANIFEST_NAME,
    Manifest,
    ManifestFile,
    ManifestJournal,
    decode_manifest,
    encode_manifest,
)
from stationd.journal.directory_lock import Lock
from stationd.journal.disk import Disk
from stationd.journal.repair import repair
from tests.contracts.journal import draft
from tests.journal.backup_case import (
    BackupCase,
    Contents,
    HookedDisk,
    Killed,
    QuickDisk,
    contents,
    kill_at,
)
from tests.journal.faulty_disk import FAULTS, FaultyDisk


class UnlinkableDisk(QuickDisk):
    """A disk on which the target is on another file system."""

    def link(self, path: str, to: str) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


class BackupTests(BackupCase):
    """What is in a backup."""

    def test_it_is_two_journals_and_can_be_restored(self) -> None:
        expected = contents(self.source)
        report = self.back_up()
        self.assertEqual(contents(self.target), expected)
        self.assertEqual(self.restored(), expected)
        log = report.manifest.journals["log"]
        self.assertEqual((log.first, log.last, log.records), (1, 12, 12))
        self.assertEqual(report.damage, ())

    def test_the_source_is_left_as_it_is(self) -> None:
        before = self.files(self.source)
        self.back_up()
        self.assertEqual(self.files(self.source), before)

    def test_sealed_files_are_linked_and_others_are_not(self) -> None:
        report = self.back_up()
        for name, journal in report.manifest.journals.items():
            for file in journal.files:
                source, target = (
                    os.stat(os.path.join(directory, name, file.name))
                    for directory in (self.source, self.target)
                )
                is_linked = source.st_ino == target.st_ino
                self.assertEqual(is_linked, file.name.endswith(".sealed"))
        self.assertGreater(report.linked, 1)

    def test_another_file_system_gets_copies(self) -> None:
        report = self.back_up(UnlinkableDisk())
        self.assertEqual(report.linked, 0)
        self.assertGreater(report.copied, 3)
        self.assertEqual(self.restored(), contents(self.source))
        self.assertEqual(self.back_up(UnlinkableDisk()).copied, 0)

    def test_what_is_there_is_not_copied_again(self) -> None:
        first = self.back_up()
        second = self.back_up()
        self.assertEqual((second.copied, second.linked, second.copied_bytes), (0, 0, 0))
        self.assertEqual(second.unchanged, first.copied + first.linked)
        self.append()
        self.seal()
        third = self.back_up()
        self.assertGreater(third.copied + third.linked, 0)
        self.assertGreater(third.unchanged, 0)
        self.assertEqual(self.restored(), contents(self.source))

    def test_what_was_sealed_cleared_or_removed_since(self) -> None:
        for change in (self.seal, self.vacuum, self.append, self.clear, self.append):
            change()
            self.back_up()
            self.assertEqual(contents(self.target), contents(self.source))
            self.assertEqual(self.restored(), contents(self.source))
            for name in self.stores:
                there, here = (
                    set(os.listdir(os.path.join(directory, name))) - {"lock"}
                    for directory in (self.source, self.target)
                )
                self.assertEqual(here, there)

    def test_a_commit_that_was_cut_off_since(self) -> None:
        # It could be read before it was durable, and then the disk refused.
        path, end, before = commit_to_be_cut(self)
        self.back_up()
        os.truncate(path, end)
        self.back_up()
        self.assertEqual(contents(self.target)["log"], before)
        self.assertEqual(self.restored()["log"], before)
        copy = os.path.join(self.target, "log", os.path.basename(path))
        self.assertEqual(os.path.getsize(copy), end)

    def test_damage_is_told_and_backed_up(self) -> None:
        log = os.path.join(self.source, "log")
        rows = next(name for name in os.listdir(log) if name.endswith(".rows"))
        with open(os.path.join(log, rows), "r+b") as file:
            file.seek(10)
            file.write(b"\xff")
        (sentence,) = self.back_up().damage
        self.assertIn(f"{rows}, byte 0: the file header is damaged", sentence)
        self.assertEqual(
            self.files(self.target)[f"log/{rows}"], self.files(self.source)[f"log/{rows}"]
        )


def commit_to_be_cut(case: BackupCase) -> tuple[str, int, dict[int, str]]:
    """Commit to the log once more: the file, where it ended before, and what was in the log."""
    store = case.stores["log"]
    if store.view.segments[-1].end >= 300:
        store.commit([draft("in a new file")])
    before, segment = contents(case.source)["log"], store.view.segments[-1]
    end = segment.end
    store.commit([draft("never acknowledged")])
    assert store.view.segments[-1] is segment
    return segment.path, end, before


class RefusalTests(BackupCase):
    """Where a backup cannot be made; nothing is changed there."""

    def test_a_directory_that_is_no_backup(self) -> None:
        os.makedirs(self.target)
        with open(os.path.join(self.target, "notes"), "w", encoding="utf-8"):
            pass
        with self.assertRaisesRegex(BackupFailed, "not empty and has no backup in it"):
            self.back_up()
        self.assertEqual(set(os.listdir(self.target)), {"notes", "lock"})

    def test_the_journals_themselves(self) -> None:
        for path in ("", "log", "event/backup"):
            self.target = os.path.join(self.source, path)
            with self.assertRaisesRegex(BackupFailed, "into itself"):
                self.back_up()

    def test_a_backup_that_is_being_made(self) -> None:
        self.back_up()
        lock = Lock(self.target)
        self.addCleanup(lock.release)
        with self.assertRaises(JournalLocked):
            self.back_up()

    def test_there_are_no_journals(self) -> None:
        nowhere, empty = self.mktemp(), self.mktemp()
        os.makedirs(os.path.join(empty, "log"))
        with self.assertRaises(JournalUnreadable):
            back_up(nowhere, ["log"], self.target, Disk(), lambda: 7, lambda done, of: None)
        self.assertFalse(os.path.exists(self.target))
        with self.assertRaisesRegex(BackupFailed, "no journal in it"):
            back_up(empty, ["log"], self.target, Disk(), lambda: 7, lambda done, of: None)


class BesideWriterTests(BackupCase):
    """The writer works between any two steps of a backup.

    @cvar every: 1 for all of them, 2 for every second, and so on.
    """

    every = 5

    def test_between_the_copying_of_files(self) -> None:
        steps = 0
        before = contents(self.source)

        def progress(done: int, of: int) -> None:
            nonlocal steps
            steps += 1
            (self.append, self.seal, self.append, self.vacuum, self.clear)[steps % 5]()

        self.back_up(progress=progress)
        self.assertGreater(steps, 5)
        # All files were open before.
        self.assertEqual(contents(self.target), before)
        self.back_up()
        self.assertEqual(self.restored(), contents(self.source))

    def test_a_commit_is_cut_off_before_it_is_copied(self) -> None:
        path, end, before = commit_to_be_cut(self)
        self.back_up(progress=lambda done, of: os.truncate(path, end))
        self.assertEqual(contents(self.target)["log"], before)
        self.assertEqual(self.restored()["log"], before)

    def test_before_each_look_at_a_file(self) -> None:
        looks = HookedDisk(lambda number: None, reading=True)
        self.back_up(looks)
        self.target = self.mktemp()
        tried = 0
        for at in range(1, looks.operations + 1, self.every):
            states = [contents(self.source)]
            done = False

            def hook(number: int, at: int = at, states: list[Contents] = states) -> None:
                nonlocal done
                if number >= at and not done:
                    done = True
                    for change in (self.append, self.seal, self.vacuum, self.clear, self.append):
                        change()
                        states.append(contents(self.source))

            self.back_up(HookedDisk(hook, reading=True))
            tried += done
            found = self.restored()
            for name, texts in found.items():
                self.assertIn(texts, [state[name] for state in states], f"{name}, {at}")
        self.assertGreater(tried, 20 // self.every)


class InterruptedTests(BackupCase):
    """The process ends, or the disk refuses, at each operation: there is the former backup
    or the new one, and the next run makes the new one.

    @cvar every: 1 for all of them, 2 for every second, and so on.
    """

    every = 7

    def change(self) -> None:
        """Whatever a backup has to carry over."""
        self.append()
        self.seal()
        self.vacuum()
        self.append()

    def check(self, former: object, where: str) -> None:
        current = contents(self.source)
        self.assertIn(self.restored(), (former, current), where)
        self.back_up()
        self.assertEqual(self.restored(), current, where)
        self.assertEqual(contents(self.target), current, where)
        names = {name for path in os.listdir(self.target) for name in [path] if ".new" in name}
        self.assertEqual(names, set(), where)

    def test_killed_at_each_operation_of_a_later_one(self) -> None:
        self.back_up()
        killed = 0
        for at in itertools.count(1, self.every):
            former = contents(self.source)
            if at % 4:
                self.change()
            else:
                self.clear()
                self.append()
            try:
                self.back_up(kill_at(at))
            except Killed:
                killed += 1
                self.check(former, f"killed at {at}")
            else:
                break
        self.assertGreater(killed, 20 // self.every)

    def test_killed_at_each_operation_after_a_repair(self) -> None:
        # What was damaged has the same name after it, and other contents.
        killed = 0
        for at in itertools.count(1, self.every):
            self.append()
            self.seal()
            self.back_up(UnlinkableDisk())
            former = contents(self.source)
            self.damage_and_repair()
            current = contents(self.source)
            self.assertNotEqual(current, former)
            try:
                self.back_up(kill_at(at))
            except Killed:
                killed += 1
                found = self.restored()
                for name, texts in found.items():
                    self.assertIn(texts, (former[name], current[name]), f"{name}, {at}")
                self.check(found, f"killed at {at}")
            else:
                break
        self.assertGreater(killed, 20 // self.every)

    def damage_and_repair(self) -> None:
        """Lose the records of the newest sealed file of each journal."""
        for name, store in self.stores.items():
            store.close()
            directory = os.path.join(self.source, name)
            path = os.path.join(
                directory, max(file for file in os.listdir(directory) if file.endswith(".sealed"))
            )
            with open(path, "r+b") as file:
                quarter = os.path.getsize(path) // 4
                file.seek(quarter)
                file.write(bytes(2 * quarter))
            repair(directory, QuickDisk(), lambda done, of: None)
            self.stores[name] = self.open_store(name)

    def test_killed_at_each_operation_of_the_first(self) -> None:
        killed = 0
        for at in itertools.count(1, self.every):
            self.target = self.mktemp()
            try:
                self.back_up(kill_at(at))
            except Killed:
                killed += 1
                try:
                    self.assertEqual(self.restored(), contents(self.source))
                except BackupFailed as error:
                    self.assertRegex(str(error), "no backup|interrupted")
                self.back_up()
                self.assertEqual(self.restored(), contents(self.source), str(at))
            else:
                break
        self.assertGreater(killed, 20 // self.every)

    def test_the_disk_refuses(self) -> None:
        self.back_up()
        refused = 0
        for fault in FAULTS:
            for at in itertools.count(1, 2 * self.every):
                former = contents(self.source)
                self.change()
                disk = FaultyDisk(QuickDisk(), fault, at, 1)
                try:
                    self.back_up(disk)
                except (BackupFailed, JournalUnreadable):
                    refused += 1
                self.check(former, f"{fault} at {at}")
                if disk.operations < at:
                    break
        self.assertGreater(refused, 60 // self.every)


class ManifestTests(SynchronousTestCase):
    """The manifest's JSON."""

    manifest = Manifest(
        time_us=5,
        journals={
            "log": ManifestJournal(
                first=1,
                last=7,
                records=7,
                cleared_through=0,
                cleared_us=0,
                files=(
                    ManifestFile(
                        name="00000001-00000000000000000001-00005a17.rows",
                        size_bytes=99,
                        sha256="00" * 32,
                    ),
                ),
            )
        },
    )

    def test_it_is_read_as_it_was_written(self) -> None:
        self.assertEqual(decode_manifest("m", encode_manifest(self.manifest)), self.manifest)

    @given(st.data())
    def test_a_byte_that_was_changed_is_found(self, data: st.DataObject) -> None:
        raw = bytearray(encode_manifest(self.manifest))
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= data.draw(st.integers(1, 255))
        try:
            found = decode_manifest("m", bytes(raw))
        except BackupFailed:
            return
        # White space has no meaning.
        self.assertEqual(found, self.manifest)

    @given(st.binary(max_size=60))
    def test_what_is_no_manifest(self, raw: bytes) -> None:
        with self.assertRaises(BackupFailed):
            decode_manifest("m", raw)

    def test_names_are_those_of_segments(self) -> None:
        raw = encode_manifest(self.manifest)
        file = ManifestFile(name="../../etc/passwd", size_bytes=1, sha256="")
        journal = ManifestJournal(
            first=1, last=1, records=1, cleared_through=0, cleared_us=0, files=(file,)
        )
        for journals in ({"log": journal}, {"..": self.manifest.journals["log"]}):
            raw = encode_manifest(Manifest(time_us=1, journals=journals))
            with self.assertRaises(BackupFailed):
                decode_manifest(MANIFEST_NAME, raw)

    def test_a_newer_format(self) -> None:
        raw = encode_manifest(self.manifest).replace(b'"format": 1', b'"format": 2')
        with self.assertRaisesRegex(BackupFailed, "format 2; this stationd reads format 1"):
            decode_manifest("m", raw)
