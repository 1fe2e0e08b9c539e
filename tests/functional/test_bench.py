"""The benchmarks run, and print every row. How fast anything is, they do not assert."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import TestCase

from benchmarks.journald import missing
from benchmarks.table import ROWS, Row, table
from tests.functional import lab
from tests.test_layers import ROOT


class BenchTests(TestCase):
    """A short run, and the table by itself."""

    timeout = 300

    def test_every_row_has_a_number(self) -> None:
        command = [sys.executable, "-m", "benchmarks", "--records", "20000", "--many", "0"]
        command += ["--directory", self.mktemp_directory()]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = {
            line.split("|")[1].strip(): line for line in done.stdout.splitlines() if "|" in line
        }
        for row in ROWS:
            ours = lines[row.what].split("|")[2].strip()
            # Too few records for a sealed segment.
            self.assertEqual(bool(ours), row.key != "bytes", row.key)
        if reason := missing():
            self.assertIn(f"journald is left out: {reason}", done.stdout)
        else:
            self.assertTrue(lines["newest 20, ms"].split("|")[6].strip())

    def mktemp_directory(self) -> str:
        directory: str = self.mktemp()
        os.makedirs(directory)
        return os.path.abspath(directory)

    def test_latency(self) -> None:
        lab.docker_url()
        lab.need_lxc()
        command = [sys.executable, "-m", "benchmarks.latency", "10"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        for what in ("docker events", "lxc-monitor"):
            (line,) = [line for line in done.stdout.splitlines() if f"beside `{what}`" in line]
            numbers = [float(cell) for cell in line.split("|")[2:5]]
            self.assertTrue(all(number > -1000 for number in numbers), line)
        self.assertRegex(
            done.stdout, r"figures of one container: [\d.]+ ms, `docker stats` [\d,]+ ms"
        )

    def test_what_misses_its_target_is_marked(self) -> None:
        fast: Row = next(row for row in ROWS if row.key == "append")
        for rate, marked in ((199.0, True), (200.0, False)):
            printed = table({"append": rate}, {}, {"append": 100.0}, {})
            (line,) = [line for line in printed.splitlines() if fast.what in line]
            self.assertEqual("missed" in line, marked)
        bounded: Row = next(row for row in ROWS if row.key == "hour")
        for ours, many, marked in ((1.0, 1.0, False), (0.5, 1.1, True), (1.1, 0.5, True)):
            printed = table({"hour": ours}, {"hour": many}, {}, {})
            (line,) = [line for line in printed.splitlines() if bounded.what in line]
            self.assertEqual("missed" in line, marked)
