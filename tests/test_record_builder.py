"""What observations are called."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stationd.event_codec import parse_image_reference
from stationd.record_builder import build_records
from stationd.records import Level, Observation

ID = "1753ab55c36e99195042ddc875e59d4f877f1c140d25196ad34a5bece9f1cf3a"


def happened(action: str, type: str = "docker", **fields: object) -> Observation:
    values: dict[str, object] = {
        "time_us": 1432022711_000000,
        "type": type,
        "subject": "container",
        "action": action,
        "id": ID if type == "docker" else "utest",
        "name": "DockerTestAPI" if type == "docker" else "utest",
    }
    return Observation(**(values | fields))  # type: ignore[arg-type]


class NarrationTests(SynchronousTestCase):
    """The vocabulary of the API, happening by happening."""

    def said(self, observation: Observation) -> tuple[list[str], list[tuple[Level, str, str]]]:
        """The events' JSON, and level, category and text of the log records."""
        events, log = build_records(observation)
        for draft in (*events, *log):
            self.assertEqual(draft.time_us, observation.time_us)
            self.assertEqual(draft.origin, observation.origin)
        self.assertEqual({draft.user for draft in events}, {"all"})
        self.assertLessEqual({draft.user for draft in log}, {"system"})
        return [e.text for e in events], [(d.level, d.category, d.text) for d in log]

    def test_a_docker_container_as_the_seed_shows_it(self) -> None:
        events, log = self.said(happened("die"))
        self.assertEqual(
            events,
            [f'{{"container": "DockerTestAPI", "state": "die", "type": "docker", "id": "{ID}"}}'],
        )
        self.assertEqual(
            log, [(Level.INFO, "container", f"Container exited (docker, {ID[:12]}, DockerTestAPI)")]
        )

    def test_an_lxc_container_as_the_seed_shows_it(self) -> None:
        events, log = self.said(happened("destroy", type="lxc"))
        self.assertEqual(events, ['{"container": "utest", "state": "destroy", "type": "lxc"}'])
        self.assertEqual(log, [(Level.INFO, "container", "Destroy container (lxc, utest)")])

    def test_plain_states_are_verbs(self) -> None:
        for action, verb in (
            ("create", "Create"),
            ("start", "Start"),
            ("stop", "Stop"),
            ("restart", "Restart"),
            ("pause", "Pause"),
            ("unpause", "Unpause"),
        ):
            _, log = self.said(happened(action))
            text = f"{verb} container (docker, {ID[:12]}, DockerTestAPI)"
            self.assertEqual(log, [(Level.INFO, "container", text)])

    def test_an_exit_code_other_than_zero_warns(self) -> None:
        for code, level in ((0, Level.INFO), (1, Level.WARN), (137, Level.WARN)):
            events, log = self.said(happened("die", details={"exitCode": code}))
            self.assertEqual(json.loads(events[0])["exitCode"], code)
            self.assertEqual(log[0][0], level)
            self.assertIn(f"exited with code {code} (", log[0][2])

    def test_a_stop_for_want_of_memory(self) -> None:
        code = {"exitCode": 137, "signal": "SIGKILL", "oom": True}
        for known, words in (
            ({"limit": 16 << 20}, "out of memory, limit 16 MiB"),
            ({"hostMemory": True}, "the host was out of memory"),
        ):
            events, log = self.said(happened("stop", type="lxc", details=code | known))
            self.assertEqual(json.loads(events[0])["oom"], True)
            text = f"Container was killed by the kernel, {words} (lxc, utest)"
            self.assertEqual(log, [(Level.ERROR, "container", text)])

    def test_what_is_wrong_is_loud(self) -> None:
        self.assertEqual(self.said(happened("oom"))[1][0][0], Level.ERROR)
        self.assertEqual(self.said(happened("unhealthy"))[1][0][0], Level.WARN)
        self.assertEqual(self.said(happened("healthy"))[1][0][0], Level.INFO)

    def test_a_start_that_fails_says_why(self) -> None:
        why = {"error": "no such file", "exitCode": 127}
        for details, words in ((why, ", code 127: no such file"), ({}, "")):
            events, log = self.said(happened("fail", details=details))
            self.assertEqual(json.loads(events[0])["state"], "fail")
            text = f"Container could not be started{words} (docker, {ID[:12]}, DockerTestAPI)"
            self.assertEqual(log, [(Level.ERROR, "container", text)])

    def test_kill_and_rename_say_with_what_and_from_what(self) -> None:
        events, log = self.said(happened("kill", details={"signal": "SIGTERM"}))
        self.assertEqual(json.loads(events[0])["signal"], "SIGTERM")
        self.assertIn("Kill container with SIGTERM (", log[0][2])
        events, log = self.said(happened("rename", details={"old": "before"}))
        self.assertEqual(json.loads(events[0])["old"], "before")
        self.assertIn("Rename container from before (", log[0][2])

    def test_ports_are_events_only(self) -> None:
        events, log = self.said(happened("port-add", details={"ports": ["0.0.0.0:80->80/tcp"]}))
        self.assertEqual(
            events,
            [
                '{"container": "DockerTestAPI", "type": "docker", "port": "add", '
                f'"id": "{ID}", "mapping": ["0.0.0.0:80->80/tcp"]}}'
            ],
        )
        self.assertEqual(log, [])
        self.assertIn('"port": "remove"', self.said(happened("port-remove", type="lxc"))[0][0])

    def test_a_pull_is_an_update_and_a_download(self) -> None:
        pull = happened("pull", subject="image", id="x", name="lgsd/diamond:latest")
        events, log = self.said(pull)
        self.assertEqual(
            events,
            [
                '{"action": "update", "category": "local", "state": "pull", "type": "docker", '
                '"id": "lgsd/diamond:latest"}',
                '{"name": "lgsd/diamond", "repository": "dockerhub", "state": "success", '
                '"tag": "latest", "action": "download", "type": "docker"}',
            ],
        )
        text = "Finished to download image from dockerhub (docker, lgsd/diamond:latest)"
        self.assertEqual(log, [(Level.INFO, "image", text)])

    def test_a_deleted_image_is_an_update_and_a_delete(self) -> None:
        events, log = self.said(happened("delete", subject="image", name="bb:latest"))
        self.assertEqual([json.loads(e)["action"] for e in events], ["update", "delete"])
        self.assertEqual(log, [(Level.INFO, "image", "Delete image (docker, bb:latest)")])

    def test_a_prune_names_no_image(self) -> None:
        events, log = self.said(happened("prune", subject="image", id="", name=""))
        self.assertNotIn("id", json.loads(events[0]))
        self.assertEqual(log, [(Level.INFO, "image", "Prune images (docker)")])

    def test_an_export_is_complete(self) -> None:
        events, log = self.said(happened("export", subject="export"))
        self.assertEqual(
            json.loads(events[0]),
            {
                "container": "DockerTestAPI",
                "cid": ID,
                "state": "completed",
                "result": 0,
                "type": "docker",
            },
        )
        text = f"Finished export container (docker, {ID[:12]}, DockerTestAPI)"
        self.assertEqual(log, [(Level.INFO, "export", text)])

    def test_what_has_no_name_or_no_id_leaves_no_gap(self) -> None:
        for observation, about in (
            (happened("start", name=""), f"(docker, {ID[:12]})"),
            (happened("start", id="", name="web"), "(docker, web)"),
            (happened("export", subject="export", name=""), f"(docker, {ID[:12]})"),
        ):
            (_, _, text), *_ = self.said(observation)[1]
            self.assertTrue(text.endswith(f" {about}"), text)

    def test_what_was_not_seen_says_so(self) -> None:
        events, _ = self.said(happened("die", inferred=True))
        self.assertIs(json.loads(events[0])["inferred"], True)

    def test_records_carry_the_container(self) -> None:
        events, log = build_records(happened("start"))
        self.assertEqual({d.container for d in (*events, *log)}, {f"docker/{ID}"})
        events, log = build_records(happened("pull", subject="image", name="a"))
        self.assertEqual({d.container for d in (*events, *log)}, {""})


class ReferenceTests(SynchronousTestCase):
    """Image references, taken apart."""

    def test_references(self) -> None:
        for text, expected in {
            "ubuntu": ("dockerhub", "ubuntu", "latest"),
            "lgsd/diamond:1.2": ("dockerhub", "lgsd/diamond", "1.2"),
            "localhost:5000/a/b:c": ("localhost:5000", "a/b", "c"),
            "localhost/a": ("localhost", "a", "latest"),
            "ghcr.io/a/b": ("ghcr.io", "a/b", "latest"),
            "a@sha256:0123": ("dockerhub", "a", "sha256:0123"),
            "127.0.0.1:5000/bb": ("127.0.0.1:5000", "bb", "latest"),
        }.items():
            self.assertEqual(tuple(parse_image_reference(text)), expected)

    @given(st.text())
    def test_any_text_has_parts(self, text: str) -> None:
        parts = parse_image_reference(text)
        self.assertTrue(parts.repository)
        self.assertTrue(parts.tag or text.endswith("@"))
