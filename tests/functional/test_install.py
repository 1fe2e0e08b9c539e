"""The installation of C{docs/operating.md}, word by word, on a fresh Debian 12."""

from __future__ import annotations

import os
import re

from twisted.trial.unittest import TestCase

from tests.functional.daemon import eventually
from tests.functional.debian import Debian
from tests.functional.lab import need_lxc
from tests.test_layers import ROOT

WAIT = 120.0
"""Seconds in which what is to happen has happened, on a busy machine."""

SOCKET = "/run/stationd/api.sock"

ANSWERS = f"curl -sf --max-time 30 --unix-socket {SOCKET} http://stationd/healthz"


def commands(heading: str) -> list[str]:
    """The commands of the first block below a heading."""
    with open(os.path.join(ROOT, "docs", "operating.md"), encoding="utf-8") as file:
        text = file.read()
    found = re.search(rf"^#+ {heading}\n.*?^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1].splitlines()


class InstallTests(TestCase):
    """One Debian; from nothing to nothing."""

    timeout = 1200

    def setUp(self) -> None:
        need_lxc()
        self.debian = Debian()
        self.addCleanup(self.debian.close)
        self.debian.boot()

    def follow(self, heading: str) -> None:
        """Do what the documentation says."""
        for command in commands(heading):
            self.debian.run(command)

    def answers(self) -> bool:
        return self.debian.attach(ANSWERS).stdout == "ok\n"

    def main_pid(self) -> str:
        return self.debian.run("systemctl show -P MainPID stationd")

    def assert_serves(self, *, restarts: str) -> None:
        self.assertTrue(eventually(self.answers, WAIT), self.log())
        state = self.debian.run("systemctl show -p ActiveState -p NRestarts stationd")
        expected = {"ActiveState=active", f"NRestarts={restarts}"}
        self.assertEqual(set(state.split()), expected, self.log())
        mode = self.debian.run(f"stat -c '%a %U %G %F' {SOCKET}")
        self.assertEqual(mode, "660 root stationd socket\n")

    def log(self) -> str:
        return self.debian.attach("journalctl --no-pager -u stationd -u stationd.socket").stdout

    def test_from_installing_to_uninstalling(self) -> None:
        before = self.files()
        self.follow("Installing it for good")
        self.assert_serves(restarts="0")
        self.assertIn("admin", self.debian.run("stationctl user list"))
        self.assertIn("stationd", self.debian.run("man --where stationd stationctl"))
        self.assertIn("flight recorder", self.debian.run("man stationd"))
        self.signals()
        self.killed()
        self.follow("A socket made by systemd")
        self.restarts()
        self.assertNotIn("\0", self.log())
        self.assertNotIn("Traceback", self.log())
        self.assertNotIn("plugin cache", self.log())
        self.follow("Uninstalling")
        left = self.files() - before
        self.assertEqual([path for path in left if not path.startswith("/var/lib/stationd")], [])
        self.assertTrue(any(path.startswith("/var/lib/stationd/log/") for path in left), left)

    def signals(self) -> None:
        """Reloading, and what else does not end it."""
        pid = self.main_pid()
        self.debian.run("sed -i 's/^retain_days = 0/retain_days = 7/' /etc/stationd/stationd.toml")
        self.debian.run("systemctl reload stationd")
        expected = "journal.retain_days from 0 to 7"
        self.assertTrue(eventually(lambda: expected in self.log(), WAIT), self.log())
        for name in ("HUP", "USR1", "USR2", "ALRM", "PIPE"):
            self.debian.run(f"systemctl kill -s {name} stationd")
        self.assert_serves(restarts="0")
        self.assertEqual(self.main_pid(), pid)

    def killed(self) -> None:
        """It comes back, and its own socket is no hindrance."""
        self.debian.run("systemctl kill -s KILL stationd")
        restarted = "systemctl show -P NRestarts stationd"
        self.assertTrue(eventually(lambda: self.debian.run(restarted) == "1\n", WAIT), self.log())
        self.assert_serves(restarts="1")

    def restarts(self) -> None:
        """The socket unit's socket is the same over restarts, and no client is refused."""
        inode = self.debian.run(f"stat -c %i {SOCKET}")
        for _ in range(3):
            self.debian.run("systemctl restart stationd")
            # At once: systemd holds the socket, and the answer comes when it is ready.
            self.assertEqual(self.debian.run(ANSWERS), "ok\n")
            self.assert_serves(restarts="0")
        self.assertEqual(self.debian.run(f"stat -c %i {SOCKET}"), inode)

    def files(self) -> set[str]:
        """What has to do with us, outside of the clone and the kernel's file systems."""
        find = "find / -xdev -path /root -prune -o -path '*station*' -print"
        more = "find /run /tmp -path '*station*' -print"
        return set(self.debian.run(f"{find}; {more}").splitlines())
