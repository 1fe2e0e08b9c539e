"""What a real engine (20.10) told, kept as files by L{tests.functional.record_events}; and the
same with parts of it gone or changed."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import InvalidValue
from stationd.record_builder import build_records
from stationd.records import Container, Observation, State
from stationd.registry import Registry
from stationd_plugins.docker.decode import Malformed, inspected
from stationd_plugins.docker.source import DockerSource
from tests.functional.record_events import CONTAINERS, EVENTS
from tests.plugins.test_docker_attempts import container, network
from tests.plugins.test_docker_decode import JUNK


def read(path: str) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        found: list[dict[str, Any]] = json.load(file)
    return found


TOLD, ARE = read(EVENTS), read(CONTAINERS)

PLAIN = (
    "create start pause unpause kill kill die stop start restart kill kill die stop start kill die"
)
"""What happened to one container; a stop that does not wait is two signals."""

IMAGES = "delete import load prune pull save tag untag"
"""What happened to images, in the order of the alphabet."""


def source(exec_events: bool = False) -> DockerSource:
    return DockerSource("unix:///nowhere", exec_events, "/sys/fs/cgroup", Clock())  # type: ignore[arg-type]


class RecordedTests(SynchronousTestCase):
    """As it was told."""

    def of(self, name: str, told: list[Observation]) -> list[str]:
        return [one.action for one in told if one.subject == "container" and one.name == name]

    def test_every_event_has_a_meaning_or_none_is_wanted(self) -> None:
        with capturedLogs() as logs:
            told = source().decode(TOLD)
        self.assertEqual(logs, [])
        self.assertEqual(" ".join(self.of("plain", told)), PLAIN)
        self.assertEqual(self.of("named", told), ["rename", "destroy"])
        self.assertEqual(self.of("oom", told), ["create", "start", "oom", "die", "destroy"])
        self.assertEqual(self.of("loop", told), ["create", *["start", "die"] * 3, "destroy"])
        self.assertEqual(self.of("wrong", told), ["create", "fail", "destroy"])
        images = {one.action for one in told if one.subject == "image"}
        self.assertEqual(" ".join(sorted(images)), IMAGES)
        self.assertEqual([one.name for one in told if one.subject == "export"], ["idle"])
        self.assertEqual(len({one.origin for one in told}), len(told))
        executed = source(exec_events=True).decode(TOLD)
        self.assertEqual(
            {one.action for one in executed} - {one.action for one in told},
            {"exec_create", "exec_start", "exec_die"},
        )

    def test_what_was_told_is_what_they_are(self) -> None:
        registry = Registry()
        until_removed = [event for event in TOLD if event["Action"] != "destroy"]
        ends: list[Container] = []
        for one in source().decode(until_removed):
            # What was killed to be removed had been looked at before.
            change = registry.apply(one)
            if change is not None and one.action not in ("die", "kill"):
                ends.append(change.container)
        for document in ARE:
            found = inspected(document)
            name = document["Name"][1:]
            newest = [one for one in ends if one.id == found.container.id][-1]
            self.assertEqual(newest.name, name)
            self.assertEqual(found.container.image, "bb:latest")
            if found.container.state is not State.STOPPED:
                self.assertEqual(newest.state, found.container.state, name)
                self.assertGreater(found.pid, 0)
        states = {document["Name"][1:]: inspected(document) for document in ARE}
        self.assertEqual(
            {name: found.container.state.value for name, found in states.items()},
            dict.fromkeys(("named", "oom", "loop", "idle"), "stopped")
            | dict.fromkeys(("sick", "web"), "running")
            | {"paused": "paused"},
        )
        self.assertTrue(states["oom"].oom_killed)
        self.assertEqual(states["oom"].memory_bytes, 16 << 20)
        self.assertEqual(states["sick"].container.health, "unhealthy")
        self.assertEqual(states["named"].container.exit_code, 137)
        self.assertRegex(" ".join(states["web"].container.ports), r"->53/udp 127.*->80/tcp$")
        self.assertIsNone(states["idle"].started_ns)
        self.assertEqual((states["loop"].restarts, states["web"].restarts), (2, 0))


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key of a document, as the way to it."""
    if not isinstance(value, dict):
        return []
    return [w for key, inner in value.items() for w in ((*path, key), *places(inner, (*path, key)))]


@st.composite
def mutilated(draw: st.DrawFn, documents: list[dict[str, Any]]) -> object:
    """One of some documents with some parts removed, replaced, or one inside another."""
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 3))):
        found = places(document)
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        at: Any = document
        for key in way:
            at = at[key]
        how = draw(st.sampled_from(["remove", "junk", "cut"]))
        if how == "remove":
            del at[last]
        elif how == "cut" and isinstance(at[last], str):
            at[last] = at[last][: draw(st.integers(0, 20))] + draw(
                st.sampled_from(["", "\ufffd", "\0"])
            )
        else:
            at[last] = draw(JUNK)
    return document


class MutilatedTests(SynchronousTestCase):
    """As no engine tells it.

    @cvar examples: how many of each kind are tried.
    """

    examples = 50

    def test_events(self) -> None:
        @settings(max_examples=self.examples)
        @given(st.lists(mutilated(TOLD), min_size=1, max_size=4))
        @example([network("connect"), network("disconnect")])
        @example([container("die"), network("connect"), 7, network("disconnect")])
        def check(events: list[object]) -> None:
            followed = source(exec_events=True)
            with capturedLogs() as logs:
                told = source(exec_events=True).decode(events)
                # One that makes no sense takes none of the others with it. A start that fails is
                # told of by two of them, so these are of one stream, as the others are.
                apart = [one for event in events for one in followed.decode([event])]
            self.assertEqual([one.origin for one in told], [one.origin for one in apart])
            self.assertLessEqual(len(logs), 2 * len(events))
            for log in logs:
                self.assertIs(log["log_level"], LogLevel.warn)
            for one in told:
                try:
                    build_records(one)
                except InvalidValue:
                    continue
                Registry().apply(one)

        check()

    def test_the_offending_part_is_said(self) -> None:
        for way, value, said in (
            (("Actor",), 7, "Actor is '7'"),
            (("Actor", "ID"), None, "ID is 'None'"),
            (("timeNano",), "soon", "timeNano is 'soon'"),
            (("Action",), [], "Action is []"),
            (("Actor", "Attributes"), "x", "Attributes is 'x'"),
        ):
            event = copy.deepcopy(TOLD[0])
            at: Any = event
            for key in way[:-1]:
                at = at[key]
            at[way[-1]] = value
            with capturedLogs() as logs:
                self.assertEqual(source().decode([event]), [])
            (log,) = logs
            self.assertIn(said, log["e"].args[0])

    def test_containers(self) -> None:
        @settings(max_examples=self.examples)
        @given(mutilated(ARE))
        def check(document: object) -> None:
            try:
                found = inspected(document)
            except Malformed as error:
                self.assertRegex(str(error), r"^\w+ is ")
            else:
                self.assertIsInstance(found.container.state, State)
                self.assertTrue(all(isinstance(port, str) for port in found.container.ports))

        check()
