"""C{stationctl journal}."""

from __future__ import annotations

import io
import os
import sys

from twisted.trial.unittest import SynchronousTestCase

from stationd.cli.main import main
from stationd.journal.disk import Disk
from stationd.journal.store import Store
from tests.contracts.journal import draft


class JournalTests(SynchronousTestCase):
    """A directory with two journals in it."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.salt = 0
        for name in ("event", "log"):
            store = self.store(name)
            for text in "abc":
                store.commit([draft(text)])
            store.close()
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)

    def store(self, name: str) -> Store:
        def salt() -> int:
            self.salt += 1
            return self.salt

        return Store(os.path.join(self.directory, name), 1 << 20, Disk(), lambda: 5, salt)

    def ctl(self, *arguments: str) -> int:
        return main(["journal", *arguments])

    def test_all_is_well(self) -> None:
        self.assertEqual(self.ctl("verify", self.directory), 0)
        event, log = self.out.getvalue().splitlines()
        self.assertRegex(
            event, r"/event: 3 records in 1 file, \d+ bytes, first number 1, last number 3: whole$"
        )
        self.assertRegex(log, r"/log: 3 records in 1 file, .*, last number 3: whole$")
        self.assertEqual(self.ctl("repair", self.directory), 0)
        self.assertEqual(self.out.getvalue().splitlines()[3], f"{self.directory}/log: whole")
        self.assertEqual(self.err.getvalue(), "")

    def test_damage_is_told_and_mended(self) -> None:
        log = os.path.join(self.directory, "log")
        (name,) = (name for name in os.listdir(log) if name.endswith(".rows"))
        with open(os.path.join(log, name), "r+b") as file:
            file.seek(60)
            file.write(b"\xff\xff")
        self.assertEqual(self.ctl("verify", self.directory), 1)
        self.assertIn(f"damage: {log}/{name}, byte 48: ", self.out.getvalue())
        self.assertIn("last number 3: damaged\n", self.out.getvalue())
        self.assertEqual(
            self.err.getvalue(),
            f"stationctl: damaged: {log}; 'stationctl journal repair' mends it\n",
        )
        self.assertEqual(self.ctl("repair", log), 0)
        self.assertIn("now has the 2 records that can be read; 1 are lost", self.out.getvalue())
        self.assertIn(f"{log}: 1 file repaired\n", self.out.getvalue())
        self.assertEqual(self.ctl("verify", log), 0)
        self.assertIn(f"note: {log}/{name}.damaged was set aside\n", self.out.getvalue())

    def test_what_is_no_journal(self) -> None:
        empty = self.mktemp()
        os.makedirs(empty)
        for directory, said in (
            (empty, f"{empty} is no journal and has none in it"),
            (self.mktemp(), "No such file or directory"),
        ):
            self.assertEqual(self.ctl("verify", directory), 1)
            self.assertIn(said, self.err.getvalue())

    def test_repair_needs_the_daemon_to_be_stopped(self) -> None:
        store = self.store("log")
        self.addCleanup(store.close)
        self.assertEqual(self.ctl("repair", os.path.join(self.directory, "log")), 1)
        self.assertIn(f"is open for writing in process {os.getpid()}", self.err.getvalue())

    def test_progress_on_a_terminal(self) -> None:
        from stationd.cli import progress

        self.patch(progress, "PROGRESS_INTERVAL", 0.0)
        self.patch(self.err, "isatty", lambda: True)
        self.assertEqual(self.ctl("verify", os.path.join(self.directory, "log")), 0)
        self.assertIn("log: 0 %\r", self.err.getvalue())
        self.assertTrue(self.err.getvalue().endswith("\r\x1b[K"))
