"""What the journals remember of containers that have been quiet for long."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import Retention
from stationd.record_builder import build_records
from stationd.records import Draft, Observation
from stationd.restore import (
    EVENTS_PER_CONTAINER,
    RestoredEvents,
    restore_events,
    restore_log_records,
)
from stationd.testing import MemoryJournal
from tests.contracts.journal import draft
from tests.test_record_builder import happened


class MemoryTests(SynchronousTestCase):
    """Events and sentences of several types, and a limit of four."""

    def setUp(self) -> None:
        self.log, self.event = MemoryJournal(), MemoryJournal()
        self.count = 0

    def happen(self, *actions: str, id: str, type: str = "docker", **details: str) -> None:
        for action in actions:
            self.count += 1
            origin = f"{type}:{self.count}"
            seen = happened(
                action,
                type=type,
                id=id,
                name=id,
                details=details,
                origin=origin,
                time_us=self.count,
            )
            self.append(seen)

    def append(self, seen: Observation) -> None:
        told = build_records(seen)
        for journal, drafts in ((self.event, told.events), (self.log, told.log)):
            if drafts:
                self.successResultOf(journal.append(drafts))

    def post(self, drafts: Iterable[Draft]) -> None:
        self.successResultOf(self.event.append(list(drafts)))

    def remembered(self, type: str = "docker") -> RestoredEvents:
        return restore_events(self.event, type, limit=4)

    def origins(self, type: str = "docker") -> list[str]:
        return [record.origin for record in self.remembered(type).events]

    def test_all_of_it(self) -> None:
        self.happen("create", "start", id="one")
        self.assertEqual(self.origins(), ["docker:1", "docker:2"])
        self.assertTrue(self.remembered().complete)

    def test_other_types_and_what_was_posted_take_no_place(self) -> None:
        self.happen("create", id="one")
        self.happen("create", "start", "stop", "start", "stop", id="two", type="lxc")
        self.post([draft('{"type": "docker"}', user="root")] * 9)
        self.assertEqual(self.origins(), ["docker:1"])

    def test_those_that_exist_and_have_been_quiet(self) -> None:
        self.happen("create", "start", id="quiet")
        self.happen("create", "start", "die", "destroy", id="gone")
        self.happen("start", "die", "start", "die", "start", id="loud")
        self.assertEqual(self.origins(), [f"docker:{n}" for n in (1, 2, 8, 9, 10, 11)])
        self.assertTrue(self.remembered().complete)

    def test_one_that_has_been_quiet_but_for_a_word(self) -> None:
        for word in ("healthy", "kill", "rename", "pause"):
            self.setUp()
            self.happen("create", "start", id="quiet")
            self.happen("start", "die", "start", "die", id="loud")
            self.happen(word, id="quiet")
            self.assertEqual(self.origins()[:2], ["docker:1", "docker:2"], word)

    def test_one_with_many_old_events_pushes_no_other_out(self) -> None:
        self.happen("create", "start", id="quiet")
        self.happen("create", *["start", "die"] * EVENTS_PER_CONTAINER, id="once-loud")
        self.happen(*["start", "die"] * 2, id="loud")
        found = {record.container for record in self.remembered().events}
        self.assertEqual(found, {"docker/quiet", "docker/once-loud", "docker/loud"})

    def test_an_lxc_container_that_was_renamed(self) -> None:
        self.happen("create", id="old", type="lxc")
        self.happen("rename", id="new", type="lxc", old="old")
        self.happen("create", "start", "stop", "start", "stop", id="loud", type="lxc")
        # Its history is that of both names.
        self.assertEqual(self.origins("lxc"), [f"lxc:{n}" for n in range(1, 8)])
        self.happen("rename", id="newest", type="lxc", old="new")
        self.assertEqual(self.origins("lxc"), [f"lxc:{n}" for n in range(1, 9)])

    def test_it_says_when_it_may_have_forgotten_one(self) -> None:
        for n in range(5):
            self.happen("create", id=f"n{n}")
        self.assertFalse(self.remembered().complete)

    def test_nor_is_it_complete_when_retention_has_removed_some(self) -> None:
        journal = MemoryJournal()
        self.event = journal
        self.happen("create", "start", id="one")
        retention = Retention(max_age_us=None, max_bytes=80)
        self.successResultOf(journal.vacuum(retention))
        self.assertEqual(journal.status().first, 2)
        self.assertFalse(self.remembered().complete)

    def test_sentences(self) -> None:
        self.happen("create", "start", id="one")
        self.happen("create", id="two", type="lxc")
        self.append(happened("prune", subject="image", name="", origin="docker:9"))
        found = restore_log_records(self.log, "docker", limit=2)
        self.assertEqual([record.origin for record in found], ["docker:2", "docker:9"])
