"""What is worked out of containers that were only found, or came while their path was away."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import KnownContainers
from stationd.record_builder import found_observation
from stationd.records import Container, Observation
from stationd.registry import Registry
from stationd_plugins.lxc.absence import missed
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import Recorded, container, observation, state

NEWEST_US, NOW_US = 1000, 2000

STOPPED = Seen("one", "/lxc", "5-1", "", made_us=10)
RUNNING = attrs.evolve(STOPPED, init_pid=7, run="boot-7-1", started_us=20)


def happened(
    *scanned: Seen, was: Container | None = None, told: Observation | None = None
) -> list[tuple[str, str, int]]:
    """What must have happened until these were found.

    @param was: what is recorded, and with it all that there was, C{told}: by what.
    """
    known = KnownContainers(containers=(was,) if was else (), newest_us=NEWEST_US, complete=True)
    origins = [told.origin] if told else []
    found = missed({seen.name: seen for seen in scanned}, known, Recorded(origins), NOW_US)
    return [(one.action, one.name, one.time_us) for one in found]


class FoundTests(SynchronousTestCase):
    """All that is recorded is that it was there."""

    def check(self, was: Seen, now: Seen, *expected: tuple[str, str, int]) -> None:
        listed = container(was, NEWEST_US)
        recorded = attrs.evolve(listed, origin="")
        self.assertEqual(
            happened(now, was=recorded, told=found_observation(listed, NEWEST_US)), [*expected]
        )

    def test_nothing_happened(self) -> None:
        self.check(STOPPED, STOPPED)
        self.check(RUNNING, RUNNING)

    def test_another_name(self) -> None:
        two = attrs.evolve(STOPPED, name="two")
        self.check(STOPPED, two, ("rename", "two", NOW_US))
        self.check(RUNNING, attrs.evolve(RUNNING, name="two"), ("rename", "two", NOW_US))

    def test_another_of_its_name(self) -> None:
        other = attrs.evolve(STOPPED, identity="9-9", made_us=1500)
        self.check(STOPPED, other, ("destroy", "one", 1499), ("create", "one", 1500))

    def test_another_run(self) -> None:
        again = attrs.evolve(RUNNING, run="boot-9-9", started_us=1500)
        self.check(RUNNING, again, ("restart", "one", 1500))

    def test_found_again_it_is_recorded_again(self) -> None:
        first, again = container(STOPPED, 5), container(STOPPED, 6)
        self.assertNotEqual(found_observation(first, 5).origin, found_observation(again, 6).origin)

    def test_a_long_name(self) -> None:
        biggest = Seen(
            "x" * 252, "/lxc", f"{2**63}-{2**64}", "", run="12345678-4194304-99999999999"
        )
        origin = observation("found", biggest, 2**53, False).origin
        self.assertLessEqual(len(origin), 256)


class RenamedTests(SynchronousTestCase):
    """Containers whose names were passed on."""

    def missed(self, before: str, after: str) -> list[tuple[object, ...]]:
        """What happened to containers, of which each is a letter, a capital while it runs, in
        three places, where C{-} is none; C{x} was born meanwhile, and runs since."""

        def seen(identity: str, place: int) -> Seen:
            born = identity in "xX"
            one = Seen(f"place{place}", "/lxc", identity.lower(), "", made_us=1500 if born else 10)
            if identity.islower():
                return one
            run = f"boot-{ord(identity)}-1"
            return attrs.evolve(one, init_pid=7, run=run, started_us=1600 if born else 30)

        was = [seen(one, place) for place, one in enumerate(before) if one != "-"]
        now = [seen(one, place) for place, one in enumerate(after) if one != "-"]
        known = KnownContainers(
            containers=tuple(attrs.evolve(container(one, 5), origin="") for one in was),
            newest_us=NEWEST_US,
            complete=True,
        )
        recorded = Recorded([container(one, 5).origin for one in was])
        told = missed({one.name: one for one in now}, known, recorded, NOW_US)
        self.assertEqual([one.time_us for one in told], sorted(one.time_us for one in told))
        places = Registry()
        for one in was:
            places.apply(found_observation(container(one, 5), 1))
        for observed in told:
            self.assertIsNotNone(places.apply(observed))
        left = {one.name: one.state for one in places.all() if not one.removed}
        self.assertEqual(left, {one.name: state(one) for one in now}, told)
        return [(one.action, one.name[-1], *map(str, one.details.values())) for one in told]

    def test_a_name_that_another_takes(self) -> None:
        expected = [("rename", "2", "place1"), ("rename", "1", "place0")]
        self.assertEqual(self.missed("ab-", "-ab"), expected)

    def test_the_name_of_one_that_is_gone(self) -> None:
        expected = [("destroy", "1"), ("rename", "1", "place0")]
        self.assertEqual(self.missed("ab-", "-a-"), expected)
        self.assertEqual(self.missed("ab-", "xa-")[:2], expected)

    def test_names_that_are_exchanged(self) -> None:
        # There is no order to tell it in.
        expected = [("destroy", "0"), ("rename", "0", "place1"), ("create", "1")]
        self.assertEqual(sorted(self.missed("ab-", "ba-")), sorted(expected))

    def test_a_name_that_is_given_to_another_at_once(self) -> None:
        for after in ("xa-", "Xa-"):
            told = self.missed("a--", after)
            self.assertEqual(told[:2], [("rename", "1", "place0"), ("create", "0")])
        self.missed("Ab-", "bA-")
        self.missed("AB-", "BA-")
        self.missed("aB-", "XaB")

    def test_links_to_one_another(self) -> None:
        self.assertEqual(self.missed("aa-", "aa-"), [])
        self.assertEqual(self.missed("AA-", "AA-"), [])
        self.missed("aa-", "-aa")

    def test_names_that_go_round(self) -> None:
        told = self.missed("abc", "cab")
        self.assertEqual(sorted(one[0] for one in told), ["create", "destroy", "rename", "rename"])


class UnrecordedTests(SynchronousTestCase):
    """A container of which there is no record, although there is one of all others."""

    def test_it_was_made_meanwhile(self) -> None:
        born = attrs.evolve(STOPPED, made_us=1500)
        self.assertEqual(happened(born), [("create", "one", 1500)])

    def test_it_was_moved_here_or_the_clock_was_set_back(self) -> None:
        self.assertEqual(happened(STOPPED), [("create", "one", NOW_US)])

    def test_one_that_runs_was_there_before_its_start(self) -> None:
        self.assertEqual(happened(RUNNING), [("create", "one", 20), ("start", "one", 20)])

    def test_one_that_is_back_in_a_path_that_was_away(self) -> None:
        """Twice, under the same run: what is recorded then has origins of its own."""
        registry = Registry()
        origins: list[str] = []
        nobody = KnownContainers(containers=(), newest_us=0, complete=True)
        for now_us in (NOW_US, NOW_US + 10, NOW_US + 20):
            for scanned in ({"one": RUNNING}, {}):
                known = attrs.evolve(
                    nobody, containers=tuple(registry.all()), newest_us=now_us if origins else 0
                )
                told = missed(scanned, known, Recorded(origins), now_us)
                actions = ["create", "start"] if scanned else ["stop", "destroy"]
                self.assertEqual([one.action for one in told], actions)
                for one in told:
                    registry.apply(one)
                origins += [one.origin for one in told if one.origin]
        self.assertEqual(len(set(origins)), len(origins), origins)

    def test_before_anything_was_recorded(self) -> None:
        nothing = KnownContainers(containers=(), newest_us=0, complete=True)
        (create,) = missed({"one": STOPPED}, nothing, Recorded([]), NOW_US)
        self.assertEqual(create.action, "create")
