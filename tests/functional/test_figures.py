"""Live figures of real containers: they cost nothing that stays, and one may go away."""

from __future__ import annotations

import os
import threading

from twisted.trial.unittest import TestCase

from stationd_plugins.live.sampler import Sampler
from stationd_plugins.lxc import command
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

    def start(self, name: str) -> int:
        """A container that runs; its first process."""
        self.lxc.create(name, "lxc.net.0.type = veth\nlxc.net.0.flags = up")
        self.lxc.run("start", name)
        answers = command.ask(self.lxc.path, name)
        assert answers is not None
        return answers.init_pid

    def test_many_samples_leave_nothing_behind(self) -> None:
        from twisted.internet import reactor

        pid = self.start("one")
        sampler = Sampler(reactor)  # type: ignore[arg-type]
        self.assertIsNotNone(sampler.read(pid))
        descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
        for _ in range(SAMPLES):
            sampler.read(pid)
        self.assertIsNotNone(sampler.read(pid))
        self.assertEqual(len(os.listdir("/proc/self/fd")), descriptors)
        self.assertEqual(threading.active_count(), threads)

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
