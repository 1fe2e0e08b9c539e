"""Containers that ran out of memory without a word of their engine."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.records import CRASH_LOOP_EXITS, Observation
from stationd_plugins.docker.deaths import OOM_US
from stationd_plugins.docker.ooms import REMEMBERED, Ooms, untold_oom
from stationd_plugins.docker.origins import time_ns_of
from tests.plugins.test_docker_deaths import S, happened


def killed(second: int, **details: object) -> list[Observation]:
    """An exit by the kernel's word, and what was made before it."""
    before = happened("die", second * S, exitCode=137, oom=False, **details)
    died = attrs.evolve(before, details={**before.details, "oom": True})
    return [*untold_oom(before, died), died]


class OomTests(SynchronousTestCase):
    """One container."""

    def ooms(self, *told: Observation) -> list[Ooms]:
        """As it was recorded, and as it is read back."""
        followed = Ooms([])
        for one in told:
            followed.take(one)
        return [followed, Ooms([one.origin for one in told])]

    def test_what_is_made(self) -> None:
        oom, died = killed(5)
        self.assertEqual((oom.action, oom.details, oom.id), ("oom", {}, died.id))
        self.assertEqual(time_ns_of(oom.origin), time_ns_of(died.origin) - 1)
        told = happened("die", 5 * S, exitCode=137, oom=True)
        self.assertEqual(untold_oom(told, told), [])
        self.assertEqual(untold_oom(attrs.evolve(told, details={}), happened("die", 5 * S)), [])

    def test_of_a_loop(self) -> None:
        for exits, details in (
            (CRASH_LOOP_EXITS, {}),
            (CRASH_LOOP_EXITS + 1, {"exits": CRASH_LOOP_EXITS}),
        ):
            self.assertEqual(killed(5, exits=exits)[0].details, details)

    def test_what_is_told_late_is_known(self) -> None:
        for second in (4, 5, 6, 99):
            for ooms in self.ooms(*killed(5)):
                self.assertFalse(ooms.is_known(happened("start", second * S)))
                late = happened("oom", second * S)
                self.assertFalse(ooms.is_known(attrs.evolve(late, id="f" * 64)))
                # One for each process that was killed.
                for _ in range(3):
                    self.assertTrue(ooms.is_known(late))

    def test_of_one_that_runs_again_only_soon(self) -> None:
        for late_us, known in ((1, True), (OOM_US - 1, True), (OOM_US, False)):
            for ooms in self.ooms(*killed(5), happened("start", 5 * S + 1)):
                self.assertEqual(ooms.is_known(happened("oom", 5 * S + late_us)), known)

    def test_of_one_that_runs_again_once(self) -> None:
        """Another may be of its present run."""
        for ooms in self.ooms(*killed(5), happened("start", 6 * S)):
            self.assertTrue(ooms.is_known(happened("oom", 7 * S)))
            self.assertFalse(ooms.is_known(happened("oom", 7 * S)))
        (ooms, _) = self.ooms(*killed(5))
        self.assertTrue(ooms.is_known(happened("oom", 5 * S + 1)))
        for second in (6, 8):
            ooms.take(happened("start", second * S))
            self.assertFalse(ooms.is_known(happened("oom", second * S + 1)))
            ooms.take(happened("die", second * S + 2))

    def test_what_is_told_again_of_the_run_before_is_known(self) -> None:
        """As it was not recorded, whoever subscribes anew hears of it once more."""
        for ooms in self.ooms(*killed(5), happened("start", 30 * S), happened("die", 40 * S)):
            for second in (6, 29, 6):
                self.assertTrue(ooms.is_known(happened("oom", second * S)))
            for second in (30, 35, 41):
                self.assertFalse(ooms.is_known(happened("oom", second * S)))

    def test_what_the_engine_told_itself_is_not_made(self) -> None:
        told = [happened("oom", 4 * S), happened("die", 5 * S)]
        for ooms in self.ooms(*told):
            self.assertFalse(ooms.is_known(happened("oom", 6 * S)))

    def test_no_more_is_remembered_than_is_of_use(self) -> None:
        others = [
            attrs.evolve(one, id=f"{number:012x}")
            for number in range(REMEMBERED)
            for one in killed(6)
        ]
        (ooms, _) = self.ooms(*killed(5), *others[2:])
        self.assertTrue(ooms.is_known(happened("oom", 7 * S)))
        (ooms, _) = self.ooms(*killed(5), *others)
        self.assertFalse(ooms.is_known(happened("oom", 7 * S)))
