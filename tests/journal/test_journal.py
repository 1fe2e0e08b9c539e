"""The journal proper: the contract, group commit, threads."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import queue
import random
import weakref
from collections.abc import Callable

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import JournalLocked, JournalOverloaded, JournalUnwritable
from stationd.interfaces import AppendResult, IJournal, Query
from stationd.journal import journal as module
from stationd.journal.disk import Disk
from stationd.journal.journal import Journal, open_journal
from stationd.journal.sealed_segment import SealedSegment
from stationd.journal.store import Store
from tests.contracts.journal import DAY_US, JournalContract, draft


class SoonWorker:
    """A worker that does its work when a test says so."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work

    def wake(self) -> None:
        """Nothing: L{work} is called by the test."""

    def stop(self) -> None:
        """It has no thread."""


class CountingDisk(Disk):
    """A disk that counts flushes of files, and can be full."""

    syncs = 0
    is_full = False

    def sync(self, fd: int) -> None:
        self.syncs += 1
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().sync(fd)


class JournalTests(JournalContract):
    """The real store, without threads.

    @cvar every: 1 for all leaps of a clock, 2 for every second, and so on.
    @cvar times_read: how often what is read is asked for.
    """

    segment_bytes = 256 << 10

    many, every = 100, 4

    times_read = 1

    def make(self) -> IJournal:
        self.directory = self.mktemp()
        self.workers: list[SoonWorker] = []
        self.disk = self.make_disk()
        self.addCleanup(self.close)
        return self.open()

    def make_disk(self) -> CountingDisk:
        return CountingDisk()

    def open(self) -> Journal:
        salts = itertools.count(1000)
        store = Store(
            self.directory,
            self.segment_bytes,
            self.disk,
            lambda: self.now_us,
            salts.__next__,
            lambda: self.elapsed_us,
        )

        def worker(work: Callable[[], None]) -> SoonWorker:
            self.workers.append(SoonWorker(work))
            return self.workers[-1]

        return Journal(
            store,
            lambda call: call(),
            writer=worker,
            sealer=worker,
            reader=lambda work: work(),
        )

    def settle(self) -> None:
        self.workers[-2].work()

    def close(self) -> None:
        done = self.journal.close()
        self.settle()
        self.successResultOf(done)

    def reopen(self) -> None:
        self.close()
        self.journal = self.open()

    def test_what_gathers_is_flushed_once(self) -> None:
        before = self.disk.syncs
        waiting = [self.journal.append([draft(f"{n}")]) for n in range(500)]
        for done in waiting:
            self.assertNoResult(done)
        self.assertEqual(self.numbers(), [])
        self.settle()
        self.assertEqual(self.disk.syncs, before + 1)
        got = [self.successResultOf(done) for done in waiting]
        self.assertEqual(got, [AppendResult(first=n, last=n) for n in range(1, 501)])
        self.assertEqual(
            [r.text for r in self.select(oldest_first=True)], [f"{n}" for n in range(500)]
        )

    def test_cancelling_an_append_takes_nothing_back(self) -> None:
        done = self.journal.append([draft()])
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.settle()
        self.assertEqual(self.numbers(), [1])

    def test_status_is_of_what_can_be_read(self) -> None:
        """The thread has committed; the reactor has not heard of it yet."""
        told: list[Callable[[], None]] = []
        self.patch(self.journal, "_deliver", told.append)
        done = self.journal.append([draft()])
        self.settle()
        self.assertEqual(self.numbers(), [])
        self.assertEqual(self.journal.status().last, 0)
        for call in told:
            call()
        self.successResultOf(done)
        self.assertEqual(self.numbers(), [1])
        self.assertEqual(self.journal.status().last, 1)
        self.patch(self.journal, "_deliver", lambda call: call())

    def test_too_much_waiting_is_refused(self) -> None:
        self.patch(module, "MAX_WAITING_BYTES", 1000)
        first = self.journal.append([draft("x" * 2000)])
        self.failureResultOf(self.journal.append([draft()]), JournalOverloaded)
        self.settle()
        self.successResultOf(first)
        self.assertEqual(self.append(draft()), AppendResult(first=2, last=2))

    def test_names_that_wait_count_too(self) -> None:
        long = "\U0001d518" * 256
        one = draft("", category=long, user=long, container=long, origin=long)
        taken = [self.journal.append([one] * 100) for _ in range(400)]
        refused = [done for done in taken if done.called]
        for done in refused:
            self.failureResultOf(done, JournalOverloaded)
        # Of each 4 KiB of strings are held.
        self.assertLess((len(taken) - len(refused)) * 100 * 4096, 64 << 20)
        self.assertGreater(len(refused), 200)
        self.settle()

    def test_everything_is_there_after_reopening(self) -> None:
        for number in range(300):
            self.append(draft(f"{number} " + "x" * 3000))
        before = self.select()
        self.assertGreater(self.journal.status().segments, 2)
        status = self.journal.status()
        self.reopen()
        self.assertEqual(self.select(), before)
        self.assertEqual(self.journal.status(), status)
        self.assertEqual(self.append(draft()), AppendResult(first=301, last=301))

    def test_cleared_records_stay_cleared_after_reopening(self) -> None:
        self.append(draft(), draft())
        done = self.journal.clear(77)
        self.settle()
        self.successResultOf(done)
        self.reopen()
        self.assertEqual(self.numbers(), [])
        self.assertEqual(self.journal.status().cleared_us, 77)
        self.assertEqual(self.append(draft()), AppendResult(first=3, last=3))

    def test_an_error_holds_no_file(self) -> None:
        self.append(draft())
        assert isinstance(self.journal, Journal)
        segment = weakref.ref(self.journal._store.view.segments[0])
        # What is only collected as garbage keeps the disk full until then.
        gc.disable()
        self.addCleanup(gc.enable)
        self.disk.is_full = True
        refused = self.journal.append([draft("no")])
        self.settle()
        error = self.failureResultOf(refused, JournalUnwritable).value
        self.disk.is_full = False
        done = self.journal.clear(5)
        self.settle()
        self.successResultOf(done)
        self.assertIsNone(segment(), error)

    def test_closing_writes_what_waits(self) -> None:
        done = self.journal.append([draft()])
        self.reopen()
        self.successResultOf(done)
        self.assertEqual(self.numbers(), [1])

    def test_a_second_writer_is_told_who_has_it(self) -> None:
        error = self.assertRaises(JournalLocked, self.open)
        self.assertRegex(str(error), r"is open for writing in process \d+")

    def test_a_limit_reads_no_more_than_it_needs(self) -> None:
        for _ in range(20):
            self.append(*[draft("x" * 100) for _ in range(500)])
        reads: list[int] = []
        read = self.disk.read

        def counted(fd: int, size: int, offset: int) -> bytes:
            reads.append(size)
            return read(fd, size, offset)

        self.patch(self.disk, "read", counted)
        self.assertEqual(len(self.select(limit=20)), 20)
        self.assertLessEqual(max(reads), 400_000)
        self.assertLess(sum(reads), self.times_read * self.journal.status().size_bytes)

    def test_steps_are_small(self) -> None:
        self.append(*[draft("x" * 100) for _ in range(10_000)])
        steps = [len(found) for found in self.journal.select(Query())]
        self.assertEqual(sum(steps), 10_000)
        self.assertLessEqual(max(steps), 1024)

    def test_a_day_makes_a_new_segment(self) -> None:
        self.append(draft())
        self.assertEqual(self.journal.status().segments, 1)
        self.wait(25 / 24)
        self.append(draft())
        self.assertEqual(self.journal.status().segments, 2)

    def leap(self, days: float) -> None:
        """The clock is set while the journal is closed."""
        self.close()
        self.now_us += int(days * DAY_US)
        # The host may have booted meanwhile.
        self.elapsed_us = 3
        self.journal = self.open()

    def test_a_clock_that_leaps_between_two_runs_makes_nothing_old(self) -> None:
        rng = random.Random(5)
        year = 365.0
        for kept in (1, 30):
            all_leaps = (
                *([73 * year, -73 * year], [-53 * year, 53 * year], [1.5, 1.5, -3]),
                *([20 / 24] * 40, [0.9, -0.9] * 20, [-10, 11.5, -1.5], [1.9] * 20),
                [rng.choice((-1, 1)) * 10 ** rng.uniform(-2, 4) for _ in range(60)],
            )
            for leaps in all_leaps[:: self.every]:
                self.close()
                self.directory = self.mktemp()
                self.journal = self.open()
                for days in leaps:
                    self.append(draft())
                    self.leap(days)
                    self.assertEqual(self.vacuum(max_age_us=kept * DAY_US), 0, days)
                    self.wait(1 / 86400)
                    if rng.random() < 0.5:
                        self.append(draft())
                    if rng.random() < 0.1:
                        # While it is open.
                        self.now_us += int(days * DAY_US)
                        self.append(draft())
                    self.assertEqual(self.vacuum(max_age_us=kept * DAY_US), 0, days)
                self.assertEqual(self.numbers()[-1], 1)

    def test_what_was_made_while_the_clock_was_ahead_is_removed_in_its_time(self) -> None:
        self.append(draft())
        self.leap(73 * 365)
        self.append(draft())
        self.leap(-73 * 365)
        self.append(draft())
        self.assertEqual(self.journal.status().segments, 3)
        for _ in range(29):
            self.wait(1)
            self.append(draft())
            self.assertEqual(self.vacuum(max_age_us=30 * DAY_US), 0)
        for _ in range(4):
            self.wait(1)
            self.append(draft())
            self.vacuum(max_age_us=30 * DAY_US)
        self.assertEqual(self.numbers()[-1], 6)

    def test_age_goes_on_counting_where_it_was(self) -> None:
        for _ in range(40):
            self.append(draft())
            self.wait(1.01)
            self.append(draft())
            self.leap(0.01)
        self.assertGreater(self.vacuum(max_age_us=30 * DAY_US), 10)


class SealedJournalTests(JournalContract):
    """The real store, in which every segment but the last is sealed at once, and each
    commit makes another."""

    segment_bytes = 100

    many = 40

    def make(self) -> IJournal:
        self.workers: list[SoonWorker] = []
        salts = itertools.count(1000)
        self.store = Store(
            self.mktemp(),
            self.segment_bytes,
            self.make_disk(),
            lambda: self.now_us,
            salts.__next__,
            lambda: self.elapsed_us,
        )

        def worker(work: Callable[[], None]) -> SoonWorker:
            self.workers.append(SoonWorker(work))
            return self.workers[-1]

        return Journal(
            self.store,
            lambda call: call(),
            writer=worker,
            sealer=worker,
            reader=lambda work: work(),
        )

    def make_disk(self) -> Disk:
        return Disk()

    def settle(self) -> None:
        writer, sealer = self.workers
        writer.work()
        for _ in range(100):
            if self.store.next_to_seal() is None:
                break
            sealer.work()
            writer.work()

    def tearDown(self) -> None:
        sealed = [s for s in self.store.view.segments[:-1] if not isinstance(s, SealedSegment)]
        self.assertEqual(sealed, [])
        self.assertEqual(self.journal.status().damage, ())
        self.journal.close()
        self.settle()


class ThreadTests(SynchronousTestCase):
    """The real thread."""

    def test_appends_reach_the_disk_and_the_thread_ends(self) -> None:
        calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        journal = open_journal(self.mktemp(), calls.put, max_bytes=1 << 30)
        waiting = [journal.append([draft(f"{n}")]) for n in range(2000)]
        closed = journal.close()
        while not closed.called:
            calls.get(timeout=10)()
        got = [self.successResultOf(done).first for done in waiting]
        self.assertEqual(got, list(range(1, 2001)))
        reopened = open_journal(self.mktemp(), calls.put, max_bytes=1 << 30)
        done = reopened.close()
        while not done.called:
            calls.get(timeout=10)()


del JournalContract
