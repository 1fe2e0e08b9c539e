"""The power goes at changes to the disk, its operations fail, and bits of a journal flip: at all
of them in C{tests.exhaustive}, at some here."""

from __future__ import annotations

import collections
import itertools
import os
import random
from collections.abc import Iterator

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import JournalTooNew, JournalUnwritable
from stationd.interfaces import Query, Retention
from stationd.journal import seal as seal_module
from stationd.journal.block_cache import BlockCache
from stationd.journal.disk import Disk, IDisk
from stationd.journal.query import select
from stationd.journal.read_only_journal import ReadOnlyJournal
from stationd.journal.seal import seal_segment
from stationd.journal.store import Store
from tests.contracts.journal import draft
from tests.journal.faulty_disk import FAULTS, FaultyDisk
from tests.journal.memory_disk import MemoryDisk, PowerCut

RARE = ("EIO of a removal", "EIO of a close")
"""Faults for which little is refused."""


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
    @ivar vacuumed: what retention has removed, which may come back if the disk
        refuses to make that durable.
    """

    kept: dict[int, str] = attrs.Factory(dict)
    gone: set[int] = attrs.Factory(set)
    maybe: list[dict[int, str]] = attrs.Factory(list)
    vacuumed: dict[int, str] = attrs.Factory(dict)

    def vacuum_undone(self) -> None:
        """Let what retention removed come back."""
        self.gone -= set(self.vacuumed)
        self.maybe += [{number: text} for number, text in self.vacuumed.items()]


def sealed(store: Store) -> bool:
    """Seal the oldest segment that can be, as the journal does."""
    segment = store.next_to_seal()
    if segment is None:
        return False
    store.install_sealed(segment, seal_segment(store.disk, segment, lambda: None))
    return True


class Script:
    """Everything a store does, and what it promises meanwhile. Runs to its end, or
    until the power goes; what the disk refuses is tried again later.

    @ivar told: what has been promised so far.
    @ivar refused: how often the disk refused something.
    @ivar removed: how many records retention removed.
    """

    def __init__(self, directory: str, disk: IDisk) -> None:
        self._directory = directory
        self._disk = disk
        self._salts = itertools.count(77)
        self.told = Told()
        self.refused = self.removed = 0
        self.store: Store | None = None

    def open(self) -> Store:
        return Store(self._directory, 1000, self._disk, lambda: 5, self._salts.__next__)

    def run(self) -> None:
        for step in range(20):
            if self.store is None:
                try:
                    self.store = self.open()
                except JournalUnwritable:
                    self.refused += 1
                    continue
            try:
                self._step(self.store, step)
            except (JournalUnwritable, OSError):
                self.refused += 1
        if self.store is not None:
            self.store.close()

    def _step(self, store: Store, step: int) -> None:
        told = self.told
        if step == 6:
            cleared = dict(told.kept)
            earlier, told.maybe, told.kept = told.maybe, [*told.maybe, cleared], {}
            try:
                store.clear(9)
            except JournalUnwritable:
                # What is shown is what counts. If that is nothing, all may come back.
                if there := found_in(store):
                    told.kept, told.maybe = cleared, earlier
                    if there.keys() != cleared.keys():
                        raise AssertionError("cleared in part") from None
                raise
            told.maybe, told.gone = [], told.gone | set(cleared)
        elif step == 15:
            # Retention removes whole segments, oldest first: each may be gone.
            before, refused = dict(told.kept), told.maybe
            told.maybe = [*refused, *({number: text} for number, text in before.items())]
            told.kept = {}
            half = store.status().size_bytes // 2
            store.vacuum(Retention(max_age_us=None, max_bytes=half))
            told.kept, told.maybe = found_in(store), refused
            told.vacuumed = {n: text for n, text in before.items() if n not in told.kept}
            told.gone |= set(told.vacuumed)
            self.removed = len(before) - len(told.kept)
        elif step in (8, 17):
            store.close()
            self.store = None
            self.store = self.open()
        elif step % 4 == 3:
            while sealed(store):
                pass
        else:
            # One small; one of several frames.
            texts = [f"{step}"] if step % 3 else [f"{step}.{n} " + "x" * 20_000 for n in "abc"]
            first = store.view.last + 1
            commit = dict(enumerate(texts, first))
            # If it is refused, and the disk refuses to cut it off again too, it may
            # be found after a crash, until another commit has taken its numbers.
            told.maybe.append(commit)
            if store.commit([draft(text) for text in texts]) != first:
                raise AssertionError("another number than the next")
            told.maybe = [group for group in told.maybe if not group.keys() & commit.keys()]
            told.kept |= commit


class FaultCase(SynchronousTestCase):
    """What must be true of what is found after a fault."""

    def check(self, directory: str, disk: IDisk, told: Told, where: str) -> None:
        for again in range(2):
            salts = itertools.count(7000 + again)
            store = Store(directory, 1000, disk, lambda: 5, salts.__next__)
            try:
                found = found_in(store)
                for number, text in told.kept.items():
                    self.assertTrue(found.get(number) == text, f"{where}: {number} is lost")
                self.assertEqual(told.gone & set(found), set(), where)
                allowed = set(told.kept.items())
                for group in told.maybe:
                    there = dict(found.items() & group.items())
                    self.assertIn(len(there), (0, len(group)), where)
                    allowed |= group.items()
                extra = sorted((n, t[:9]) for n, t in set(found.items()) - allowed)
                self.assertEqual(extra, [], where)
                self.assertEqual(store.status().damage, (), where)
                number = store.commit([draft(f"after {again}")])
                self.assertEqual(number, store.view.last, where)
                self.assertGreater(number, max([0, *found, *told.kept, *told.gone]), where)
                told.kept[number] = f"after {again}"
                while sealed(store):
                    pass
                self.assertEqual(found_in(store), found | {number: f"after {again}"}, where)
            finally:
                store.close()

    def directory(self) -> str:
        path: str = self.mktemp()
        os.makedirs(path)
        return path


class PowerCutTests(FaultCase):
    """One script, cut short at changes.

    @cvar every: 1 for all of them, 2 for every second, and so on.
    """

    every = 20

    def wrap(self, disk: MemoryDisk) -> IDisk:
        """What the store is given."""
        return disk

    def test_the_power_goes_at_every_change(self) -> None:
        whole = MemoryDisk()
        script = Script(self.directory(), self.wrap(whole))
        script.run()
        self.assertGreaterEqual(whole.changes, 80)
        self.assertEqual(script.refused, 0)
        self.assertGreater(script.removed, 0)
        self.assertGreater(len(script.told.kept), 3)
        changes = whole.changes
        self.check(self.directory(), whole, script.told, "no cut")
        for cut_at in range(1, changes + 1, self.every):
            disk = MemoryDisk(cut_at)
            script = Script(self.directory(), self.wrap(disk))
            with self.assertRaises(PowerCut):
                script.run()
            if script.store is not None:
                script.store.close()
            for variant, survivor in disk.survivors():
                told = script.told
                state = Told(dict(told.kept), set(told.gone), list(told.maybe))
                self.check(self.directory(), survivor, state, f"cut at {cut_at}, {variant}")


class NoTombstoneDisk(FaultyDisk):
    """One that has no room for a tombstone."""

    def create(self, path: str) -> int:
        if path.endswith(".cleared"):
            raise self._error(path)
        return super().create(path)


class NoTombstoneTests(PowerCutTests):
    """The same with a clear that has to take the newest segment for its tombstone."""

    def wrap(self, disk: MemoryDisk) -> IDisk:
        return NoTombstoneDisk(disk)


class RefusalTests(FaultCase):
    """The disk refuses operations in turn, once or for a while: what was
    acknowledged is there, and it goes on by itself.

    @cvar every: 1 for all of them, 2 for every second, and so on.
    """

    every = 25

    def test_each_operation_fails(self) -> None:
        whole = FaultyDisk(MemoryDisk())
        Script(self.directory(), whole).run()
        self.assertGreaterEqual(whole.operations, 80)
        refused: collections.Counter[str] = collections.Counter()
        for fault, length in itertools.product(FAULTS, (1, 7)):
            for fail_at in range(1, whole.operations + 1, self.every):
                memory = MemoryDisk()
                disk = FaultyDisk(memory, fault, fail_at, length)
                script = Script(self.directory(), disk)
                script.run()
                where = f"{fault} at {fail_at}, {length} times"
                refused[fault] += script.refused
                self.check(self.directory(), memory, script.told, where)
        for fault in FAULTS:
            self.assertGreater(refused[fault], 0 if fault in RARE else 100 // self.every, fault)


class RefusalAndCutTests(FaultCase):
    """The disk refuses, and the power goes on top of it.

    @cvar runs: how many, and of those without a cut between half as many.
    """

    runs = 10

    def test_the_power_goes_after_refusals(self) -> None:
        rng = random.Random(3)
        for seed in range(self.runs):
            fault, length = rng.choice(sorted(FAULTS)), rng.choice((1, 2, 7, 30))
            memory = MemoryDisk(rng.randrange(1, 120))
            disk = FaultyDisk(memory, fault, rng.randrange(1, 120), length)
            script = Script(self.directory(), disk)
            try:
                script.run()
            except PowerCut:
                if script.store is not None:
                    script.store.close()
            survivors = list(memory.survivors())
            variant, survivor = rng.choice(survivors)
            where = f"{seed}: {fault}, {length} times, {variant}"
            script.told.vacuum_undone()
            self.check(self.directory(), survivor, script.told, where)

    def test_a_file_that_was_removed_comes_back(self) -> None:
        # Without a cut between: another process goes on, and commits, before it.
        rng = random.Random(4)
        for seed in range(self.runs // 2):
            fault = rng.choice(("EIO of a change", "ENOSPC"))
            memory = MemoryDisk()
            disk = FaultyDisk(memory, fault, rng.randrange(1, 120), rng.choice((2, 3, 7)))
            script = Script(self.directory(), disk)
            script.run()
            store = Store(self.directory(), 1000, memory, lambda: 5, itertools.count(500).__next__)
            first = store.commit([draft("one more")])
            store.close()
            told = script.told
            told.kept[first] = "one more"
            told.maybe = [group for group in told.maybe if first not in group]
            variant, survivor = rng.choice(list(memory.survivors()))
            told.vacuum_undone()
            self.check(self.directory(), survivor, told, f"{seed}: {fault}, {variant}")


class BitFlipTests(SynchronousTestCase):
    """Damage is found or harmless, and never makes a wrong record.

    @cvar every: 1 for all bits and all lengths, 3 for every third, and so on; if it is odd,
        each bit of a byte has its turn.
    """

    every = 101

    def journal(self, seal_all: bool) -> tuple[str, dict[int, str]]:
        """A small journal, and what is in it: two segments or, sealed, two blocks in
        each, and one of rows."""
        self.patch(seal_module, "BLOCK_RECORDS", 1)
        directory = self.mktemp()
        store = Store(directory, 150, Disk(), lambda: 5, itertools.count(7).__next__)
        store.commit([draft("cleared")])
        store.clear(9)
        texts = ["one", "two", "three", "four", "five"]
        for pair in (texts[:2], texts[2:4], texts[4:]):
            store.commit([draft(pair[0])])
            for text in pair[1:]:
                store.commit([draft(text)])
        while seal_all and sealed(store):
            pass
        store.close()
        return directory, dict(enumerate(texts, 2))

    def files(self, directory: str) -> Iterator[tuple[str, bytes]]:
        for name in sorted(os.listdir(directory)):
            if name != "lock":
                path = os.path.join(directory, name)
                with open(path, "rb") as file:
                    yield path, file.read()

    def found(self, directory: str, where: str) -> dict[int, str]:
        try:
            reader = ReadOnlyJournal(directory)
        except JournalTooNew:
            self.fail(f"{where}: damage is no newer version")
        found = {r.number: r.text for f in reader.select(Query()) for r in f}
        self.whole = not reader.status().damage
        return found

    def test_every_bit_of_every_file(self) -> None:
        for seal_all in (False, True):
            directory, good = self.journal(seal_all)
            for path, raw in list(self.files(directory)):
                for bit in range(0, 8 * len(raw), self.every):
                    bad = bytearray(raw)
                    bad[bit // 8] ^= 1 << bit % 8
                    with open(path, "wb") as file:
                        file.write(bad)
                    where = f"{path}, bit {bit}"
                    found = self.found(directory, where)
                    self.assertLessEqual(found.items(), good.items(), where)
                    self.assertGreaterEqual(len(found), len(good) - 1, where)
                    if len(found) < len(good):
                        # The last commit of a journal may as well be torn.
                        self.assertTrue(not self.whole or max(good) not in found, where)
                with open(path, "wb") as file:
                    file.write(raw)

    def test_every_truncation_of_every_file(self) -> None:
        for seal_all in (False, True):
            directory, good = self.journal(seal_all)
            for path, raw in list(self.files(directory)):
                for length in range(0, len(raw), self.every):
                    with open(path, "wb") as file:
                        file.write(raw[:length])
                    where = f"{path}, cut to {length} bytes"
                    found = self.found(directory, where)
                    self.assertLessEqual(found.items(), good.items(), where)
                    self.assertGreaterEqual(len(found), len(good) - 2, where)
                with open(path, "wb") as file:
                    file.write(raw)
