"""Real LXC: what is done to containers, against what is recorded."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time

from twisted.trial.unittest import TestCase

from stationd_plugins.host import process
from stationd_plugins.lxc import command, monitord
from tests.functional import lab
from tests.functional.daemon import Daemon, eventually
from tests.functional.lxc import Lxc


class LxcTests(TestCase):
    """A daemon that watches an LXC path."""

    timeout = 120

    def setUp(self) -> None:
        lab.need_lxc()
        self.lxc = Lxc()
        self.addCleanup(self.lxc.close)
        self.daemon = Daemon(lxc=self.lxc.path)
        self.addCleanup(self.daemon.close)

    def states(self, name: str) -> list[str]:
        return [e["state"] for e in self.daemon.events() if e["container"] == name]

    def check(self, name: str, *states: str) -> None:
        eventually(lambda: len(self.states(name)) >= len(states))
        self.assertEqual(self.states(name), list(states), self.daemon.said())

    def test_the_life_of_a_container(self) -> None:
        self.daemon.start("lxc")
        self.lxc.create("one")
        self.check("one", "create")
        self.lxc.run("start", "one")
        self.check("one", "create", "start")
        self.lxc.run("freeze", "one")
        self.check("one", "create", "start", "pause")
        self.assertEqual(self.daemon.get("/api/v1/container/lxc/one")["state"], "paused")
        self.lxc.run("unfreeze", "one")
        self.check("one", "create", "start", "pause", "unpause")
        self.lxc.run("stop", "one", "--reboot", "--timeout", "60")
        self.check("one", "create", "start", "pause", "unpause", "restart")
        self.lxc.run("wait", "one", "-s", "RUNNING", "-t", "60")
        self.lxc.run("stop", "one", "--timeout", "60")
        self.check("one", "create", "start", "pause", "unpause", "restart", "stop")
        self.lxc.run("copy", "one", "-N", "two")
        self.check("two", "create")
        self.lxc.run("destroy", "two")
        self.check("two", "create", "destroy")
        os.rename(f"{self.lxc.path}/one", f"{self.lxc.path}/three")
        self.check("three", "rename")
        self.lxc.run("destroy", "three")
        self.check("three", "rename", "destroy")
        self.assertEqual(
            [text for _, category, text in self.daemon.sentences() if category == "container"],
            [
                "Create container (lxc, one)",
                "Start container (lxc, one)",
                "Pause container (lxc, one)",
                "Unpause container (lxc, one)",
                "Restart container (lxc, one)",
                "Stop container (lxc, one)",
                "Create container (lxc, two)",
                "Destroy container (lxc, two)",
                "Rename container from one (lxc, three)",
                "Destroy container (lxc, three)",
            ],
        )

    def test_what_is_there_already_is_recorded_as_found(self) -> None:
        self.lxc.create("one")
        self.lxc.create("two")
        self.lxc.run("start", "one")
        self.daemon.start("lxc")
        shown = {c["name"]: c["state"] for c in self.daemon.get("/api/v1/container")}
        self.assertEqual(shown, {"one": "running", "two": "stopped"})
        now = {event["container"]: event["now"] for event in self.daemon.events()}
        self.assertEqual(now, shown)
        self.lxc.run("stop", "one", "-k")
        self.check("one", "found", "stop")
        said = [text for _, category, text in self.daemon.sentences() if category == "system"]
        self.assertIn("Found 2 lxc containers, 1 of them running", said)

    def test_figures(self) -> None:
        self.lxc.create("one")
        self.lxc.run("start", "one")
        self.daemon.start("lxc")
        shown = self.daemon.get("/api/v1/container/lxc/one")
        self.assertGreater(shown["memory"], 10_000)
        self.assertTrue(0 <= shown["cpu"] < 1)
        self.assertEqual((shown["rx"], shown["tx"], shown["ipaddress"]), (0, 0, []))

    def test_waits(self) -> None:
        self.lxc.create("one")
        self.daemon.start("lxc")
        self.lxc.run("start", "one")
        path = "/api/v1/event/wait/lxc/one"
        self.assertEqual(self.daemon.get(f"{path}/running?duration=60")["state"], "running")
        began = time.monotonic()
        self.assertEqual(self.daemon.get(f"{path}/stopped?duration=0.3")["state"], "running")
        self.assertGreater(time.monotonic() - began, 0.29)
        self.lxc.run("stop", "one", "-k")
        self.assertEqual(self.daemon.get(f"{path}/stopped?duration=60")["state"], "stopped")

    def test_an_overflow_of_the_queue_leads_to_a_scan(self) -> None:
        self.lxc.create("one")
        self.daemon.start("lxc")
        assert self.daemon.process is not None
        with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
            limit = int(file.read())
        self.daemon.process.send_signal(signal.SIGSTOP)
        try:
            path = os.path.join(self.lxc.path, "one", "touched")
            # Three events each: created, written, deleted.
            for _ in range(limit // 3 + 100):
                open(path, "wb").close()
                os.unlink(path)
            self.lxc.create("two")
            self.lxc.run("start", "one")
        finally:
            self.daemon.process.send_signal(signal.SIGCONT)
        self.check("two", "create")
        self.check("one", "found", "start")
        self.assertIn("inotify's queue overflowed", self.daemon.said())
        # The start its monitor tells of.
        (created,) = [event for event in self.daemon.events() if event["state"] == "create"]
        self.assertTrue(created["inferred"])

    def test_what_happened_while_nobody_looked_is_worked_out(self) -> None:
        self.lxc.create("quiet")
        self.lxc.run("start", "quiet")
        self.daemon.start("lxc")
        for name in ("stops", "goes"):
            self.lxc.create(name)
            self.check(name, "create")
            self.lxc.run("start", name)
            self.check(name, "create", "start")
        for end in (self.daemon.stop, self.daemon.kill):
            end()
            name = f"comes-{end.__name__}"
            self.lxc.create(name)
            began = time.time()
            self.lxc.run("start", name)
            ended = time.time()
            if end == self.daemon.stop:
                self.lxc.run("stop", "stops", "-k")
                self.lxc.run("stop", "goes", "-k")
                self.lxc.run("destroy", "goes")
                self.lxc.run("stop", "quiet", "-k")
            else:
                self.lxc.run("start", "stops")
            self.daemon.start("lxc")
            self.check(name, "create", "start")
            (start,) = [
                r
                for r in self.daemon.get(f"/api/v1/log?container={name}&text=Start")
                if r["category"] == "container"
            ]
            # The kernel tells it by ticks, and a clock may be slewed.
            self.assertTrue(began - 1 < start["ts"] < ended + 1, (began, start, ended))
        self.check("stops", "create", "start", "stop", "start")
        self.check("goes", "create", "start", "stop", "destroy")
        self.check("quiet", "found", "stop")
        inferred = [e["container"] for e in self.daemon.events() if e.get("inferred")]
        self.assertEqual(len(inferred), 9, self.daemon.events())
        before = self.daemon.events()
        self.daemon.kill()
        self.daemon.start("lxc")
        self.assertEqual(self.daemon.events(), before)

    def test_reboot_rename_and_another_of_the_same_name_while_nobody_looks(self) -> None:
        self.lxc.create("found")
        self.lxc.run("start", "found")
        self.daemon.start("lxc")
        for name in ("reboots", "starts", "renamed", "replaced"):
            self.lxc.create(name)
            self.check(name, "create")
            self.lxc.run("start", name)
            self.check(name, "create", "start")
        self.daemon.kill()
        for name in ("reboots", "found"):
            self.lxc.run("stop", name, "--reboot", "--timeout", "60")
        for name in ("starts", "renamed", "replaced"):
            self.lxc.run("stop", name, "-k")
        self.lxc.run("start", "starts")
        os.rename(f"{self.lxc.path}/renamed", f"{self.lxc.path}/other")
        self.lxc.run("destroy", "replaced")
        self.lxc.create("replaced")
        self.daemon.start("lxc")
        self.check("reboots", "create", "start", "restart")
        self.check("starts", "create", "start", "restart")
        self.check("found", "found", "restart")
        self.check("renamed", "create", "start")
        self.check("other", "rename", "stop")
        self.check("replaced", "create", "start", "stop", "destroy", "create")
        before = self.daemon.events()
        self.daemon.kill()
        self.daemon.start("lxc")
        self.assertEqual(self.daemon.events(), before)

    def test_runs_of_milliseconds_and_how_they_end(self) -> None:
        self.lxc.create("one")
        self.lxc.replace_init("one", "#!/bin/sh\nexit $(cat /code)\n")
        self.daemon.start("lxc")
        codes = [0, 3, 0, 255, 1]
        for code in codes:
            with open(f"{self.lxc.path}/one/rootfs/code", "w", encoding="ascii") as file:
                file.write(str(code))
            self.lxc.run("start", "one")
            self.lxc.run("wait", "one", "-s", "STOPPED", "-t", "60")
        self.check("one", "found", *["start", "stop"] * len(codes))
        stops = [event for event in self.daemon.events() if event["state"] == "stop"]
        self.assertEqual([stop["exitCode"] for stop in stops], codes)
        shown = self.daemon.get("/api/v1/container/lxc/one")
        self.assertEqual((shown["state"], shown["exitCode"]), ("stopped", 1))
        self.lxc.create("two")
        self.lxc.run("start", "two")
        self.lxc.run("stop", "two", "-k")
        self.check("two", "create", "start", "stop")
        said = [text for _, category, text in self.daemon.sentences() if category == "container"]
        self.assertEqual(
            said[-4:],
            [
                "Stop container, code 1 (lxc, one)",
                "Create container (lxc, two)",
                "Start container (lxc, two)",
                "Stop container, ended by SIGKILL, code 137 (lxc, two)",
            ],
        )

    def test_power_off(self) -> None:
        scripts = {
            "off": "busybox poweroff -f",
            "halt": "busybox halt -f",
            "child": "(busybox poweroff -f)\nwhile :; do sleep 1; done",
            # What a shell says that caught a SIGINT: it was not ended by it.
            "caught": "exit 130",
        }
        wait = "#!/bin/sh\ncat /go\n"
        for name, script in scripts.items():
            self.lxc.create(name)
            self.lxc.replace_init(name, wait + script + "\n")
            os.mkfifo(f"{self.lxc.path}/{name}/rootfs/go")
        self.daemon.start("lxc")
        for name in scripts:
            self.lxc.run("start", name)
            self.check(name, "found", "start")
            with open(f"{self.lxc.path}/{name}/rootfs/go", "wb"):
                pass
            stopped = self.daemon.get(f"/api/v1/event/wait/lxc/{name}/stopped?duration=60")
            self.assertEqual(stopped["exitCode"], 130 if name == "caught" else 0, name)
            self.check(name, "found", "start", "stop")
        stops = [event for event in self.daemon.events() if event["state"] == "stop"]
        self.assertEqual([stop["exitCode"] for stop in stops], [0, 0, 0, 130])
        self.assertFalse(any("signal" in stop for stop in stops), stops)
        said = [one for one in self.daemon.sentences() if one[2].startswith("Stop ")]
        clean = [("INFO", "container", f"Stop container (lxc, {n})") for n in [*scripts][:3]]
        caught = ("WARN", "container", "Stop container, code 130 (lxc, caught)")
        self.assertEqual(said, [*clean, caught])
        self.daemon.kill()
        self.daemon.start("lxc")
        shown = {one["name"]: one["exitCode"] for one in self.daemon.get("/api/v1/container")}
        self.assertEqual(shown, {"off": 0, "halt": 0, "child": 0, "caught": 130})

    def test_a_power_off_while_the_daemon_is_down(self) -> None:
        self.lxc.create("one")
        self.lxc.replace_init("one", "#!/bin/sh\ncat /go\nbusybox poweroff -f\n")
        os.mkfifo(f"{self.lxc.path}/one/rootfs/go")
        self.lxc.run("start", "one")
        self.daemon.start("lxc")
        self.daemon.kill()
        with open(f"{self.lxc.path}/one/rootfs/go", "wb"):
            pass
        self.lxc.run("wait", "one", "-s", "STOPPED", "-t", "60")
        self.daemon.start("lxc")
        self.check("one", "found", "stop")
        said = [one for one in self.daemon.sentences() if one[2].startswith("Stop ")]
        self.assertEqual(said, [("INFO", "container", "Stop container, noticed later (lxc, one)")])

    def monitor_daemon(self) -> int:
        """The process of an lxc-monitord that somebody is connected to, 0 if there is none."""
        address = "@" + monitord.address(self.lxc.path)[1:].decode()
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as sockets:
            # unix(7): the state before the inode and the address; 03 is connected.
            fields = [line.split() for line in sockets]
        if not any(one[5] == "03" and one[7:] == [address] for one in fields):
            return 0
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
                program, path = (*file.read().split(b"\0"), b"", b"")[:2]
                if program.endswith(b"lxc-monitord") and path.decode() == self.lxc.path:
                    return int(name)
        return 0

    def test_a_monitor_daemon_that_is_killed(self) -> None:
        self.lxc.create("one")
        self.daemon.start("lxc")
        states, killed = ["found"], 0
        for _ in range(2):
            # One that is killed before the daemon is connected is not missed by it.
            gone = eventually(lambda killed=killed: {self.monitor_daemon()} - {0, killed}, 60)
            self.assertTrue(gone, self.daemon.said())
            (killed,) = gone
            os.kill(killed, signal.SIGKILL)
            # Only scans see this run, so it has to last until one has.
            self.lxc.run("start", "one")
            states.append("start")
            self.check("one", *states)
            self.lxc.run("stop", "one", "-k")
            states.append("stop")
            self.check("one", *states)
        again = eventually(lambda: self.monitor_daemon() not in (0, killed), 60)
        self.assertTrue(again, self.daemon.said())
        self.check("one", *states)

    def test_a_monitor_that_does_not_answer_is_no_stop(self) -> None:
        self.lxc.create("one")
        self.lxc.run("start", "one")
        self.daemon.start("lxc")
        answers = command.ask(self.lxc.path, "one")
        assert answers is not None
        monitor = process.read_stat(answers.init_pid).parent
        os.kill(monitor, signal.SIGSTOP)
        try:
            for index in range(3):
                # What makes it look.
                self.lxc.create(f"c{index}")
                time.sleep(0.4)
            # And at its start.
            self.daemon.kill()
            self.daemon.start()
            time.sleep(1)
        finally:
            os.kill(monitor, signal.SIGCONT)
        self.lxc.create("last")
        self.check("last", "create")
        self.check("one", "found")
        self.lxc.run("stop", "one", "-k")
        self.check("one", "found", "stop")

    def test_a_configuration_that_is_edited(self) -> None:
        for name in ("runs", "stopped"):
            self.lxc.create(name)
        self.lxc.run("start", "runs")
        self.daemon.start("lxc")
        for _ in range(5):
            for name in ("runs", "stopped"):
                config = f"{self.lxc.path}/{name}/config"
                os.rename(config, f"{config}~")
                time.sleep(0.05)
                shutil.copy(f"{config}~", config)
        self.lxc.create("last")
        self.check("last", "create")
        self.check("runs", "found")
        self.check("stopped", "found")
        self.lxc.run("destroy", "stopped")
        self.check("stopped", "found", "destroy")

    def test_a_path_that_vanishes_and_comes_back(self) -> None:
        self.daemon.start("lxc")
        for name in ("one", "two"):
            self.lxc.create(name)
            self.check(name, "create")
        os.rename(self.lxc.path, f"{self.lxc.path}-away")
        self.addCleanup(shutil.rmtree, f"{self.lxc.path}-away", ignore_errors=True)

        def state() -> str:
            return str(self.daemon.get("/api/v1/system")["sources"]["lxc"]["state"])

        self.assertTrue(eventually(lambda: state() != "live"))
        shutil.rmtree(f"{self.lxc.path}-away/one")
        os.rename(f"{self.lxc.path}-away", self.lxc.path)
        self.assertTrue(eventually(lambda: state() == "live"))
        self.check("one", "create", "destroy")
        self.check("two", "create")

    def test_a_path_that_appears_later(self) -> None:
        os.rmdir(self.lxc.path)
        self.daemon.start()
        state = self.daemon.get("/api/v1/system")["sources"]["lxc"]
        self.assertEqual(state, {"state": "absent", "reason": f"there is no {self.lxc.path}"})
        os.mkdir(self.lxc.path)

        def live() -> bool:
            states = self.daemon.get("/api/v1/system")["sources"]
            return bool(states["lxc"]["state"] == "live")

        self.assertTrue(eventually(live))


class PathsTests(TestCase):
    """A daemon that watches two LXC paths, one of which goes away."""

    timeout = 120

    def setUp(self) -> None:
        lab.need_lxc()
        self.here, self.there = Lxc(), Lxc()
        for lxc in (self.here, self.there):
            self.addCleanup(lxc.close)
        self.daemon = Daemon(lxc=[self.here.path, self.there.path])
        self.addCleanup(self.daemon.close)
        self.there.create("runs")
        self.there.run("start", "runs")
        self.daemon.start("lxc")

    def states(self, name: str) -> list[str]:
        return [e["state"] for e in self.daemon.events() if e["container"] == name]

    def check(self, name: str, *states: str) -> None:
        eventually(lambda: len(self.states(name)) >= len(states))
        self.assertEqual(self.states(name), list(states), self.daemon.said())

    def test_its_containers_are_as_they_were(self) -> None:
        away = f"{self.there.path}-away"
        os.rename(self.there.path, away)
        try:
            self.here.create("seen")
            self.check("seen", "create")
            self.daemon.kill()
            self.daemon.start("lxc")
            self.here.run("start", "seen")
            self.check("seen", "create", "start")
            self.check("runs", "found")
            self.assertEqual(self.daemon.get("/api/v1/container/lxc/runs")["state"], "running")
        finally:
            os.rename(away, self.there.path)
        self.there.create("new")
        self.check("new", "create")
        self.there.run("freeze", "runs")
        self.check("runs", "found", "pause")
        self.there.run("unfreeze", "runs")
        self.check("runs", "found", "pause", "unpause")
        self.there.run("stop", "runs", "-k")
        self.check("runs", "found", "pause", "unpause", "stop")
        self.assertEqual(self.daemon.said().count(f"{self.there.path} cannot be looked at"), 2)
