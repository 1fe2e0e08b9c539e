"""The recorder: once, in order, and nothing is told before it is on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from stationd.errors import JournalUnwritable
from stationd.feed import Feed
from stationd.interfaces import AppendResult, IRecorder, KnownContainers, Query
from stationd.recorder import Recorder
from stationd.records import Container, Draft, Level, Record, State
from stationd.registry import ContainerChange, Registry
from stationd.testing import MemoryJournal
from tests.contracts.journal import draft
from tests.test_record_builder import ID, happened


class SlowJournal(MemoryJournal):
    """A journal whose disk answers when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: list[tuple[Deferred[AppendResult], Sequence[Draft]]] | None = None

    def append(self, drafts: Sequence[Draft]) -> Deferred[AppendResult]:
        if self.slow is None:
            return super().append(drafts)
        self.slow.append((Deferred(), drafts))
        return self.slow[-1][0]

    def commit(self) -> None:
        """The oldest append succeeds."""
        assert self.slow
        done, drafts = self.slow.pop(0)
        super().append(drafts).chainDeferred(done)

    def refuse(self) -> None:
        """The oldest append fails."""
        assert self.slow
        self.slow.pop(0)[0].errback(JournalUnwritable("full", True))


def recorder_over(
    log: MemoryJournal,
    event: MemoryJournal,
    containers: Registry,
    now_us: Callable[[], int],
    live: Callable[[str], None] = lambda type: None,
) -> Recorder:
    """One of which only this is looked at."""
    feed, nobody = Feed(0), lambda change: None
    return Recorder(log, event, containers, feed, now_us, nobody, live, lambda type: None)


class RecorderCase(SynchronousTestCase):
    """A recorder over two journals in memory."""

    def setUp(self) -> None:
        self.log, self.event = SlowJournal(), SlowJournal()
        self.restart()

    def restart(self) -> None:
        self.containers = Registry()
        self.changes: list[ContainerChange] = []
        self.lives: list[str] = []
        self.feed = Feed(self.event.status().last)
        self.recorder = Recorder(
            self.log,
            self.event,
            self.containers,
            self.feed,
            lambda: 99,
            self.changes.append,
            self.lives.append,
            lambda type: self.lives.append(f"{type} catches up"),
        )

    def records(self, journal: MemoryJournal) -> list[Record]:
        found = journal.select(Query(oldest_first=True))
        return [record for records in found for record in records]

    def actions(self, journal: MemoryJournal) -> list[str]:
        return [record.origin for record in self.records(journal)]


class RecorderTests(RecorderCase):
    """What it records, when it tells of it, and what it knows after a restart."""

    def test_provides_the_interface(self) -> None:
        verifyObject(IRecorder, self.recorder)

    def test_an_observation_reaches_both_journals_the_registry_and_the_waiting(self) -> None:
        told = self.feed.wait_after(0)
        self.successResultOf(self.recorder.observe([happened("create"), happened("start")]))
        self.assertEqual(len(self.records(self.event)), 2)
        self.assertEqual(
            [r.text.partition(" (")[0] for r in self.records(self.log)],
            ["Create container", "Start container"],
        )
        self.assertEqual(
            [change.container.state for change in self.changes], [State.STOPPED, State.RUNNING]
        )
        self.successResultOf(told)

    def test_nothing_is_told_before_both_have_committed(self) -> None:
        self.log.slow, self.event.slow = [], []
        done = self.recorder.observe([happened("start")])
        self.event.commit()
        self.assertEqual(self.changes, [])
        self.assertNoResult(done)
        self.log.commit()
        self.assertEqual(len(self.changes), 1)
        self.successResultOf(done)

    def test_what_was_found_is_told_again_if_it_was_not_recorded(self) -> None:
        there = Container(type="docker", id="a" * 64, name="x")
        self.event.slow = []
        done = self.recorder.listing("docker", [there])
        self.event.refuse()
        self.failureResultOf(done, JournalUnwritable)
        self.event.slow = None
        self.successResultOf(self.recorder.listing("docker", [there]))
        self.assertEqual(len(self.records(self.event)), 1)

    def test_how_one_ended_is_known_though_its_source_has_forgotten(self) -> None:
        started = happened("start", type="lxc", id="one", name="one")
        stopped = happened("stop", type="lxc", id="one", name="one", details={"exitCode": 3})
        self.successResultOf(self.recorder.observe([started, stopped]))
        for listed in (Container(type="lxc", id="one", name="one"),) * 2:
            for _ in range(2):
                self.successResultOf(self.recorder.listing("lxc", [listed]))
                (shown,) = self.containers.all()
                self.assertEqual((shown.exit_code, shown.finished_us), (3, stopped.time_us))
            self.restart()
        self.successResultOf(self.recorder.observe([happened("destroy", type="lxc", id="one")]))
        self.successResultOf(self.recorder.listing("lxc", [listed]))
        self.assertEqual(self.containers.all(), [listed], "another of its name")
        running = Container(type="lxc", id="one", name="one", state=State.RUNNING)
        self.successResultOf(self.recorder.listing("lxc", [running]))
        self.assertEqual(self.containers.all(), [running])

    def test_a_round_of_a_loop_without_a_sentence_has_none_when_it_is_told_again(self) -> None:
        for exits in (4, 5):
            details = {"exitCode": 1, "exits": exits}
            died = happened("die", origin=f"docker:{exits}", details=details)
            self.successResultOf(self.recorder.observe([died]))
        self.assertEqual(self.actions(self.log), ["docker:4"])
        self.restart()
        # A replay does not know that it was one of many.
        for exits in (4, 5):
            again = happened("die", origin=f"docker:{exits}", details={"exitCode": 1})
            self.successResultOf(self.recorder.observe([again]))
        self.assertEqual(self.actions(self.log), ["docker:4"])
        self.assertEqual(len(self.records(self.event)), 2)

    def test_an_engine_gives_one_exit_several_times(self) -> None:
        self.successResultOf(self.recorder.observe([happened("start"), happened("die")]))
        (died,) = self.containers.all()
        assert died.finished_us is not None
        for ahead_us, expected_us in ((20_000, 0), (9_000_000, 9_000_000)):
            listed = attrs.evolve(died, finished_us=died.finished_us + ahead_us)
            self.successResultOf(self.recorder.listing("docker", [listed]))
            (shown,) = self.containers.all()
            self.assertEqual(shown.finished_us, died.finished_us + expected_us)

    def test_what_is_on_its_way_is_recorded_and_told_whoever_goes_away(self) -> None:
        told = self.feed.wait_after(0)
        self.log.slow, self.event.slow = [], []
        done = self.recorder.observe([happened("start", origin="docker:1")])
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.event.commit()
        self.log.commit()
        self.successResultOf(told)
        self.assertEqual(len(self.changes), 1)
        # It is recorded: a replay records it no second time.
        self.event.slow = self.log.slow = None
        self.successResultOf(self.recorder.observe([happened("start", origin="docker:1")]))
        self.assertEqual(len(self.records(self.event)), 1)

    def test_a_posted_event_is_told_though_its_producer_has_gone(self) -> None:
        told = self.feed.wait_after(0)
        self.event.slow = []
        done = self.recorder.post_events([draft("{}")])
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.assertNoResult(told)
        self.event.commit()
        self.successResultOf(told)

    def test_the_registry_changes_in_the_order_of_the_calls(self) -> None:
        self.log.slow = []
        first = self.recorder.observe([happened("start")])
        listed = self.recorder.listing("docker", [])
        second = self.recorder.observe([happened("port-add")])
        self.assertEqual(self.changes, [])
        self.log.commit()
        self.assertEqual([change.container.removed for change in self.changes], [False, True])
        for done in (first, listed, second):
            self.successResultOf(done)

    def test_an_origin_is_recorded_once(self) -> None:
        replay = [happened("start", origin="docker:1"), happened("die", origin="docker:2")]
        self.successResultOf(self.recorder.observe([replay[0], replay[0]]))
        self.successResultOf(self.recorder.observe(replay))
        self.assertEqual(self.actions(self.event), ["docker:1", "docker:2"])
        self.assertEqual(self.actions(self.log), ["docker:1", "docker:2"])
        self.assertEqual(len(self.changes), 2)

    def test_and_once_after_a_restart(self) -> None:
        replay = [happened("start", origin="docker:1"), happened("die", origin="docker:2")]
        self.successResultOf(self.recorder.observe(replay[:1]))
        self.restart()
        self.assertEqual(list(self.recorder.origins("docker")), ["docker:1"])
        self.assertEqual(list(self.recorder.origins("lxc")), [])
        self.successResultOf(self.recorder.observe(replay))
        self.assertEqual(self.actions(self.event), ["docker:1", "docker:2"])
        self.assertEqual(self.actions(self.log), ["docker:1", "docker:2"])

    def test_the_order_of_what_is_known_is_that_of_the_records(self) -> None:
        # The clock was set back in between.
        later = happened("start", origin="docker:2", time_us=9)
        earlier = happened("die", origin="docker:1", time_us=5)
        self.successResultOf(self.recorder.observe([later, earlier]))
        for _ in range(2):
            self.assertEqual(list(self.recorder.origins("docker")), ["docker:2", "docker:1"])
            self.assertEqual(self.recorder.known("docker").newest_us, 5)
            (container,) = self.recorder.known("docker").containers
            self.assertEqual(container.state, State.STOPPED)
            self.restart()

    def test_a_crash_between_the_journals_is_made_good_by_the_replay(self) -> None:
        self.log.slow = []
        self.recorder.observe([happened("start", origin="docker:1")])
        self.log.slow = None
        self.restart()
        self.successResultOf(self.recorder.observe([happened("start", origin="docker:1")]))
        self.assertEqual(self.actions(self.event), ["docker:1"])
        self.assertEqual(self.actions(self.log), ["docker:1"])

    def test_a_pull_has_one_origin_and_two_events(self) -> None:
        pull = happened("pull", subject="image", id="a", name="a", origin="docker:1")
        for _ in range(2):
            self.successResultOf(self.recorder.observe([pull]))
        self.assertEqual(self.actions(self.event), ["docker:1", "docker:1"])
        self.assertEqual(self.actions(self.log), ["docker:1"])

    def test_a_cleared_log_does_not_fill_again_by_a_replay(self) -> None:
        replay = happened("start", origin="docker:1", time_us=50)
        self.successResultOf(self.recorder.observe([replay]))
        self.assertEqual(self.successResultOf(self.recorder.clear_log("admin")), 1)
        self.restart()
        self.successResultOf(self.recorder.observe([replay]))
        self.assertEqual(self.records(self.log), [])
        self.assertEqual(len(self.records(self.event)), 1)

    def test_a_refused_append_fails_and_can_be_made_again(self) -> None:
        start = happened("start", origin="docker:1")
        self.event.slow = []
        done = self.recorder.observe([start])
        self.event.refuse()
        self.failureResultOf(done, JournalUnwritable)
        self.assertEqual(self.changes, [])
        self.event.slow = None
        self.successResultOf(self.recorder.observe([start]))
        self.assertEqual(self.actions(self.event), ["docker:1"])
        self.assertEqual(self.actions(self.log), ["docker:1"])

    def test_what_cannot_be_recorded_is_said_and_passed_over(self) -> None:
        odd = happened("start", id="x" * 300)
        self.successResultOf(self.recorder.observe([odd, happened("die")]))
        self.assertEqual(len(self.records(self.event)), 1)

    def test_posted_events_wake_those_who_wait(self) -> None:
        told = self.feed.wait_after(0)
        appended = self.successResultOf(self.recorder.post_events([draft(), draft()]))
        self.assertEqual(appended, AppendResult(first=1, last=2))
        self.successResultOf(told)
        self.successResultOf(self.recorder.post_log([draft()]))

    def test_a_note_of_the_daemon(self) -> None:
        self.successResultOf(self.recorder.note(Level.WARN, "Lost docker: gone"))
        (record,) = self.records(self.log)
        self.assertEqual(
            (record.level, record.category, record.user, record.text, record.time_us),
            (Level.WARN, "system", "system", "Lost docker: gone", 99),
        )

    def test_a_note_that_the_disk_refuses_is_no_failure(self) -> None:
        self.log.slow = []
        done = self.recorder.note(Level.INFO, "x")
        self.log.refuse()
        self.successResultOf(done)

    def test_a_source_that_is_live_is_passed_on(self) -> None:
        self.recorder.connected("docker")
        self.recorder.live("docker")
        self.assertEqual(self.lives, ["docker catches up", "docker"])

    def test_what_is_known_comes_from_the_journal(self) -> None:
        nothing = KnownContainers(containers=(), newest_us=0, complete=False)
        self.assertEqual(self.recorder.known("docker"), nothing)
        one = happened("start", time_us=5)
        gone = [happened(action, id="f" * 64, time_us=7) for action in ("create", "destroy")]
        posted = draft('{"container": "x", "state": "start", "type": "docker"}', container="x/y")
        self.successResultOf(self.recorder.observe([one, *gone, happened("rename", name="new")]))
        self.successResultOf(self.recorder.post_events([posted, draft("no JSON"), draft("[]")]))
        for _ in range(2):
            known = self.recorder.known("docker")
            (container,) = known.containers
            self.assertEqual((container.id, container.name), (ID, "new"))
            self.assertEqual(container.state, State.RUNNING)
            self.assertEqual(known.newest_us, happened("x").time_us)
            self.assertEqual(self.recorder.known("lxc").containers, ())
            self.restart()
        there = Container(type="docker", id="a" * 64, name="x")
        self.successResultOf(self.recorder.listing("docker", [there]))
        names = {one.name for one in self.recorder.known("docker").containers}
        self.assertEqual(names, {"new", "x"}, "nobody has told that the first is gone")

    def test_what_only_the_log_refuses_is_known(self) -> None:
        self.log.slow = []
        told = [happened(action, origin=f"docker:{action}") for action in ("create", "start")]
        done = self.recorder.observe(told)
        self.log.refuse()
        self.failureResultOf(done, JournalUnwritable)
        (container,) = self.recorder.known("docker").containers
        self.assertEqual(container.state, State.RUNNING)
        self.assertEqual(self.containers.all(), [container])
        # Its sentence is still owed.
        again = self.recorder.observe(told)
        self.log.commit()
        self.successResultOf(again)
        self.assertEqual(len(self.records(self.event)), 2)

    def test_what_could_not_be_recorded_is_not_known(self) -> None:
        self.successResultOf(self.recorder.observe([happened("create")]))
        (container,) = self.recorder.known("docker").containers
        again = attrs.evolve(container, name="new", state=State.RUNNING)
        self.successResultOf(self.recorder.listing("docker", [again]))
        self.event.slow = []
        done = self.recorder.observe([happened("start")])
        self.event.refuse()
        self.failureResultOf(done, JournalUnwritable)
        self.assertEqual(self.recorder.known("docker").containers, (container,))

    def test_what_a_first_listing_finds_is_recorded(self) -> None:
        self.successResultOf(self.recorder.observe([happened("create", time_us=5)]))
        new = Container(
            type="docker", id="a" * 64, name="x", state=State.PAUSED, ports=("0.0.0.0:1->1/tcp",)
        )
        recorded = Container(type="docker", id=ID, name="y", state=State.RUNNING)
        odd = Container(type="docker", id="x" * 300, name="z")
        for _ in range(2):
            self.successResultOf(self.recorder.listing("docker", [new, recorded, odd]))
            self.assertEqual(len(self.containers.all()), 3)
        _, found = self.records(self.event)
        self.assertEqual(
            json.loads(found.text),
            {
                "container": "x",
                "state": "found",
                "type": "docker",
                "id": "a" * 64,
                "now": "paused",
                "ports": ["0.0.0.0:1->1/tcp"],
            },
        )
        said = [record.text for record in self.records(self.log)]
        self.assertEqual(said[1:], ["Found 2 docker containers, 1 of them running"])
        self.restart()
        known = self.recorder.known("docker")
        self.assertEqual(known.containers[1], new)
        self.assertTrue(known.complete)
        self.successResultOf(self.recorder.listing("docker", [new, recorded]))
        self.assertEqual(len(self.records(self.event)), 2)

    def test_a_first_listing_that_cannot_be_recorded(self) -> None:
        self.event.slow = []
        there = Container(type="docker", id=ID, name="x")
        done = self.recorder.listing("docker", [there])
        self.event.refuse()
        self.failureResultOf(done, JournalUnwritable)
        self.assertEqual(self.containers.all(), [there])
