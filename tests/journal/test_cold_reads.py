"""What is not in memory is read in a thread, and gives the same answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import Query, Waiting
from stationd.journal.background_reads import MAX_READS, BackgroundReads
from stationd.journal.block_cache import BlockCache
from stationd.journal.cold_reads import (
    NotCached,
    read,
    read_cached,
    read_fully,
    without_waiting,
)
from stationd.journal.disk import Disk
from stationd.journal.query import ColdStep
from stationd.records import Record
from tests.journal import test_damage, test_journal, test_query


class ColdDisk(Disk):
    """A disk of which nothing is in memory."""

    def read(self, fd: int, size: int, offset: int) -> bytes:
        return read(fd, size, offset, lambda *_: None, super().read)


class CountingColdDisk(ColdDisk, test_journal.CountingDisk):
    """That counts flushes."""


class BadColdDisk(ColdDisk, test_damage.BadDisk):
    """That does not give some places of its files."""


def at_once(query: Iterator[list[Record]]) -> Iterator[list[Record]]:
    """The steps of a query whose reads are over when they have begun."""
    return BackgroundReads(lambda call: call(), lambda work: work()).steps(query)


class ColdQueryTests(test_query.QueryTests):
    """All queries."""

    examples = 30

    def make_disk(self) -> Disk:
        return ColdDisk()

    def steps(self, query: Query, cache: BlockCache) -> Iterator[list[Record]]:
        return at_once(super().steps(query, cache))


class ColdDamageTests(test_damage.DamageTests):
    """Damage anywhere."""

    examples = 10

    def make_disk(self) -> BadColdDisk:
        return BadColdDisk()

    def steps(self, query: Query, cache: BlockCache) -> Iterator[list[Record]]:
        return at_once(super().steps(query, cache))


class ColdJournalTests(test_journal.JournalTests):
    """The contract."""

    times_read = 2

    def make_disk(self) -> CountingColdDisk:
        return CountingColdDisk()

    def steps(self, query: Query) -> Iterator[list[Record]]:
        return self.journal.select_without_waiting(query)


class ReadTests(SynchronousTestCase):
    """The system call."""

    def setUp(self) -> None:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"0123456789")
            os.fsync(file.fileno())
        self.fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, self.fd)

    def test_what_is_in_memory_comes_at_once(self) -> None:
        read_fully(self.fd, 10, 0)
        with without_waiting({}):
            # A file system that cannot say is as good as a cold one.
            self.assertIn(read_cached(self.fd, 4, 3), (b"3456", None))

    def test_the_end_of_the_file_is_told_by_the_thread(self) -> None:
        fetched: dict[tuple[int, int, int], bytes | OSError] = {}
        with without_waiting(fetched):
            cold = self.assertRaises(NotCached, read, self.fd, 20, 5, read_cached, read_fully)
        cold.fetch()
        with without_waiting(fetched):
            self.assertEqual(read(self.fd, 20, 5, read_cached, read_fully), b"56789")

    def test_an_error_is_that_of_the_thread(self) -> None:
        fetched: dict[tuple[int, int, int], bytes | OSError] = {}
        with without_waiting(fetched):
            cold = self.assertRaises(NotCached, read, 1 << 20, 1, 0, read_cached, read_fully)
            cold.fetch()
            self.assertRaises(OSError, read, 1 << 20, 1, 0, read_cached, read_fully)

    def test_whoever_may_wait_does(self) -> None:
        self.assertEqual(read(self.fd, 4, 3, lambda *_: None, read_fully), b"3456")


class BackgroundTests(SynchronousTestCase):
    """Threads that do what they are told."""

    def setUp(self) -> None:
        self.works: list[Callable[[], None]] = []
        self.reads = BackgroundReads(lambda call: call(), self.works.append)

    def query(self) -> Iterator[list[Record]]:
        """One that has to read something first."""
        yield ColdStep(NotCached(-1, 1, 0, {}, lambda *_: b"x"))
        yield []

    def test_a_step_that_is_taken_too_soon_waits_too(self) -> None:
        steps = self.reads.steps(self.query())
        first, second = next(steps), next(steps)
        assert isinstance(first, Waiting) and isinstance(second, Waiting)
        self.assertNoResult(first.ready)
        self.works.pop()()
        self.successResultOf(first.ready)
        self.successResultOf(second.ready)
        self.assertEqual(list(steps), [[]])

    def test_one_that_is_given_up(self) -> None:
        steps = self.reads.steps(self.query())
        step = next(steps)
        assert isinstance(step, Waiting)
        step.ready.cancel()
        self.failureResultOf(step.ready)
        del steps
        self.works.pop()()
        self.assertEqual(self.works, [])

    def test_only_so_many_threads(self) -> None:
        waiting = [next(self.reads.steps(self.query())) for _ in range(MAX_READS + 5)]
        self.assertEqual(len(self.works), MAX_READS)
        while self.works:
            self.works.pop()()
        for step in waiting:
            assert isinstance(step, Waiting)
            self.successResultOf(step.ready)

    def test_no_thread_can_be_had(self) -> None:
        def refuses(work: Callable[[], None]) -> None:
            raise RuntimeError("can't start new thread")

        reads = BackgroundReads(lambda call: call(), refuses)
        self.assertEqual(list(reads.steps(self.query())), [[]])
