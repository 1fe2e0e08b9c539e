"""What must have come before what was told."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import KnownContainers
from stationd.records import State
from stationd_plugins.docker.decode import Inspected
from stationd_plugins.docker.lives import REMEMBERED, Lives
from stationd_plugins.docker.origins import origin_of, time_ns_of
from tests.plugins.test_docker_deaths import S, happened
from tests.plugins.test_docker_reconcile import container
from tests.test_record_builder import ID

Life = list[tuple[str, int]]


def lives_known() -> KnownContainers:
    """Nothing is."""
    return KnownContainers(containers=(), newest_us=0, complete=True)


class LivesTests(SynchronousTestCase):
    """A container, what was told of it, and what comes next."""

    def lives(self, told: Life, complete: bool = True, **known: object) -> Lives:
        existing = (container(id=ID, **known),) if known else ()
        lives = Lives([], KnownContainers(containers=existing, newest_us=0, complete=complete))
        for action, second in told:
            lives.take(happened(action, second * S))
        return lives

    def test_missing(self) -> None:
        made: Life = [("create", 1)]
        ran: Life = [*made, ("start", 2)]
        ended: Life = [*ran, ("die", 3)]
        for told, action, expected in (
            ([], "create", []),
            ([], "start", ["create"]),
            ([], "rename", ["create"]),
            ([], "kill", ["create"]),
            ([], "stop", []),
            ([], "pause", ["create", "start"]),
            (ended, "pause", ["start"]),
            (made, "unpause", ["start"]),
            (ran, "pause", []),
            ([], "die", ["create", "start"]),
            ([], "destroy", ["create"]),
            (made, "start", []),
            (made, "die", ["start"]),
            (made, "destroy", []),
            (ran, "die", []),
            (ran, "start", ["die"]),
            (ran, "destroy", ["die"]),
            (ended, "start", []),
            (ended, "die", ["start"]),
            (ended, "destroy", []),
            ([*ended, ("start", 4)], "die", []),
            ([*ended, ("start", 4)], "destroy", ["die"]),
            # It is gone, whatever is told of it late.
            ([*ended, ("destroy", 4)], "stop", []),
            ([*ended, ("destroy", 4)], "destroy", []),
        ):
            lives = self.lives(told)
            self.assertEqual(lives.missing(happened(action, 9 * S)), expected, (told, action))
        lives = self.lives([])
        export = attrs.evolve(happened("export", 9 * S), subject="export")
        self.assertEqual(lives.missing(export), [])

    def test_an_end_with_the_earlier_time(self) -> None:
        lives = self.lives([("create", 1), ("die", 2)])
        lives.take(happened("start", 2 * S + 16_000))
        self.assertEqual(lives.missing(happened("destroy", 9 * S)), [])

    def test_a_quick_restart(self) -> None:
        lives = self.lives([("create", 1), ("start", 2), ("die", 3)])
        lives.take(happened("start", 3 * S + 40_000))
        self.assertEqual(lives.missing(happened("die", 9 * S)), [])

    def test_a_clock_that_is_set_back(self) -> None:
        lives = self.lives([("create", 3600), ("start", 3601), ("die", 5)])
        self.assertEqual(lives.missing(happened("destroy", 9 * S)), [])
        lives = self.lives([("create", 3600), ("start", 3601), ("die", 5), ("start", 7)])
        self.assertEqual(lives.missing(happened("die", 9 * S)), [])
        self.assertEqual(lives.missing(happened("destroy", 9 * S)), ["die"])

    def test_what_was_there_before_our_time(self) -> None:
        for known in ({}, {"state": State.STOPPED}, {"state": State.RUNNING}):
            lives = self.lives([], complete=False, **known)
            ran = ["die"] if known.get("state") is State.RUNNING else []
            self.assertEqual(lives.missing(happened("start", 9 * S)), ran)
            self.assertEqual(lives.missing(happened("die", 9 * S)), [])
        self.assertEqual(lives.missing(happened("destroy", 9 * S)), ["die"])
        lives.take(happened("die", 8 * S))
        self.assertEqual(lives.missing(happened("destroy", 9 * S)), [])
        self.assertEqual(lives.missing(happened("die", 9 * S)), ["start"])

    def test_a_listing_makes_it_complete(self) -> None:
        lives = self.lives([], complete=False)
        lives.listed([ID], [])
        self.assertEqual(lives.missing(happened("start", 9 * S)), [])
        other = attrs.evolve(happened("start", 9 * S), id="f" * 64)
        self.assertEqual(lives.missing(other), ["create"])
        # Listed, and gone before it could be looked at: it may be older than our records.
        self.assertEqual(lives.missing(happened("destroy", 9 * S)), [])
        lives.listed([ID, "f" * 64], [ID])
        self.assertEqual(lives.missing(other), ["create"])

    def test_what_was_worked_out_or_recorded_misses_nothing(self) -> None:
        died = happened("die", 9 * S)
        self.assertEqual(self.lives([]).missing(attrs.evolve(died, inferred=True)), [])
        known = KnownContainers(containers=(), newest_us=0, complete=True)
        self.assertEqual(Lives([died.origin], known).missing(died), [])

    def test_an_engine_that_was_killed_starts_again_what_ended_while_it_was_dead(self) -> None:
        started = happened("start", 9 * S)
        cases: list[tuple[dict[str, Any], Life, int | None, list[int]]] = [
            ({}, [("create", 1), ("start", 2)], 5, [5 * S * 1000]),
            ({}, [("create", 1), ("start", 2)], 10, [9 * S * 1000 - 1]),
            # It was found running; when it had exited before, nobody has told.
            ({"state": State.RUNNING}, [], 5, [5 * S * 1000]),
            # An engine that was killed may never know of the exit.
            ({}, [("create", 1), ("start", 2)], 1, [9 * S * 1000 - 1]),
            ({}, [("create", 1), ("start", 2)], None, [9 * S * 1000 - 1]),
            ({"state": State.RUNNING}, [], None, []),
            # A listing came before the word of its first start, and that run is over by now.
            ({"state": State.RUNNING}, [("create", 1)], 10, []),
            ({"state": State.RUNNING}, [("create", 1)], 9, []),
        ]
        for known, told, finished, expected in cases:
            lives = self.lives(told, **known)
            now = Inspected(container(), pid=0, finished_ns=finished and finished * S * 1000)
            found = lives.untold(started, lives.missing(started), now)
            self.assertEqual([time_ns_of(one.origin) for one in found], expected)
            self.assertTrue(all(one.action == "die" for one in found))

    def test_one_that_was_found_running_and_is_gone(self) -> None:
        started = happened("start", 9 * S)
        for told, expected in (([], ["die"]), ([("create", 1)], [])):
            lives = self.lives(told, state=State.RUNNING)
            found = lives.untold(started, lives.missing(started), None)
            self.assertEqual([one.action for one in found], expected)

    def test_one_start_that_is_told_twice(self) -> None:
        lives = self.lives([("create", 1), ("start", 9)])
        again = happened("start", 9 * S + 3000)
        now = Inspected(container(), pid=0)
        self.assertEqual(lives.untold(again, lives.missing(again), now), [])

    def test_a_start_that_is_told_after_it_was_worked_out(self) -> None:
        lives = self.lives([("create", 1)])
        died = happened("die", 2 * S)
        now = Inspected(container(), pid=0, started_ns=1_999_000_000)
        for one in lives.untold(died, lives.missing(died), now):
            lives.take(one)
        lives.take(died)
        late = happened("start", 2 * S + 3000)
        self.assertEqual(lives.missing(late), [])
        lives.take(late)
        self.assertEqual(lives.missing(happened("start", 10 * S)), [])
        # So it is when that is read back.
        lives = self.lives([("create", 1)])
        times = (("start", 2 * S * 1000 - 1), ("die", 2 * S * 1000), ("start", 2 * S * 1000 + 3000))
        origins = [origin_of(at, "container", action, ID) for action, at in times]
        lives = Lives(origins, lives_known())
        self.assertEqual(lives.missing(happened("start", 10 * S)), [])

    def test_a_removal_that_is_told_once_more(self) -> None:
        lives = self.lives([("create", 1), ("destroy", 2)])
        self.assertTrue(lives.is_known(happened("destroy", 3 * S)))
        self.assertFalse(lives.is_known(happened("stop", 3 * S)))
        other = attrs.evolve(happened("destroy", 3 * S), id="f" * 64)
        self.assertFalse(lives.is_known(other))
        lives = Lives([happened("destroy", 2 * S).origin], lives_known())
        self.assertFalse(lives.is_known(happened("destroy", 2 * S)), "a replay")
        self.assertTrue(lives.is_known(happened("destroy", 3 * S)))

    def test_one_that_is_back_with_the_disk_of_its_engine(self) -> None:
        gone = happened("destroy", 2 * S).origin
        for action, now in (("start", "stopped"), ("die", "running"), ("destroy", "stopped")):
            for second, restarted, listed, is_back in (
                (3, True, False, True),
                (3, False, False, action != "destroy"),
                (3, True, True, False),
                # Told late, it is older.
                (1, True, False, False),
            ):
                lives = Lives([gone], lives_known())
                if restarted:
                    lives.restarted()
                if listed:
                    lives.listed([], [])
                told = happened(action, second * S)
                of = (action, second, restarted, listed)
                self.assertEqual(lives.missing(told), ["found"] if is_back else [], of)
                self.assertEqual(lives.is_known(told), action == "destroy" and not is_back, of)
                if is_back:
                    (found,) = lives.untold(told, ["found"], None)
                    self.assertEqual(found.details, {"now": now})
                    for one in (found, told):
                        lives.take(one)
                    # It lives as others do.
                    lives.listed([], [])
                    died = happened("die", 4 * S)
                    missing = {"start": [], "die": ["start"], "destroy": []}
                    self.assertEqual(lives.missing(died), missing[action])

    def test_one_that_is_back_is_removed_once_more(self) -> None:
        told = [happened("destroy", 2 * S), happened("found", 3 * S, now="running")]
        existing = KnownContainers(
            containers=(container(id=ID, state=State.RUNNING),), newest_us=0, complete=True
        )
        lives = self.lives([("create", 1), ("destroy", 2)])
        lives.take(told[1])
        for of in (lives, Lives([one.origin for one in told], existing)):
            self.assertEqual(of.missing(happened("destroy", 4 * S)), ["die"])
            self.assertFalse(of.is_known(happened("destroy", 4 * S)))
            of.take(happened("destroy", 4 * S))
            self.assertTrue(of.is_known(happened("destroy", 5 * S)))
        # Whatever is recorded, what is listed exists.
        lives.listed([ID], [ID])
        self.assertFalse(lives.is_known(happened("destroy", 6 * S)))

    def test_a_creation_that_is_told_once_more(self) -> None:
        lives = self.lives([("create", 1), ("start", 2)])
        self.assertTrue(lives.is_known(happened("create", 3 * S)))
        self.assertFalse(lives.is_known(attrs.evolve(happened("create", 3 * S), id="f" * 64)))
        self.assertFalse(self.lives([], state=State.STOPPED).is_known(happened("create", 3 * S)))
        created = happened("create", 1 * S)
        self.assertFalse(Lives([created.origin], lives_known()).is_known(created), "a replay")
        lives = self.lives([("create", 1), ("destroy", 2)])
        self.assertTrue(lives.is_known(happened("create", 3 * S)), "an id is given once")

    def test_of_those_that_are_gone_the_last_are_remembered(self) -> None:
        made = origin_of(1 * S * 1000, "container", "create", ID)
        gone = origin_of(9 * S * 1000, "container", "destroy", ID)
        others = [
            origin_of(5 * S * 1000, "container", action, f"{number:064x}"[::-1])
            for number in range(REMEMBERED)
            for action in ("create", "destroy")
        ]
        lives = Lives([made, *others, gone], lives_known())
        self.assertTrue(lives.is_known(happened("destroy", 10 * S)))

    def test_the_engine_s_times_are_taken_if_they_are_possible(self) -> None:
        died = happened("die", 9 * S, exitCode=1)
        end = 9 * S * 1000
        for told, created, started, expected in (
            ([], None, None, [end - 2, end - 1]),
            ([], 4, 5, [4 * S * 1000, 5 * S * 1000]),
            ([], 4, 3, [4 * S * 1000, end - 1]),
            ([], 10, 11, [end - 2, end - 1]),
            ([("create", 4)], 4, 5, [5 * S * 1000]),
            ([("create", 4)], 4, 3, [end - 1]),
            ([("die", 4)], 1, 2, [end - 1]),
        ):
            lives = self.lives(told)
            now = Inspected(
                container=container(),
                pid=0,
                created_ns=created and created * S * 1000,
                started_ns=started and started * S * 1000,
            )
            missing = lives.missing(died)
            found = lives.untold(died, missing, now)
            self.assertEqual([one.action for one in found], missing)
            times = [int(one.origin.split(":")[1]) for one in found]
            self.assertEqual(times, expected, (told, created, started))
            self.assertTrue(all(one.inferred and not one.details for one in found))
            self.assertEqual([one.time_us for one in found], [time // 1000 for time in times])
        self.assertEqual(len(self.lives([]).untold(died, ["create", "start"], None)), 2)
