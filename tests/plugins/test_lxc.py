"""LXC: what scans mean, what inotify says, how monitors are addressed."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from inotify_simple import flags
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from stationd.errors import InvalidValue, SourceAbsent
from stationd.interfaces import KnownContainers
from stationd.record_builder import found_observation
from stationd.records import Container, Observation, State
from stationd_plugins.host import cgroups
from stationd_plugins.lxc.command import address, fnv64a
from stationd_plugins.lxc.following import unwatchable
from stationd_plugins.lxc.inotify import Watcher
from stationd_plugins.lxc.paths import Paths, Scan
from stationd_plugins.lxc.scan import Seen, image_of, is_frozen
from stationd_plugins.lxc.source import make_source
from stationd_plugins.lxc.telling import container, observation
from stationd_plugins.lxc.tracker import Tracker
from stationd_plugins.lxc.words import Word

ONE = Seen("one", "/lxc", "1", "")
RUNNING = attrs.evolve(ONE, monitor="10", init_pid=11)
NOTHING = KnownContainers(containers=(), newest_us=0, complete=False)
FROZEN = attrs.evolve(RUNNING, frozen=True)


def known(name: str, state: State) -> Container:
    return Container(type="lxc", id=name, name=name, state=state)


@attrs.define
class Said:
    """What monitors said of one container."""

    words: list[Word]
    just_now: bool
    listening: bool = True

    def take(self, name: str) -> list[Word]:
        words, self.words = self.words, []
        return words

    def since_scan(self, name: str) -> bool:
        return self.just_now

    def forget(self, names: Collection[str]) -> None:
        pass


class TrackerTests(SynchronousTestCase):
    """From scan to scan."""

    def setUp(self) -> None:
        self.alive = {"10"}
        self.tracker = Tracker(lambda monitor: monitor in self.alive)

    def after(self, *scans: Sequence[Seen], inferred: bool = False) -> list[Observation]:
        """What has happened, when scans found these one after the other."""
        self.tracker.begin({seen.name: seen for seen in scans[0]}, NOTHING, [], 0)
        happened: list[Observation] = []
        for time_us, seen in enumerate(scans[1:], 1):
            found = {one.name: one for one in seen}
            happened += self.tracker.update(found, time_us, inferred=inferred)
        return happened

    def actions(self, *scans: Sequence[Seen]) -> list[str]:
        return [one.action for one in self.after(*scans)]

    def test_plain_transitions(self) -> None:
        self.assertEqual(self.actions([], [ONE]), ["create"])
        self.assertEqual(self.actions([], [RUNNING]), ["create", "start"])
        self.assertEqual(self.actions([ONE], [RUNNING]), ["start"])
        self.assertEqual(self.actions([RUNNING], [FROZEN]), ["pause"])
        self.assertEqual(self.actions([FROZEN], [RUNNING]), ["unpause"])
        self.assertEqual(self.actions([ONE], []), ["destroy"])
        self.assertEqual(self.actions([RUNNING], []), ["stop", "destroy"])
        self.assertEqual(self.actions([RUNNING], [RUNNING]), [])

    def test_a_stop_is_told_when_the_monitor_is_gone(self) -> None:
        self.assertEqual(self.after([RUNNING], [ONE], [ONE]), [])
        self.assertTrue(self.tracker.unsettled)
        self.alive.clear()
        (stop,) = self.tracker.update({"one": ONE}, 9, inferred=False)
        # With the time at which it was seen first.
        self.assertEqual((stop.action, stop.time_us), ("stop", 1))
        self.assertFalse(self.tracker.unsettled)

    def begin(
        self, scanned: dict[str, Seen], *known: Container, told: Sequence[Observation] = ()
    ) -> list[Observation]:
        """What must have happened until this was found.

        @param told: what is recorded.
        """
        origins = [one.origin for one in told]
        before = KnownContainers(containers=known, newest_us=100, complete=True)
        return self.tracker.begin(scanned, before, origins, 1000)

    def test_out_of_memory(self) -> None:
        def after(ooms: int, run: str = "1") -> Seen:
            return attrs.evolve(RUNNING, ooms=ooms, run=run)

        self.assertEqual(self.actions([after(0)], [after(2)], [after(2)]), ["oom"])
        self.assertEqual(self.actions([after(0)], [after(1)], [after(2)]), ["oom", "oom"])
        self.assertEqual(self.actions([after(5)], [after(1, run="2")]), [], "another run")
        self.assertEqual(self.actions([ONE], [after(1)], [after(1)]), ["start", "oom"])
        again = attrs.evolve(after(1, run="2"), init_pid=12)
        self.assertEqual(self.actions([after(5)], [again]), ["restart", "oom"])

    def test_a_monitor_that_lives_on_for_ever_holds_nothing_up(self) -> None:
        self.after([RUNNING], [ONE])
        self.assertEqual(self.tracker.update({"one": ONE}, 20_000_000, inferred=False), [])
        (stop,) = self.tracker.update({"one": ONE}, 40_000_000, inferred=False)
        self.assertEqual((stop.action, stop.time_us), ("stop", 1))

    def test_what_happened_while_nobody_looked(self) -> None:
        def seen(like: Seen, made_us: int = 50, started_us: int = 0) -> Seen:
            return attrs.evolve(like, made_us=made_us, started_us=started_us)

        stopped, running, paused = State.STOPPED, State.RUNNING, State.PAUSED
        for was, found, expected in (
            (running, None, [("stop", 1000), ("destroy", 1000)]),
            (stopped, None, [("destroy", 1000)]),
            (running, seen(ONE), [("stop", 1000)]),
            (stopped, seen(RUNNING, started_us=700), [("start", 700)]),
            (stopped, seen(FROZEN, started_us=700), [("start", 700), ("pause", 1000)]),
            (running, seen(FROZEN), [("pause", 1000)]),
            (paused, seen(RUNNING), [("unpause", 1000)]),
            (paused, seen(ONE), [("stop", 1000)]),
            (running, seen(RUNNING), []),
            (paused, seen(FROZEN), []),
            # There is no record of it, but some are missing: was it made since the newest?
            (None, seen(RUNNING), []),
            (None, seen(ONE, made_us=200), [("create", 200)]),
            (None, seen(RUNNING, 200, 300), [("create", 200), ("start", 300)]),
        ):
            scanned = {"one": found} if found else {}
            containers = [known("one", was)] if was else []
            told = self.tracker.begin(
                scanned,
                KnownContainers(containers=tuple(containers), newest_us=100, complete=False),
                [],
                1000,
            )
            self.assertEqual([(one.action, one.time_us) for one in told], expected)
            self.assertTrue(all(one.inferred for one in told))
        # Nothing was ever told: it is how things are.
        self.assertEqual(
            self.tracker.begin({"one": seen(RUNNING, 200, 300)}, NOTHING, [], 1000), []
        )

    def test_a_run_that_is_another(self) -> None:
        was = attrs.evolve(RUNNING, run="boot-11-5")
        now = attrs.evolve(RUNNING, run="boot-12-9", started_us=700)
        started = observation("start", was, 50, False)
        for told, found, expected in (
            ([started], now, [("restart", 700)]),
            ([started], was, []),
            # Found at a first listing is told of, too.
            ([found_observation(container(was, 50), 50)], now, [("restart", 700)]),
            ([found_observation(container(was, 50), 50)], was, []),
            # How it began nobody knows.
            ([], now, []),
            ([started], attrs.evolve(now, frozen=True), [("restart", 700), ("pause", 1000)]),
            ([started, observation("restart", now, 60, False)], now, []),
        ):
            happened = self.begin({"one": found}, known("one", State.RUNNING), told=told)
            self.assertEqual([(one.action, one.time_us) for one in happened], expected)

    def test_another_of_the_same_name(self) -> None:
        made = observation("create", ONE, 50, False)
        other = attrs.evolve(RUNNING, identity="2", made_us=600, started_us=700)
        happened = self.begin({"one": other}, known("one", State.RUNNING), told=[made])
        self.assertEqual(
            [(one.action, one.time_us) for one in happened],
            [("stop", 599), ("destroy", 599), ("create", 600), ("start", 700)],
        )

    def test_another_name(self) -> None:
        made = observation("create", ONE, 50, False)
        two = attrs.evolve(ONE, name="two", made_us=50)
        (rename,) = self.begin({"two": two}, known("one", State.STOPPED), told=[made])
        self.assertEqual(
            (rename.action, rename.id, rename.details), ("rename", "two", {"old": "one"})
        )
        # It runs since then.
        runs = attrs.evolve(two, init_pid=7, started_us=500)
        happened = self.begin({"two": runs}, known("one", State.STOPPED), told=[made])
        found = [(one.action, one.time_us) for one in happened]
        self.assertEqual(found, [("rename", 500), ("start", 500)])
        # And back.
        told = [made, rename]
        (rename,) = self.begin({"one": ONE}, known("two", State.STOPPED), told=told)
        self.assertEqual((rename.action, rename.id), ("rename", "one"))
        # One that was copied is no rename.
        both = {"one": ONE, "two": attrs.evolve(two, identity="2")}
        (create,) = self.begin(both, known("one", State.STOPPED), told=told)
        self.assertEqual((create.action, create.id), ("create", "two"))

    def test_one_that_comes_again_is_told_again(self) -> None:
        told = self.after([], [ONE], [], [ONE])
        self.assertEqual([one.action for one in told], ["create", "destroy", "create"])
        self.assertEqual(len({one.origin for one in told}), 3)

    def test_another_between_two_scans(self) -> None:
        other = attrs.evolve(ONE, identity="2")
        self.assertEqual(self.actions([RUNNING], [other]), ["stop", "destroy", "create"])

    def test_a_name_that_another_takes(self) -> None:
        two = attrs.evolve(RUNNING, name="two", identity="2")
        renamed = attrs.evolve(two, name="one")
        for before in ([ONE, two], [two, ONE]):
            told = self.after(before, [renamed])
            found = [(one.action, one.id) for one in told]
            self.assertEqual(found, [("destroy", "one"), ("rename", "one")])
            self.assertEqual([*self.tracker.running], ["one"])

    def test_names_that_are_passed_on(self) -> None:
        old, new = attrs.evolve(ONE, name="old"), attrs.evolve(ONE, name="one", identity="2")
        two = attrs.evolve(new, name="two")
        for before in ([ONE, two], [two, ONE]):
            told = self.after(before, [old, new])
            found = [(one.action, one.id, one.details["old"]) for one in told]
            self.assertEqual(found, [("rename", "old", "one"), ("rename", "one", "two")])

    def test_names_that_are_exchanged(self) -> None:
        one, two = attrs.evolve(RUNNING, identity="2"), attrs.evolve(ONE, name="two")
        told = self.after([ONE, attrs.evolve(one, name="two")], [one, two])
        found = [(one.action, one.id) for one in told]
        ended = [("stop", "two"), ("destroy", "two")]
        made = [("create", "one"), ("start", "one")]
        self.assertEqual(found, [*ended, ("rename", "two"), *made])
        self.assertEqual([*self.tracker.running], ["one"])

    def hear(self, scan: Seen, *words: Word, since_scan: bool = False) -> list[tuple[str, int]]:
        """What is told when monitors said this, and a scan found that."""
        said = Said(list(words), since_scan)
        told = self.tracker.update({"one": scan}, 90, inferred=False, words=said)
        return [(one.action, one.time_us) for one in told]

    def test_runs_that_were_over_before_a_scan(self) -> None:
        self.after([ONE])
        words = (Word(4, True), Word(7, False), Word(8, True), Word(9, False, {"exitCode": 1}))
        told = [("start", 4), ("stop", 7), ("start", 8), ("stop", 9)]
        self.assertEqual(self.hear(ONE, *words), told)
        self.assertEqual(self.hear(ONE), [])
        # And one that a scan sees, in the end; its monitor has told already.
        self.assertEqual(
            self.hear(RUNNING, Word(4, True), Word(5, False), Word(6, True)),
            [("start", 4), ("stop", 5), ("start", 6)],
        )
        self.assertEqual(self.hear(RUNNING), [])

    def test_a_word_that_comes_late(self) -> None:
        self.alive.clear()
        self.after([ONE])
        self.assertEqual(self.hear(RUNNING), [("start", 90)])
        self.assertEqual(self.hear(ONE), [("stop", 90)])
        self.assertEqual(self.hear(ONE, Word(91, True), Word(92, False)), [], "told already")
        self.assertEqual(
            self.hear(ONE, Word(93, True), Word(94, False)), [("start", 93), ("stop", 94)]
        )

    def test_a_scan_that_is_older_than_a_word(self) -> None:
        self.after([RUNNING])
        stopped = self.hear(RUNNING, Word(5, False), since_scan=True)
        self.assertEqual(stopped, [("stop", 5)])
        self.assertEqual(self.hear(ONE), [])
        self.assertEqual(self.hear(ONE, Word(7, True), since_scan=True), [])
        self.assertTrue(self.tracker.unsettled)
        self.assertEqual(self.hear(RUNNING), [("start", 7)])

    def test_reboots_that_are_told(self) -> None:
        again = attrs.evolve(RUNNING, init_pid=12)
        end = Word(5, False, {}, reboots=True)
        self.after([RUNNING])
        self.assertEqual(self.hear(again, end, Word(6, True)), [("restart", 6)])
        self.after([RUNNING])
        self.assertEqual(self.hear(again), [("restart", 90)])
        self.assertEqual(self.hear(again, end, Word(6, True)), [], "told already")
        # Twice, between two scans.
        self.after([RUNNING])
        words = (end, Word(6, True), attrs.evolve(end, time_us=7), Word(8, True))
        self.assertEqual(self.hear(again, *words), [("restart", 6), ("restart", 8)])
        # Before a scan has seen it at all.
        self.after([ONE])
        said = [Word(4, True), end, Word(6, True)]
        self.assertEqual(self.hear(ONE, *said, since_scan=True), [("start", 4)])
        said = [attrs.evolve(end, time_us=7), Word(8, True)]
        self.assertEqual(self.hear(ONE, *said, since_scan=True), [("restart", 6)])
        self.assertEqual(self.tracker.running, {})
        self.assertEqual(self.hear(RUNNING), [("restart", 8)])
        # It was ended by the signal of a reboot.
        self.alive.clear()
        self.after([RUNNING])
        self.assertEqual(self.hear(ONE, end), [("stop", 90)])

    def test_an_end_that_is_told_after_a_scan_that_saw_it(self) -> None:
        self.after([ONE])
        self.assertEqual(self.hear(ONE, Word(89, True)), [])
        self.assertEqual(self.hear(ONE, Word(91, False)), [("start", 89), ("stop", 91)])

    def test_what_nobody_said_of_an_end(self) -> None:
        self.alive.clear()
        again = attrs.evolve(RUNNING, init_pid=22, monitor="20")
        self.after([RUNNING])
        self.assertEqual(self.hear(again, Word(7, True)), [("stop", 90), ("start", 90)])

    def test_a_container_that_comes_and_runs(self) -> None:
        self.after([])
        words = (Word(4, True), Word(5, False))
        self.assertEqual(self.hear(ONE, *words), [("create", 4), ("start", 4), ("stop", 5)])

    def test_what_a_scan_cannot_tell_is_as_it_was(self) -> None:
        silent = attrs.evolve(ONE, is_silent=True)
        self.assertEqual(self.actions([RUNNING], [silent], [RUNNING]), [])
        self.assertEqual(self.actions([ONE], [silent], [ONE]), [])
        self.alive.clear()
        self.assertEqual(self.actions([RUNNING], [silent], [ONE]), ["stop"])
        # At the first scan, too.
        states = (("one", State.RUNNING, RUNNING), ("one", State.STOPPED, ONE))
        for name, state, later in states:
            self.assertEqual(self.begin({"one": silent}, known(name, state)), [])
            (container,) = self.tracker.containers
            self.assertEqual(container.state, state)
            self.assertTrue(self.tracker.silent)
            self.assertEqual(self.tracker.update({"one": silent}, 8, inferred=False), [])
            self.assertEqual(self.tracker.update({"one": later}, 9, inferred=False), [])
            self.assertFalse(self.tracker.silent)
        # Then it turns out what happened before.
        made = observation("create", ONE, 40, False)
        was = attrs.evolve(RUNNING, run="boot-11-5", ports=("p",))
        started = observation("start", was, 50, False)
        runs = attrs.evolve(known("one", State.RUNNING), ports=("p",))
        for now, expected in (
            (attrs.evolve(was, run="boot-12-9", started_us=700), ["restart"]),
            (was, []),
            (ONE, ["port-remove", "stop"]),
        ):
            self.assertEqual(self.begin({"one": silent}, runs, told=[made, started]), [])
            self.assertEqual(self.tracker.containers, [runs])
            told = self.tracker.update({"one": now}, 9, inferred=False)
            self.assertEqual([one.action for one in told], expected)
            self.assertTrue(all(one.inferred for one in told))
        self.begin({"one": silent}, runs)
        told = self.tracker.update({}, 9, inferred=False)
        self.assertEqual([one.action for one in told], ["port-remove", "stop", "destroy"])
        # Another of its name.
        other = attrs.evolve(silent, identity="2", made_us=600)
        self.assertEqual(self.begin({"one": other}, runs, told=[made, started]), [])
        other = attrs.evolve(other, is_silent=False)
        told = self.tracker.update({"one": other}, 9, inferred=False)
        actions = ["port-remove", "stop", "destroy", "create"]
        self.assertEqual([one.action for one in told], actions)

    def test_a_run_that_no_scan_saw_and_that_ends_in_a_reboot(self) -> None:
        self.alive.clear()
        self.after([ONE])
        end = Word(5, False, {}, reboots=True)
        self.assertEqual(self.hear(ONE, Word(4, True), end), [("start", 4)])
        self.assertEqual(self.hear(ONE), [])
        self.assertEqual(self.hear(RUNNING, Word(6, True)), [("restart", 6)])
        # It did not begin again.
        self.after([ONE])
        self.assertEqual(self.hear(ONE, Word(4, True), end), [("start", 4)])
        (stop,) = self.tracker.update({"one": ONE}, 40_000_000, inferred=False)
        self.assertEqual((stop.action, stop.time_us), ("stop", 90))

    def test_a_reboot_during_which_a_scan_cannot_tell(self) -> None:
        self.after([ONE])
        end = Word(5, False, {}, reboots=True)
        self.assertEqual(self.hear(ONE, Word(4, True), end), [("start", 4)])
        self.assertEqual(self.hear(attrs.evolve(ONE, is_silent=True)), [])
        self.assertEqual(self.hear(RUNNING, Word(6, True)), [("restart", 6)])

    def test_a_word_about_what_a_scan_could_not_tell(self) -> None:
        for doubtful in (attrs.evolve(ONE, is_bare=True), attrs.evolve(ONE, is_silent=True)):
            self.after([RUNNING])
            self.assertEqual(self.hear(doubtful, Word(5, False)), [("stop", 5)])
            self.assertEqual(self.hear(doubtful), [])

    def test_a_configuration_that_is_away_for_a_moment(self) -> None:
        bare = attrs.evolve(ONE, is_bare=True)
        self.assertEqual(self.actions([ONE], [bare], [ONE]), [])
        self.assertEqual(self.actions([], [bare]), [], "it is none yet")
        self.after([ONE])
        for now_us, expected in ((1, []), (2_000_000, []), (6_000_000, ["destroy"])):
            told = self.tracker.update({"one": bare}, now_us, inferred=False)
            self.assertEqual([one.action for one in told], expected)
        # Each time anew.
        self.after([ONE])
        for now_us in range(1, 60_000_000, 2_000_000):
            seen = bare if now_us % 4_000_000 == 1 else ONE
            self.assertEqual(self.tracker.update({"one": seen}, now_us, inferred=False), [])
        self.after([ONE], [bare])
        self.assertEqual(
            [one.action for one in self.tracker.update({}, 5, inferred=False)], ["destroy"]
        )

    def test_a_reboot_keeps_its_monitor(self) -> None:
        again = attrs.evolve(RUNNING, init_pid=12)
        self.assertEqual(self.actions([RUNNING], [ONE], [again]), ["restart"])
        self.assertEqual(self.actions([RUNNING], [again]), ["restart"])

    def test_a_quick_stop_and_start_has_another_monitor(self) -> None:
        self.alive.clear()
        again = attrs.evolve(RUNNING, init_pid=22, monitor="20")
        self.assertEqual(self.actions([RUNNING], [again]), ["stop", "start"])

    def test_a_start_that_fails_is_none(self) -> None:
        starting = attrs.evolve(ONE, monitor="10", unsettled=True)
        self.assertEqual(self.actions([ONE], [starting], [ONE]), [])

    def test_freezing_is_told_when_it_is_done(self) -> None:
        freezing = attrs.evolve(RUNNING, unsettled=True)
        self.assertEqual(self.actions([RUNNING], [freezing], [FROZEN]), ["pause"])
        self.assertEqual(self.actions([FROZEN], [freezing], [RUNNING]), ["unpause"])

    def test_a_directory_that_moves_is_a_rename(self) -> None:
        (rename,) = self.after([ONE], [attrs.evolve(ONE, name="two")])
        self.assertEqual((rename.action, rename.id), ("rename", "two"))
        self.assertEqual(rename.details, {"old": "one"})
        self.assertEqual(
            self.tracker.update({"two": attrs.evolve(ONE, name="two")}, 5, inferred=False), []
        )

    def test_what_was_worked_out_says_so(self) -> None:
        self.assertTrue(self.after([], [ONE], inferred=True)[0].inferred)

    def test_a_beginning_is_a_listing(self) -> None:
        told = self.tracker.begin({"a": FROZEN, "b": RUNNING, "c": ONE}, NOTHING, [], 0)
        self.assertEqual(told, [])
        listed = self.tracker.containers
        states = [container.state for container in listed]
        self.assertEqual(states, [State.PAUSED, State.RUNNING, State.STOPPED])
        self.assertEqual(self.tracker.running, {"a": FROZEN, "b": RUNNING})


def scan(*paths: str) -> Scan:
    return Paths(paths, cgroups.Layout("", {})).scan({})


class ScanTests(SynchronousTestCase):
    """Directories."""

    def test_a_container_is_there_when_it_is_complete(self) -> None:
        path = os.path.abspath(self.mktemp())
        os.makedirs(f"{path}/one")
        os.makedirs(f"{path}/two")
        open(f"{path}/two/config", "w").close()
        found = scan(path)
        complete = [seen.name for seen in found.containers.values() if not seen.is_bare]
        self.assertEqual(complete, ["two"])
        self.assertEqual(found.directories, [f"{path}/one", f"{path}/two"])
        open(f"{path}/two/partial", "w").close()
        self.assertEqual(list(scan(path).containers), ["one"])

    def test_freezers(self) -> None:
        path = os.path.abspath(self.mktemp())
        os.makedirs(path)
        for file, text, expected in (
            ("freezer.state", "THAWED\n", (False, False)),
            ("freezer.state", "FREEZING\n", (False, True)),
            ("freezer.state", "FROZEN\n", (True, False)),
            ("cgroup.events", "populated 1\nfrozen 0\n", (False, False)),
            ("cgroup.events", "populated 1\nfrozen 1\n", (True, False)),
        ):
            with open(f"{path}/{file}", "w", encoding="ascii") as written:
                written.write(text)
            self.assertEqual(is_frozen(path), expected, text)
            os.unlink(f"{path}/{file}")
        self.assertEqual(is_frozen(path), (False, False), "it is gone")

    def test_odd_entries_end_nothing(self) -> None:
        path = os.path.abspath(self.mktemp())
        os.makedirs(f"{path}/directory/config")
        for name in ("loop", "fine"):
            os.makedirs(f"{path}/{name}")
        os.symlink("config", f"{path}/loop/config")
        os.symlink("itself", f"{path}/itself")
        open(f"{path}/fine/config", "w").close()
        descriptors = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            found = scan(path)
            certain = [seen.name for seen in found.containers.values() if not seen.is_bare]
            self.assertIn("fine", certain)
        self.assertEqual(len(os.listdir("/proc/self/fd")), descriptors)

    def test_a_directory_hides_no_container_in_another_path(self) -> None:
        paths = [os.path.abspath(self.mktemp()) for _ in range(2)]
        for path in paths:
            os.makedirs(f"{path}/web")
        open(f"{paths[1]}/web/config", "w").close()
        found = scan(*paths).containers
        self.assertEqual((found["web"].path, found["web"].is_bare), (paths[1], False))

    def test_names_that_cannot_be_recorded_are_passed_over(self) -> None:
        path = os.path.abspath(self.mktemp())
        for name in (b"w\xff", b"a\nb", b"x" * 253):
            os.makedirs(os.path.join(os.fsencode(path), name))
        self.assertEqual(scan(path), Scan({}, []))

    def test_a_configuration_that_is_no_file_is_not_waited_for(self) -> None:
        path = os.path.abspath(self.mktemp())
        os.makedirs(f"{path}/one")
        os.mkfifo(f"{path}/one/config")
        self.assertEqual(scan(path).containers["one"].image, "")

    def test_images(self) -> None:
        created = "# Template used to create this container: /usr/share/lxc/templates/lxc-"
        parameters = "# Parameters passed to the template:"
        for config, image in (
            ("", ""),
            (f"{created}busybox\n", "busybox"),
            (f"{created}download\n{parameters} -d ubuntu -r trusty\n", "ubuntu:trusty"),
            (f"{parameters} --dist=debian --release=sid", "debian:sid"),
        ):
            self.assertEqual(image_of(config), image)


class CommandTests(SynchronousTestCase):
    """The address of a monitor."""

    def test_addresses(self) -> None:
        self.assertEqual(address("/var/lib/lxc", "one"), b"\0/var/lib/lxc/one/command")
        long = address("/" + "x" * 120, "one")
        self.assertRegex(long, rb"^\0lxc/[0-9a-f]{16}/command$")

    def test_the_hash_of_the_reference(self) -> None:
        # U{http://www.isthe.com/chongo/src/fnv/test_fnv.c}
        self.assertEqual(fnv64a(b""), 0xCBF29CE484222325)
        self.assertEqual(fnv64a(b"foobar"), 0x85944171F73967E8)


@implementer(IReactorFDSet)
class _Reactor(MemoryReactorClock):
    """A reactor in memory whose readers a test runs."""


class WatcherTests(SynchronousTestCase):
    """Real inotify."""

    def test_everything_arrives(self) -> None:
        path = self.mktemp()
        os.mkdir(path)
        reactor = _Reactor()
        events: list[object] = []
        watcher = Watcher(reactor, events.extend, self.fail)
        self.addCleanup(watcher.close)
        number = watcher.watch(path, flags.CREATE | flags.DELETE_SELF)
        self.assertEqual(watcher.watch(path, flags.CREATE | flags.DELETE_SELF), number)
        self.assertIsNone(watcher.watch("/nowhere", flags.CREATE))
        os.mkdir(f"{path}/one")
        os.rmdir(f"{path}/one")
        os.rmdir(path)
        for reader in reactor.getReaders():
            reader.doRead()
        masks = [event.mask for event in events]  # type: ignore[attr-defined]
        self.assertTrue(masks[0] & flags.CREATE)
        self.assertTrue(masks[-1] & flags.IGNORED)
        watcher.close()
        self.assertEqual(reactor.getReaders(), [])

    def test_what_cannot_be_watched_ends_nothing(self) -> None:
        path = self.mktemp()
        os.symlink(os.path.basename(path), path)
        watcher = Watcher(_Reactor(), lambda _: None, self.fail)
        self.addCleanup(watcher.close)
        self.assertIsNone(watcher.watch(path, flags.CREATE))


class SettingsTests(SynchronousTestCase):
    """C{[sources.lxc]}."""

    def test_wrong_ones(self) -> None:
        wrong: tuple[dict[str, object], ...] = (
            {"path": 5},
            {"path": []},
            {"path": "relative"},
            {"path": ["/a", 5]},
            {"cgroup": ""},
            {"paths": "/a"},
        )
        for settings in wrong:
            reactor = MemoryReactorClock()
            self.assertRaises(InvalidValue, make_source, settings, reactor)

    def test_a_path_that_is_given_twice_is_one(self) -> None:
        path = os.path.abspath(self.mktemp())
        reactor: Any = MemoryReactorClock()
        source = make_source({"path": [path, f"{path}/", path]}, reactor)
        self.addCleanup(source.close)
        unused: Any = None
        absent = self.failureResultOf(source.follow(unused), SourceAbsent)
        self.assertEqual(absent.getErrorMessage(), f"there is no {path}")


class LimitTests(SynchronousTestCase):
    """The kernel has no more watches."""

    def test_it_says_what_can_be_done(self) -> None:
        error = unwatchable(OSError(errno.ENOSPC, "No space left on device"))
        self.assertEqual(
            str(error),
            "containers cannot be watched: No space left on device; "
            "raise the limits in /proc/sys/fs/inotify",
        )


class CgroupTests(SynchronousTestCase):
    """What cgroup files say."""

    HYBRID = (
        "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
        "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
    )
    V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"

    def test_layouts(self) -> None:
        hybrid = cgroups.parse_layout(self.HYBRID, "/sys/fs/cgroup")
        member = cgroups.parse_membership(
            "4:memory:/a\n2:cpu,cpuacct:/b\n1:name=systemd:/c\n0::/d\n"
        )
        self.assertEqual(
            cgroups.controller_directory(hybrid, member, "memory"), "/sys/fs/cgroup/memory/a"
        )
        self.assertEqual(
            cgroups.controller_directory(hybrid, member, "cpuacct"), "/sys/fs/cgroup/cpu,cpuacct/b"
        )
        self.assertEqual(
            cgroups.controller_directory(hybrid, member, "pids"), "/sys/fs/cgroup/unified/d"
        )
        unified = cgroups.parse_layout(self.V2, "/sys/fs/cgroup")
        member = cgroups.parse_membership("0::/system.slice/docker-1.scope\n")
        self.assertEqual(
            cgroups.controller_directory(unified, member, "memory"),
            "/sys/fs/cgroup/system.slice/docker-1.scope",
        )
        self.assertEqual(
            cgroups.controller_directory(cgroups.parse_layout("", "/sys/fs/cgroup"), member, "a"),
            "",
        )

    def test_numbers(self) -> None:
        self.assertEqual(cgroups.parse_flat_keyed("usage_usec 12\nuser x\n"), {"usage_usec": 12})
        self.assertEqual(cgroups.parse_number("12\n"), 12)
        self.assertIsNone(cgroups.parse_number("max\n"))
        self.assertEqual(cgroups.working_set(10, {"total_inactive_file": 4, "inactive_file": 1}), 6)
        self.assertEqual(cgroups.working_set(10, {"inactive_file": 11}), 0)

    @given(st.text())
    def test_any_text_is_read(self, text: str) -> None:
        cgroups.parse_layout(text, "/sys/fs/cgroup")
        cgroups.parse_membership(text)
        cgroups.parse_flat_keyed(text)
        cgroups.parse_number(text)
