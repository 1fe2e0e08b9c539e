"""The same for LXC: containers are made, started, frozen, rebooted, stopped, killed, renamed
and removed, while the daemon is killed, or held until inotify's queue has overflowed.

What happened while the daemon looked must be recorded; of the rest, what each container is,
and a life that is possible. See L{tests.functional.test_chaos} for how it is run.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time

from twisted.trial.unittest import TestCase

from tests.functional import lab
from tests.functional.daemon import Daemon, eventually
from tests.functional.lxc import Lxc
from tests.functional.test_chaos import SCRIPTS, SECONDS, seed

AFTER = {
    "create": ("absent", "stopped"),
    "start": ("stopped", "running"),
    "restart": ("running", "running"),
    "pause": ("running", "paused"),
    "unpause": ("paused", "running"),
    "stop": ("running", "stopped"),
    "destroy": ("stopped", "absent"),
}
"""What each leads from, and to."""

SEEN_WITHIN = 0.5
"""Seconds in which the daemon must not be disturbed for something to be seen for sure."""

BRIEF = 0.1
"""Seconds that what only scans see lasts at least: a container, a name, a freeze. If the daemon
runs and has not noticed by then, as on a busy machine, it lasts until it has."""

NOTICED_WITHIN = 20.0
"""Seconds that this takes at most."""


class LxcChaosTests(TestCase):
    """An LXC path of our own."""

    timeout = SECONDS + 120

    def setUp(self) -> None:
        lab.need_lxc()
        self.seed = seed()
        self.lxc = Lxc()
        self.addCleanup(self.lxc.close)
        self.daemon = Daemon(lxc=self.lxc.path)
        self.addCleanup(self.daemon.close)
        self.daemon.start("lxc")
        # When it looked, from and to; and what was done, from, to, to whom.
        self.looked: list[tuple[float, float]] = []
        self.done: list[tuple[float, float, str, str]] = []
        self.errors: list[Exception] = []
        self.names = [f"c{index}" for index in range(SCRIPTS)]

    def script(self, index: int, until: float) -> None:
        """L{_script}; what went wrong is kept."""
        try:
            self._script(index, until)
        except Exception as error:  # noqa: BLE001 - the test tells
            self.errors.append(error)

    def _script(self, index: int, until: float) -> None:
        """The lives of one container after the other, all of the same name but some."""
        rng = random.Random(self.seed + index)
        name, count = f"c{index}", 0
        while time.monotonic() < until:
            self.do("create", name)
            for _ in range(rng.randrange(3)):
                self.do("start", name)
                for _ in range(rng.randrange(3)):
                    match rng.choice(("freeze", "reboot", "nothing")):
                        case "freeze":
                            self.do("freeze", name)
                            self.do("unfreeze", name)
                        case "reboot":
                            self.do("reboot", name)
                    time.sleep(rng.uniform(0, 0.3))
                self.do(rng.choice(("stop", "kill")), name)
                time.sleep(rng.uniform(0, 0.3))
            if rng.random() < 0.2:
                count += 1
                other = f"c{index}-{count}"
                self.do("rename", name, other)
                self.names.append(other)
                self.do("destroy", other)
            elif rng.random() < 0.8 or time.monotonic() > until:
                self.do("destroy", name)
            else:
                count += 1
                name = f"c{index}-{count}"
                self.names.append(name)

    def do(self, what: str, name: str, other: str = "") -> None:
        """Do something to a container, and note when."""
        if what in ("reboot", "stop"):
            # So long its init needs to trap signals.
            time.sleep(BRIEF)
        began = time.monotonic()
        match what:
            case "create":
                self.lxc.create(name)
                self.last(name, "stopped")
            case "start":
                self.lxc.run("start", name)
            case "freeze" | "unfreeze":
                self.lxc.run(what, name)
                self.last(name, "paused" if what == "freeze" else "running")
            case "reboot":
                self.lxc.run("stop", name, "--reboot", "--timeout", "60")
                # The command does not wait until it runs again.
                self.lxc.run("wait", name, "-s", "RUNNING", "-t", "60")
                time.sleep(BRIEF)
            case "stop":
                self.lxc.run("stop", name, "--timeout", "60")
            case "kill":
                self.lxc.run("stop", name, "-k")
            case "rename":
                os.rename(f"{self.lxc.path}/{name}", f"{self.lxc.path}/{other}")
                self.lxc.move(name, other)
                self.last(other, "stopped")
            case "destroy":
                self.lxc.run("destroy", name)
        action = {"freeze": "pause", "unfreeze": "unpause", "reboot": "restart", "kill": "stop"}
        self.done.append((began, time.monotonic(), action.get(what, what), other or name))

    def last(self, name: str, state: str) -> None:
        """Let a state last for L{BRIEF}, and until the daemon shows it, unless it does not run."""
        time.sleep(BRIEF)
        until = time.monotonic() + NOTICED_WITHIN
        with contextlib.suppress(OSError):
            while time.monotonic() < until:
                if self.daemon.get(f"/api/v1/container/lxc/{name}").get("state") == state:
                    return
                time.sleep(BRIEF)

    def disturb(self, rng: random.Random) -> None:
        """Kill the daemon, or hold it until the queue of its inotify has overflowed."""
        assert self.daemon.process is not None
        if rng.random() < 0.5:
            self.daemon.kill()
            time.sleep(rng.uniform(0, 1))
            self.daemon.start("lxc")
            return
        with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
            limit = int(file.read())
        self.daemon.process.send_signal(signal.SIGSTOP)
        try:
            path = os.path.join(self.lxc.path, "touched")
            for _ in range(limit // 2 + 100):
                os.mkdir(path)
                os.rmdir(path)
        finally:
            self.daemon.process.send_signal(signal.SIGCONT)
        said = self.daemon.said
        self.assertTrue(eventually(lambda: "inotify's queue overflowed" in said()))

    def test_nothing_is_missed_and_nothing_twice(self) -> None:
        rng = random.Random(self.seed)
        until = time.monotonic() + SECONDS
        scripts = [
            threading.Thread(target=self.script, args=(index, until)) for index in range(SCRIPTS)
        ]
        for script in scripts:
            script.start()
        while time.monotonic() < until:
            began = time.monotonic()
            time.sleep(rng.uniform(1, 4))
            self.looked.append((began, time.monotonic()))
            self.disturb(rng)
        for script in scripts:
            script.join()
        self.assertEqual(self.errors, [], self.said("scripts"))
        eventually(lambda: self.shown() == self.true())
        self.assertEqual(self.shown(), self.true(), self.said("states"))
        self.check()

    def said(self, what: str) -> str:
        return f"{what}, seed {self.seed}:\n{self.daemon.said()[-3000:]}"

    def true(self) -> dict[str, str]:
        """What the containers do."""
        found = {}
        for name in os.listdir(self.lxc.path):
            state = self.lxc.run("info", name, "-sH").strip().lower()
            found[name] = state if state == "running" else "stopped"
        return found

    def shown(self) -> dict[str, str]:
        """What we say they do."""
        return {one["name"]: one["state"] for one in self.daemon.get("/api/v1/container")}

    def check(self) -> None:
        """Each life is possible, and what was looked at is there."""
        events = [event for event in self.daemon.events() if "state" in event]
        states: dict[str, str] = {}
        for event in events:
            name, action = event["container"], event["state"]
            before = states.get(name, "absent")
            if action == "rename":
                self.assertEqual(before, "absent", self.said(f"{name}: {event}"))
                states[name] = states.pop(event["old"])
                continue
            source, target = AFTER[action]
            is_end_of_paused = action in ("stop", "restart") and before == "paused"
            possible = before == source or is_end_of_paused
            its = [one for one in events if one["container"] == name]
            self.assertTrue(possible, self.said(f"{action} of {name}, {before}: {its}"))
            states[name] = target
        told = {name: [e["state"] for e in events if e["container"] == name] for name in self.names}
        seen = [
            (action, name)
            for began, ended, action, name in self.done
            if any(a + SEEN_WITHIN < began and ended < b - SEEN_WITHIN for a, b in self.looked)
        ]
        self.assertTrue(seen)
        for name in self.names:
            for action in AFTER:
                done = sum(one == (action, name) for one in seen)
                history = [one for one in self.done if one[3] == name]
                said = self.said(f"{action} {name}\n{history}\n{told[name]}\n{self.looked}")
                self.assertGreaterEqual(told[name].count(action), done, said)
        sure = sum(not event.get("inferred") for event in events)
        self.assertGreaterEqual(sure, len(seen), self.said("inferred"))
