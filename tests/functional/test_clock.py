"""The clock is stepped back an hour and forward a day under the running daemon: numbers, waits,
and where it resumes stay right. The clock is libfaketime's, that of the daemon only."""

from __future__ import annotations

import glob
import os
import time

from twisted.trial.unittest import TestCase

from tests.functional import lab
from tests.functional.daemon import Daemon, eventually
from tests.functional.engine import Engine
from tests.functional.lxc import Lxc

HOUR, DAY = 3600, 86_400

SLOW = 60
"""Seconds that a busy machine may take for a request: less than any step of the clock."""


class ClockTests(TestCase):
    """A daemon whose clock we set."""

    timeout = 120

    def setUp(self) -> None:
        lab.need_lxc()
        self.lxc = Lxc()
        self.addCleanup(self.lxc.close)
        self.engine = Engine()
        self.addCleanup(self.engine.close)
        self.engine.start()
        self.engine.make_image()
        self.daemon = Daemon(docker=self.engine.url, lxc=self.lxc.path)
        self.addCleanup(self.daemon.close)
        self.offset = os.path.join(self.daemon.directory, "offset")
        self.step(0)
        (library,) = glob.glob(lab.PACKAGES["libfaketime"])
        self.daemon.environment = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": self.offset,
            # It reads the file once a second, and not at each look at the clock.
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def step(self, seconds: int) -> None:
        """Set its clock so much before or after ours."""
        with open(f"{self.offset}.new", "w", encoding="ascii") as file:
            file.write(f"{seconds:+d}")
        os.rename(f"{self.offset}.new", self.offset)

    def post(self) -> float:
        """A record; how much its time is ahead of our clock."""
        number = self.daemon.post(
            "/api/v1/log", {"category": "backup", "message": "what time is it?"}
        )["last"]
        newest = self.daemon.get("/api/v1/log?limit=1&text=what+time")[0]
        self.assertEqual(newest["id"], number)
        ahead: float = newest["ts"] - time.time()
        return ahead

    def of(self, name: str) -> list[str]:
        return [e["state"] for e in self.daemon.events() if e.get("container") == name]

    def wait(self, name: str, state: str, seconds: float) -> float:
        """How long a wait takes that is in vain."""
        began = time.monotonic()
        self.daemon.get(f"/api/v1/event/wait/lxc/{name}/{state}?duration={seconds}")
        return time.monotonic() - began

    def test_steps(self) -> None:
        self.daemon.start("docker", "lxc")
        self.assertLess(abs(self.post()), SLOW)
        self.lxc.create("one")
        run = ("run", "-d", "--network", "none", "--name")
        sleep = (lab.IMAGE, "sleep", "1000")
        self.engine.docker(*run, "d-one", *sleep)
        expected: dict[str, list[str]] = {"one": ["create"], "d-one": ["create", "start"]}

        def check() -> None:
            for name, states in expected.items():
                eventually(lambda name=name, states=states: len(self.of(name)) >= len(states))
                self.assertEqual(self.of(name), states, self.daemon.said())

        check()
        for at, offset in enumerate((-HOUR, DAY, -HOUR, 0)):
            self.step(offset)
            eventually(lambda offset=offset: abs(self.post() - offset) < SLOW)
            self.assertLess(abs(self.post() - offset), SLOW)
            for duration in (0.5, 1.5):
                waited = self.wait("one", "running", duration)
                self.assertTrue(duration <= waited < duration + SLOW, waited)
            # What happens while it looks.
            self.lxc.run("start", "one")
            self.lxc.run("stop", "one", "-k")
            self.engine.docker("stop", "-t", "0", "d-one")
            self.engine.docker("start", "d-one")
            expected["one"] += ["start", "stop"]
            expected["d-one"] += ["kill", "kill", "die", "stop", "start"]
            check()
            # What happens while it does not, and the engine remembers.
            self.daemon.kill()
            name = f"d-{at}"
            self.engine.docker(*run, name, *sleep)
            self.engine.docker("kill", name)
            self.engine.docker("rm", name)
            self.lxc.run("start", "one")
            self.daemon.start("docker", "lxc")
            expected[name] = ["create", "start", "kill", "die", "destroy"]
            expected["one"] += ["start"]
            check()
            self.lxc.run("stop", "one", "-k")
            expected["one"] += ["stop"]
            check()
        inferred = [e["container"] for e in self.daemon.events() if e.get("inferred")]
        self.assertEqual(inferred, ["one"] * 4)
        answer = self.daemon.get("/api/v1/log?limit=10000")
        numbers = [record["id"] for record in answer]
        self.assertEqual(numbers, list(range(len(numbers), 0, -1)))
        tomorrow = self.daemon.get(f"/api/v1/log?limit=10000&time_start={time.time() + DAY - 600}")
        self.assertGreater(len(tomorrow), 3)
        self.assertTrue(all(record["ts"] > time.time() + HOUR for record in tomorrow))
