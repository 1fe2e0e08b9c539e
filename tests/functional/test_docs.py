"""The examples of C{docs/api.md} are what happens."""

from __future__ import annotations

import os
import re
import subprocess

from twisted.trial.unittest import TestCase

from tests.functional.daemon import Daemon
from tests.test_layers import ROOT


class ApiPageTests(TestCase):
    """One daemon, all examples in order."""

    timeout = 60

    def test_examples(self) -> None:
        with open(os.path.join(ROOT, "docs", "api.md"), encoding="utf-8") as file:
            blocks = re.findall(r"^```console\n(.*?)^```", file.read(), re.M | re.S)
        self.assertGreater(len(blocks), 6)
        daemon = Daemon()
        self.addCleanup(daemon.close)
        daemon.start()
        for block in blocks:
            for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
                script = command.replace("$S", f"curl -s --unix-socket {daemon.socket}")
                done = subprocess.run(
                    ["sh", "-c", script], capture_output=True, text=True, check=True
                )
                pattern = ".*".join(map(re.escape, expected.rstrip("\n").split("…")))
                self.assertRegex(done.stdout.rstrip("\n"), f"^{pattern}$", command)
