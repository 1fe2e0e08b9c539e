"""Containers of a user who is not root, in an LXC path of their own beside root's."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import tempfile

from twisted.trial.unittest import TestCase

from stationd_plugins.host import cgroups, process
from tests.functional import lab
from tests.functional.daemon import Daemon, eventually
from tests.functional.lxc import Lxc

USER = pwd.getpwnam("games")
"""Somebody whom every Debian has, and who runs nothing."""

CGROUP = "stationd-user"
"""What is delegated to the user in each hierarchy."""

MAPPING = f"""lxc.net.0.type = empty
lxc.idmap = u 0 {USER.pw_uid} 1
lxc.idmap = g 0 {USER.pw_gid} 1
"""
"""Whoever is root inside is the user outside."""


class UsersLxc(Lxc):
    """The same, as the user."""

    def __init__(self) -> None:
        super().__init__()
        layout = cgroups.parse_layout(process.read_text("/proc/self/mounts"), "/sys/fs/cgroup")
        mounts = {layout.unified, *layout.controllers.values()} - {""}
        self.delegated = sorted(f"{mount}/{CGROUP}" for mount in mounts)
        for directory in self.delegated:
            self._delegate(directory)
        joins = "; ".join(f"echo $$ > {directory}/cgroup.procs" for directory in self.delegated)
        user = ("setpriv", f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}", "--clear-groups")
        # Not in the path: what is made there wakes us.
        self.home = tempfile.mkdtemp(prefix="stationd-home-")
        os.chown(self.home, USER.pw_uid, USER.pw_gid)
        own = f"env HOME={self.home} XDG_RUNTIME_DIR={self.home}"
        self.prefix = ("sh", "-c", f'{joins}; exec {" ".join(user)} {own} "$@"', "sh")

    def _delegate(self, directory: str) -> None:
        os.makedirs(directory, exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            above = os.path.join(os.path.dirname(directory), name)
            if os.path.exists(above):
                with open(os.path.join(directory, name), "w", encoding="ascii") as file:
                    file.write(process.read_text(above))
        for name in ("", "tasks", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
            with contextlib.suppress(FileNotFoundError):
                os.chown(os.path.join(directory, name), USER.pw_uid, USER.pw_gid)

    def create(self, name: str, network: str = MAPPING) -> None:
        super().create(name, network)
        for directory, names, files in os.walk(self.path):
            for one in (directory, *(os.path.join(directory, each) for each in names + files)):
                os.chown(one, USER.pw_uid, USER.pw_gid, follow_symlinks=False)

    def close(self) -> None:
        super().close()
        shutil.rmtree(self.home, ignore_errors=True)
        for delegated in self.delegated:
            for directory, _, _ in os.walk(delegated, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)


class UsersTests(TestCase):
    """Root's path, and a user's."""

    timeout = 120

    def setUp(self) -> None:
        lab.need_lxc()
        self.roots = Lxc()
        self.addCleanup(self.roots.close)
        self.users = UsersLxc()
        self.addCleanup(self.users.close)
        self.daemon = Daemon(lxc=[self.roots.path, self.users.path])
        self.addCleanup(self.daemon.close)
        self.daemon.start("lxc")

    def seen(self, name: str) -> list[str]:
        return [e["state"] for e in self.daemon.events() if e["container"] == name]

    def expect(self, name: str, *states: str) -> None:
        """That these are seen, by whichever scan: which one asked for is for the unit tests."""
        found = eventually(lambda: self.seen(name) == list(states))
        self.assertTrue(found, f"{name}: {self.seen(name)}\n{self.daemon.said()[-2000:]}")

    def test_both_are_watched(self) -> None:
        self.roots.create("roots")
        self.users.create("users")
        self.expect("roots", "create")
        self.expect("users", "create")
        self.roots.run("start", "roots")
        self.users.run("start", "users")
        self.expect("roots", "create", "start")
        states = ["create", "start"]
        self.expect("users", *states)
        shown = self.daemon.get("/api/v1/container/lxc/users")
        self.assertGreater(shown["memory"], 0)
        self.assertLess(shown["memory"], 64 << 20)
        for command, state in (
            ("freeze", "pause"),
            ("unfreeze", "unpause"),
            ("stop", "stop"),
            ("start", "start"),
            ("stop", "stop"),
        ):
            self.users.run(command, "users", *(["-k"] if command == "stop" else []))
            states.append(state)
            self.expect("users", *states)
        self.assertEqual(self.seen("roots"), ["create", "start"])
        self.assertNotIn("lost lxc", self.daemon.said())
