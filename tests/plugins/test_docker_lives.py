"""What must have come before what was told."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import Known
from stationd.records import State
from stationd_plugins.docker.decode import Inspected
from stationd_plugins.docker.lives import Lives
from tests.plugins.test_docker_deaths import S, happened
from tests.plugins.test_docker_reconcile import container
from tests.test_narration import ID

Life = list[tuple[str, int]]


class LivesTests(SynchronousTestCase):
    """A container, what was told of it, and what comes next."""

    def lives(self, told: Life, complete: bool = True, **known: object) -> Lives:
        existing = (container(id=ID, **known),) if known else ()
        lives = Lives([], Known(containers=existing, newest_us=0, complete=complete))
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
            ([], "rename", []),
            ([], "die", ["create", "start"]),
            ([], "destroy", ["create"]),
            (made, "start", []),
            (made, "die", ["start"]),
            (made, "destroy", []),
            (ran, "die", []),
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
            self.assertEqual(lives.missing(happened("start", 9 * S)), [])
            self.assertEqual(lives.missing(happened("die", 9 * S)), [])
        self.assertEqual(lives.missing(happened("destroy", 9 * S)), ["die"])
        lives.take(happened("die", 8 * S))
        self.assertEqual(lives.missing(happened("destroy", 9 * S)), [])
        self.assertEqual(lives.missing(happened("die", 9 * S)), ["start"])

    def test_a_listing_makes_it_complete(self) -> None:
        lives = self.lives([], complete=False)
        lives.listed([ID])
        self.assertEqual(lives.missing(happened("start", 9 * S)), [])
        other = attrs.evolve(happened("start", 9 * S), id="f" * 64)
        self.assertEqual(lives.missing(other), ["create"])

    def test_what_was_worked_out_or_recorded_misses_nothing(self) -> None:
        died = happened("die", 9 * S)
        self.assertEqual(self.lives([]).missing(attrs.evolve(died, inferred=True)), [])
        known = Known(containers=(), newest_us=0, complete=True)
        self.assertEqual(Lives([died.origin], known).missing(died), [])

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
