"""The kernel's own words about whom it has killed for want of memory."""

from __future__ import annotations

import os
import tempfile
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stationd_plugins.host.oom_log import (
    RECORD_BYTES,
    OomKill,
    oom_kills_near,
    oom_kills_since_boot,
    parse_oom_kills,
    read_oom_kills,
)

NEW = """\
4,4943,740779442,-;sh invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
6,4971,740779591,-;memory: usage 8192kB, limit 8192kB, failcnt 142
6,4972,740779597,-;memory+swap: usage 8192kB, limit 9007199254740988kB, failcnt 0
6,4974,740779601,-;Memory cgroup stats for /lxc.payload.one/svc:
6,5023,740779688,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=lxc.payload.one,\
mems_allowed=0,oom_memcg=/lxc.payload.one,task_memcg=/lxc.payload.one/svc,task=sh,pid=24726,uid=0
3,5024,740779703,-;Memory cgroup out of memory: Killed process 24726 (sh) total-vm:14688kB, \
anon-rss:6656kB, file-rss:1456kB, shmem-rss:0kB, UID:0 pgtables:60kB oom_score_adj:0
"""
"""Linux 6.18, as read."""

OF_HOST = """\
4,900,12000000,-;java invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0
6,901,12000001,-;Mem-Info:
6,902,12000002,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=abc,mems_allowed=0,\
global_oom,task_memcg=/docker/abc,task=java,pid=77,uid=1000
3,903,12000003,-;Out of memory: Killed process 77 (java) total-vm:4194304kB, UID:1000
"""

OLD = """\
4,100,14808063900,-;stress invoked oom-killer: gfp_mask=0x24000c0, order=0, oom_score_adj=0
6,101,14808063986,-;Task in /docker/34186d killed as a result of limit of /docker/34186d
6,102,14808063994,-;memory: usage 204800kB, limit 204800kB, failcnt 4563
3,103,14808064000,-;Memory cgroup out of memory: Kill process 415 (java) score 9 or sacrifice child
3,104,14808064010,-;Killed process 415 (stress) total-vm:11017300kB, anon-rss:7152432kB
"""
"""Linux 4.4, after logs that people have shown."""


class ReadTests(SynchronousTestCase):
    """What is found in records."""

    def found(self, text: str) -> list[OomKill]:
        return list(parse_oom_kills(text.splitlines()))

    def test_the_limit_of_a_cgroup(self) -> None:
        expected = OomKill(740.779703, 24726, "/lxc.payload.one/svc", 8192 * 1024)
        self.assertEqual(self.found(NEW), [expected])

    def test_an_old_kernel_says_it_twice(self) -> None:
        self.assertEqual(
            self.found(OLD), [OomKill(14808.06401, 415, "/docker/34186d", 204800 * 1024)]
        )
        old_of_host = OLD.replace("Memory cgroup out", "Out").replace("Task in", "Nothing of")
        self.assertEqual(self.found(old_of_host), [OomKill(14808.06401, 415, of_host=True)])

    def test_the_memory_of_the_host(self) -> None:
        self.assertEqual(self.found(OF_HOST), [OomKill(12.000003, 77, "/docker/abc", 0, True)])

    def test_what_is_said_in_short_is_not_mixed_up_with_what_was_said_at_length(self) -> None:
        short = "3,6000,750000000,-;Memory cgroup out of memory: Killed process 9 (sh) total-vm:1kB"
        self.assertEqual(self.found(NEW + short)[1], OomKill(750.0, 9))

    def test_each_begins_anew(self) -> None:
        self.assertEqual(
            [kill.pid for kill in self.found(NEW + OLD + OF_HOST + NEW)], [24726, 415, 77, 24726]
        )
        self.assertFalse(self.found(OF_HOST + NEW)[1].of_host)

    @given(st.lists(st.sampled_from((NEW + OLD + OF_HOST).splitlines()) | st.text()))
    def test_anything_can_be_read(self, records: list[str]) -> None:
        for kill in parse_oom_kills(records):
            self.assertGreater(kill.pid, 0)

    def test_whose_it_was(self) -> None:
        kill = OomKill(0.0, 1, "/lxc.payload.one/svc")
        self.assertTrue(kill.is_in("/lxc.payload.one"))
        self.assertTrue(kill.is_in("/lxc.payload.one/svc"))
        self.assertFalse(kill.is_in("/lxc.payload.on"))
        self.assertFalse(kill.is_in(""))
        self.assertFalse(OomKill(0.0, 1).is_in("/lxc.payload.one"))


class CountTests(SynchronousTestCase):
    """How many were killed."""

    def test_counters(self) -> None:
        path = self.mktemp()
        for text, expected in (("pgfault 7\noom_kill 3\n", 3), ("pgfault 7\n", 0)):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            self.assertEqual(oom_kills_since_boot(path), expected)
        self.assertEqual(oom_kills_since_boot("/nowhere"), 0)


class LogTests(SynchronousTestCase):
    """The kernel's log as a file."""

    def test_there_is_none(self) -> None:
        self.assertEqual(read_oom_kills("/nowhere/kmsg"), [])

    def test_those_of_a_time(self) -> None:
        now = time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
        with tempfile.TemporaryDirectory() as directory:
            # A FIFO gives nothing but EAGAIN, once what was written has been read: as the log.
            path = os.path.join(directory, "kmsg")
            os.mkfifo(path)
            writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            self.addCleanup(os.close, writer)
            for age in (3600, 60, 2):
                at_us = int((now - age) * 1e6)
                line = f"3,1,{at_us},-;Out of memory: Killed process {age} (x) total-vm"
                os.write(writer, line.ljust(RECORD_BYTES).encode())
            self.assertEqual([kill.pid for kill in oom_kills_near(0, path)], [2])
