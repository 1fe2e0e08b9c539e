"""Rules that nft and iptables make, in a network of their own, and what they are read as."""

from __future__ import annotations

import collections
import json
import subprocess
import sys

from twisted.trial.unittest import TestCase

from stationd_plugins.nftables.dnat import port_forwards
from stationd_plugins.nftables.rules import read_nat_rules
from tests.functional import lab

TABLES = """
table ip four {
    map m {
        type inet_service : ipv4_addr . inet_service
        elements = { 81 : 10.9.9.4 . 8081, 82 : 10.9.9.5 . 8082 }
    }
    chain c { type nat hook prerouting priority dstnat; }
    chain other { type filter hook input priority filter; }
}
table inet both {
    chain c { type nat hook prerouting priority dstnat; }
}
"""

NFT = {
    "ip four c tcp dport 8080 dnat to 10.9.9.2:80": ["0.0.0.0:8080->80/tcp to 10.9.9.2"],
    "ip four c ip daddr 1.2.3.4 udp dport 53 dnat to 10.9.9.2": ["1.2.3.4:53->53/udp to 10.9.9.2"],
    'ip four c iifname "eth0" tcp dport 9000-9010 dnat to 10.9.9.3': [
        "0.0.0.0:9000-9010->9000-9010/tcp to 10.9.9.3"
    ],
    "ip four c tcp dport { 22, 23 } dnat to 10.9.9.3": [
        "0.0.0.0:22->22/tcp to 10.9.9.3",
        "0.0.0.0:23->23/tcp to 10.9.9.3",
    ],
    "ip four c tcp dport { 1000-1010, 2000 } dnat to 10.9.9.3": [
        "0.0.0.0:1000-1010->1000-1010/tcp to 10.9.9.3",
        "0.0.0.0:2000->2000/tcp to 10.9.9.3",
    ],
    "ip four c dnat to tcp dport map { 80 : 10.9.9.2, 443 : 10.9.9.3 }": [
        "0.0.0.0:443->443/tcp to 10.9.9.3",
        "0.0.0.0:80->80/tcp to 10.9.9.2",
    ],
    "ip four c dnat ip to tcp dport map @m": [
        "0.0.0.0:81->8081/tcp to 10.9.9.4",
        "0.0.0.0:82->8082/tcp to 10.9.9.5",
    ],
    "ip four c ip daddr . tcp dport { 1.1.1.1 . 1-10, 2.2.2.0/24 . 20 } dnat to 10.9.9.9": [
        # Of a network that is forwarded only the port is said.
        "0.0.0.0:20->20/tcp to 10.9.9.9",
        "1.1.1.1:1-10->1-10/tcp to 10.9.9.9",
    ],
    "ip four c dnat ip to numgen inc mod 2 map { 0 : 10.9.9.10, 1 : 10.9.9.11 }": [
        "0.0.0.0:*->*/* to 10.9.9.10",
        "0.0.0.0:*->*/* to 10.9.9.11",
    ],
    "ip four c ip daddr 1.2.3.5 dnat to 10.9.9.6": ["1.2.3.5:*->*/* to 10.9.9.6"],
    "ip four c tcp dport != 22 dnat ip to 10.9.9.12-10.9.9.14": [
        "0.0.0.0:*->*/tcp to 10.9.9.12-10.9.9.14"
    ],
    "ip four c tcp dport 9090 redirect to 80": [],
    # pyroute2 makes nothing of this one.
    "ip four other tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 7": [],
    "inet both c meta l4proto { tcp, udp } th dport 5353 dnat ip to 10.9.9.7:53": [
        "0.0.0.0:5353->53/tcp to 10.9.9.7",
        "0.0.0.0:5353->53/udp to 10.9.9.7",
    ],
    "inet both c tcp dport 8080 dnat ip6 to [fd00::2]:80": ["[::]:8080->80/tcp to fd00::2"],
    "inet both c ip6 daddr . tcp dport { fd00::9 . 443 } dnat ip6 to fd00::3": [
        "[fd00::9]:443->443/tcp to fd00::3"
    ],
}
"""Rules, and what they forward."""

IPTABLES = {
    "iptables -p tcp --dport 8088 -j DNAT --to-destination 10.9.9.2:80": [
        "0.0.0.0:8088->80/tcp to 10.9.9.2"
    ],
    "iptables -d 5.6.7.8/32 -p udp -m udp --dport 100:200 -j DNAT --to-destination 10.9.9.2": [
        "5.6.7.8:100-200->100-200/udp to 10.9.9.2"
    ],
    "iptables -p tcp -m multiport --dports 80,443,8000:8010 -j DNAT --to-destination 10.9.9.2": [
        "0.0.0.0:443->443/tcp to 10.9.9.2",
        "0.0.0.0:80->80/tcp to 10.9.9.2",
        "0.0.0.0:8000-8010->8000-8010/tcp to 10.9.9.2",
    ],
    "iptables -p tcp -m comment --comment web --dport 8089 -m conntrack --ctstate NEW"
    " -j DNAT --to-destination 10.9.9.2:80-90": ["0.0.0.0:8089->80-90/tcp to 10.9.9.2"],
    "ip6tables -p tcp --dport 8088 -j DNAT --to-destination [fd00::2]:80": [
        "[::]:8088->80/tcp to fd00::2"
    ],
    "iptables -p tcp --dport 8090 -j REDIRECT --to-ports 80": [],
}
"""The same of rules of C{-t nat -A PREROUTING}."""


def main() -> None:
    """In a network of our own: make rules one by one, and print what each forwards."""
    subprocess.run(["nft", "-f", "-"], input=TABLES, text=True, check=True)
    known: collections.Counter[str] = collections.Counter()
    for rule in [*NFT, *IPTABLES]:
        if rule in NFT:
            command = ["nft", "add", "rule", rule]
        else:
            program, *rest = rule.split()
            command = [program, "-t", "nat", "-A", "PREROUTING", *rest]
        subprocess.run(command, check=True)
        found = collections.Counter(
            f"{one} to {one.first}" + ("" if one.first == one.last else f"-{one.last}")
            for read in read_nat_rules()
            for one in port_forwards(read)
        )
        print(json.dumps([rule, sorted(found - known)]))
        known = found


class ForwardsTests(TestCase):
    """What a kernel with nftables says."""

    timeout = 60

    def test_each_rule(self) -> None:
        lab.need_root()
        command = ["unshare", "-n", sys.executable, "-m", "tests.functional.test_nftables"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = dict(map(json.loads, done.stdout.splitlines()))
        self.assertEqual(told, NFT | IPTABLES)


if __name__ == "__main__":
    main()
