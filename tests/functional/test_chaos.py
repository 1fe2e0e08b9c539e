"""Everything at once: containers come, go and are killed, the engine is stopped and killed,
the daemon is killed, at random. At the end nothing is missing and nothing is there twice.

C{make chaos} runs it for two minutes. C{STATIOND_CHAOS_SECONDS} says how long,
C{STATIOND_CHAOS_SEED} repeats a run as far as chance allows.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable

from twisted.trial.unittest import TestCase

from stationd.interfaces import Query
from stationd.journal.read_only_journal import ReadOnlyJournal
from stationd_plugins.docker.origins import container_event
from tests.functional import lab
from tests.functional.daemon import Daemon, eventually
from tests.functional.engine import Engine

SECONDS = float(os.environ.get("STATIOND_CHAOS_SECONDS", "15"))

SCRIPTS = 3

LEAST_MADE = 10
"""Containers that are made, also if that takes a busy machine longer than L{SECONDS}."""

AFTER = {
    "": {"create"},
    "create": {"start", "destroy"},
    "start": {"die"},
    "die": {"start", "destroy"},
    "destroy": set(),
}
"""What can follow what in the life of a container."""


def seed() -> int:
    """What the run is made from."""
    return int(os.environ.get("STATIOND_CHAOS_SEED") or random.randrange(10**9))


class DockerChaosTests(TestCase):
    """An engine of our own."""

    timeout = SECONDS + 240

    def setUp(self) -> None:
        self.seed = seed()
        self.made: list[tuple[str, ...]] = []
        # Whether containers live on when their engine is stopped.
        options = ("--live-restore",) if self.seed % 2 else ()
        self.engine = Engine(*options)
        self.addCleanup(self.engine.close)
        self.engine.start()
        self.engine.make_image()
        self.daemon = Daemon(docker=self.engine.url)
        self.addCleanup(self.daemon.close)
        self.daemon.start("docker")

    def docker(self, *arguments: str) -> None:
        """A docker command that may fail, as the engine may be down."""
        command = ["docker", "-H", self.engine.url, *arguments]
        done = subprocess.run(command, capture_output=True, check=False, timeout=240)
        if arguments[0] == "run" and done.returncode == 0:
            self.made.append(arguments)

    def goes_on(self, until: float) -> bool:
        """Whether it is not time yet, or too little was done."""
        return time.monotonic() < until or len(self.made) < LEAST_MADE

    def script(self, index: int, until: float) -> None:
        """Containers of one script, until it is time."""
        rng = random.Random(self.seed + index)
        count = 0
        while self.goes_on(until):
            count += 1
            name = f"c{index}-{count}"
            run = ["run", "-d", "--network", "none", "--name", name]
            forget = rng.random() < 0.5
            kind = rng.random()
            if kind < 0.4:
                self.docker(*run, *(["--rm"] if forget else []), lab.IMAGE, "true")
            elif kind < 0.5:
                self.docker(*run, "-m", "16m", lab.IMAGE, "tail", "/dev/zero")
            elif kind < 0.7:
                life = rng.choice(("sleep 1000", "sleep 0.3; exit 1"))
                self.docker(*run, "--restart", "always", lab.IMAGE, "sh", "-c", life)
            else:
                self.docker(*run, lab.IMAGE, "sleep", "1000")
                end: Callable[[], None] = rng.choice(
                    (
                        lambda name=name: self.docker("kill", name),
                        lambda name=name: self.docker("stop", "-t", "0", name),
                        lambda name=name: self.docker("restart", "-t", "0", name),
                        lambda name=name: self.docker("pause", name),
                        lambda name=name: self.docker("rename", name, f"{name}-renamed"),
                        lambda: None,
                    )
                )
                end()
            if forget:
                self.docker("rm", "-f", name)
                self.docker("rm", "-f", f"{name}-renamed")
            # An engine that is down refuses at once.
            time.sleep(rng.uniform(0, 0.1))

    def test_nothing_is_missed_and_nothing_twice(self) -> None:
        rng = random.Random(self.seed)
        until = time.monotonic() + SECONDS
        scripts = [
            threading.Thread(target=self.script, args=(index, until)) for index in range(SCRIPTS)
        ]
        for script in scripts:
            script.start()
        while self.goes_on(until):
            time.sleep(rng.uniform(0.5, 3))
            match rng.choice(("daemon", "daemon", "stop", "kill")):
                case "daemon":
                    self.daemon.kill()
                    time.sleep(rng.uniform(0, 1))
                    self.daemon.start()
                case "stop":
                    self.engine.stop()
                    time.sleep(rng.uniform(0, 1))
                    self.engine.start()
                case "kill":
                    self.engine.kill()
                    time.sleep(rng.uniform(0, 1))
                    self.engine.start()
        for script in scripts:
            script.join()
        self.assertTrue(eventually(self.live), self.said("not live"))
        # What is started again and again does not change any more.
        names = self.engine.docker("ps", "-aq").split()
        self.docker("update", "--restart", "no", *names)
        time.sleep(2)
        eventually(lambda: self.shown() == self.true())
        self.assertEqual(self.shown(), self.true(), self.said("states"))
        self.daemon.stop()
        self.check_sequences()

    def said(self, what: str) -> str:
        return f"{what}, seed {self.seed}:\n{self.daemon.said()[-3000:]}"

    def live(self) -> bool:
        sources = self.daemon.get("/api/v1/system")["sources"]
        return bool(sources["docker"]["state"] == "live")

    def true(self) -> dict[str, str]:
        """What the engine's containers do."""
        lines = self.engine.docker("ps", "-a", "--no-trunc", "--format", "{{json .}}").splitlines()
        found = [json.loads(line) for line in lines]
        states = {"running": "running", "paused": "paused"}
        return {one["ID"]: f"{one['Names']} {states.get(one['State'], 'stopped')}" for one in found}

    def shown(self) -> dict[str, str]:
        """What we say they do."""
        found = self.daemon.get("/api/v1/container")
        return {one["id"]: f"{one['name']} {one['state']}" for one in found}

    def check_sequences(self) -> None:
        """Each container's life is possible, and all that the engine remembers is there."""
        reader = ReadOnlyJournal(f"{self.daemon.directory}/state/event")
        self.assertEqual(reader.status().damage, ())
        records = [r for rs in reader.select(Query(oldest_first=True)) for r in rs]
        lives: dict[str, list[tuple[int, str, bool]]] = {}
        known: set[str] = set()
        for record in records:
            inferred = '"inferred": true' in record.text
            if event := container_event(record.origin):
                self.assertNotIn(record.origin, known, self.said("twice"))
                known.add(record.origin)
                time_ns, action, short = event
                if action in AFTER:
                    lives.setdefault(short, []).append((time_ns, action, inferred))
        self.assertGreater(len(lives), LEAST_MADE // 2)
        for short, life in lives.items():
            actions = [action for _, action, _ in sorted(life)]
            for before, after in zip(["", *actions], actions, strict=False):
                self.assertIn(after, AFTER[before], self.said(f"{short}: {sorted(life)}"))
        now = f"{time.time():.6f}"
        events = self.engine.docker(
            *("events", "--since", "0", "--until", now, "--filter", "type=container"),
            *("--format", "{{json .}}"),
        )
        for line in events.splitlines():
            told = json.loads(line)
            if told["Action"] == "create":
                # It may have been worked out: then it is not recorded once more.
                self.assertIn(told["id"][:12], lives, self.said("missing"))
            elif told["Action"] in AFTER:
                origin = f"docker:{told['timeNano']}:c:{told['Action']}:{told['id'][:12]}"
                self.assertIn(origin, known, self.said("missing"))
