"""Cgroups with names of their own, and several LXC paths."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

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

CGROUPS = {
    "plain": EMPTY,
    "nested": f"{EMPTY}\nlxc.cgroup.dir = stationd-test/nested",
    "relative": f"{EMPTY}\nlxc.cgroup.relative = 1",
    "apart": f"{EMPTY}\nlxc.cgroup.dir.monitor = stationd-test/m\n"
    "lxc.cgroup.dir.container = stationd-test/c\nlxc.cgroup.dir.container.inner = inner",
}
"""Configurations by the name of the container."""


class CgroupTests(TestCase):
    """Two LXC paths, and containers in both."""

    timeout = 120

    def setUp(self) -> None:
        lab.need_lxc()
        self.paths = [Lxc(), Lxc()]
        for lxc in self.paths:
            self.addCleanup(lxc.close)
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

        self.assertTrue(eventually(lambda: seen() == ["found", "start", "oom"], 20), seen())
        said = [(level, text) for level, _, text in self.daemon.sentences()]
        self.assertIn(("ERROR", "Container ran out of memory (lxc, hungry)"), said)

    def test_the_life_of_each(self) -> None:
        self.daemon.start("lxc")
        for index, (name, configuration) in enumerate(CGROUPS.items()):
            lxc = self.paths[index % 2]
            lxc.create(name, configuration)
            states = ["create"]

            def seen(name: str = name) -> list[str]:
                return [e["state"] for e in self.daemon.events() if e["container"] == name]

            for command, state in (
                ("start", "start"),
                ("freeze", "pause"),
                ("unfreeze", "unpause"),
                ("stop", "stop"),
                ("destroy", "destroy"),
            ):
                lxc.run(command, name, *(["-k"] if command == "stop" else []))
                states.append(state)
                # Sooner than by the scans that nothing asks for.
                found = eventually(lambda states=states: seen() == states, 2)
                self.assertTrue(found, f"{name}: {seen()}")
                if command == "start":
                    shown = self.daemon.get(f"/api/v1/container/lxc/{name}")
                    self.assertGreater(shown["memory"], 0, name)
