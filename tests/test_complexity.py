"""The functions that are too complex are those that C{pyproject.toml} says."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.test_layers import ROOT

EXCEPTION = re.compile(r'^"(.+)" = \["C901"\] # (.+)$', re.M)

FOUND = re.compile(r"^(.+?):\d+:\d+: C901 `(\w+)` is too complex \((\d+) > \d+\)$", re.M)

WITHOUT_EXCEPTIONS = ("--select", "C901", "--config", "lint.per-file-ignores={}")


class ComplexityTests(SynchronousTestCase):
    """The tree as it is."""

    def test_exceptions_are_listed_one_by_one(self) -> None:
        with open(os.path.join(ROOT, "pyproject.toml"), encoding="utf-8") as file:
            lines = EXCEPTION.findall(file.read())
        listed = [f"{path} {one}" for path, functions in lines for one in functions.split(", ")]
        command = [sys.executable, "-m", "ruff", "check", "--no-cache", *WITHOUT_EXCEPTIONS]
        done = subprocess.run(
            [*command, "--output-format", "concise", "."],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertIn(done.returncode, (0, 1), done.stderr)
        found = [
            f"{path} {function} {number}" for path, function, number in FOUND.findall(done.stdout)
        ]
        self.assertEqual(sorted(listed), sorted(found))
