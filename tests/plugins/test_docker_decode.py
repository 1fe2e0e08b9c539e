"""What the engine's dictionaries mean."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stationd.records import Container, Observation, State
from stationd_plugins.docker.decode import (
    Malformed,
    inspected,
    observation,
    ports,
    state_of,
    summarized,
    time_us,
)
from stationd_plugins.docker.origins import identity, time_ns_of

ID = "1753ab55c36e99195042ddc875e59d4f877f1c140d25196ad34a5bece9f1cf3a"

NOISE = (
    *("attach", "exec_create: false", "exec_start: false", "exec_die", "resize", "top", "commit"),
    *("archive-path", "detach", "update", "health_status: starting"),
)


def event(action: str, type: str = "container", **attributes: str) -> dict[str, object]:
    """An event as an engine of version 20.10 sends it."""
    values = {"image": "bb:latest", "name": "one"} if type == "container" else {}
    return {
        "status": action,
        "id": ID,
        "Type": type,
        "Action": action,
        "Actor": {"ID": ID, "Attributes": values | attributes},
        "scope": "local",
        "time": 1795475549,
        "timeNano": 1795475549956801234,
    }


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


class EventTests(SynchronousTestCase):
    """Events of the stream."""

    def decode(self, found: object, exec_events: bool = False) -> Observation:
        made = observation(found, exec_events=exec_events)
        assert made is not None
        return made

    def test_a_container(self) -> None:
        self.assertEqual(
            self.decode(event("start")),
            Observation(
                time_us=1795475549956801,
                type="docker",
                subject="container",
                action="start",
                id=ID,
                name="one",
                image="bb:latest",
                origin="docker:1795475549956801234:c:start:1753ab55c36e",
            ),
        )

    def test_details(self) -> None:
        for found, action, details in (
            (event("die", exitCode="137"), "die", {"exitCode": 137}),
            (event("die"), "die", {}),
            (event("kill", signal="15"), "kill", {"signal": "SIGTERM"}),
            (event("kill", signal="37"), "kill", {"signal": "37"}),
            (event("rename", oldName="/old"), "rename", {"old": "old"}),
            (event("health_status: unhealthy"), "unhealthy", {}),
            (event("health_status: healthy"), "healthy", {}),
        ):
            made = self.decode(found)
            self.assertEqual((made.action, dict(made.details)), (action, details))

    def test_an_export_is_a_subject_of_its_own(self) -> None:
        self.assertEqual(self.decode(event("export")).subject, "export")

    def test_images(self) -> None:
        pull = event("pull", "image", name="lgsd/diamond")
        pull["Actor"]["ID"] = "lgsd/diamond:latest"  # type: ignore[index]
        self.assertEqual(self.decode(pull).name, "lgsd/diamond:latest")
        tag = event("tag", "image", name="bb:latest")
        self.assertEqual(self.decode(tag).name, "bb:latest")
        delete = event("delete", "image")
        delete["Actor"]["ID"] = f"sha256:{ID}"  # type: ignore[index]
        self.assertEqual(self.decode(delete).name, ID[:12])
        prune = event("prune", "image", reclaimed="0")
        prune["Actor"]["ID"] = ""  # type: ignore[index]
        self.assertEqual(self.decode(prune).name, "")

    def test_noise(self) -> None:
        for action in NOISE:
            self.assertIsNone(observation(event(action), exec_events=False), action)
        for type in ("network", "volume", "plugin", "builder"):
            self.assertIsNone(observation(event("create", type), exec_events=False))

    def test_what_is_executed_if_it_is_wanted(self) -> None:
        made = self.decode(event("exec_start: sh -c ls"), exec_events=True)
        self.assertEqual((made.action, made.details), ("exec_start", {"command": "sh -c ls"}))

    def test_an_origin_gives_its_time_back(self) -> None:
        self.assertEqual(time_ns_of(self.decode(event("start")).origin), 1795475549956801234)
        self.assertEqual(time_ns_of("lxc:1"), 0)

    def test_origins_differ_where_events_do(self) -> None:
        origins = {self.decode(event(action)).origin for action in ("die", "stop", "start")}
        self.assertEqual(len(origins), 3)

    @given(JUNK)
    def test_junk_is_malformed_or_nothing(self, junk: object) -> None:
        with contextlib.suppress(Malformed):
            self.assertIsNone(observation(junk, exec_events=True))

    @given(st.sampled_from(["start", "die", "kill", "pull"]), st.text(max_size=12), JUNK)
    def test_a_mutilated_event_is_malformed_or_an_observation(
        self, action: str, key: str, junk: object
    ) -> None:
        for keys in (("Action",), ("Actor",), ("timeNano",), ("Actor", "ID"), (key,)):
            found = event(action, "image" if action == "pull" else "container")
            at = found
            for part in keys[:-1]:
                at = at[part]  # type: ignore[assignment]
            at[keys[-1]] = junk
            try:
                observation(found, exec_events=True)
            except Malformed as error:
                self.assertTrue(str(error))


class PodmanTests(SynchronousTestCase):
    """What Podman's socket says otherwise."""

    def decoded(self, told: dict[str, object]) -> Observation:
        found = observation(told, exec_events=False)
        assert found is not None
        return found

    def test_a_removal(self) -> None:
        self.assertEqual(self.decoded(event("remove")).action, "destroy")
        self.assertIsNone(observation(event("remove", "image"), exec_events=False))

    def test_health_stands_beside(self) -> None:
        told = event("health_status") | {"HealthStatus": "unhealthy"}
        self.assertEqual(self.decoded(told).action, "unhealthy")
        self.assertIsNone(observation(event("health_status"), exec_events=False))

    def test_a_pull_without_an_id(self) -> None:
        told = event("pull", "image")
        told["Actor"] = {"ID": "", "Attributes": {"name": "bb:latest"}}
        self.assertEqual(self.decoded(told).name, "bb:latest")

    def test_times_have_an_offset(self) -> None:
        self.assertEqual(
            time_us("2026-11-25T02:00:00.5+02:00"), time_us("2026-11-25T00:00:00.500000Z")
        )


class ListTests(SynchronousTestCase):
    """A container in a list."""

    def test_it_says_less(self) -> None:
        found = summarized(
            {"Id": ID, "Names": ["/web/db", "/one"], "Image": "bb:latest", "State": "running"}
        )
        self.assertEqual(
            found.container,
            Container(type="docker", id=ID, name="one", image="bb:latest", state=State.RUNNING),
        )

    @given(JUNK)
    def test_junk_is_malformed(self, junk: object) -> None:
        self.assertRaises(Malformed, summarized, junk)


class IdentityTests(SynchronousTestCase):
    """What tells events from one another, whether they mean anything or not."""

    @given(JUNK)
    def test_junk_has_one(self, junk: object) -> None:
        self.assertEqual(identity(junk), identity(junk))

    def test_they_differ(self) -> None:
        told = [event("start"), event("die"), event("exec_die"), event("start", "image")]
        self.assertEqual(len({identity(one) for one in told}), 4)


class InspectTests(SynchronousTestCase):
    """Answers about one container."""

    def document(self, **state: object) -> dict[str, object]:
        values = {"Status": "exited", "ExitCode": 3, "FinishedAt": "2026-11-23T23:12:31.04940512Z"}
        return {
            "Id": ID,
            "Name": "/one",
            "Config": {"Image": "bb:latest"},
            "State": values | state,
            "NetworkSettings": {
                "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "9/udp": None}
            },
        }

    def test_a_stopped_one(self) -> None:
        found = inspected(self.document()).container
        self.assertEqual((found.name, found.state, found.exit_code), ("one", State.STOPPED, 3))
        self.assertEqual(found.finished_us, 1795475551049405)

    def test_a_running_one(self) -> None:
        found = inspected(self.document(Status="running", Pid=77, Health={"Status": "healthy"}))
        self.assertEqual((found.container.state, found.pid), (State.RUNNING, 77))
        self.assertEqual((found.container.exit_code, found.container.health), (None, "healthy"))
        self.assertEqual(found.container.ports, ("0.0.0.0:8080->80/tcp",))

    def test_one_that_never_ran_has_no_exit(self) -> None:
        found = inspected(self.document(Status="created", FinishedAt="0001-01-01T00:00:00Z"))
        self.assertEqual((found.container.exit_code, found.container.finished_us), (None, None))

    def test_states(self) -> None:
        for status in ("created", "exited", "dead", "restarting", "removing"):
            self.assertIs(state_of(status), State.STOPPED)

    @given(JUNK)
    def test_junk_is_malformed(self, junk: object) -> None:
        self.assertRaises(Malformed, inspected, junk)
        self.assertIsInstance(ports(junk), tuple)

    @given(st.text())
    def test_any_text_is_a_time_or_none(self, text: str) -> None:
        self.assertIsNone(time_us(text))
