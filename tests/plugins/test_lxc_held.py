"""Containers of which no scan could tell yet what they are."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import KnownContainers
from stationd.records import State
from stationd_plugins.lxc.monitord import Heard, Message
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import container, observation
from stationd_plugins.lxc.tracker import Tracker
from stationd_plugins.lxc.words import Silence, Words

X = Seen("x", "/p", "1-1", "", made_us=10)
OTHER = attrs.evolve(X, identity="2-2", made_us=200)
RENAMED = attrs.evolve(X, name="y")
AWAY = frozenset(["/srv"])
GONE = frozenset(["/p"])


def runs(seen: Seen) -> Seen:
    return attrs.evolve(seen, init_pid=7, run="b-7-1", monitor="m", started_us=900)


def silent(seen: Seen) -> Seen:
    return attrs.evolve(seen, is_silent=True)


class Origins(list[str]):
    """Some that can be read once."""

    def __iter__(self) -> Iterator[str]:
        while self:
            yield self.pop()


class HeldTests(SynchronousTestCase):
    """C{x} is recorded."""

    def begin(
        self, *seen: Seen, away: frozenset[str] = frozenset(), complete: bool = True
    ) -> list[tuple[str, str]]:
        self.tracker = Tracker(lambda _: False)
        was, made = container(X, 50), observation("create", X, 50, False)
        known = KnownContainers(containers=(was,), newest_us=100, complete=complete)
        found = {one.name: one for one in seen}
        told = self.tracker.begin(found, known, Origins([made.origin]), 1000, away)
        return [(one.action, one.name) for one in told]

    def look(
        self,
        *seen: Seen,
        away: frozenset[str] = frozenset(),
        words: Words = Silence(),  # noqa: B008 - it has no state
    ) -> list[tuple[str, str]]:
        found = {one.name: one for one in seen}
        told = self.tracker.update(found, 2000, inferred=False, words=words, away=away)
        return [(one.action, one.name) for one in told]

    def test_another_of_its_name_is_followed_while_a_path_is_away(self) -> None:
        replaced = [("destroy", "x"), ("create", "x")]
        self.assertEqual(self.begin(OTHER, away=AWAY), replaced)
        self.assertEqual(self.look(runs(OTHER), away=AWAY), [("start", "x")])
        self.assertEqual(self.begin(away=AWAY), [])
        self.assertEqual(self.look(OTHER, away=AWAY), replaced)
        self.assertEqual(self.look(runs(OTHER), away=AWAY), [("start", "x")])

    def test_another_of_its_name_that_does_not_answer(self) -> None:
        self.begin(away=GONE)
        self.assertEqual(self.look(silent(OTHER)), [])
        self.assertEqual(self.look(OTHER), [("destroy", "x"), ("create", "x")])
        self.assertEqual(self.look(OTHER), [])

    def test_another_name_that_does_not_answer(self) -> None:
        renamed = [("rename", "y"), ("start", "y")]
        self.assertEqual(self.begin(silent(RENAMED)), [])
        self.assertEqual([one.name for one in self.tracker.containers], ["x"])
        self.assertEqual(self.look(silent(RENAMED)), [])
        self.assertEqual(self.look(runs(RENAMED)), renamed)
        self.begin(away=GONE)
        self.assertEqual(self.look(silent(RENAMED)), [])
        self.assertEqual(self.look(runs(RENAMED)), renamed)
        # It had its own when it did not answer.
        self.begin(silent(X))
        self.assertEqual(self.look(runs(RENAMED)), renamed)
        # It went before it answered.
        self.begin(silent(RENAMED))
        self.assertEqual(self.look(), [("destroy", "x")])

    def test_another_name_and_another_of_its_name(self) -> None:
        self.assertEqual(self.begin(silent(OTHER), RENAMED), [("rename", "y")])
        self.assertEqual(self.look(silent(OTHER), RENAMED), [])
        self.assertEqual(self.look(OTHER, RENAMED), [("create", "x")])

    def test_one_of_a_new_path_that_does_not_say_at_first_what_it_is(self) -> None:
        new = attrs.evolve(X, name="new", identity="3-3", made_us=20)
        for unknown in (silent(new), attrs.evolve(new, is_bare=True)):
            self.begin(away=GONE, complete=False)
            self.assertEqual(self.look(X, unknown), [])
            self.assertEqual(self.look(X, unknown), [])
            self.assertEqual(self.look(X, runs(new)), [("found", "new")])
            self.assertEqual(self.look(X, runs(new)), [])

    def test_one_that_is_not_recorded_is_listed_though_it_does_not_answer(self) -> None:
        self.begin(X, silent(attrs.evolve(X, name="new", identity="3-3")))
        listed = {one.name: one.state for one in self.tracker.containers}
        self.assertEqual(listed, {"x": State.STOPPED, "new": State.STOPPED})

    def test_what_was_said_of_one_before_it_answers(self) -> None:
        def said(at: int, *messages: str) -> None:
            heard.scanning(first=False)
            for state in messages:
                heard.hear(Message("x", state=state), at)

        heard = Heard()
        heard.listening = True
        self.begin(silent(X))
        said(1100, "STARTING", "RUNNING", "STOPPED", "STARTING")
        self.assertEqual(self.look(runs(X), words=heard), [], "it is older than that")
        said(1200)
        self.assertEqual(self.look(silent(X), words=heard), [])
        said(1300, "RUNNING")
        heard.scanning(first=False)
        self.assertEqual(self.look(runs(X), words=heard), [("start", "x")])
        self.assertEqual(self.look(runs(X), words=heard), [])
        # One that nobody knew.
        self.begin(away=GONE, complete=False)
        heard.hear(Message("x", state="STOPPED"), 1400)
        old = runs(attrs.evolve(X, identity="0-0", name="old"))
        heard.hear(Message("old", state="STOPPED"), 1400)
        self.assertEqual(self.look(X, old, words=heard), [])
        heard.scanning(first=False)
        self.assertEqual(self.look(X, old, words=heard), [("found", "old")])

    def test_what_is_recorded_is_read_once(self) -> None:
        self.begin(away=AWAY)
        self.assertEqual(self.look(away=AWAY), [])
        self.assertEqual(self.look(RENAMED), [("rename", "y")])
