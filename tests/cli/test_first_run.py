"""What C{make run} prepares."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from stationd.cli.first_run import main
from stationd.config import load_settings
from stationd.web.users_file import read_users


class FirstRunTests(SynchronousTestCase):
    """A directory for a first run."""

    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())

    def prepare(self) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            main(self.directory)
        return output.getvalue()

    def test_a_configuration_and_an_administrator(self) -> None:
        output = self.prepare()
        settings = load_settings(os.path.join(self.directory, "stationd.toml"))
        self.assertEqual(settings.directory, self.directory)
        self.assertEqual(settings.users, os.path.join(self.directory, "users"))
        self.assertTrue(read_users(settings.users)["admin"].admin)
        self.assertRegex(output, r"log in as admin, password \S+ \(shown once\)")

    def test_what_is_there_stays(self) -> None:
        self.prepare()
        with open(os.path.join(self.directory, "users"), encoding="utf-8") as file:
            before = file.read()
        self.assertEqual(self.prepare(), "")
        with open(os.path.join(self.directory, "users"), encoding="utf-8") as file:
            self.assertEqual(file.read(), before)

    def test_without_a_directory_it_says_what_it_takes(self) -> None:
        command = [sys.executable, "-m", "stationd.cli.first_run"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "usage: python -m stationd.cli.first_run DIRECTORY\n")
