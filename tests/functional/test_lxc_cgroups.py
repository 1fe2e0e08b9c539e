"""Cgroups with names of their own, and several LXC paths."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import unittest
from subprocess import PIPE
from typing import Any

import inotify_simple
from inotify_simple import flags
from twisted.trial.unittest import TestCase

from stationd_plugins.host import cgroups
from stationd_plugins.lxc import command, place
from stationd_plugins.lxc.pace import NET
from stationd_plugins.lxc.scan import look
from tests.functional import lab
from tests.functional.daemon import Daemon, eventually
from tests.functional.lxc import Lxc

EMPTY = "lxc.net.0.type = empty"

HUNGRY = """#!/bin/sh
trap 'exit 0' TERM
tail /dev/zero
while :; do sleep 0.05; done
"""
"""A first process that goes on when another one was killed."""

MARGIN = 0.5
"""Seconds until something that was recorded is seen at most: the scan that saw it is so old."""

OUT_OF_MEMORY = {
    "first": "#!/bin/sh\nexec tail /dev/zero\n",
    "child": "#!/bin/sh\ntail /dev/zero\nexit $?\n",
}
"""First processes that are killed themselves, or say that their child was."""

CGROUPS = {
    "plain": EMPTY,
    "nested": f"{EMPTY}\nlxc.cgroup.dir = stationd-test/nested",
    "relative": f"{EMPTY}\nlxc.cgroup.relative = 1",
    "apart": f"{EMPTY}\nlxc.cgroup.dir.monitor = stationd-test/m\n"
    "lxc.cgroup.dir.container = stationd-test/c\nlxc.cgroup.dir.container.inner = inner",
}
"""Configurations by the name of the container."""

ALONE = 'umount -R -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
"""Runs a command where cgroup v2 is all that is mounted."""

BUSY = """#!/bin/sh
cd /sys/fs/cgroup
busybox mkdir init.scope service
(while :; do :; done) &
echo $! > service/cgroup.procs || exit 1
echo $$ > init.scope/cgroup.procs || exit 1
exec sleep 1000000
"""
"""A first process that goes to a cgroup below, as systemd does. What takes a CPU is in another."""


class CgroupTests(TestCase):
    """Two LXC paths, and containers in both."""

    timeout = 120

    def setUp(self) -> None:
        lab.need_lxc()
        self.paths = [Lxc(), Lxc()]
        for lxc in self.paths:
            self.addCleanup(lxc.close)
        self.layout = cgroups.mounted_hierarchies("/sys/fs/cgroup")
        self.daemon = Daemon(lxc=[lxc.path for lxc in self.paths])
        self.addCleanup(self.daemon.close)

    def test_out_of_memory(self) -> None:
        lxc = self.paths[0]
        limits = "lxc.cgroup.memory.limit_in_bytes = 16M\nlxc.cgroup2.memory.max = 16M"
        lxc.create("hungry", f"{EMPTY}\n{limits}")
        lxc.replace_init("hungry", HUNGRY)
        self.daemon.start("lxc")
        lxc.run("start", "hungry")

        def seen() -> list[str]:
            return [e["state"] for e in self.daemon.events() if e["container"] == "hungry"]

        self.assertTrue(eventually(lambda: seen() == ["found", "start", "oom"]), seen())
        said = [(level, text) for level, _, text in self.daemon.sentences()]
        self.assertIn(("ERROR", "Container ran out of memory (lxc, hungry)"), said)

    def test_stops_for_want_of_memory(self) -> None:
        lxc = self.paths[0]
        limits = "lxc.cgroup.memory.limit_in_bytes = 16M\nlxc.cgroup2.memory.max = 16M"
        for name, script in OUT_OF_MEMORY.items():
            lxc.create(name, f"{EMPTY}\n{limits}")
            lxc.replace_init(name, script)
        self.daemon.start("lxc")
        for name in OUT_OF_MEMORY:
            lxc.run("start", name)

            def stop(name: str = name) -> dict[str, Any]:
                events = self.daemon.events()
                return next(
                    (e for e in events if (e["container"], e["state"]) == (name, "stop")), {}
                )

            self.assertTrue(eventually(stop), name)
            told = {key: stop().get(key) for key in ("exitCode", "oom", "limit")}
            self.assertEqual(told, {"exitCode": 137, "oom": True, "limit": 16 << 20}, name)
            words = f"Container was killed by the kernel, out of memory, limit 16 MiB (lxc, {name})"
            self.assertIn(("ERROR", "container", words), self.daemon.sentences())

    def test_a_kill_of_somebody_elses_is_none_of_the_kernels(self) -> None:
        lxc = self.paths[0]
        lxc.create("killed", EMPTY)
        lxc.run("start", "killed")
        self.daemon.start("lxc")
        lxc.run("stop", "killed", "-k")

        def stop() -> dict[str, Any]:
            return next((e for e in self.daemon.events() if e["state"] == "stop"), {})

        self.assertTrue(eventually(stop))
        self.assertNotIn("oom", stop())

    def test_out_of_memory_in_a_cgroup_below(self) -> None:
        if "memory" not in self.layout.controllers:
            raise unittest.SkipTest("v2 counts it in the cgroup above, too")
        lxc = self.paths[0]
        lxc.create("below", EMPTY)
        lxc.run("start", "below")
        self.daemon.start("lxc")
        seen = look(lxc.path, "below", self.layout)
        assert seen is not None
        service = f"{cgroups.controller_directory(self.layout, seen.cgroups, 'memory')}/service"
        os.mkdir(service)
        with open(f"{service}/memory.limit_in_bytes", "w", encoding="ascii") as file:
            file.write(str(8 << 20))
        hungry = subprocess.Popen(["/bin/sh", "-c", "read go; exec tail /dev/zero"], stdin=PIPE)
        with open(f"{service}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(hungry.pid))
        hungry.communicate(b"\n")
        # As systemd does.
        os.rmdir(service)

        def seen_states() -> list[str]:
            return [event["state"] for event in self.daemon.events()]

        self.assertTrue(eventually(lambda: seen_states() == ["found", "oom"]), seen_states())

    def move_down(self, lxc: Lxc, name: str) -> None:
        """What systemd does as the first process: it goes to a cgroup below."""
        answers = command.ask(lxc.path, name)
        assert answers is not None
        member = cgroups.process_membership(answers.init_pid)
        for controller in (*place.USED, cgroups.UNIFIED):
            scope = f"{cgroups.controller_directory(self.layout, member, controller)}/init.scope"
            os.makedirs(scope, exist_ok=True)
            with open(f"{scope}/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(answers.init_pid))

    def test_wherever_the_first_process_is_a_freeze_is_noticed(self) -> None:
        lxc = self.paths[0]
        for name, configuration in CGROUPS.items():
            lxc.create(name, configuration)
            lxc.run("start", name)
            self.move_down(lxc, name)
            seen = look(lxc.path, name, self.layout)
            assert seen is not None
            with inotify_simple.INotify() as watches:
                for path in seen.watch:
                    watches.add_watch(path, flags.MODIFY)
                lxc.run("freeze", name)
                heard = watches.read(timeout=1000)
                lxc.run("unfreeze", name)
                self.assertTrue(heard, name)
            lxc.run("stop", name, "-k")

    def test_the_life_of_each(self) -> None:
        self.daemon.start("lxc")
        scanned = time.monotonic()
        for index, (name, configuration) in enumerate(CGROUPS.items()):
            lxc = self.paths[index % 2]
            lxc.create(name, configuration)
            states = ["create"]

            def seen(name: str = name) -> list[str]:
                return [e["state"] for e in self.daemon.events() if e["container"] == name]

            for change, state in (
                ("start", "start"),
                ("freeze", "pause"),
                ("unfreeze", "unpause"),
                ("stop", "stop"),
                ("destroy", "destroy"),
            ):
                lxc.run(change, name, *(["-k"] if change == "stop" else []))
                states.append(state)
                # Sooner than by the scan that nothing asks for.
                within = scanned + NET - MARGIN - time.monotonic()
                found = eventually(lambda states=states: seen() == states, within)
                self.assertTrue(found, f"{name}: {seen()}, {within} s")
                scanned = time.monotonic()
                if change == "start":
                    shown = self.daemon.get(f"/api/v1/container/lxc/{name}")
                    self.assertGreater(shown["memory"], 0, name)


class UnifiedLxc(Lxc):
    """The same where cgroup v2 is all that is mounted.

    @param namespace: of the cgroup that is the root there, C{""} for the hierarchy's.
    """

    def __init__(self, namespace: str = "") -> None:
        super().__init__()
        unshare = ["unshare", "-m", "--propagation", "private", *(["-C"] if namespace else [])]
        self.prefix = (*unshare, "sh", "-c", ALONE, "sh")
        if namespace:
            join = f'echo $$ > {namespace}/main/cgroup.procs && exec "$@"'
            self.prefix = ("sh", "-c", join, "sh", *self.prefix)


class UnifiedTests(TestCase):
    """Monitors that see cgroup v2 alone."""

    timeout = 300

    def setUp(self) -> None:
        lab.need_lxc()
        self.unified = cgroups.mounted_hierarchies("/sys/fs/cgroup").unified
        if not self.unified:
            raise unittest.SkipTest("there is no cgroup v2")

    def check(self, lxc: Lxc, name: str, configuration: str, *command: str) -> None:
        """That its CPU time is seen, and that it freezes."""
        mounts = "lxc.mount.auto = proc:mixed sys:ro cgroup:rw:force"
        lxc.create(name, f"{configuration}\n{mounts}")
        lxc.replace_init(name, BUSY)
        lxc.run("start", name)
        daemon = Daemon(lxc=lxc.path)
        self.addCleanup(daemon.close)
        daemon.command = [*command]
        daemon.start("lxc")

        def shown() -> dict[str, Any]:
            found: dict[str, Any] = daemon.get(f"/api/v1/container/lxc/{name}")
            return found

        def state() -> str:
            return str(shown()["state"])

        self.assertTrue(eventually(lambda: shown()["cpu"] > 0.0, 30), name)
        lxc.run("freeze", name)
        self.assertTrue(eventually(lambda: state() == "paused", 60), name)
        lxc.run("unfreeze", name)
        self.assertTrue(eventually(lambda: state() == "running", 60), name)
        lxc.run("stop", name, "-k")
        self.assertTrue(eventually(lambda: state() == "stopped", 60), name)
        daemon.close()

    def test_a_daemon_that_sees_it_alone_too(self) -> None:
        lxc = UnifiedLxc()
        self.addCleanup(lxc.close)
        for name, configuration in CGROUPS.items():
            self.check(lxc, name, configuration, *lxc.prefix)

    def test_a_daemon_that_sees_all(self) -> None:
        lxc = UnifiedLxc()
        self.addCleanup(lxc.close)
        for name, configuration in CGROUPS.items():
            self.check(lxc, name, configuration)

    def test_a_monitor_in_a_namespace(self) -> None:
        namespace = f"{self.unified}/stationd-test-namespace"
        os.makedirs(f"{namespace}/main", exist_ok=True)
        self.addCleanup(remove_cgroups, namespace)
        lxc = UnifiedLxc(namespace)
        self.addCleanup(lxc.close)
        self.check(lxc, "relative", CGROUPS["relative"])


def remove_cgroups(top: str) -> None:
    """A cgroup and those below it, when they are empty."""

    def remove() -> bool:
        for directory, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        return not os.path.exists(top)

    if not eventually(remove, 60):
        raise AssertionError(f"{top} is in use")
