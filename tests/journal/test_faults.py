"""The power goes at every change to the disk, and every bit of a journal flips."""

from __future__ import annotations

import itertools
import os

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import JournalTooNew
from stationd.interfaces import Query, Retention
from stationd.journal.cache import BlockCache
from stationd.journal.disk import Disk
from stationd.journal.query import select
from stationd.journal.reader import Reader
from stationd.journal.store import Store
from tests.contracts.journal import draft
from tests.journal.memory_disk import MemoryDisk, PowerCut


def found_in(store: Store) -> dict[int, str]:
    """The records of a store, by number, checked to ascend."""
    records = [r for f in select(store.view, Query(oldest_first=True), BlockCache()) for r in f]
    numbers = [record.number for record in records]
    assert numbers == sorted(set(numbers)), numbers
    return {record.number: record.text for record in records}


@attrs.define
class Told:
    """What the store has promised.

    @ivar kept: what must be there, by number.
    @ivar gone: numbers that must not.
    @ivar maybe: what may be there, all of each set or nothing of it: a commit that
        was not acknowledged, records whose removal was not.
    """

    kept: dict[int, str] = attrs.Factory(dict)
    gone: set[int] = attrs.Factory(set)
    maybe: list[dict[int, str]] = attrs.Factory(list)


class PowerCutTests(SynchronousTestCase):
    """One script, cut short at every change."""

    def run_script(self, directory: str, disk: MemoryDisk, told: Told) -> None:
        """Everything a store does, and what it promises meanwhile."""
        store = self.open(directory, disk)
        for step in range(14):
            if step == 5:
                cleared = dict(told.kept)
                told.maybe, told.kept = [cleared], {}
                store.clear(9)
                told.maybe, told.gone = [], told.gone | set(cleared)
            elif step == 11:
                # Retention removes whole segments, oldest first: each may be gone.
                before = dict(told.kept)
                told.maybe = [{number: text} for number, text in before.items()]
                told.kept = {}
                store.vacuum(Retention(now_us=5, max_age_us=None, max_bytes=2500))
                told.kept, told.maybe = found_in(store), []
                told.gone |= set(before) - set(told.kept)
                self.assertTrue(told.kept)
                self.assertLess(len(told.kept), len(before))
            elif step == 8:
                store.close()
                store = self.open(directory, disk)
            else:
                # One small; one of several frames.
                texts = [f"{step}"] if step % 3 else [f"{step}.{n} " + "x" * 20_000 for n in "abc"]
                first = store.view.last + 1
                told.maybe = [dict(enumerate(texts, first))]
                self.assertEqual(store.commit([draft(text) for text in texts]), first)
                told.kept |= told.maybe.pop()
        store.close()

    def open(self, directory: str, disk: MemoryDisk) -> Store:
        salts = itertools.count(77 + disk.changes)
        return Store(directory, 1000, disk, lambda: 5, salts.__next__)

    def check(self, directory: str, disk: MemoryDisk, told: Told, where: str) -> None:
        for again in range(2):
            store = self.open(directory, disk)
            try:
                found = found_in(store)
                for number, text in told.kept.items():
                    self.assertTrue(found.get(number) == text, f"{where}: {number} is lost")
                self.assertEqual(told.gone & set(found), set(), where)
                allowed: dict[int, str] = {}
                for group in told.maybe:
                    there = dict(found.items() & group.items())
                    self.assertIn(len(there), (0, len(group)), where)
                    allowed |= group
                allowed |= told.kept
                self.assertTrue(found.items() <= allowed.items(), where)
                self.assertEqual(store.status().damage, (), where)
                number = store.commit([draft(f"after {again}")])
                self.assertEqual(number, store.view.last, where)
                self.assertGreater(number, max([0, *found, *told.kept, *told.gone]), where)
                told.kept[number] = f"after {again}"
            finally:
                store.close()

    def test_the_power_goes_at_every_change(self) -> None:
        whole = MemoryDisk()
        self.run_script(self.directory(), whole, Told())
        self.assertGreater(whole.changes, 60)
        for cut_at in range(1, whole.changes + 1):
            disk, told = MemoryDisk(cut_at), Told()
            with self.assertRaises(PowerCut):
                self.run_script(self.directory(), disk, told)
            for variant, survivor in disk.survivors():
                state = Told(dict(told.kept), set(told.gone), list(told.maybe))
                self.check(self.directory(), survivor, state, f"cut at {cut_at}, {variant}")

    def directory(self) -> str:
        path: str = self.mktemp()
        os.makedirs(path)
        return path


class BitFlipTests(SynchronousTestCase):
    """Damage is found or harmless, and never makes a wrong record."""

    TEXTS = ("one", "two", "three")

    def test_every_bit_of_every_file(self) -> None:
        directory = self.mktemp()
        store = Store(directory, 150, Disk(), lambda: 5, itertools.count(7).__next__)
        store.commit([draft("cleared")])
        store.clear(9)
        for text in self.TEXTS:
            store.commit([draft(text)])
        store.close()
        good = dict(enumerate(self.TEXTS, 2))
        flipped = 0
        for name in sorted(os.listdir(directory)):
            if name == "lock":
                continue
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                raw = file.read()
            for bit in range(8 * len(raw)):
                bad = bytearray(raw)
                bad[bit // 8] ^= 1 << bit % 8
                with open(path, "wb") as file:
                    file.write(bad)
                flipped += 1
                try:
                    reader = Reader(directory)
                except JournalTooNew:
                    self.fail(f"{name}, bit {bit}: a flip is no newer version")
                found = {r.number: r.text for f in reader.select(Query()) for r in f}
                self.assertLessEqual(found.items(), good.items(), f"{name}, bit {bit}")
                self.assertGreaterEqual(len(found), len(good) - 1, f"{name}, bit {bit}")
            with open(path, "wb") as file:
                file.write(raw)
        self.assertGreater(flipped, 2000)
