"""Starts that fail, by the events around them."""

from __future__ import annotations

import json
import os

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from stationd.records import Observation
from stationd_plugins.docker.attempts import REMEMBERED, Attempts
from stationd_plugins.docker.origins import container_event, time_ns_of
from tests.plugins.test_docker_decode import JUNK, event
from tests.test_layers import ROOT

ID = "ab" * 32


def network(action: str, id: object = ID, at_ns: object = 5_000) -> dict[str, object]:
    """What an engine of version 20.10 tells of a container's network."""
    attributes = {"container": id, "name": "bridge", "type": "bridge"}
    actor = {"ID": "f" * 64, "Attributes": attributes}
    return {"Type": "network", "Action": action, "Actor": actor, "timeNano": at_ns}


def container(action: str) -> dict[str, object]:
    found = event(action)
    return found | {"Actor": {"ID": ID, "Attributes": {"image": "bb:latest", "name": "one"}}}


class AttemptsTests(SynchronousTestCase):
    """From event to event."""

    def failed(self, *events: object) -> list[Observation]:
        attempts = Attempts()
        return [one for one in map(attempts.take, events) if one is not None]

    def test_a_start_that_fails(self) -> None:
        (failed,) = self.failed(container("create"), network("connect"), network("disconnect"))
        self.assertEqual((failed.action, failed.id), ("fail", ID))
        self.assertEqual((failed.name, failed.image), ("one", "bb:latest"))
        self.assertEqual((failed.time_us, time_ns_of(failed.origin)), (5, 5_000))
        self.assertIsNone(container_event(failed.origin), "it is no part of its life")

    def test_again(self) -> None:
        (failed,) = self.failed(network("connect"), network("disconnect"), network("disconnect"))
        self.assertEqual(failed.name, "", "it was made before our time")

    def test_one_that_runs_and_ends(self) -> None:
        run = (network("connect"), container("start"), container("die"), network("disconnect"))
        self.assertEqual(self.failed(container("create"), *run, *run), [])
        self.assertEqual(self.failed(network("connect"), container("start")), [])
        self.assertEqual(self.failed(network("disconnect")), [])

    def test_no_more_is_remembered_than_is_of_use(self) -> None:
        many = [network("connect", f"{number:064x}") for number in range(REMEMBERED)]
        self.assertEqual(self.failed(network("connect"), *many, network("disconnect")), [])
        (failed,) = self.failed(network("connect"), *many[1:], network("disconnect"))
        self.assertEqual(failed.id, ID)

    @given(JUNK, JUNK, JUNK)
    def test_anything_can_be_taken(self, whole: object, id: object, at: object) -> None:
        self.assertEqual(self.failed(whole, network("connect", id, at)), [])
        self.failed(network("connect", id), network("disconnect", id, at))
        self.failed(container("create") | {"Actor": whole}, network("connect") | {"Actor": whole})

    def test_what_an_engine_really_told(self) -> None:
        with open(os.path.join(ROOT, "tests/plugins/docker_events.json"), encoding="utf-8") as file:
            events = json.load(file)
        # The other runs, and was connected to a network by hand: the engine says so if asked.
        self.assertEqual([one.name for one in self.failed(*events)], ["wrong", ""])
