"""What every L{IJournal} does."""

from __future__ import annotations

import random
from collections.abc import Iterator

import attrs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from stationd.errors import JournalClosed
from stationd.interfaces import AppendResult, IJournal, Query, Retention
from stationd.records import Draft, Level, Record

DAY_US = 24 * 3600 * 1_000_000


def draft(text: str = "something happened", **fields: object) -> Draft:
    """A draft in which only what matters to a test need be said."""
    values: dict[str, object] = {"time_us": 1_000_000, "category": "container", "user": "all"}
    return Draft(**(values | {"text": text} | fields))  # type: ignore[arg-type]


class JournalContract(SynchronousTestCase):
    """Mixed into a test case that says how a journal is made.

    @cvar many: records of a journal that has many; a multiple of 20.
    """

    many = 1000

    now_us = 1_700_000_000_000_000
    """The system's clock, which can be set."""

    elapsed_us = 7
    """The one that cannot be."""

    def make(self) -> IJournal:
        """An empty journal whose Deferreds have fired when L{settle} returns."""
        raise NotImplementedError

    def settle(self) -> None:
        """Let what has been asked of the journal happen."""

    def setUp(self) -> None:
        self.journal = self.make()

    def append(self, *drafts: Draft) -> AppendResult:
        done = self.journal.append(drafts)
        self.settle()
        return self.successResultOf(done)

    def steps(self, query: Query) -> Iterator[list[Record]]:
        """The steps of a query."""
        return self.journal.select(query)

    def select(self, **fields: object) -> list[Record]:
        query = Query(**fields)  # type: ignore[arg-type]
        return [record for found in self.steps(query) for record in found]

    def numbers(self, **fields: object) -> list[int]:
        return [record.number for record in self.select(**fields)]

    def test_provides_the_interface(self) -> None:
        verifyObject(IJournal, self.journal)

    def test_numbers_begin_at_one_and_ascend(self) -> None:
        self.assertEqual(self.append(draft()), AppendResult(first=1, last=1))
        self.assertEqual(self.append(draft(), draft()), AppendResult(first=2, last=3))

    def test_gives_back_every_field(self) -> None:
        stored = draft(
            "Größe \x00 \n ok",
            time_us=1432022633173968,
            level=Level.ERROR,
            category="image",
            user="Anonymous",
            container="lxc/utest",
            origin="docker:1",
        )
        self.append(stored)
        fields = attrs.asdict(stored, recurse=False)
        self.assertEqual(self.select(), [Record(number=1, **fields)])

    def test_newest_first_unless_asked(self) -> None:
        self.append(*[draft() for _ in range(5)])
        self.assertEqual(self.numbers(), [5, 4, 3, 2, 1])
        self.assertEqual(self.numbers(oldest_first=True), [1, 2, 3, 4, 5])

    def test_limit_and_offset_count_matches(self) -> None:
        for index in range(self.many):
            self.append(draft(category="even" if index % 2 else "odd"))
        last, tenth = self.many, self.many // 10
        self.assertEqual(self.numbers(limit=3), [last, last - 1, last - 2])
        far = 7 * tenth
        self.assertEqual(self.numbers(limit=2, offset=far), [3 * tenth, 3 * tenth - 1])
        self.assertEqual(self.numbers(limit=2, offset=far, oldest_first=True), [far + 1, far + 2])
        even = frozenset(["even"])
        self.assertEqual(
            self.numbers(limit=2, offset=4 * tenth, categories=even), [2 * tenth, 2 * tenth - 2]
        )
        self.assertEqual(self.numbers(offset=last), [])

    def test_before_and_after_exclude_their_own_number(self) -> None:
        self.append(*[draft() for _ in range(5)])
        self.assertEqual(self.numbers(after=2), [5, 4, 3])
        self.assertEqual(self.numbers(before=3), [2, 1])
        self.assertEqual(self.numbers(after=2, before=4), [3])
        self.assertEqual(self.numbers(after=5), [])

    def test_a_time_window_includes_both_ends(self) -> None:
        self.append(*[draft(time_us=time_us) for time_us in (5, 1, 3, 2, 4)])
        self.assertEqual(self.numbers(time_start_us=2, time_end_us=4), [5, 4, 3])

    def test_filters_by_level_category_and_user(self) -> None:
        self.append(
            draft(level=Level.WARN),
            draft(category="image"),
            draft(user="admin"),
            draft(level=Level.WARN, category="image", user="admin"),
        )
        self.assertEqual(self.numbers(levels=frozenset([Level.WARN])), [4, 1])
        self.assertEqual(self.numbers(levels=frozenset([Level.WARN, Level.INFO])), [4, 3, 2, 1])
        self.assertEqual(self.numbers(categories=frozenset(["image"])), [4, 2])
        self.assertEqual(self.numbers(users=frozenset(["admin"])), [4, 3])
        self.assertEqual(self.numbers(users=frozenset(["adm"])), [])
        self.assertEqual(
            self.numbers(categories=frozenset(["image"]), users=frozenset(["admin"])), [4]
        )

    def test_filters_by_container(self) -> None:
        full = "docker/1753ab55c36e99195042ddc875e59d4f877f1c140d25196ad34a5bece9f1cf3a"
        self.append(draft(container=full), draft(container="lxc/utest"), draft())
        self.assertEqual(self.numbers(containers=frozenset([full])), [1])
        self.assertEqual(self.numbers(containers=frozenset([full[:19]])), [1])
        self.assertEqual(self.numbers(containers=frozenset([full[:18]])), [])
        self.assertEqual(self.numbers(containers=frozenset(["lxc/utest"])), [2])
        self.assertEqual(self.numbers(containers=frozenset(["lxc/utes"])), [])
        self.assertEqual(self.numbers(containers=frozenset(["lxc/utest", full])), [2, 1])

    def test_filters_by_a_part_of_the_text_without_case(self) -> None:
        self.append(draft("Straße NACH Rom"), draft("other"))
        for part in ("nach", "STRASSE", "straße", ""):
            self.assertIn(1, self.numbers(text=part), part)
        self.assertEqual(self.numbers(text="nach  rom"), [])

    def test_a_query_shows_what_was_committed_when_it_was_asked(self) -> None:
        self.append(*[draft() for _ in range(3)])
        found = self.steps(Query(oldest_first=True))
        self.append(draft())
        self.assertEqual([r.number for batch in found for r in batch], [1, 2, 3])

    def test_clearing_counts_and_numbers_go_on(self) -> None:
        self.append(*[draft() for _ in range(3)])
        done = self.journal.clear(77)
        self.settle()
        self.assertEqual(self.successResultOf(done), 3)
        self.assertEqual(self.numbers(), [])
        status = self.journal.status()
        self.assertEqual((status.first, status.last, status.records), (4, 3, 0))
        self.assertEqual((status.oldest_us, status.newest_us, status.cleared_us), (None, None, 77))
        self.assertEqual(self.append(draft()), AppendResult(first=4, last=4))
        self.assertEqual(self.numbers(), [4])

    def test_clearing_does_not_disturb_a_query_under_way(self) -> None:
        self.append(*[draft("x" * 1000) for _ in range(200)])
        found = self.steps(Query(oldest_first=True))
        first = next(found)
        done = self.journal.clear(77)
        self.settle()
        self.successResultOf(done)
        seen = [record.number for batch in (first, *found) for record in batch]
        self.assertEqual(seen, list(range(1, 201)))

    def test_status(self) -> None:
        self.append(draft(time_us=30), draft(time_us=10), draft(time_us=20))
        status = self.journal.status()
        self.assertEqual((status.first, status.last, status.records), (1, 3, 3))
        self.assertEqual((status.oldest_us, status.newest_us), (10, 30))
        self.assertGreater(status.size_bytes, 0)
        self.assertEqual(status.damage, ())

    def vacuum(self, max_age_us: int | None = None, max_bytes: int = 1 << 40) -> int:
        done = self.journal.vacuum(Retention(max_age_us=max_age_us, max_bytes=max_bytes))
        self.settle()
        return self.successResultOf(done)

    def wait(self, days: float) -> None:
        """Time passes."""
        self.now_us += int(days * DAY_US)
        self.elapsed_us += int(days * DAY_US)

    def test_retention_counts_age_from_the_commit(self) -> None:
        self.append(draft(time_us=0), draft(time_us=0))
        self.wait(2)
        self.append(draft(time_us=0))
        self.assertEqual(self.vacuum(max_age_us=3 * DAY_US), 0)
        self.assertEqual(self.vacuum(max_age_us=DAY_US), 2)
        self.assertEqual(self.numbers(), [3])
        self.wait(2)
        self.assertEqual(self.vacuum(max_age_us=DAY_US), 1)
        self.assertEqual(self.append(draft()), AppendResult(first=4, last=4))

    def test_each_day_of_a_month_goes_in_its_turn(self) -> None:
        for day in range(1, 61):
            self.append(draft(f"day {day}"))
            self.wait(1.01)
            self.vacuum(max_age_us=30 * DAY_US)
            kept = self.numbers(oldest_first=True)
            self.assertEqual(kept, list(range(max(1, day - 28), day + 1)))

    def test_what_was_quiet_for_long_goes_too(self) -> None:
        for _ in range(5):
            self.append(draft())
            self.wait(20)
        self.assertEqual(self.vacuum(max_age_us=30 * DAY_US), 4)

    def test_a_clock_that_leaps_makes_nothing_old(self) -> None:
        year_us = 365 * DAY_US
        for kept_us in (DAY_US, 30 * DAY_US):
            for leap_us in (
                *(-DAY_US // 24, -10 * DAY_US, -53 * year_us, DAY_US // 24, 20 * DAY_US // 24),
                *(DAY_US * 3 // 2, 31 * DAY_US, 73 * year_us),
            ):
                self.append(draft())
                self.now_us += leap_us
                self.assertEqual(self.vacuum(max_age_us=kept_us), 0, leap_us)
                self.append(draft())
                self.wait(1 / 86400)
                self.assertEqual(self.vacuum(max_age_us=kept_us), 0, leap_us)
                self.now_us -= leap_us
                self.append(draft())
                self.assertEqual(self.vacuum(max_age_us=kept_us), 0, leap_us)

    def test_retention_keeps_the_newest_when_bytes_are_short(self) -> None:
        rng = random.Random(1)
        for _ in range(40):
            self.append(draft(rng.randbytes(30_000).hex()))
        half = self.journal.status().size_bytes // 2
        removed = self.vacuum(max_bytes=half)
        self.assertGreaterEqual(removed, 20)
        self.assertLess(removed, 40)
        self.assertLessEqual(self.journal.status().size_bytes, half)
        self.assertEqual(self.numbers(), list(range(40, removed, -1)))

    def test_nothing_is_taken_after_closing(self) -> None:
        self.append(draft())
        done = self.journal.close()
        self.settle()
        self.successResultOf(done)
        self.failureResultOf(self.journal.append([draft()]), JournalClosed)
        self.failureResultOf(self.journal.clear(1), JournalClosed)
        again = self.journal.close()
        self.settle()
        self.successResultOf(again)
