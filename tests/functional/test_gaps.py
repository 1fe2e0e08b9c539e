"""An engine that forgets: stopped, killed, or with more events than it remembers, while
somebody looks or nobody does. What happened is recorded all the same, once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any

from twisted.trial.unittest import TestCase

from tests.functional import lab
from tests.functional.daemon import Daemon, eventually
from tests.functional.engine import Engine


class GapTests(TestCase):
    """An engine of our own."""

    timeout = 300

    def begin(self, *options: str) -> None:
        self.engine = Engine(*options)
        self.addCleanup(self.engine.close)
        self.engine.start()
        self.engine.make_image()
        self.daemon = Daemon(docker=self.engine.url)
        self.addCleanup(self.daemon.close)
        self.daemon.start("docker")

    def run_one(self, name: str) -> str:
        """A container that sleeps; its id."""
        arguments = ("run", "-d", "--network", "none", "--name", name, lab.IMAGE, "sleep", "1000")
        return self.engine.docker(*arguments)

    def live(self) -> None:
        """Wait until the engine is followed."""

        def live() -> bool:
            return bool(self.daemon.get("/api/v1/system")["sources"]["docker"]["state"] == "live")

        self.assertTrue(eventually(live), self.daemon.said())

    def states(self, name: str) -> list[str]:
        """What happened to a container, without what asked for it."""
        return [
            event["state"]
            for event in self.daemon.events()
            if event.get("container") == name and event.get("state") not in (None, "kill")
        ]

    def inferred(self, name: str) -> list[dict[str, Any]]:
        return [
            event
            for event in self.daemon.events()
            if event.get("container") == name and event.get("inferred")
        ]

    def test_an_engine_that_is_killed(self) -> None:
        self.begin("--live-restore")
        self.run_one("ends")
        self.run_one("stays")
        eventually(lambda: self.states("stays") == ["create", "start"])
        pid = int(self.engine.docker("inspect", "-f", "{{.State.Pid}}", "ends"))
        self.engine.kill()
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        self.engine.start()
        self.live()
        finished = self.engine.docker("inspect", "-f", "{{.State.FinishedAt}}", "ends")
        self.assertEqual(self.states("stays"), ["create", "start"])
        self.assertTrue(eventually(lambda: "die" in self.states("ends")), self.daemon.events())
        self.assertEqual(self.states("ends"), ["create", "start", "die"])
        shown = self.daemon.get("/api/v1/container/docker/ends")
        self.assertEqual(shown["state"], "stopped")
        self.assertEqual(shown["finishedAt"][:19], finished[:19].replace("T", " "))

    def test_what_died_with_its_engine_and_was_started_again(self) -> None:
        for daemon_lives in (True, False):
            self.begin("--live-restore")
            arguments = ("run", "-d", "--network", "none", "--restart", "always", "--name", "one")
            self.engine.docker(*arguments, lab.IMAGE, "sleep", "1000")
            eventually(lambda: self.states("one") == ["create", "start"])
            pid = int(self.engine.docker("inspect", "-f", "{{.State.Pid}}", "one"))
            if not daemon_lives:
                self.daemon.kill()
            self.engine.kill()
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)
            self.engine.start()
            if not daemon_lives:
                self.daemon.start("docker")
            eventually(lambda: self.states("one")[-2:] == ["die", "start"])
            self.assertEqual(self.states("one"), ["create", "start", "die", "start"])
            (died,) = [event for event in self.daemon.events() if event.get("state") == "die"]
            # An engine that is slow to come up may see the end itself, and tell.
            told = self.engine.docker(
                *("events", "--since", "0", "--until", f"{int(time.time()) + 1}"),
                *("--filter", "event=die", "--format", "{{.Actor.ID}}"),
            )
            self.assertEqual(self.inferred("one"), [] if told else [died])
            finished = self.engine.docker("inspect", "-f", "{{.State.FinishedAt}}", "one")
            lines = self.daemon.curl("/api/v1/log/export?text=exited&container=one").splitlines()
            self.assertTrue(lines[1].startswith(finished[:23].replace("T", " ")), lines)
            self.daemon.stop()

    def test_an_engine_that_was_killed_ends_what_it_finds(self) -> None:
        self.begin()
        # As the first process it does not mind a SIGTERM: it takes the engine ten seconds.
        self.run_one("one")
        eventually(lambda: self.states("one") == ["create", "start"])
        self.engine.kill()
        self.engine.start()
        self.assertTrue(eventually(lambda: "die" in self.states("one")), self.daemon.said())
        (died,) = [event for event in self.daemon.events() if event.get("state") == "die"]
        self.assertEqual((died["asked"], died.get("engineStarts")), (True, True), died)
        said = [text.partition(" (")[0] for _, _, text in self.daemon.sentences()]
        self.assertIn("Container exited as its engine came back with code 137", said)

    def test_an_engine_that_is_stopped_stops_its_containers(self) -> None:
        self.begin()
        self.run_one("one")
        self.run_one("two")
        eventually(lambda: self.states("two") == ["create", "start"])
        self.engine.docker("stop", "-t", "0", "one")
        self.engine.stop()
        self.assertTrue(eventually(lambda: "stop" in self.states("two")), self.daemon.said())
        self.assertEqual(self.states("two"), ["create", "start", "die", "stop"])
        said = [text.partition(" (")[0] for _, _, text in self.daemon.sentences()]
        ends = [text for text in said if text.startswith("Container exited")]
        self.assertEqual(
            ends,
            [
                "Container exited as asked with code 137",
                "Container exited as its engine was stopped with code 137",
            ],
        )
        died = [event for event in self.daemon.events() if event.get("state") == "die"]
        self.assertEqual([event.get("engineStops") for event in died], [None, True])

    def test_an_engine_that_is_restarted_while_nobody_looks(self) -> None:
        for options in ((), ("--live-restore",)):
            self.begin(*options)
            self.run_one("old")
            eventually(lambda: self.states("old") == ["create", "start"])
            self.daemon.kill()
            self.run_one("new")
            self.engine.docker("kill", "old")
            self.engine.docker("rm", "old")
            self.engine.docker("create", "--name", "idle", "--network", "none", lab.IMAGE, "true")
            # It forgets all of that.
            self.engine.stop()
            self.engine.start()
            self.daemon.start("docker")
            self.assertEqual(self.states("old"), ["create", "start", "die", "destroy"])
            self.assertEqual(self.states("idle"), ["create"])
            ends = [] if options else ["die"]
            self.assertEqual(self.states("new"), ["create", "start", *ends])
            self.assertEqual(len(self.inferred("new")), 2 + len(ends))
            created = self.engine.docker("inspect", "-f", "{{.Created}}", "new")
            lines = self.daemon.curl("/api/v1/log/export?text=Create&container=new").splitlines()
            self.assertTrue(lines[1].startswith(created[:23].replace("T", " ")), lines)
            said = [text for _, category, text in self.daemon.sentences() if category == "system"]
            self.assertTrue(any("Docker has forgotten what happened after" in s for s in said))
            # Once more, nothing is new.
            before = self.daemon.events()
            self.daemon.stop()
            self.daemon.start("docker")
            self.assertEqual(self.daemon.events(), before)

    def come_back(self, root: str) -> dict[str, str]:
        """The engine is stopped, and comes back with the containers on a data-root; those that
        are shown then, and their states."""
        self.engine.stop()
        lost = 'stationd_source_live{source="docker"} 0'
        self.assertTrue(eventually(lambda: lost in self.daemon.curl("/metrics")))
        self.engine.start(root)
        self.live()
        return self.shown()

    def shown(self) -> dict[str, str]:
        return {one["name"]: one["state"] for one in self.daemon.get("/api/v1/container")}

    def test_an_engine_that_comes_up_on_another_data_root_and_back(self) -> None:
        self.begin()
        self.run_one("runs")
        self.engine.docker("create", "--name", "idle", "--network", "none", lab.IMAGE, "true")
        self.assertTrue(eventually(lambda: self.states("idle") == ["create"]))
        began = ["create", "start", "die", "stop"]
        for turn in (1, 2):
            self.assertEqual(self.come_back("other"), {})
            self.assertEqual(self.come_back("data"), {"runs": "stopped", "idle": "stopped"})
            back = ["destroy", "found"] * turn
            self.assertEqual(
                (self.states("runs"), self.states("idle")), (began + back, ["create", *back])
            )
        self.engine.docker("start", "runs")
        self.engine.docker("rm", "-f", "runs", "idle")
        self.assertTrue(eventually(lambda: self.shown() == {}), self.shown())
        self.assertEqual(self.states("runs"), [*began, *back, "start", "die", "destroy"])
        self.assertEqual(self.states("idle"), ["create", *back, "destroy"])
        for end in (self.daemon.stop, self.daemon.kill):
            before = self.daemon.events()
            end()
            self.daemon.start("docker")
            self.assertEqual((self.daemon.events(), self.shown()), (before, {}))

    def test_what_lives_on_without_its_engine_and_the_daemon_away(self) -> None:
        self.begin("--live-restore")
        self.run_one("runs")
        self.engine.docker("create", "--name", "idle", "--network", "none", lab.IMAGE, "true")
        self.assertTrue(eventually(lambda: self.states("idle") == ["create"]))
        self.assertEqual(self.come_back("other"), {})
        self.daemon.kill()
        self.engine.stop()
        self.engine.start("data")
        self.daemon.start("docker")
        self.assertEqual(self.shown(), {"runs": "running", "idle": "stopped"})
        self.engine.docker("rm", "-f", "runs", "idle")
        self.assertTrue(eventually(lambda: self.shown() == {}), self.shown())
        lost = ["create", "start", "die", "destroy"]
        self.assertEqual(self.states("runs"), [*lost, "found", "die", "destroy"])
        self.assertEqual(self.states("idle"), ["create", "destroy", "found", "destroy"])

    def test_more_events_than_an_engine_remembers(self) -> None:
        self.begin()
        self.run_one("first")
        self.run_one("second")
        eventually(lambda: self.states("second") == ["create", "start"])
        self.daemon.stop()
        self.engine.docker("kill", "first")
        subprocess.run(
            [
                "sh",
                "-c",
                "for i in $(seq 150); do docker pause second; docker unpause second; done",
            ],
            env={**os.environ, "DOCKER_HOST": self.engine.url},
            check=True,
            capture_output=True,
        )
        self.daemon.start("docker")
        self.assertEqual(self.states("first"), ["create", "start", "die"])
        (died,) = self.inferred("first")
        self.assertEqual(died["exitCode"], 137)
        seen = self.states("second")
        self.assertEqual(seen[:2], ["create", "start"])
        self.assertEqual(seen.count("pause"), 128)
        said = [text for _, category, text in self.daemon.sentences() if category == "system"]
        (gap,) = [text for text in said if "Docker has forgotten" in text]
        self.assertTrue(gap.endswith("1 change was worked out from what its containers are"), gap)
