"""Live figures of real containers: they cost nothing that stays, and one may go away."""

from __future__ import annotations

import os
import subprocess
import threading

from twisted.trial.unittest import TestCase

from stationd_plugins.host import cgroups
from stationd_plugins.host.sampler import Sampler, SampleTarget
from stationd_plugins.lxc.scan import look
from stationd_plugins.lxc.source import measured
from tests.functional import lab
from tests.functional.daemon import Daemon, eventually
from tests.functional.lxc import Lxc

SAMPLES = 10_000


class FiguresTests(TestCase):
    """LXC containers."""

    timeout = 120

    def setUp(self) -> None:
        lab.need_lxc()
        self.lxc = Lxc()
        self.addCleanup(self.lxc.close)

    def start(self, name: str) -> SampleTarget:
        """A container that runs."""
        self.lxc.create(name, "lxc.net.0.type = veth\nlxc.net.0.flags = up")
        self.lxc.run("start", name)
        seen = look(self.lxc.path, name, cgroups.mounted_hierarchies("/sys/fs/cgroup"))
        assert seen is not None
        return measured(seen)

    def test_many_samples_leave_nothing_behind(self) -> None:
        from twisted.internet import reactor

        one = self.start("one")
        sampler = Sampler(reactor)  # type: ignore[arg-type]
        self.assertIsNotNone(sampler.read_counters(one))
        descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
        for _ in range(SAMPLES):
            sampler.read_counters(one)
        self.assertIsNotNone(sampler.read_counters(one))
        self.assertEqual(len(os.listdir("/proc/self/fd")), descriptors)
        self.assertEqual(threading.active_count(), threads)

    def test_a_first_process_that_is_in_a_cgroup_below(self) -> None:
        from twisted.internet import reactor

        self.lxc.create("one")
        self.lxc.run("start", "one")
        layout = cgroups.mounted_hierarchies("/sys/fs/cgroup")
        seen = look(self.lxc.path, "one", layout)
        assert seen is not None
        sampler = Sampler(reactor)  # type: ignore[arg-type]
        before = sampler.read_counters(measured(seen))
        for controller in ("memory", "cpuacct"):
            scope = f"{cgroups.controller_directory(layout, seen.cgroups, controller)}/init.scope"
            os.makedirs(scope, exist_ok=True)
            with open(f"{scope}/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(seen.init_pid))
        moved = look(self.lxc.path, "one", layout)
        assert before is not None and moved is not None
        after = sampler.read_counters(measured(moved))
        assert after is not None
        # What it has used before counts.
        self.assertGreaterEqual(after.used.cpu_ns, before.used.cpu_ns)
        self.assertGreater(after.used.memory_bytes, before.used.memory_bytes // 2)

    def test_cgroups_that_are_mounted_later(self) -> None:
        from twisted.internet import reactor

        root = os.path.abspath(self.mktemp())
        os.makedirs(root)
        sampler = Sampler(reactor, root)  # type: ignore[arg-type]
        ours = SampleTarget(os.getpid(), lambda stat: cgroups.process_membership(stat.pid))
        reading = sampler.read_counters(ours)
        assert reading is not None
        self.assertEqual(reading.used.cpu_ns, 0)
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", root], check=True)
        self.addCleanup(subprocess.run, ["umount", root], check=True)
        reading = sampler.read_counters(ours)
        assert reading is not None
        self.assertGreater(reading.used.cpu_ns, 0)

    def test_a_container_that_goes_away_meanwhile(self) -> None:
        daemon = Daemon(lxc=self.lxc.path)
        self.addCleanup(daemon.close)
        for name in ("stays", "goes"):
            self.start(name)
        daemon.start("lxc")
        ended = threading.Event()

        def end() -> None:
            self.lxc.run("stop", "goes", "-k")
            ended.set()

        threading.Thread(target=end).start()
        while True:
            is_over = ended.is_set()
            shown = {one["name"]: one for one in daemon.get("/api/v1/container")}
            self.assertGreater(shown["stays"]["memory"], 0)
            if is_over:
                break

        def stopped() -> bool:
            return bool(daemon.get("/api/v1/container/lxc/goes")["state"] == "stopped")

        self.assertTrue(eventually(stopped))
        self.assertNotIn("Traceback", daemon.said())
