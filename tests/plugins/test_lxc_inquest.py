"""Which of the kernel's kills ended a container."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd_plugins.host.oom_log import OomKill
from stationd_plugins.lxc.inquest import cause, inquire, is_named, is_open
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import observation

RUN = Seen("one", "/lxc", "1", "", init_pid=11, cgroups={"memory": "/lxc.payload.one"})
FIRST = OomKill(5.0, 11, "/lxc.payload.one", 16 << 20)
CHILD = OomKill(5.0, 12, "/lxc.payload.one/svc", 16 << 20)
LIMIT = {"oom": True, "limit": 16 << 20}


class CauseTests(SynchronousTestCase):
    """Kills, and how the first process ended."""

    def test_the_first_process(self) -> None:
        self.assertEqual(cause([FIRST], RUN, by_signal=True), LIMIT)

    def test_one_of_which_the_kernel_says_no_more(self) -> None:
        short = attrs.evolve(FIRST, cgroup="", limit_bytes=0)
        self.assertEqual(cause([short], RUN, by_signal=True), {"oom": True})

    def test_the_memory_of_the_host(self) -> None:
        kill = attrs.evolve(FIRST, limit_bytes=0, of_host=True)
        self.assertEqual(cause([kill], RUN, by_signal=True), {"oom": True, "hostMemory": True})

    def test_another_process_whose_end_the_first_one_passed_on(self) -> None:
        self.assertEqual(cause([CHILD], RUN, by_signal=False), LIMIT)
        unified = attrs.evolve(RUN, cgroups={"": "/lxc.payload.one"})
        self.assertEqual(cause([CHILD], unified, by_signal=False), LIMIT)

    def test_another_process_before_somebody_killed_the_first(self) -> None:
        self.assertEqual(cause([CHILD], RUN, by_signal=True), {})

    def test_another_container(self) -> None:
        other = attrs.evolve(RUN, init_pid=21, cgroups={"memory": "/lxc.payload.on"})
        self.assertEqual(cause([FIRST, CHILD], other, by_signal=False), {})
        self.assertEqual(
            cause([FIRST, CHILD], attrs.evolve(other, cgroups={}), by_signal=False), {}
        )

    def test_a_run_that_no_scan_has_seen(self) -> None:
        made = ("/lxc.payload.a", "/lxc.payload.a-2", "/user.slice/lxc.payload.a/svc", "/lxc/a")
        others = ("/lxc.payload.ab", "/lxc.payload.b.a", "/lxc.monitor.a", "/a", "", "/svc/xlxc/a")
        for cgroup in (*made, *others):
            is_made = is_named(attrs.evolve(FIRST, cgroup=cgroup), "a")
            self.assertEqual(is_made, cgroup in made, cgroup)
        self.assertFalse(is_named(attrs.evolve(FIRST, cgroup="/lxc/axb"), "a.b"))

    def test_of_most_that_happens_nothing_is_asked(self) -> None:
        for action, code in (("stop", 0), ("stop", 143), ("stop", None), ("start", None)):
            details = {} if code is None else {"exitCode": code}
            one = observation(action, RUN, 7, False, **details)
            self.assertFalse(is_open(one))
            self.assertEqual(inquire([one], {}), [one])
