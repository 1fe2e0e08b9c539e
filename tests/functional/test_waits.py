"""Waits beside a real engine, at the moments at which the registry is not how things are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import Any

from twisted.trial.unittest import TestCase

from tests.functional import lab
from tests.functional.daemon import Daemon
from tests.functional.engine import Engine

LONG = 50
"""Seconds that a wait may take which something ends long before."""


class WaitTests(TestCase):
    """An engine of our own."""

    timeout = 300

    def setUp(self) -> None:
        self.engine = Engine()
        self.addCleanup(self.engine.close)
        self.engine.start()
        self.engine.make_image()
        self.daemon = Daemon(docker=self.engine.url)
        self.addCleanup(self.daemon.close)
        self.daemon.start("docker")

    def run_one(self, name: str, *options: str) -> str:
        """A container that sleeps; its id."""
        arguments = ("run", "-d", "--network", "none", "--name", name, *options)
        return self.engine.docker(*arguments, lab.IMAGE, "sleep", "1000")

    def wait(self, name: str, state: str, duration: float = LONG) -> subprocess.Popen[str]:
        """A wait that is under way."""
        path = f"/api/v1/event/wait/docker/{name}/{state}?duration={duration}"
        command = ["curl", "-sS", "--unix-socket", self.daemon.socket, f"http://stationd{path}"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def answer(self, waiting: subprocess.Popen[str]) -> Any:
        said, _ = waiting.communicate(timeout=120)
        return json.loads(said)

    def kill_daemon(self) -> None:
        self.daemon.kill()
        # Of the daemon that comes next nothing is asked before it listens itself.
        os.unlink(self.daemon.socket)

    def test_a_daemon_that_has_just_been_started_waits(self) -> None:
        self.run_one("runs")
        self.kill_daemon()
        self.daemon.start()
        waiting = [self.wait("runs", "stopped"), self.wait("runs", "removed")]
        time.sleep(1)
        self.assertEqual([one.poll() for one in waiting], [None, None])
        self.engine.docker("kill", "runs")
        self.assertEqual(self.answer(waiting[0])["exitCode"], 137)
        self.engine.docker("rm", "runs")
        self.assertTrue(self.answer(waiting[1])["removed"])

    def test_the_exit_of_an_earlier_run_that_is_replayed_ends_no_wait(self) -> None:
        self.run_one("again")
        for _ in range(3):
            self.kill_daemon()
            self.engine.docker("kill", "--signal", "KILL", "again")
            self.engine.docker("wait", "again")
            self.engine.docker("start", "again")
            self.daemon.start()
            waiting = self.wait("again", "stopped")
            time.sleep(1)
            self.assertIsNone(waiting.poll())
            self.engine.docker("stop", "-t", "0", "again")
            shown = self.answer(waiting)
            self.assertEqual((shown["state"], shown["exitCode"]), ("stopped", 137))
            self.engine.docker("start", "again")

    def test_an_engine_that_is_slow_to_answer(self) -> None:
        self.run_one("slow")
        waiting = self.wait("slow", "running")
        self.assertEqual(self.answer(waiting)["state"], "running")
        pid = self.engine.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            waiting = self.wait("slow", "running")
            time.sleep(2)
            self.assertIsNone(waiting.poll(), "the engine has not said so")
        finally:
            os.kill(pid, signal.SIGCONT)
        shown = self.answer(waiting)
        self.assertEqual((shown["state"], shown.get("stale")), ("running", None))

    def test_a_name_is_that_of_the_container_which_has_it_now(self) -> None:
        for _ in range(10):
            id = self.run_one("name", "--rm")
            self.assertEqual(self.answer(self.wait("name", "running"))["id"], id)
            self.engine.docker("rm", "-f", "name")

    def hold(self) -> None:
        """Let nothing of what happens be recorded."""
        assert self.daemon.process is not None
        self.daemon.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.daemon.process is not None
        self.daemon.process.send_signal(signal.SIGCONT)

    def test_what_was_over_when_it_began(self) -> None:
        self.run_one("again")
        self.hold()
        try:
            self.engine.docker("restart", "-t", "0", "again")
            waiting = self.wait("again", "stopped")
            time.sleep(0.5)
        finally:
            self.go_on()
        time.sleep(1)
        self.assertIsNone(waiting.poll())
        self.engine.docker("kill", "again")
        self.assertEqual(self.answer(waiting)["exitCode"], 137)

    def test_the_name_of_one_whose_removal_is_not_recorded_yet(self) -> None:
        self.run_one("name")
        self.hold()
        try:
            self.engine.docker("rm", "-f", "name")
            id = self.run_one("name")
            waiting = {state: self.wait("name", state) for state in ("running", "stopped")}
            time.sleep(0.5)
        finally:
            self.go_on()
        self.assertEqual(self.answer(waiting["running"])["id"], id)
        time.sleep(1)
        self.assertIsNone(waiting["stopped"].poll())
        self.engine.docker("kill", "name")
        self.assertEqual(self.answer(waiting["stopped"])["id"], id)

    def test_what_lives_for_a_moment_is_waited_for(self) -> None:
        for code in range(10):
            arguments = ("run", "--rm", "-d", "--network", "none", "--name", "brief", lab.IMAGE)
            id = self.engine.docker(*arguments, "sh", "-c", f"exit {code}")
            shown = self.answer(self.wait("brief", "removed"))
            self.assertEqual((shown["id"], shown["exitCode"]), (id, code))
            subprocess.run(
                ["docker", "-H", self.engine.url, "wait", id], check=False, capture_output=True
            )
