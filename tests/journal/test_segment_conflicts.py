"""Files of two journals in one directory, and two forms of a segment that differ: all are
kept, no number is shown twice, and what counts does not depend on the directory's order."""

from __future__ import annotations

import itertools
import os
import random
import shutil

from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import Query
from stationd.journal.block_cache import BlockCache
from stationd.journal.disk import Disk
from stationd.journal.query import select
from stationd.journal.repair import repair
from stationd.journal.seal import seal_segment
from stationd.journal.store import Store
from stationd.journal.verify import verify
from tests.contracts.journal import draft


class ShuffledDisk(Disk):
    """A disk that lists its directories in some order."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def names(self, directory: str) -> list[str]:
        names = super().names(directory)
        self._random.shuffle(names)
        return names


class ConflictTests(SynchronousTestCase):
    """Journals that are merged."""

    salts = itertools.count(0x5A17)

    def open(self, directory: str, seed: int = 0) -> Store:
        return Store(directory, 1, ShuffledDisk(seed), lambda: 5, self.salts.__next__, lambda: 0)

    def write(self, directory: str, name: str, sizes: list[int], sealed: int = 0) -> None:
        """Segments of so many records, of which some are sealed."""
        store = self.open(directory)
        for index, size in enumerate(sizes):
            store.commit([draft(f"{name} {index}.{n}") for n in range(size)])
        for _ in range(sealed):
            segment = store.next_to_seal()
            assert segment is not None
            store.install_sealed(segment, seal_segment(store.disk, segment, lambda: None))
        store.close()

    def files(self, directory: str) -> dict[str, bytes]:
        found = {}
        for name in os.listdir(directory):
            if name != "lock":
                with open(os.path.join(directory, name), "rb") as file:
                    found[name] = file.read()
        return found

    def texts(self, store: Store) -> dict[int, str]:
        found = [r for rs in select(store.view, Query(oldest_first=True), BlockCache()) for r in rs]
        numbers = [r.number for r in found]
        self.assertEqual(numbers, sorted(set(numbers)))
        return {r.number: r.text for r in found}

    def merge(self, source: str, into: str, names: list[str] | None = None) -> None:
        for name in sorted(os.listdir(source)) if names is None else names:
            if name != "lock":
                shutil.copy(os.path.join(source, name), into)

    def check(self, directory: str, shown: str) -> None:
        """All of one journal is shown, nothing is touched, and it goes on above both."""
        before = self.files(directory)
        seen: list[dict[int, str]] = []
        for seed in range(6):
            store = self.open(directory, seed)
            seen.append(self.texts(store))
            self.assertTrue(store.status().damage)
            segment = store.next_to_seal()
            if segment is not None:
                store.install_sealed(segment, seal_segment(store.disk, segment, lambda: None))
            store.close()
        old = [{n: t for n, t in one.items() if not t.startswith("new")} for one in seen]
        self.assertEqual(old, [old[0]] * 6)
        mine = {n: text for n, text in old[0].items() if text.startswith(shown)}
        self.assertEqual(len(mine), self.count)
        greatest = max(
            int(name.split("-")[1]) + 0 for name in before if name.endswith((".rows", ".sealed"))
        )
        store = self.open(directory)
        number = store.commit([draft("new")])
        self.assertGreater(number, max(greatest, *mine))
        sequences = [int(name.split("-")[0]) for name in before]
        self.assertGreater(store.view.segments[-1].name.sequence, max(sequences) - 1)
        store.close()
        after = self.files(directory)
        for name, raw in before.items():
            kept = after.get(name) or after.get(name.replace(".rows", ".sealed"))
            self.assertIsNotNone(kept, name)
            if name in after and not name.startswith(f"{max(sequences):08}"):
                self.assertEqual(after[name], raw)
        report = verify(directory, lambda done, of: None)
        self.assertTrue(any("both are kept" in sentence for sentence in report.damage))
        self.assertTrue(repair(directory, Disk(), lambda done, of: None))
        self.assertEqual(verify(directory, lambda done, of: None).damage, ())
        store = self.open(directory)
        self.assertEqual(store.status().damage, ())
        again = self.texts(store)
        self.assertEqual({n: t for n, t in again.items() if t.startswith(shown)}, mine)
        self.assertEqual(again[number], "new")
        store.close()

    def test_started_before_its_volume_was_mounted(self) -> None:
        for sealed in (0, 2, 4):
            yesterday, wrong = self.mktemp(), self.mktemp()
            self.write(yesterday, "yesterday", [30, 40, 50, 20, 60], sealed)
            self.count = 200
            self.write(wrong, "wrong", [5, 6, 7, 3, 4, 2, 1])
            self.merge(wrong, yesterday)
            self.check(yesterday, "yesterday")

    def test_a_later_sequence_with_lower_numbers(self) -> None:
        yesterday, wrong = self.mktemp(), self.mktemp()
        self.write(yesterday, "yesterday", [30, 40])
        self.count = 70
        self.write(wrong, "wrong", [5, 6, 7, 30])
        last = sorted(name for name in os.listdir(wrong) if name != "lock")[-1:]
        self.merge(wrong, yesterday, last)
        self.check(yesterday, "yesterday")

    def test_a_backup_that_was_merged_in(self) -> None:
        journal, backup = self.mktemp(), self.mktemp()
        self.write(journal, "both", [10, 20, 30], 2)
        shutil.copytree(journal, backup)
        self.write(journal, "both", [40, 50], 1)
        self.count = 150
        self.write(backup, "other", [4, 5])
        self.merge(
            backup,
            journal,
            [n for n in os.listdir(backup) if not os.path.exists(os.path.join(journal, n))],
        )
        self.check(journal, "both")

    def test_rows_that_are_longer_than_the_sealed_file(self) -> None:
        directory, shorter = self.mktemp(), self.mktemp()
        store = Store(shorter, 1 << 20, Disk(), lambda: 5, lambda: 7, lambda: 0)
        store.commit([draft(f"a {n}") for n in range(20)])
        store.close()
        shutil.copytree(shorter, directory)
        store = Store(directory, 1 << 20, Disk(), lambda: 5, lambda: 7, lambda: 0)
        store.commit([draft(f"a {n}") for n in range(20, 50)])
        store.close()
        store = Store(shorter, 1, Disk(), lambda: 5, lambda: 8, lambda: 0)
        store.commit([draft("next")])
        segment = store.next_to_seal()
        assert segment is not None
        store.install_sealed(segment, seal_segment(store.disk, segment, lambda: None))
        store.close()
        self.merge(shorter, directory, [n for n in os.listdir(shorter) if "sealed" in n])
        self.count = 50
        self.check(directory, "a")
