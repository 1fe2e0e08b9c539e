"""Labels that hide attributes of events."""

from __future__ import annotations

from hypothesis import given
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from stationd_plugins.docker.labels import ATTRIBUTES, REMEMBERED, Labels
from stationd_plugins.docker.source import DockerSource
from tests.plugins.test_docker_decode import ID, JUNK, event

HIDDEN = {action: name for name, action in ATTRIBUTES.items()}


class LabelsTests(SynchronousTestCase):
    """What is learnt of one container, and what is hidden then."""

    def hidden(self, found: object, *before: object) -> set[str]:
        labels = Labels()
        for one in (*before, found):
            labels.learn(one)
        return set(labels.hidden(found))

    def test_what_another_event_has_is_a_label(self) -> None:
        for action, name in HIDDEN.items():
            told = event(action, **{name: "0"})
            for other in ("create", "start", "attach", "destroy", "oom", "health_status: healthy"):
                self.assertEqual(self.hidden(told, event(other, **{name: "0"})), {name}, other)
                self.assertEqual(self.hidden(told, event(other)), set(), other)
            self.assertEqual(self.hidden(event("start", **{name: "0"})), set())

    def test_what_no_other_event_has_told_is_not_believed(self) -> None:
        for action, name in HIDDEN.items():
            self.assertEqual(self.hidden(event(action, **{name: "0"})), {name})
            self.assertEqual(self.hidden(event(action)), set())
        self.assertEqual(self.hidden(event("die", exitCode="3"), event("kill", signal="9")), set())

    def test_checks_have_exit_codes_of_their_own(self) -> None:
        checked = event("exec_die", exitCode="1", execID="x")
        self.assertEqual(self.hidden(event("die", exitCode="3"), event("start"), checked), set())
        labelled = event("start", exitCode="0")
        self.assertEqual(
            self.hidden(event("die", exitCode="3"), checked, labelled, checked), {"exitCode"}
        )

    def test_a_list_says_it_too(self) -> None:
        told = event("die", exitCode="0")
        for said, expected in (
            ({"exitCode": "0"}, {"exitCode"}),
            ({"other": "0"}, set()),
            ({}, set()),
            (None, set()),
            ("nothing", {"exitCode"}),
        ):
            labels = Labels()
            labels.listed(ID, said)
            self.assertEqual(labels.hidden(told), expected, said)
            self.assertEqual(labels.are_unknown([event("start"), told]), said == "nothing")

    def test_no_more_is_remembered_than_is_of_use(self) -> None:
        labels = Labels()
        labels.listed(ID, {})
        told = event("die", exitCode="0")
        for number in range(REMEMBERED - 1):
            labels.listed(f"{number:012x}", {})
        self.assertEqual(labels.hidden(told), frozenset())
        labels.listed("f" * 64, {})
        self.assertEqual(labels.hidden(told), {"exitCode"})

    @given(JUNK, JUNK)
    def test_anything_can_be_taken(self, whole: object, part: object) -> None:
        labels = Labels()
        for one in (whole, {**event("die"), "Actor": whole}, {**event("die"), "Action": part}):
            labels.learn(one)
            self.assertEqual(labels.hidden(one), frozenset())
        labels.listed(whole, part)
        actor = {"ID": ID, "Attributes": part}
        self.assertLessEqual(labels.hidden({**event("die"), "Actor": actor}), {*ATTRIBUTES})


class DecodeTests(SynchronousTestCase):
    """What a source says of events of a container with labels."""

    def test_what_they_hide_is_not_claimed(self) -> None:
        source = DockerSource("unix:///nowhere", False, "/sys/fs/cgroup", Clock())  # type: ignore[arg-type]
        labels = {"exitCode": "0", "signal": "9", "oldName": "/x", "name": "one"}
        events = [event(action, **labels) for action in ("kill", "die", "rename", "start")]
        found = source.decode(events)
        self.assertEqual([one.details for one in found], [{}] * 4)
        plain = {"exitCode": "3", "signal": "15", "oldName": "/old"}
        others = [
            event("start") | {"Actor": {"ID": "f" * 64, "Attributes": {}}},
            *(
                event(action) | {"Actor": {"ID": "f" * 64, "Attributes": {name: plain[name]}}}
                for action, name in HIDDEN.items()
            ),
        ]
        found = source.decode([*events, *others])[4:]
        self.assertEqual(
            [one.details for one in found],
            [{}, {"exitCode": 3}, {"signal": "SIGTERM"}, {"old": "old"}],
        )
