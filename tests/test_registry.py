"""What the registry makes of what happens."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from stationd import registry as module
from stationd.records import Container, State
from stationd.registry import Registry
from tests.test_record_builder import ID, happened

OTHER = "11abb7a227d7c6001e8bb5f6418f284845123e6dc56ef95309e6d3881d51f3a4"


class ContainersTests(SynchronousTestCase):
    """The registry."""

    def setUp(self) -> None:
        self.containers = Registry()

    def after(self, *actions: str, **fields: Any) -> Container:
        changes = [self.containers.apply(happened(action, **fields)) for action in actions]
        assert changes[-1] is not None
        return changes[-1].container

    def test_states(self) -> None:
        for actions, state in {
            ("create",): State.STOPPED,
            ("create", "start"): State.RUNNING,
            ("start", "pause"): State.PAUSED,
            ("start", "pause", "unpause"): State.RUNNING,
            ("start", "die"): State.STOPPED,
            ("start", "die", "stop"): State.STOPPED,
            ("start", "die", "stop", "start", "restart"): State.RUNNING,
            ("start", "die", "destroy"): State.STOPPED,
        }.items():
            self.assertIs(self.after(*actions).state, state, actions)

    def test_an_exit_has_a_code_and_a_time_until_the_next_start(self) -> None:
        self.after("start")
        died = self.after("die", details={"exitCode": 3})
        self.assertEqual((died.exit_code, died.finished_us), (3, 1432022711_000000))
        started = self.after("start")
        self.assertEqual((started.exit_code, started.finished_us), (None, None))

    def test_health_is_of_a_running_container(self) -> None:
        self.assertEqual(self.after("start", "healthy").health, "healthy")
        self.assertEqual(self.after("unhealthy").health, "unhealthy")
        self.assertEqual(self.after("die").health, "")
        self.assertIsNone(self.containers.apply(happened("healthy")), "it was told late")

    def test_what_stands_beside_an_exit_or_a_start_says_nothing_new(self) -> None:
        died = self.after("start", "die", details={"exitCode": 3})
        self.assertEqual(self.after("restart"), died)
        started = self.after("start")
        self.assertEqual(self.after("stop"), started)

    def test_a_stop_alone_makes_no_container(self) -> None:
        self.assertIsNone(self.containers.apply(happened("stop")))
        self.assertEqual(self.containers.all(), [])
        # Of LXC it is the end of a run.
        self.assertIsNotNone(self.containers.apply(happened("stop", type="lxc", id="one")))

    def test_what_says_nothing_about_a_container_changes_none(self) -> None:
        for action in ("kill", "oom", "port-add", "exec_start: sh"):
            self.assertIsNone(self.containers.apply(happened(action)))
        self.assertIsNone(self.containers.apply(happened("pull", subject="image")))

    def test_ports_come_and_go(self) -> None:
        one, two = "0.0.0.0:1->1/tcp", "0.0.0.0:2->2/tcp"
        self.after("start")
        self.assertEqual(self.after("port-add", details={"ports": [two, one]}).ports, (one, two))
        self.assertEqual(self.after("port-remove", details={"ports": [one]}).ports, (two,))
        self.assertEqual(self.after("die").ports, ())
        gone = happened("port-remove", details={"ports": [two]})
        self.assertIsNone(self.containers.apply(gone), "an exit said so")
        self.after("destroy")
        for action in ("port-add", "port-remove"):
            gone = happened(action, details={"ports": [one]})
            self.assertIsNone(self.containers.apply(gone), "it is gone")

    def test_what_is_told_late_brings_nothing_back(self) -> None:
        self.after("create", "start", "die", "destroy")
        for action in ("start", "stop", "kill", "restart", "port-add"):
            self.assertIsNone(self.containers.apply(happened(action)))
        self.assertEqual(self.containers.all(), [])

    def test_found_by_id_prefix_and_name(self) -> None:
        made = self.after("create")
        for key in (ID, ID[:12], ID[:40], "DockerTestAPI"):
            self.assertEqual(self.containers.find("docker", key), made, key)
        for key in (ID[:11], "dockertestapi", "", OTHER):
            self.assertIsNone(self.containers.find("docker", key), key)
        self.assertIsNone(self.containers.find("lxc", ID))

    def test_a_removed_container_is_remembered_until_its_name_is_used_again(self) -> None:
        self.after("create", "start", "die", "destroy")
        self.assertEqual(self.containers.all(), [])
        removed = self.containers.find("docker", "DockerTestAPI")
        assert removed is not None
        self.assertTrue(removed.removed)
        again = self.after("create", id=OTHER)
        self.assertEqual(self.containers.find("docker", "DockerTestAPI"), again)
        self.assertEqual(self.containers.find("docker", ID), removed)

    def test_the_memory_of_removed_containers_is_bounded(self) -> None:
        self.patch(module, "MAX_REMOVED", 2)
        for name in ("a", "b", "c"):
            self.after("create", "destroy", type="lxc", id=name, name=name)
        self.assertIsNone(self.containers.find("lxc", "a"))
        self.assertIsNotNone(self.containers.find("lxc", "c"))

    def test_an_lxc_rename_moves_the_container(self) -> None:
        self.after("create", "start", type="lxc")
        change = self.containers.apply(
            happened("rename", type="lxc", id="new", name="new", details={"old": "utest"})
        )
        assert change is not None
        self.assertEqual(change.reference, "lxc/utest")
        self.assertEqual(change.container.reference, "lxc/new")
        self.assertIs(change.container.state, State.RUNNING)
        self.assertEqual([c.name for c in self.containers.all()], ["new"])

    def test_a_listing_is_the_truth_about_its_type(self) -> None:
        self.after("create", type="lxc")
        gone = self.after("create", "start")
        new = Container(type="docker", id=OTHER, name="new", state=State.RUNNING)
        changes = self.containers.apply_listing("docker", [new])
        self.assertEqual(
            {change.reference: change.container.removed for change in changes},
            {gone.reference: True, new.reference: False},
        )
        self.assertEqual([c.name for c in self.containers.all()], ["new", "utest"])
        self.assertEqual(self.containers.apply_listing("docker", [new]), [])

    def test_a_bare_name_may_mean_several(self) -> None:
        self.after("create")
        self.after("create", type="lxc", id="DockerTestAPI", name="DockerTestAPI")
        self.assertEqual(
            self.containers.references("DockerTestAPI"),
            {f"docker/{ID}", "lxc/DockerTestAPI", "docker/DockerTestAPI"},
        )
        self.assertEqual(
            self.containers.references(ID[:12]),
            {f"docker/{ID}", f"docker/{ID[:12]}", f"lxc/{ID[:12]}"},
        )
