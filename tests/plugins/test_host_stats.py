"""What the kernel's files say that a container uses, for each layout of cgroups."""

from __future__ import annotations

import os
import shutil
import tempfile

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from stationd_plugins.docker.source import measured as docker_measured
from stationd_plugins.host import cgroups, network, process
from stationd_plugins.host.sampler import Sampler, SampleTarget
from stationd_plugins.lxc import identity
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.source import measured as lxc_measured

FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.3.0/24 2 0 2
        |-- 10.0.3.47
           /32 host LOCAL
        |-- 10.0.3.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 169.254.7.7
        /32 host LOCAL
Local:
     |-- 10.0.3.47
        /32 host LOCAL
     |-- 192.0.2.9
        /32 host LOCAL
"""

IF_INET6 = """fd000000000000000000000000000002 04 40 00 82     eth0
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
20010db8000000000000000000000001 04 40 00 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""

DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo: 7740692    2976    0    0    0     0          0         0  7740692    2976    0    0
  eth0:     100       1    0    0    0     0          0         0      20       2    0    0
 eth1:5:      7       1    0    0    0     0          0         0       3       2    0    0
"""


class NetworkTests(SynchronousTestCase):
    """Files of /proc."""

    def test_addresses(self) -> None:
        self.assertEqual(network.parse_fib_trie(FIB_TRIE), ["10.0.3.47", "192.0.2.9"])
        self.assertEqual(network.parse_if_inet6(IF_INET6), ["2001:db8::1", "fd00::2"])

    def test_traffic(self) -> None:
        self.assertEqual(network.parse_net_dev(DEV), network.Traffic(107, 23))

    def test_of_the_host_nothing_is_said(self) -> None:
        self.assertEqual(network.read_process_network(os.getpid()), (network.Traffic(), ()))

    def test_a_process_that_is_gone(self) -> None:
        self.assertRaises(OSError, network.read_process_network, 2**22 + 1)

    @given(st.text(alphabet="|-+/. 0123456789abf:\n"))
    def test_anything_can_be_read(self, text: str) -> None:
        network.parse_fib_trie(text)


class Layout:
    """Cgroups in a directory.

    @ivar mounts: what C{/proc/self/mounts} would say.
    """

    def __init__(self, root: str, files: dict[str, str], mounts: str) -> None:
        self.layout = cgroups.parse_layout(mounts.format(root=root), root)
        for path, text in files.items():
            whole = os.path.join(root, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "w", encoding="ascii") as file:
                file.write(text)


V1_FILES = {
    "memory/c/memory.usage_in_bytes": "1000\n",
    "memory/c/memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
    "cpuacct/c/cpuacct.usage": "5000000\n",
}

V1_MOUNTS = (
    "cgroup {root}/memory cgroup rw,memory 0 0\ncgroup {root}/cpuacct cgroup rw,cpuacct 0 0\n"
)

V2_FILES = {
    "u/c/memory.current": "1000\n",
    "u/c/memory.stat": "inactive_file 300\n",
    "u/c/cpu.stat": "usage_usec 5000\nuser_usec 1\n",
}

LAYOUTS = {
    "v1": (V1_FILES, V1_MOUNTS, "2:cpuacct:/c\n1:memory:/c\n"),
    "v2": (V2_FILES, "cgroup2 {root}/u cgroup2 rw 0 0\n", "0::/c\n"),
    "hybrid": (
        V1_FILES | {"u/c/cgroup.events": "populated 1\nfrozen 0\n"},
        V1_MOUNTS + "cgroup2 {root}/u cgroup2 rw 0 0\n",
        "2:cpuacct:/c\n1:memory:/c\n0::/c\n",
    ),
    # The v2 hierarchy has the CPU, v1 the memory.
    "mixed": (
        {path: V1_FILES[path] for path in V1_FILES if "memory" in path}
        | {"u/c/cpu.stat": V2_FILES["u/c/cpu.stat"]},
        "cgroup {root}/memory cgroup rw,memory 0 0\ncgroup2 {root}/u cgroup2 rw 0 0\n",
        "1:memory:/c\n0::/c\n",
    ),
}


class LayoutTests(SynchronousTestCase):
    """The same container in every layout."""

    def test_all(self) -> None:
        for name, (files, mounts, membership) in LAYOUTS.items():
            root = tempfile.mkdtemp(prefix="stationd-cgroups-")
            self.addCleanup(shutil.rmtree, root)
            layout = Layout(root, files, mounts).layout
            member = cgroups.parse_membership(membership)
            self.assertEqual(
                cgroups.read_usage(layout, member), cgroups.CgroupUsage(5_000_000, 700), name
            )
            gone = dict.fromkeys(member, "/gone")
            self.assertEqual(cgroups.read_usage(layout, gone), cgroups.CgroupUsage(0, 0), name)

    def test_what_the_kernel_does_not_count_hides_nothing_else(self) -> None:
        root = tempfile.mkdtemp(prefix="stationd-cgroups-")
        self.addCleanup(shutil.rmtree, root)
        without_memory = {path: text for path, text in V1_FILES.items() if "memory" not in path}
        mounts = "cgroup {root}/cpuacct cgroup rw,cpuacct 0 0\n"
        layout = Layout(root, without_memory, mounts).layout
        member = cgroups.parse_membership("2:cpuacct:/c\n")
        self.assertEqual(cgroups.read_usage(layout, member), cgroups.CgroupUsage(5_000_000, 0))
        self.assertEqual(
            cgroups.read_usage(cgroups.parse_layout("", root), {}), cgroups.CgroupUsage(0, 0)
        )

    def test_a_container_that_has_cgroups_of_its_own(self) -> None:
        for path, expected in (
            ("/docker/abc", "/docker/abc"),
            ("/docker/abc/init.scope", "/docker/abc"),
            ("/docker/abc/docker/def", "/docker/abc"),
            ("/system.slice/docker-abc.scope/system.slice/sshd", "/system.slice/docker-abc.scope"),
        ):
            member = {"memory": path, "cpuacct": "/", "": "/user.slice"}
            self.assertEqual(cgroups.container_cgroups(member, "abc"), {"memory": expected})


class OomTests(SynchronousTestCase):
    """Counters of what the kernel has killed."""

    def test_all(self) -> None:
        root = tempfile.mkdtemp(prefix="stationd-cgroups-")
        self.addCleanup(shutil.rmtree, root)
        for file, text, expected in (
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 3),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", 0),
            ("memory.events", "low 0\nmax 7\noom 4\noom_kill 2\n", 2),
        ):
            path = os.path.join(root, file)
            with open(path, "w", encoding="ascii") as written:
                written.write(text)
            self.assertEqual(cgroups.oom_kill_count(root), expected)
            os.unlink(path)
        self.assertEqual(cgroups.oom_kill_count(root), 0)


class SamplerTests(TestCase):
    """Of a process, ours."""

    timeout = 20

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.sampler = Sampler(reactor)  # type: ignore[arg-type]
        self.addCleanup(self.sampler.close)

    def measured(self, pid: int) -> SampleTarget:
        return SampleTarget(pid, lambda stat: cgroups.process_membership(stat.pid))

    async def test_figures_are_a_second_old_at_most(self) -> None:
        ours = {"one": self.measured(os.getpid())}
        first = await self.sampler.sample(ours)
        # Cached, and so the same object.
        again = await self.sampler.sample(ours)
        self.assertIs(first["one"], again["one"])
        self.assertGreater(first["one"].memory_bytes, 0)
        self.assertTrue(0 <= first["one"].cpu <= 1)
        self.assertEqual(await self.sampler.sample({}), {})

    async def test_one_that_is_gone_is_left_out(self) -> None:
        gone, one = self.measured(2**22 + 1), self.measured(os.getpid())
        found = await self.sampler.sample({"gone": gone, "one": one})
        self.assertEqual(list(found), ["one"])

    async def test_a_stranger_that_has_got_the_number_is_not_measured(self) -> None:
        seen = Seen("one", "/lxc", "1", "", init_pid=os.getpid())
        now = identity.of_process(process.read_stat(os.getpid()))
        found = await self.sampler.sample(
            {
                "lxc": lxc_measured(attrs.evolve(seen, run="another")),
                "docker": docker_measured("0123456789abcdef" * 4, os.getpid()),
                "this": lxc_measured(attrs.evolve(seen, run=now)),
            }
        )
        self.assertEqual(list(found), ["this"])

    def test_several_at_once(self) -> None:
        asked = [self.sampler.sample({"one": self.measured(os.getpid())}) for _ in range(3)]
        done: Deferred[object] = asked[-1].addCallback(
            lambda _: self.assertTrue(all(one.called for one in asked))
        )
        return done  # type: ignore[return-value]
