"""C{stationctl user}."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from stationd.cli.main import main
from stationd.errors import InvalidConfiguration
from stationd.web.users_file import parse_users, read_users, verify_password


class UserTests(SynchronousTestCase):
    """A users file."""

    def setUp(self) -> None:
        self.users = self.mktemp()
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)

    def ctl(self, *arguments: str, given: str = "") -> int:
        self.patch(sys, "stdin", io.StringIO(given))
        return main(["user", "--users", self.users, *arguments])

    def test_add_list_password_remove(self) -> None:
        self.assertEqual(self.ctl("add", "ann", "--admin", "--generate"), 0)
        password = self.out.getvalue().strip()
        account = read_users(self.users)["ann"]
        self.assertTrue(account.admin)
        self.assertTrue(verify_password(password, account.hash))
        self.assertFalse(verify_password(password + "x", account.hash))
        self.assertEqual(stat.S_IMODE(os.stat(self.users).st_mode), 0o600)
        self.assertEqual(self.ctl("add", "bob", "--password-stdin", given="correct horse\n"), 0)
        self.ctl("list")
        self.assertTrue(self.out.getvalue().endswith("ann\tadmin\nbob\tuser\n"))
        self.assertEqual(self.ctl("password", "bob", "--password-stdin", given="battery1\n"), 0)
        self.assertTrue(verify_password("battery1", read_users(self.users)["bob"].hash))
        self.assertEqual(self.ctl("remove", "ann"), 0)
        self.assertEqual(list(read_users(self.users)), ["bob"])

    def test_errors_are_one_line_and_change_nothing(self) -> None:
        for arguments, expected in (
            (("remove", "ann"), "name: 'ann' is not allowed; nobody yet: add one first"),
            (("add", "a:b", "--generate"), "username: 'a:b' is not allowed; 1 to 64"),
            (("add", "ann", "--password-stdin"), "at least 8 characters"),
        ):
            self.assertEqual(self.ctl(*arguments), 1)
            self.assertIn(expected, self.err.getvalue())
            self.assertFalse(os.path.exists(self.users))

    def test_it_starts_without_twisted(self) -> None:
        code = "import sys, stationd.cli.main; print([m for m in sys.modules if 'twisted' in m])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        self.assertEqual(done.stdout.strip(), b"[]")


class FileTests(SynchronousTestCase):
    """What is wrong with a users file is said by line."""

    def test_errors(self) -> None:
        good = "ann:admin:scrypt$16$8$1$c2FsdHNhbHQ=$c2FsdHNhbHQ="
        self.assertEqual(list(parse_users("u", f"# people\n\n{good}\n")), ["ann"])
        for line, expected in (
            ("ann", "the role of ann is ''"),
            ("ann:boss:x", "it can be admin or user"),
            ("ann:user:plain", "is not scrypt"),
            ("ann:user:scrypt$16$8$1$c2FsdHNhbHQ=$eA==", "not one that is safe"),
            ("ann:user:scrypt$999999999$8$1$c2FsdHNhbHQ=$c2FsdHNhbHQ=", "not one that is safe"),
            (good, "ann is there already"),
        ):
            error = self.assertRaises(InvalidConfiguration, parse_users, "u", f"{good}\n{line}")
            self.assertRegex(str(error), rf"^u: line 2: .*{expected}")
