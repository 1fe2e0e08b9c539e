"""C{stationctl journal backup}, C{restore} and C{verify --manifest}."""

from __future__ import annotations

import io
import os
import shutil
import sys

from stationd.cli import progress
from stationd.cli.main import main
from tests.journal.backup_case import BackupCase, contents


class BackupCommandTests(BackupCase):
    """On a command line."""

    def setUp(self) -> None:
        super().setUp()
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)

    def ctl(self, *arguments: str) -> int:
        return main(["journal", *arguments])

    def said(self) -> str:
        """What was printed since this was called last."""
        text = self.out.getvalue()
        self.out.seek(0)
        self.out.truncate()
        return text

    def test_a_backup_is_one_line(self) -> None:
        self.assertEqual(self.ctl("backup", "--directory", self.source, self.target), 0)
        self.assertRegex(
            self.said(),
            rf"^{self.target}: log to number 12, event to number 12; files: \d+ copied, "
            r"\d+ linked, 0 unchanged; [\d,]+ bytes copied\n$",
        )
        self.assertEqual(self.ctl("backup", "--directory", self.source, self.target), 0)
        self.assertRegex(
            self.said(), r"files: 0 copied, 0 linked, \d+ unchanged; 0 bytes copied\n$"
        )
        self.assertEqual(contents(self.target), contents(self.source))

    def test_of_a_damaged_journal(self) -> None:
        log = os.path.join(self.source, "log")
        rows = next(name for name in os.listdir(log) if name.endswith(".rows"))
        with open(os.path.join(log, rows), "r+b") as file:
            file.write(b"\xff")
        self.assertEqual(self.ctl("backup", "--directory", self.source, self.target), 1)
        self.assertIn("log to number 12", self.said())
        damage, error = self.err.getvalue().splitlines()
        self.assertRegex(damage, rf"^damage: .*{rows}, byte 0: the file header is damaged$")
        self.assertRegex(error, "^stationctl: backed up with its damage: ")

    def test_restore(self) -> None:
        self.back_up()
        directory = self.mktemp()
        self.assertEqual(self.ctl("restore", self.target, "--directory", directory), 0)
        self.assertEqual(
            self.said(),
            f"{directory}/log: restored 12 records, last number 12\n"
            f"{directory}/event: restored 12 records, last number 12\n",
        )
        self.assertEqual(self.ctl("restore", self.target, "--directory", directory), 1)
        self.assertEqual(
            self.err.getvalue(),
            f"stationctl: {directory}/log: the journal is not empty; --force sets it aside under "
            "another name\n",
        )
        self.assertEqual(self.ctl("restore", "--force", self.target, "--directory", directory), 0)
        self.assertIn(f"note: what was there is kept as {directory}/log.before-re", self.said())
        # What was set aside is none of the journals in the directory.
        self.assertEqual(self.ctl("verify", directory), 0)
        self.assertEqual(len(self.said().splitlines()), 2)

    def test_restore_while_the_daemon_runs(self) -> None:
        self.back_up()
        self.assertEqual(self.ctl("restore", "--force", self.target, "--directory", self.source), 1)
        self.assertIn(f"is open for writing in process {os.getpid()}", self.err.getvalue())

    def test_verify_compares_a_backup_with_its_manifest(self) -> None:
        self.back_up()
        self.assertEqual(self.ctl("verify", self.target), 0)
        last = self.said().splitlines()[-1]
        self.assertEqual(last, f"{self.target}: complete by the manifest of {self.target}")
        log = os.path.join(self.target, "log")
        newest = os.path.join(log, max(name for name in os.listdir(log)))
        os.unlink(newest)
        self.assertEqual(self.ctl("verify", self.target), 1)
        said = self.said()
        self.assertIn("log: ", said)
        self.assertIn(": whole\n", said)
        self.assertIn(f"missing: {newest} is missing; the manifest has it\n", said)
        self.assertEqual(
            self.err.getvalue(),
            f"stationctl: incomplete: {self.target}; restore a whole backup, or copy it again\n",
        )

    def test_verify_compares_a_copy_with_a_backup(self) -> None:
        self.back_up()
        copy = self.mktemp()
        shutil.copytree(self.source, copy)
        self.assertEqual(self.ctl("verify", copy, "--manifest", self.target), 0)
        log = os.path.join(copy, "log")
        os.unlink(os.path.join(log, max(name for name in os.listdir(log) if name != "lock")))
        self.assertEqual(self.ctl("verify", copy), 0)
        self.assertEqual(self.ctl("verify", copy, "--manifest", self.target), 1)
        self.assertRegex(self.said(), "missing: .*log ends with record .*the manifest ends with 12")
        self.assertEqual(self.ctl("verify", copy, "--manifest", self.source), 1)
        self.assertIn("no backup: it has no manifest.json", self.err.getvalue())

    def test_an_empty_journal_has_a_last_number(self) -> None:
        self.clear()
        self.assertEqual(self.ctl("verify", os.path.join(self.source, "log")), 0)
        self.assertRegex(self.said(), "log: 0 records in 0 files, .* bytes, last number 12: whole$")

    def test_progress_on_a_terminal(self) -> None:
        self.patch(progress, "PROGRESS_INTERVAL", 0.0)
        self.patch(self.err, "isatty", lambda: True)
        self.assertEqual(self.ctl("backup", "--directory", self.source, self.target), 0)
        self.assertIn(f"{self.target}: 100 %", self.err.getvalue())
        self.assertTrue(self.err.getvalue().endswith("\r\x1b[K"))
