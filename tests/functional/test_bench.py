"""The benchmarks run, and print every row. How fast anything is, they do not assert."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import TestCase

from benchmarks.corpus import WORD, groups, records, watched
from benchmarks.journald import missing
from benchmarks.table import ASKED, FIGURES, tables
from benchmarks.timing import Result
from tests.functional import lab
from tests.test_layers import ROOT


class BenchTests(TestCase):
    """A short run, and the table by itself."""

    timeout = 300

    def test_every_row_has_a_number(self) -> None:
        command = [sys.executable, "-m", "benchmarks", "--records", "5000", "--many", "0"]
        command += ["--rounds", "1", "--directory", self.mktemp_directory()]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        lines = [
            [cell.strip() for cell in line.split("|")[1:]]
            for line in done.stdout.splitlines()
            if "|" in line
        ]
        figures = {line[0]: line[1:] for line in lines}
        for row in FIGURES:
            self.assertTrue(figures[row.what][0], row.key)
        for row in ASKED:
            (at,) = [number for number, line in enumerate(lines) if line[0] == row.what]
            for line, name in zip(lines[at:], ("stationd", "SQLite"), strict=False):
                self.assertEqual(line[1], name)
                self.assertTrue(all(line[2:5]), row.key)
        if reason := missing():
            self.assertIn(f"journald is left out: {reason}", done.stdout)
        else:
            self.assertEqual([line[1] for line in lines].count("journald"), len(ASKED) - 2)

    def test_the_corpus_is_the_same_for_everybody_and_like_life(self) -> None:
        found = [(journal, draft) for group in groups(5000) for journal, draft in records(group)]
        self.assertEqual(found, [one for group in groups(5000) for one in records(group)])
        log = [draft for journal, draft in found if journal == "log"]
        self.assertEqual(len(log), 5000)
        self.assertEqual(sum(WORD in draft.text for draft in log), 25)
        told = [draft.origin for draft in log if draft.category == "container"]
        self.assertGreater(sum(one.startswith("docker:") for one in told), len(told) // 2)
        self.assertTrue(any(one.startswith("lxc:run:") for one in told))
        about = [draft.text for draft in log if draft.container == watched()]
        self.assertTrue(about)
        self.assertFalse(any(text.startswith("Destroy") for text in about))
        short_lived = {draft.container for draft in log if draft.text.startswith("Destroy")}
        self.assertGreater(len(short_lived), 200)

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
        fast = next(row for row in FIGURES if row.key == "append wall")
        for spent, marked in ((51.0, True), (50.0, False)):
            line = self.line(fast.what, {fast.key: spent}, sqlite={fast.key: 100.0})
            self.assertEqual("missed" in line, marked)
        bounded = next(row for row in ASKED if row.key == "hour")
        key = "hour:again"
        for ours, many, marked in ((1.0, 1.0, False), (0.5, 1.1, True), (1.1, 0.5, True)):
            line = self.line(bounded.what, {key: ours, "hour:cold": 9.0}, many={key: many})
            self.assertEqual("missed" in line, marked)

    def test_of_several_rounds_the_median_and_the_spread_are_shown(self) -> None:
        key, what = FIGURES[0].key, FIGURES[0].what
        rounds = {"stationd": [4.0, 2.0, 3.0], "sqlite": [7.0, 6.0, 5.0]}
        printed = tables({name: [{key: one} for one in found] for name, found in rounds.items()})
        (line,) = [line for line in printed.splitlines() if what in line]
        self.assertIn("| 3 (2..4) ", line)
        self.assertIn("| 6 (5..7), 2 x ", line)

    def line(self, what: str, ours: Result, **others: Result) -> str:
        """The line of a row, after one round."""
        printed = tables({"stationd": [ours]} | {name: [one] for name, one in others.items()})
        (line,) = [line for line in printed.splitlines() if f"| {what} " in line]
        return line
