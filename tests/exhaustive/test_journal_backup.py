"""A backup and a restore are interrupted at each of their operations, the power goes at each, and
the writer works before each of them, or all the time in another process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from stationd.journal.backup import back_up
from stationd.journal.backup_restore import restore_backup
from stationd.journal.disk import Disk
from stationd.journal.verify import verify
from tests.journal import test_backup, test_backup_power, test_backup_restore
from tests.journal.backup_case import contents

WRITER = """
import itertools, os, sys, time
from stationd.interfaces import Retention
from stationd.journal.disk import Disk
from stationd.journal.seal import seal_segment
from stationd.journal.store import Store
from tests.contracts.journal import draft
salts = itertools.count(9)
stores = [Store(os.path.join(sys.argv[1], name), 2000, Disk(), lambda: 5, salts.__next__)
          for name in ("log", "event")]
print("open", flush=True)
until = time.monotonic() + 15
while time.monotonic() < until:
    for store in stores:
        number = store.commit([draft(f"text {store.view.last + 1}")])
        if segment := store.next_to_seal():
            store.install_sealed(segment, seal_segment(store.disk, segment, lambda: None))
        if number % 100 == 0:
            store.vacuum(Retention(max_age_us=None, max_bytes=20_000))
        if number % 1000 == 999:
            store.clear(9)
for store in stores:
    store.close()
"""


class BesideWriterTests(test_backup.BesideWriterTests):
    """Before each."""

    every = 1


class InterruptedBackupTests(test_backup.InterruptedTests):
    """At each."""

    every = 1


class InterruptedRestoreTests(test_backup_restore.InterruptedTests):
    """At each."""

    every = 1


class PowerCutTests(test_backup_power.PowerCutTests):
    """At each."""

    every = 1


class OtherProcessTests(SynchronousTestCase):
    """A writer that does not wait."""

    def test_each_backup_beside_it_is_whole(self) -> None:
        source, target = self.mktemp(), self.mktemp()
        made = last = 0
        command = [sys.executable, "-c", WRITER, source]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
            assert writer.stdout is not None and writer.stderr is not None
            self.assertEqual(writer.stdout.readline(), b"open\n")
            while writer.poll() is None:
                report = back_up(
                    source, ["log", "event"], target, Disk(), lambda: 7, lambda done, of: None
                )
                self.assertEqual(report.damage, ())
                directory = self.mktemp()
                restore_backup(target, directory, Disk(), lambda done, of: None, force=False)
                found = contents(directory)
                for name, journal in report.manifest.journals.items():
                    numbers = list(range(journal.first, journal.last + 1))
                    self.assertEqual(list(found[name]), numbers[: len(found[name])])
                    self.assertEqual(len(found[name]), journal.records)
                    for number, text in found[name].items():
                        self.assertEqual(text, f"text {number}")
                    path = os.path.join(directory, name)
                    self.assertEqual(verify(path, lambda done, of: None).damage, ())
                self.assertGreaterEqual(report.manifest.journals["log"].last, last)
                last = report.manifest.journals["log"].last
                shutil.rmtree(directory)
                made += 1
            self.assertEqual(writer.stderr.read(), b"")
        self.assertGreater(made, 5)
        self.assertGreater(last, 100)
