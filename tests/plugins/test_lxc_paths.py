"""LXC paths of which some are away, or hold what cannot be read."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

import attrs
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import KnownContainers
from stationd.records import Container, Observation, State
from stationd_plugins.host import cgroups
from stationd_plugins.lxc import paths, scan
from stationd_plugins.lxc.command import address
from stationd_plugins.lxc.paths import Paths, is_absent
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import container, observation
from stationd_plugins.lxc.tracker import Tracker

A = Seen("a", "/here", "1", "", made_us=10)
B = Seen("b", "/there", "2", "", made_us=10, monitor="m", init_pid=7, run="boot-7-1")
AWAY = frozenset(["/there"])
NOTHING = KnownContainers(containers=(), newest_us=0, complete=False)


def make(path: str, *names: str) -> None:
    for name in names:
        os.makedirs(f"{path}/{name}")
        open(f"{path}/{name}/config", "w").close()


class PathsTests(SynchronousTestCase):
    """Directories."""

    def setUp(self) -> None:
        self.here, self.there = (os.path.abspath(self.mktemp()) for _ in range(2))
        make(self.here, "a")
        self.paths = Paths((self.here, self.there), cgroups.Layout("", {}))

    def said(self, times: int = 1) -> list[str]:
        """What some scans say."""
        with capturedLogs() as logs:
            for _ in range(times):
                self.paths.scan({})
        return [formatEvent(event) for event in logs]

    def test_a_path_that_is_not_there_is_away(self) -> None:
        found = self.paths.scan({})
        self.assertEqual(([*found.containers], found.away), (["a"], {self.there}))

    def test_a_path_that_is_no_directory_is_away(self) -> None:
        open(self.there, "w").close()
        self.assertEqual(self.paths.scan({}).away, {self.there})

    def test_one_that_gets_another_name_while_we_look_is_there(self) -> None:
        make(self.here, "b")
        looked: list[str] = []
        for moved, expected in (("a", ["a-new", "b"]), ("b", ["a-new", "b-new"])):
            looked.clear()

            def look(path: str, name: str, *rest: Any, moved: str = moved) -> Seen | None:
                if not looked:
                    os.rename(f"{path}/{moved}", f"{path}/{moved}-new")
                looked.append(name)
                return scan.look(path, name, *rest)

            self.patch(paths, "look", look)
            self.assertEqual(sorted(self.paths.scan({}).containers), expected)

    def test_names_that_are_passed_on_while_we_look(self) -> None:
        make(self.here, "c")
        identities = {name: seen.identity for name, seen in self.paths.scan({}).containers.items()}
        looked: list[str] = []

        def look(path: str, name: str, *rest: Any) -> Seen | None:
            seen = scan.look(path, name, *rest)
            looked.append(name)
            if looked == ["a"]:
                os.rename(f"{path}/a", f"{path}/b")
                os.rename(f"{path}/c", f"{path}/a")
            return seen

        self.patch(paths, "look", look)
        found = self.paths.scan({}).containers
        self.assertEqual(
            {name: seen.identity for name, seen in found.items()},
            {"a": identities["c"], "b": identities["a"]},
        )

    def test_what_is_away_is_said_once(self) -> None:
        reason = "its containers are taken to be as they were: No such file or directory"
        self.assertEqual(self.said(3), [f"{self.there} cannot be looked at, {reason}"])
        make(self.there, "b")
        self.assertEqual(self.said(3), [f"{self.there} can be looked at again"])

    def test_without_any_there_is_nothing_to_look_at(self) -> None:
        os.rename(self.here, f"{self.here}-away")
        self.assertRaises(FileNotFoundError, self.paths.scan, {})
        open(self.there, "w").close()
        self.assertRaises(NotADirectoryError, self.paths.scan, {})

    def test_what_cannot_be_looked_at_is_not_absent(self) -> None:
        os.symlink(self.there, self.there)
        paths = (self.here, self.there, f"{self.here}/none", f"{self.here}/a/config/none")
        self.assertEqual([is_absent(path) for path in paths], [False, False, True, True])

    def test_a_configuration_that_cannot_be_read_leaves_it_unknown(self) -> None:
        os.unlink(f"{self.here}/a/config")
        # To read where nothing is mapped is EIO.
        os.symlink("/proc/self/mem", f"{self.here}/a/config")
        seen = self.paths.scan({}).containers["a"]
        self.assertTrue(seen.is_silent and seen.is_bare)


class TwiceTests(SynchronousTestCase):
    """One name, or one directory, in two paths."""

    def setUp(self) -> None:
        self.first, self.second = (os.path.abspath(self.mktemp()) for _ in range(2))
        make(self.first, "web")
        self.layout = cgroups.Layout("", {})

    def both(self) -> Paths:
        make(self.second, "web")
        return Paths((self.first, self.second), self.layout)

    def test_the_one_that_is_known_is_taken(self) -> None:
        paths = self.both()
        for home, expected in (
            (self.second, self.second),
            (self.first, self.first),
            ("/elsewhere", self.first),
        ):
            self.assertEqual(paths.scan({"web": home}).containers["web"].path, expected)
            found = paths.find("web", home)
            assert found is not None
            self.assertEqual(found.path, expected)

    def test_the_other_does_not_take_its_place_while_it_is_edited(self) -> None:
        paths = self.both()
        os.unlink(f"{self.first}/web/config")
        found = paths.scan({"web": self.first}).containers["web"]
        self.assertEqual((found.path, found.is_bare), (self.first, True))

    def test_that_the_other_is_passed_over_is_said_once(self) -> None:
        paths = self.both()
        with capturedLogs() as logs:
            for _ in range(3):
                paths.scan({})
        directory = repr(f"{self.second}/web")
        said = f"{directory} is passed over: a container of its name is in another path"
        self.assertEqual([formatEvent(event) for event in logs], [said])

    def test_two_spellings_of_one_path(self) -> None:
        os.symlink(self.first, self.second)
        monitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(monitor.close)
        # It does not answer, but it is there.
        monitor.bind(address(self.second, "web"))
        monitor.listen(1)
        with capturedLogs() as logs:
            for paths in ((self.first, self.second), (self.second, self.first)):
                found = Paths(paths, self.layout).scan({}).containers["web"]
                self.assertTrue(found.is_silent)
        self.assertEqual(logs, [])


class FindTests(SynchronousTestCase):
    """Keys of all kinds."""

    def test_odd_ones_are_nothing(self) -> None:
        path = os.path.abspath(self.mktemp())
        make(path, "one")
        paths = Paths((path,), cgroups.Layout("", {}))
        for key in ("a" * 300, "\udcff", "\0", "", ".", "..", "one/", "../one", "\n"):
            self.assertIsNone(paths.find(key, None))
        self.assertIsNotNone(paths.find("one", None))


class AwayTests(SynchronousTestCase):
    """What is told while a path is away."""

    def setUp(self) -> None:
        self.tracker = Tracker(lambda monitor: monitor == "m")

    def look(self, *seen: Seen, away: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
        found = {one.name: one for one in seen}
        told = self.tracker.update(found, 200, inferred=False, away=away)
        return [(one.action, one.name) for one in told]

    def begin(
        self,
        *seen: Seen,
        known: KnownContainers,
        told: Sequence[Observation] = (),
        away: frozenset[str] = AWAY,
    ) -> list[tuple[str, str]]:
        found = {one.name: one for one in seen}
        origins = [one.origin for one in told]
        happened = self.tracker.begin(found, known, origins, 150, away)
        return [(one.action, one.name) for one in happened]

    def recorded(self, complete: bool = True) -> tuple[KnownContainers, list[Observation]]:
        """Both of them, and how they were made."""
        running = Container(type="lxc", id="b", name="b", state=State.RUNNING)
        stopped = Container(type="lxc", id="a", name="a")
        told = [observation("create", one, 10, False) for one in (A, B)]
        return KnownContainers(
            containers=(stopped, running), newest_us=100, complete=complete
        ), told

    def test_containers_of_a_path_that_goes_are_as_they_were(self) -> None:
        self.begin(A, B, known=NOTHING, away=frozenset())
        self.assertEqual(self.look(A, away=AWAY), [])
        self.assertEqual(self.tracker.running["b"].init_pid, 7)
        self.assertEqual(self.look(A, B), [])
        self.assertEqual(self.look(A), [("stop", "b"), ("destroy", "b")])

    def test_what_happened_in_a_path_meanwhile_is_inferred(self) -> None:
        self.begin(A, B, known=NOTHING, away=frozenset())
        self.look(A, away=AWAY)
        renamed = attrs.evolve(A, name="c")
        told = self.tracker.update({"c": renamed}, 300, inferred=False)
        found = [(one.action, one.name, one.inferred) for one in told]
        self.assertEqual(
            found, [("stop", "b", True), ("destroy", "b", True), ("rename", "c", False)]
        )

    def test_what_a_path_that_is_back_says_late_is_inferred_too(self) -> None:
        stopped = attrs.evolve(B, init_pid=0, run="", monitor="")
        new = attrs.evolve(stopped, name="new", identity="4")
        self.tracker = Tracker(lambda _: False)
        for unknown in (attrs.evolve(stopped, is_silent=True), attrs.evolve(stopped, is_bare=True)):
            self.begin(A, B, known=NOTHING, away=frozenset())
            self.look(A, away=AWAY)
            self.assertEqual(self.look(A, unknown, attrs.evolve(new, is_silent=True)), [])
            scans = (A, stopped, new), (A, B, new)
            told = [
                (one.action, one.name, one.inferred)
                for scan in scans
                for one in self.tracker.update({s.name: s for s in scan}, 300, inferred=False)
            ]
            expected = [("stop", "b", True), ("create", "new", True), ("start", "b", False)]
            self.assertEqual(told, expected)
        self.look(A, B, away=AWAY)
        self.look(A, attrs.evolve(stopped, is_silent=True))
        told_of_end = self.tracker.update({"a": A}, 400, inferred=False)
        self.assertEqual([one.inferred for one in told_of_end], [True, True])

    def test_another_of_the_same_name_is_not_looked_at_meanwhile(self) -> None:
        self.begin(A, B, known=NOTHING, away=frozenset())
        other = attrs.evolve(A, name="b", identity="3")
        self.assertEqual(self.look(A, other, away=AWAY), [])

    def test_one_that_is_there_by_another_path_is_looked_at(self) -> None:
        self.begin(B, known=NOTHING, away=frozenset())
        self.assertEqual(
            self.look(attrs.evolve(B, path="/here", frozen=True), away=AWAY), [("pause", "b")]
        )

    def test_one_whose_monitor_has_the_address_of_the_path_that_is_away(self) -> None:
        self.begin(B, known=NOTHING, away=frozenset())
        other = attrs.evolve(B, path="/here", init_pid=0, run="", monitor="")
        self.assertEqual(self.look(other, away=AWAY), [])
        self.assertFalse(self.tracker.unsettled)
        self.assertEqual(self.look(B), [])
        # It is over if that monitor is.
        self.tracker = Tracker(lambda _: False)
        self.begin(B, known=NOTHING, away=frozenset())
        self.assertEqual(self.look(other, away=AWAY), [("stop", "b")])

    def test_another_name_that_does_not_answer(self) -> None:
        renamed = attrs.evolve(B, name="c")
        silent = attrs.evolve(renamed, init_pid=0, run="", monitor="", is_silent=True)
        self.begin(B, known=NOTHING, away=frozenset())
        self.assertEqual(self.look(silent), [])
        self.assertEqual(self.look(renamed), [("rename", "c")])
        self.assertEqual(self.look(silent, away=frozenset(["/elsewhere"])), [])
        # It went before it answered.
        self.begin(B, known=NOTHING, away=frozenset())
        self.look(silent)
        self.assertEqual(self.look(), [("stop", "b"), ("destroy", "b")])

    def test_no_end_is_concluded_at_a_first_scan(self) -> None:
        known, told = self.recorded()
        self.assertEqual(self.begin(A, known=known, told=told), [])
        self.assertEqual(self.look(A, away=AWAY), [])
        listed = {one.name: one.state for one in self.tracker.containers}
        self.assertEqual(listed, {"a": State.STOPPED, "b": State.RUNNING})
        self.assertEqual(self.look(A), [("stop", "b"), ("destroy", "b")])

    def test_one_that_is_there_again_is_what_it_is_then(self) -> None:
        known, told = self.recorded()
        self.begin(A, known=known, told=told)
        self.assertEqual(self.look(A, attrs.evolve(B, frozen=True)), [("pause", "b")])
        self.assertEqual(self.look(A, attrs.evolve(B, frozen=True)), [])

    def test_another_of_the_same_name_at_a_first_scan(self) -> None:
        known, told = self.recorded()
        other = attrs.evolve(A, name="b", identity="3")
        decided = [("stop", "b"), ("destroy", "b"), ("create", "b")]
        self.assertEqual(self.begin(A, other, known=known, told=told), decided)
        self.assertEqual(self.look(A, other, away=AWAY), [])

    def test_what_has_another_name_when_its_path_is_there(self) -> None:
        known, told = self.recorded()
        self.begin(A, known=known, told=told)
        self.assertEqual(self.look(A, attrs.evolve(B, name="c")), [("rename", "c")])

    def test_what_is_in_a_path_that_was_never_looked_at(self) -> None:
        new = attrs.evolve(B, name="new", identity="4")
        for complete, made_us, expected in (
            (True, 120, [("create", "new"), ("start", "new")]),
            (False, 120, [("create", "new"), ("start", "new")]),
            (False, 10, [("found", "new")]),
        ):
            known, told = self.recorded(complete)
            self.begin(A, known=known, told=told)
            seen = attrs.evolve(new, made_us=made_us, started_us=130)
            self.assertEqual(self.look(A, B, seen), expected)
            self.assertEqual(self.look(A, B, seen), [])
        # At the very first start.
        self.begin(A, known=NOTHING)
        self.assertEqual(self.look(A, B), [("found", "b")])

    def test_names_that_were_passed_on_while_another_path_is_away(self) -> None:
        was = [Seen("a", "/here", "1", "", made_us=10), Seen("b", "/here", "2", "", made_us=10)]
        now = [attrs.evolve(was[0], name="b"), attrs.evolve(was[1], name="c")]
        listed = tuple(attrs.evolve(container(one, 5), origin="") for one in was)
        known = KnownContainers(containers=listed, newest_us=100, complete=True)
        tracker = Tracker(lambda monitor: False)
        origins = [container(one, 5).origin for one in was]
        happened = tracker.begin({one.name: one for one in now}, known, origins, 200, AWAY)
        told = [(one.action, one.name, one.details["old"]) for one in happened]
        self.assertEqual(told, [("rename", "c", "b"), ("rename", "b", "a")])
        self.assertEqual([one.name for one in tracker.containers], ["b", "c"])
        self.assertEqual(tracker.update({one.name: one for one in now}, 300, inferred=False), [])


class UnreadableTests(SynchronousTestCase):
    """A directory that cannot be read is as it was."""

    def test_it_is_as_it_was(self) -> None:
        unknown = Seen("b", "/there", "", "", is_silent=True, is_bare=True)
        tracker = Tracker(lambda _: True)
        tracker.begin({"b": B}, NOTHING, [], 1)
        for now_us in (2, 60_000_000):
            self.assertEqual(tracker.update({"b": unknown}, now_us, inferred=False), [])
        self.assertEqual(tracker.running["b"].init_pid, 7)

    def test_it_is_as_it_was_at_a_first_scan(self) -> None:
        unknown = Seen("b", "/there", "", "", is_silent=True, is_bare=True)
        tracker = Tracker(lambda _: True)
        was = Container(type="lxc", id="b", name="b", state=State.RUNNING)
        known = KnownContainers(containers=(was,), newest_us=5, complete=True)
        made = observation("create", B, 1, False)
        self.assertEqual(tracker.begin({"b": unknown}, known, [made.origin], 9), [])
        self.assertEqual(tracker.containers, [was])

    def test_it_may_be_no_container_at_all(self) -> None:
        unknown = Seen("b", "/there", "", "", is_silent=True, is_bare=True)
        tracker = Tracker(lambda _: True)
        self.assertEqual(tracker.begin({"b": unknown}, NOTHING, [], 9), [])
        self.assertEqual(tracker.containers, [])
