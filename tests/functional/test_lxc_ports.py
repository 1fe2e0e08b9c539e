"""Ports that the host forwards to LXC containers: real rules, real addresses."""

from __future__ import annotations

import os
import re
import subprocess

from twisted.trial.unittest import TestCase

from tests.functional import lab
from tests.functional.daemon import Daemon, eventually
from tests.functional.lxc import Lxc
from tests.test_layers import ROOT

ADDRESS = "10.213.77.2"
"""Of a container that ports are forwarded to."""

NETWORK = f"""lxc.net.0.type = veth
lxc.net.0.flags = up
lxc.net.0.ipv4.address = {ADDRESS}/24
"""

TABLE = "stationd-test"
"""Of nftables."""

Happened = tuple[str, list[str] | None]
"""A change of state, or of ports and which."""


class LxcPortsTests(TestCase):
    """A daemon that watches an LXC path."""

    timeout = 120

    def setUp(self) -> None:
        lab.need_lxc()
        self.lxc = Lxc()
        self.addCleanup(self.lxc.close)
        self.daemon = Daemon(lxc=self.lxc.path)
        self.addCleanup(self.daemon.close)

    def forward(self, rule: str) -> None:
        """Make a rule of nftables, in a table of our own."""
        chain = f"{TABLE} forwards"
        hook = "{ type nat hook prerouting priority dstnat; }"
        for command in (
            f"add table ip {TABLE}",
            f"add chain ip {chain} {hook}",
            f"add rule ip {chain} {rule}",
        ):
            lab.quietly(["nft", *command.split()])
        remove = ["nft", "delete", "table", "ip", TABLE]
        self.addCleanup(subprocess.run, remove, capture_output=True, check=False)

    def check(self, name: str, *expected: Happened) -> None:
        def seen() -> list[Happened]:
            return [
                (event.get("port") or event["state"], event.get("mapping"))
                for event in self.daemon.events()
                if event["container"] == name
            ]

        eventually(lambda: seen() == list(expected))
        self.assertEqual(seen(), list(expected), self.daemon.said())

    def test_they_come_and_go(self) -> None:
        self.forward(f"tcp dport 8080 dnat to {ADDRESS}:80")
        self.lxc.create("web", NETWORK)
        self.lxc.create("other")
        self.daemon.start("lxc")
        self.lxc.run("start", "other")
        self.lxc.run("start", "web")
        web: list[Happened] = [("found", None), ("start", None), ("add", ["0.0.0.0:8080->80/tcp"])]
        self.check("web", *web)
        shown = self.daemon.get("/api/v1/container/lxc/web")
        self.assertEqual(shown["ports"], ["0.0.0.0:8080->80/tcp"])
        self.assertEqual(shown["ipaddress"], [ADDRESS])
        # With iptables, while it runs.
        rule = f"-t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination {ADDRESS}"
        lab.quietly(["iptables", *rule.split()])
        remove = ["iptables", *rule.replace("-A", "-D").split()]
        self.addCleanup(subprocess.run, remove, capture_output=True, check=False)
        web += [("add", ["0.0.0.0:53->53/udp"])]
        self.check("web", *web)
        lab.quietly(remove)
        web += [("remove", ["0.0.0.0:53->53/udp"])]
        self.check("web", *web)
        # While nobody looks.
        self.daemon.kill()
        self.forward(f"ip daddr 192.0.2.77 tcp dport 22 dnat to {ADDRESS}")
        self.daemon.start("lxc")
        web += [("add", ["192.0.2.77:22->22/tcp"])]
        self.check("web", *web)
        self.lxc.run("stop", "web", "-k")
        web += [("remove", ["0.0.0.0:8080->80/tcp", "192.0.2.77:22->22/tcp"]), ("stop", None)]
        self.check("web", *web)
        self.check("other", ("found", None), ("start", None))
        self.assertNotIn("ports", self.daemon.get("/api/v1/container/lxc/web"))

    def test_the_capabilities_of_the_unit_are_enough(self) -> None:
        with open(os.path.join(ROOT, "etc/stationd.service"), encoding="utf-8") as file:
            (line,) = re.findall(r"^CapabilityBoundingSet=(.*)$", file.read(), re.M)
        allowed = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in line.split())
        self.daemon.command = ["setpriv", f"--bounding-set=-all,{allowed}", "--no-new-privs", "--"]
        self.lxc.create("one", NETWORK)
        self.daemon.start("lxc")
        self.lxc.run("start", "one")
        self.forward(f"tcp dport 8080 dnat to {ADDRESS}:80")
        port = ("add", ["0.0.0.0:8080->80/tcp"])
        self.check("one", ("found", None), ("start", None), port)
        shown = self.daemon.get("/api/v1/container/lxc/one")
        self.assertEqual(shown["ipaddress"], [ADDRESS])
        self.assertGreater(shown["memory"], 0)
        self.lxc.run("stop", "one", "-k")
        self.assertTrue(eventually(lambda: self.daemon.events()[-1].get("exitCode") == 137))
