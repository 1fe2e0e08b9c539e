"""A real engine: what is done to containers and images, against what is recorded."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs
from twisted.trial.unittest import TestCase

from stationd.records import Observation
from stationd_plugins.docker import engine
from stationd_plugins.docker.inquest import inquire
from stationd_plugins.host.oom_log import OomKill
from tests.functional import lab
from tests.functional.daemon import STOPS_WITHIN, Daemon, eventually
from tests.functional.proxy import Proxy


class DockerCase(TestCase):
    """A daemon that follows the laboratory's engine."""

    timeout = 300

    def setUp(self) -> None:
        self.url = lab.docker_url()
        self.daemon = Daemon(docker=self.url)
        self.addCleanup(self.daemon.close)
        self.daemon.start("docker")

    def docker(self, *arguments: str) -> str:
        return lab.docker(self.url, *arguments)

    def after(self, *commands: str, ending: str) -> tuple[list[dict[str, Any]], list[str]]:
        """Do things; the events and log sentences of them, when the last event has
        a state. Ids are replaced, so that they can be compared."""
        before, said = self.until_marked()
        number = self.daemon.get("/api/v1/event")["offset"]
        for command in commands:
            subprocess.run(
                ["sh", "-c", command],
                env={**os.environ, "DOCKER_HOST": self.url},
                check=False,
                capture_output=True,
            )

        def done() -> bool:
            messages = self.daemon.get(f"/api/v1/event?index={number}")["messages"]
            return any(f'"{ending}"' in message for message in messages)

        self.assertTrue(eventually(done), self.daemon.said())
        events, sentences = self.until_marked()
        return events[len(before) :], sentences[len(said) :]

    def until_marked(self) -> tuple[list[dict[str, Any]], list[str]]:
        """All events and log sentences of what the engine has told until now: the engine tells
        in order, so when another happening is in both they are complete."""
        # One of its own: the engine replays those of other tests.
        mark = f"mark:{time.time_ns()}"
        self.docker("tag", lab.IMAGE, mark)

        def sentences() -> list[str]:
            found = self.daemon.sentences()
            return [f"{level} {category} {text}" for level, category, text in found]

        marked = f"INFO image Tag image (docker, {mark})"
        self.assertTrue(eventually(lambda: marked in sentences()), self.daemon.said())
        events = [one for one in self.daemon.events() if not str(one.get("id")).startswith("mark:")]
        return events, [one for one in sentences() if "docker, mark:" not in one]


@attrs.frozen
class Asked:
    """A question, when it was asked and answered, and what had been received before it."""

    since: float
    until: float
    total: int
    answer: dict[str, Any]


class Received:
    """Counts what comes over a connection, in a thread, so that it is known at any time.

    @ivar total: bytes so far.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.total = 0
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()

    def _count(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._connection.recv(65536):
                self.total += len(data)

    def during(self, ask: Callable[[str], dict[str, Any]], name: str) -> Asked:
        """Ask something."""
        since, total = time.monotonic(), self.total
        answer = ask(name)
        return Asked(since, time.monotonic(), total, answer)

    def close(self) -> None:
        """End the connection and the thread."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()


class RecordTests(DockerCase):
    """Every row of the table."""

    def lifecycle(self, name: str, *states: str | dict[str, Any]) -> list[dict[str, Any]]:
        expected: list[dict[str, Any]] = []
        for state in states:
            more = {"state": state} if isinstance(state, str) else state
            expected.append({"container": name, "type": "docker"} | more)
        return expected

    def plain(self, events: list[dict[str, Any]], keep: tuple[str, ...] = ()) -> list[Any]:
        """Events without what differs from run to run."""
        for event in events:
            if event.get("state") == "die" and "exitCode" not in keep:
                self.assertIsInstance(event["exitCode"], int)
        drop = {"id"} if "id" not in keep else set()
        return [{k: v for k, v in event.items() if k not in drop} for event in events]

    def test_create_start_stop_restart_kill_pause_rename_destroy(self) -> None:
        run = "sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.1; done'"
        events, log = self.after(
            f"docker create --name one {lab.IMAGE} {run}",
            "docker start one",
            "docker pause one",
            "docker unpause one",
            "docker stop -t 5 one",
            "docker start one",
            "docker restart -t 5 one",
            "docker rename one two",
            "docker kill two",
            "docker wait two",
            "docker rm two",
            ending="destroy",
        )
        term = {"state": "kill", "signal": "SIGTERM"}
        asked = {"state": "die", "oom": False, "asked": True}
        zero = asked | {"exitCode": 0}
        self.assertEqual(
            self.plain(events),
            self.lifecycle(
                "one",
                *("create", "start", "pause", "unpause", term, zero, "stop"),
                *("start", term, zero, "stop", "start", "restart"),
            )
            + self.lifecycle(
                "two",
                {"state": "rename", "old": "one"},
                {"state": "kill", "signal": "SIGKILL"},
                asked | {"exitCode": 137, "signal": "SIGKILL"},
                "destroy",
            ),
        )
        short = events[0]["id"][:12]
        self.assertEqual(
            log,
            [
                f"{line} (docker, {short}, {'two' if index >= 13 else 'one'})"
                for index, line in enumerate(
                    [
                        "INFO container Create container",
                        "INFO container Start container",
                        "INFO container Pause container",
                        "INFO container Unpause container",
                        "INFO container Kill container with SIGTERM",
                        "INFO container Container exited as asked with code 0",
                        "INFO container Stop container",
                        "INFO container Start container",
                        "INFO container Kill container with SIGTERM",
                        "INFO container Container exited as asked with code 0",
                        "INFO container Stop container",
                        "INFO container Start container",
                        "INFO container Restart container",
                        "INFO container Rename container from one",
                        "INFO container Kill container with SIGKILL",
                        "INFO container Container exited as asked with code 137",
                        "INFO container Destroy container",
                    ]
                )
            ],
        )

    def test_out_of_memory(self) -> None:
        for attempt in range(3):
            name = f"hungry-{attempt}"
            events, log = self.after(
                f"docker run --name {name} -m 16m --memory-swap 16m {lab.IMAGE} tail /dev/zero",
                f"docker rm {name}",
                ending="destroy",
            )
            # Whether the engine tells of it is chance: its shim looks beside the kernel.
            states = [event["state"] for event in events]
            self.assertEqual(states, ["create", "start", "oom", "die", "destroy"])
            self.assertEqual((events[3]["exitCode"], events[3]["oom"]), (137, True))
            self.assertIn("ERROR container Container ran out of memory (docker, ", log[2])
            words = "Container was killed by the kernel, out of memory, limit 16 MiB ("
            self.assertIn(f"ERROR container {words}", log[3])
        before = self.daemon.events()
        for end in (self.daemon.stop, self.daemon.kill):
            end()
            self.daemon.start("docker")
            self.assertEqual(self.daemon.events(), before)

    def test_out_of_memory_that_the_engine_does_not_tell(self) -> None:
        command = ("run", "--rm", "-m", "16m", "--memory-swap", "16m", "--cidfile")
        path = os.path.join(self.mktemp(), "id")
        os.makedirs(os.path.dirname(path))
        with contextlib.suppress(subprocess.CalledProcessError):
            self.docker(*command, path, lab.IMAGE, "tail", "/dev/zero")
        with open(path, encoding="ascii") as file:
            id = file.read()
        details = {"exitCode": 137, "oom": False, "asked": False}
        died = Observation(
            time_us=time.time_ns() // 1000,
            type="docker",
            subject="container",
            action="die",
            id=id,
            name="",
            details=details,
        )
        client = engine.connect(self.url)
        self.addCleanup(client.close)
        self.assertEqual(inquire(client, self.url, died), {"oom": True, "limit": 16 << 20})
        # A kill is the reason of one exit.
        reasons: dict[OomKill, str] = {}
        one = attrs.evolve(died, origin="docker:1:c:die:one")
        for _ in range(2):
            self.assertEqual(inquire(client, self.url, one, reasons)["oom"], True)
        self.assertEqual(inquire(client, self.url, died, reasons), {})
        other = attrs.evolve(died, id="f" * 64)
        self.assertEqual(inquire(client, self.url, other), {})
        asked = attrs.evolve(died, details=details | {"asked": True})
        self.assertEqual(inquire(client, self.url, asked), {})
        self.assertEqual(inquire(client, "unix:///nowhere", asked), {"engineStops": True})

    def test_exit_code(self) -> None:
        events, log = self.after(
            f"docker run --rm --name bad {lab.IMAGE} sh -c 'exit 3'", ending="destroy"
        )
        self.assertEqual(events[2]["exitCode"], 3)
        self.assertIn("WARN container Container exited by itself with code 3 (", log[2])

    def test_labels_do_not_override_what_the_engine_says(self) -> None:
        label = f"--label exitCode=LABEL --label signal=9 --label oldName=/x {lab.IMAGE}"
        for index, (text, code) in enumerate((("0", 3), ("abc", 4), ("7", 0))):
            name = f"labelled-{index}"
            events, log = self.after(
                f"docker run --name {name} {label.replace('LABEL', text)} sh -c 'exit {code}'",
                ending="die",
            )
            self.assertEqual(events[-1]["exitCode"], code)
            level = "WARN" if code else "INFO"
            words = f"{level} container Container exited by itself with code {code} ("
            self.assertIn(words, log[-1])
            for path in (f"container/docker/{name}", f"event/wait/docker/{name}/stopped"):
                self.assertEqual(self.daemon.get(f"/api/v1/{path}")["exitCode"], code)
        events, _ = self.after("docker rename labelled-0 named; docker rm named", ending="destroy")
        self.assertEqual((events[0]["state"], events[0]["old"]), ("rename", "labelled-0"))
        self.docker("rm", "labelled-1", "labelled-2")

    def test_labels_of_an_image_and_of_what_was_removed_at_once(self) -> None:
        directory = os.path.abspath(self.mktemp())
        os.makedirs(directory)
        with open(f"{directory}/Dockerfile", "w", encoding="ascii") as file:
            file.write(f"FROM {lab.IMAGE}\nLABEL exitCode=0\n")
        self.docker("build", "-q", "-t", "labelled", directory)
        self.addCleanup(self.docker, "rmi", "labelled")
        for code in (3, 0, 5):
            events, _ = self.after(
                f"docker run --rm labelled sh -c 'exit {code}'", ending="destroy"
            )
            (died,) = [event for event in events if event["state"] == "die"]
            # The engine may have forgotten it before it was asked.
            self.assertIn(died.get("exitCode"), (code, None))

    def test_signals_that_a_label_hides_are_not_claimed(self) -> None:
        trap = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
        self.docker(
            *("run", "-d", "--name", "labelled", "--label", "signal=9", "--label", "exitCode=137"),
            *(lab.IMAGE, "sh", "-c", trap),
        )
        events, log = self.after(
            "docker kill -s TERM labelled; docker wait labelled; docker rm labelled",
            ending="destroy",
        )
        killed, died = [event for event in events if event["state"] in ("kill", "die")]
        self.assertNotIn("signal", killed)
        self.assertEqual((died["exitCode"], died["asked"], died["oom"]), (0, True, False))
        self.assertIn("INFO container Kill container (", log[-3])

    def test_labels_of_what_ended_while_nobody_looked(self) -> None:
        run = ("run", "-d", "--label", "exitCode=0", "--name")
        wait = "while [ ! -e /end ]; do sleep 0.1; done; exit 6"
        self.docker(*run, "old", lab.IMAGE, "sh", "-c", wait)
        self.addCleanup(self.docker, "rm", "-f", "old", "new")
        eventually(lambda: "old" in self.daemon.curl("/api/v1/container"))
        self.daemon.stop()
        self.docker("exec", "old", "sh", "-c", "> /end")
        self.docker("wait", "old")
        self.docker(*run, "new", lab.IMAGE, "sh", "-c", "exit 8")
        self.docker("wait", "new")
        self.daemon.start("docker")
        codes = {
            event["container"]: event["exitCode"]
            for event in self.daemon.events()
            if event.get("state") == "die" and event["container"] in ("old", "new")
        }
        self.assertEqual(codes, {"old": 6, "new": 8})

    def test_a_start_that_fails(self) -> None:
        self.addCleanup(self.docker, "rm", "-f", "broken")
        run = f"docker run --name broken {lab.IMAGE} /no/such"
        events, log = self.after(run, ending="fail")
        self.assertEqual([one["state"] for one in events], ["create", "fail"])
        failed = events[1]
        self.assertEqual((failed["container"], failed["exitCode"]), ("broken", 127))
        self.assertIn('exec: "/no/such"', failed["error"])
        words = "ERROR container Container could not be started, code 127: "
        self.assertTrue(log[1].startswith(f"{words}{failed['error']} ("), log)
        # It fails again, and so does one that is removed at once.
        events, _ = self.after("docker start broken", ending="fail")
        self.assertEqual([one["state"] for one in events], ["fail"])
        events, log = self.after(run.replace("--name broken", "--rm --name gone"), ending="destroy")
        self.assertEqual([one["state"] for one in events], ["create", "fail", "destroy"])
        # Whoever connects one to a network by hand has not failed to start it.
        by_hand = "docker network connect n well; docker network disconnect n well"
        events, _ = self.after(
            f"docker network create n; docker run -d --name well {lab.IMAGE} sleep 1000; {by_hand};"
            "docker rm -f well; docker network rm n",
            ending="destroy",
        )
        self.assertNotIn("fail", [one.get("state") for one in events])

    def test_a_crash_loop_is_one_warning_with_a_count(self) -> None:
        self.docker(
            *("run", "-d", "--name", "loop", "--restart", "always"),
            *(lab.IMAGE, "sh", "-c", "exit 9"),
        )
        self.addCleanup(self.docker, "rm", "-f", "loop")

        def dies() -> int:
            events = self.daemon.events()
            return len(
                [e for e in events if (e.get("container"), e.get("state")) == ("loop", "die")]
            )

        self.assertTrue(eventually(lambda: dies() >= 6))
        said = [text for _, _, text in self.daemon.sentences() if text.endswith(" loop)")]
        itself = [
            text for text in said if text.startswith("Container exited by itself with code 9")
        ]
        self.assertEqual(len(itself), 3, said)
        (looping,) = [text for text in said if text.startswith("Container keeps ending: 4 exits")]
        self.assertEqual(said[-1], looping)

    def test_health(self) -> None:
        events, log = self.after(
            f"docker run -d --name sick --health-cmd false --health-interval 1s "
            f"--health-retries 1 {lab.IMAGE} sleep 100",
            ending="unhealthy",
        )
        # Each check makes three exec events; none of them is here.
        self.assertEqual([e["state"] for e in events], ["create", "start", "unhealthy"])
        self.assertTrue(log[2].startswith("WARN container Container is unhealthy (docker, "))
        self.docker("rm", "-f", "sick")

    def test_published_ports(self) -> None:
        events, log = self.after(
            f"docker run -d --name web -p 127.0.0.1:0:80 {lab.IMAGE} sleep 100", ending="add"
        )
        self.assertEqual([e.get("port") for e in events], [None, None, "add"])
        (mapping,) = events[2]["mapping"]
        self.assertRegex(mapping, r"^127\.0\.0\.1:\d+->80/tcp$")
        self.assertEqual(len(log), 2)
        events, log = self.after("docker rm -f web", ending="destroy")
        kinds = [e.get("state") or e["port"] for e in events]
        self.assertEqual(kinds, ["kill", "die", "remove", "destroy"])
        self.assertEqual(events[2]["mapping"], [mapping])

    def test_export(self) -> None:
        events, log = self.after(
            f"docker create --name ex {lab.IMAGE} true; docker export ex; docker rm ex",
            ending="destroy",
        )
        self.assertEqual(
            events[1],
            {
                "container": "ex",
                "cid": events[0]["id"],
                "state": "completed",
                "result": 0,
                "type": "docker",
            },
        )
        short = events[0]["id"][:12]
        self.assertEqual(log[1], f"INFO export Finished export container (docker, {short}, ex)")

    def test_images(self) -> None:
        reference = f"{lab.registry()}/some/bb:v1"
        events, log = self.after(
            f"docker tag {lab.IMAGE} {reference}",
            f"docker push {reference}",
            f"docker save {reference} > {self.daemon.directory}/image.tar",
            f"docker rmi {reference}",
            f"docker pull {reference}",
            f"docker rmi {reference}",
            f"docker load < {self.daemon.directory}/image.tar",
            f"docker rmi {reference}",
            f"echo hello > {self.daemon.directory}/f; tar -C {self.daemon.directory} -c f "
            f"| docker import - one:only",
            "docker rmi one:only",
            ending="delete",
        )
        updates = [e["state"] for e in events if e["action"] == "update"]
        self.assertEqual(
            updates,
            [
                *("tag", "save", "untag", "pull", "untag", "load", "untag"),
                # The engine tells these two in either order.
                *sorted(updates[7:9], reverse=True),
                *("untag", "delete"),
            ],
        )
        self.assertEqual(set(updates[7:9]), {"tag", "import"})
        (download,) = [e for e in events if e["action"] == "download"]
        self.assertEqual(
            download,
            {
                "name": "some/bb",
                "repository": lab.registry(),
                "state": "success",
                "tag": "v1",
                "action": "download",
                "type": "docker",
            },
        )
        self.assertIn(
            f"INFO image Finished to download image from {lab.registry()} (docker, {reference})",
            log,
        )
        (deleted,) = [e for e in events if e["action"] == "delete"]
        self.assertEqual(deleted["state"], "success")
        self.assertEqual(len([line for line in log if line.startswith("INFO image Delete")]), 1)

    def test_figures_of_a_running_container(self) -> None:
        self.docker("run", "-d", "--name", "busy", lab.IMAGE, "sh", "-c", "while :; do :; done")
        self.addCleanup(self.docker, "rm", "-f", "busy")
        time.sleep(0.5)
        eventually(lambda: "busy" in self.daemon.curl("/api/v1/container"))
        shown = self.daemon.get("/api/v1/container/docker/busy")
        # One busy loop uses one CPU, less only if others want it too; never more.
        share = 1 / (os.cpu_count() or 1)
        self.assertGreater(shown["cpu"], 0.2 * share)
        self.assertLess(shown["cpu"], 1.1 * share)
        self.assertGreater(shown["memory"], 10_000)
        inspected = self.docker(
            "inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "busy"
        )
        self.assertIn(inspected, shown["ipaddress"])

    def test_traffic_of_a_running_container(self) -> None:
        gateway = lab.ADDRESS.partition("/")[0]
        with socket.create_server((gateway, 0)) as server:
            port = server.getsockname()[1]
            send = "while :; do dd if=/dev/zero bs=10000 count=1 2>/dev/null; sleep 0.1; done"
            send += f" | nc {gateway} {port}"
            self.docker("run", "-d", "--name", "chatty", lab.IMAGE, "sh", "-c", send)
            self.addCleanup(self.docker, "rm", "-f", "chatty")
            server.settimeout(60)
            connection, _ = server.accept()
            traffic = Received(connection)
            self.addCleanup(traffic.close)
            for _ in range(10):
                first = traffic.during(self.shown, "chatty")
                time.sleep(0.5)
                settled = traffic.total
                time.sleep(2)
                certain = traffic.total - settled
                second = traffic.during(self.shown, "chatty")
                if second.until - first.since < 4:
                    # Longer, and the daemon has forgotten what it read first.
                    break
        time.sleep(0.5)
        least = certain / (second.until - first.since)
        most = (traffic.total - first.total) / (second.since - first.until)
        # What goes out is what arrives, and some 40 bytes of headers a packet.
        self.assertGreater(second.answer["tx"], 0.9 * least, (second, least))
        self.assertLess(second.answer["tx"], 1.1 * most, (second, most))
        self.assertGreater(second.answer["rx"], 0)
        self.assertLess(second.answer["rx"], 0.5 * most)

    def shown(self, name: str) -> dict[str, Any]:
        """A container as the API has it now."""
        answer: dict[str, Any] = self.daemon.get(f"/api/v1/container/docker/{name}")
        return answer


class RestartTests(DockerCase):
    """The daemon goes and comes back."""

    def test_what_happened_meanwhile_is_recorded_once(self) -> None:
        self.after(f"docker run --rm --name before {lab.IMAGE} true", ending="destroy")
        for end in (self.daemon.stop, self.daemon.kill):
            end()
            name = f"during-{end.__name__}"
            self.docker("run", "--rm", "--name", name, lab.IMAGE, "true")
            self.daemon.start("docker")
            self.docker("run", "--rm", "--name", "after", lab.IMAGE, "true")
            eventually(lambda: "after" in self.daemon.curl("/api/v1/log?text=Destroy"))
        events = self.daemon.events()
        for name in ("before", "during-stop", "during-kill"):
            states = [e["state"] for e in events if e.get("container") == name]
            self.assertEqual(states, ["create", "start", "die", "destroy"], name)
        messages = [text for _, _, text in self.daemon.sentences()]
        for name in ("before", "during-stop", "during-kill"):
            self.assertEqual(len([m for m in messages if m.endswith(f" {name})")]), 4, name)

    def test_it_ends_within_a_second_and_answers_waits(self) -> None:
        self.docker("run", "-d", "--name", "long", lab.IMAGE, "sleep", "100")
        self.addCleanup(self.docker, "rm", "-f", "long")
        eventually(lambda: "long" in self.daemon.curl("/api/v1/container"))
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            path = "/api/v1/event/wait/docker/long/stopped?duration=50"
            waiting = pool.submit(self.daemon.get, path)
            eventually(lambda: "stationd_waits_open 1" in self.daemon.curl("/metrics"))
            self.assertLess(self.daemon.stop(), STOPS_WITHIN)
            self.assertEqual(waiting.result(5)["state"], "running")
        self.assertNotIn("Traceback", self.daemon.said())
        self.assertNotIn("Unhandled", self.daemon.said())


class LostStreamTests(TestCase):
    """The connection to the engine is cut, again and again."""

    timeout = 120

    def test_nothing_is_missed_and_nothing_twice(self) -> None:
        url = lab.docker_url()
        daemon = Daemon()
        self.addCleanup(daemon.close)
        proxy = Proxy(f"{daemon.directory}/proxy.sock", url.removeprefix("unix://"))
        self.addCleanup(proxy.cut)
        with open(daemon.configuration, encoding="utf-8") as file:
            text = file.read()
        with open(daemon.configuration, "w", encoding="utf-8") as file:
            file.write(text.replace("unix:///nowhere", f"unix://{proxy.path}"))
        daemon.start("docker")

        def state() -> str:
            return str(daemon.get("/api/v1/system")["sources"]["docker"]["state"])

        names = []
        for cut in range(5):
            for when in ("before", "during", "after"):
                names.append(f"cut-{cut}-{when}")
                if when == "during":
                    proxy.cut()
                    self.assertTrue(eventually(lambda: state() != "live"))
                lab.docker(url, "run", "--rm", "--name", names[-1], lab.IMAGE, "true")
                if when == "during":
                    proxy.open()
                    self.assertTrue(eventually(lambda: state() == "live"))
        eventually(lambda: names[-1] in daemon.curl("/api/v1/log?text=Destroy&limit=1"))
        events = daemon.events()
        for name in names:
            states = [e["state"] for e in events if e.get("container") == name]
            self.assertEqual(states, ["create", "start", "die", "destroy"], name)
        said = [text for _, category, text in daemon.sentences() if category == "system"]
        self.assertEqual(len([text for text in said if text.startswith("Lost docker: ")]), 5)
        self.assertEqual(said.count("Following docker again"), 5)


class ShortLivedTests(DockerCase):
    """Containers that live for milliseconds."""

    COUNT = 200

    def test_a_wait_for_each_ends_with_its_exit_code(self) -> None:
        def run(index: int) -> tuple[int, dict[str, Any]]:
            code = index % 7
            id = self.docker("run", "-d", "--rm", lab.IMAGE, "sh", "-c", f"exit {code}")
            return code, self.daemon.get(f"/api/v1/event/wait/docker/{id}/stopped?duration=60")

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(run, range(self.COUNT)))
        wrong = [
            (code, shown)
            for code, shown in results
            if shown.get("state") != "stopped" or shown.get("exitCode") != code
        ]
        self.assertEqual(wrong, [])
        self.assertIn("stationd_waits_open 0", self.daemon.curl("/metrics"))


del DockerCase
