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
            labels.listed([{"Id": ID, "Labels": said}])
            self.assertEqual(labels.hidden(told), expected, said)
            self.assertEqual(labels.are_unknown([event("start"), told]), said == "nothing")

    def others(self, number: int, *actions: str) -> list[dict[str, object]]:
        """The events of other containers."""
        return [
            {**event(action), "Actor": {"ID": f"{other:012x}", "Attributes": {}}}
            for other in range(number)
            for action in actions
        ]

    def test_what_exists_is_known_whatever_others_do(self) -> None:
        for attributes in ({}, {"exitCode": "0"}):
            made = event("create", **attributes)
            labels = Labels()
            for one in (made, *self.others(2 * REMEMBERED, "create", "start", "die", "destroy")):
                labels.learn(one)
            self.assertEqual(labels.hidden(event("die", exitCode="3")), attributes.keys())
            self.assertEqual(len(labels.known), REMEMBERED + 1)

    def test_one_that_was_removed_is_known_for_a_while(self) -> None:
        told = event("die", exitCode="3")
        for action in ("destroy", "remove"):
            labels = Labels()
            for one in (event("create"), event(action), *self.others(REMEMBERED - 1, "destroy")):
                labels.learn(one)
            # An event of the past brings nothing back.
            labels.learn(event("oom"))
            self.assertEqual(labels.hidden(told), set())
            for one in self.others(REMEMBERED, "destroy"):
                labels.learn(one)
            self.assertEqual(labels.hidden(told), {"exitCode"})
            self.assertEqual(len(labels.known), REMEMBERED)

    def test_one_that_is_not_listed_any_more_is_forgotten_as_if_it_was_removed(self) -> None:
        told = event("die", exitCode="3")
        labels = Labels()
        others = [{"Id": f"{number:012x}", "Labels": {}} for number in range(REMEMBERED)]
        labels.learn(event("create"))
        labels.listed(others)
        # What the stream has yet of its last moments is understood.
        self.assertEqual(labels.hidden(told), set())
        labels.listed([])
        self.assertEqual(labels.hidden(told), {"exitCode"})
        self.assertEqual(len(labels.known), REMEMBERED)

    def test_one_that_is_back_is_known_as_long_as_it_exists(self) -> None:
        labels = Labels()
        for one in (event("create"), event("destroy")):
            labels.learn(one)
        labels.listed([{"Id": ID, "Labels": {}}])
        for one in self.others(REMEMBERED, "create", "destroy"):
            labels.learn(one)
        self.assertEqual(labels.hidden(event("die", exitCode="3")), set())

    @given(JUNK, JUNK)
    def test_anything_can_be_taken(self, whole: object, part: object) -> None:
        labels = Labels()
        for one in (whole, {**event("die"), "Actor": whole}, {**event("die"), "Action": part}):
            labels.learn(one)
            self.assertEqual(labels.hidden(one), frozenset())
        labels.listed([whole, {"Id": whole, "Labels": part}])
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
