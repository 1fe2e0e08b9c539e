"""Kills in cgroups below those of containers."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd_plugins.host.oom_log import OomKill
from stationd_plugins.lxc.below import Below
from stationd_plugins.lxc.scan import Seen

RUN = Seen("one", "/lxc", "1", "", init_pid=11, run="r", cgroups={"memory": "/lxc.payload.one"})


class BelowTests(SynchronousTestCase):
    """From scan to scan."""

    def setUp(self) -> None:
        self.killed = 0
        self.log: list[OomKill] = []
        self.read = 0
        self.below = Below(lambda: self.killed, self.kills)

    def kills(self) -> list[OomKill]:
        self.read += 1
        return self.log

    def kill(self, cgroup: str) -> None:
        self.killed += 1
        self.log.append(OomKill(float(self.killed), 99, cgroup))

    def ooms(self, seen: Seen = RUN) -> int:
        return self.below.fill_in({"one": seen}, {})["one"].ooms

    def test_each_is_counted_once(self) -> None:
        self.assertEqual(self.ooms(), 0)
        self.kill("/lxc.payload.one/svc")
        self.assertEqual([self.ooms() for _ in range(3)], [1, 1, 1])
        self.kill("/lxc.payload.one/other/svc")
        self.assertEqual(self.ooms(attrs.evolve(RUN, ooms=5)), 7, "besides those of its own")

    def test_what_is_not_below(self) -> None:
        self.ooms()
        for cgroup in ("/lxc.payload.one", "/lxc.payload.on", "/lxc.payload.two/svc", "", "/"):
            self.kill(cgroup)
        self.assertEqual(self.ooms(), 0)
        self.kill("/svc")
        self.assertEqual(self.ooms(attrs.evolve(RUN, cgroups={"": "/svc"})), 0, "v2 counts it")

    def test_what_was_before(self) -> None:
        self.kill("/lxc.payload.one/svc")
        self.assertEqual(self.ooms(), 0)
        self.kill("/lxc.payload.one/svc")
        self.assertEqual(self.ooms(), 1)

    def test_one_that_does_not_answer(self) -> None:
        self.ooms()
        silent = attrs.evolve(RUN, run="", init_pid=0, cgroups={}, is_silent=True)
        for found in ({"one": silent}, {}):
            self.kill("/lxc.payload.one/svc")
            self.below.fill_in(found, {"one": RUN})
        self.assertEqual(self.ooms(), 2)

    def test_another_run_begins_anew(self) -> None:
        self.ooms()
        self.kill("/lxc.payload.one/svc")
        self.assertEqual(self.ooms(), 1)
        self.assertEqual(self.ooms(attrs.evolve(RUN, run="s")), 0)

    def test_a_log_that_is_late(self) -> None:
        self.ooms()
        self.killed += 1
        self.assertEqual(self.ooms(), 0)
        self.log.append(OomKill(1.0, 99, "/lxc.payload.one/svc"))
        self.assertEqual(self.ooms(), 1)

    def test_the_log_is_not_read_while_nobody_is_killed(self) -> None:
        for _ in range(5):
            self.ooms()
        self.assertEqual(self.read, 1)
