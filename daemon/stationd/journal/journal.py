"""The journal as the daemon uses it: Deferreds for producers, one thread that writes, group commit
between them."""

from __future__ import annotations

import collections
import gc
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from sys import getsizeof

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from zope.interface import implementer

from stationd.errors import JournalClosed, JournalOverloaded, JournalUnwritable
from stationd.interfaces import AppendResult, IJournal, JournalStatus, Query, Retention
from stationd.journal.background_reads import BackgroundReads, start_thread
from stationd.journal.block_cache import BlockCache
from stationd.journal.commit_clock import boot_time_us
from stationd.journal.disk import Disk
from stationd.journal.query import select
from stationd.journal.row_segment import RowSegment
from stationd.journal.sealer import Sealer
from stationd.journal.snapshot import Snapshot
from stationd.journal.store import Store
from stationd.journal.worker_thread import IWorker, ThreadWorker
from stationd.messages import journal_log_messages as log_messages
from stationd.records import Draft, Record

MAX_WAITING_BYTES = 64 << 20
"""What waits for the disk, as it is held in memory. With a disk that takes 50 MB/s,
what is refused here would have waited for about a second."""

MAX_COMMIT_BYTES = 8 << 20
"""What one commit takes of it, unless a single append is longer: what is flushed
together should not keep the next waiting for long."""

SEGMENT_BYTES = 8 << 20
"""How long a row segment gets before it is sealed. The last one is read whole when
the journal is opened."""

DRAFT_OVERHEAD_BYTES = 150
"""What a waiting record takes besides its strings; measured with tracemalloc: 141 and
a pointer."""

APPEND_OVERHEAD_BYTES = 800
"""What a waiting append takes besides its records, likewise: 777."""


@attrs.frozen
class _Append:
    drafts: Sequence[Draft]
    size_bytes: int
    done: Deferred[AppendResult]


@attrs.frozen
class _Task:
    """Anything but an append: it is done alone, in its turn."""

    do: Callable[[], int]
    done: Deferred[int]


@attrs.frozen
class _Results:
    """What the thread has to say to the waiting: results in the order of the calls,
    and what readers may see from now on."""

    fired: list[tuple[Deferred[AppendResult], AppendResult] | tuple[Deferred[int], int]]
    failed: list[tuple[Deferred[AppendResult] | Deferred[int], Exception]]
    view: Snapshot
    taken_bytes: int


def _memory_bytes(draft: Draft) -> int:
    """What a draft takes in memory, its strings included."""
    return (
        DRAFT_OVERHEAD_BYTES
        + getsizeof(draft.text)
        + getsizeof(draft.origin)
        + getsizeof(draft.container)
        + getsizeof(draft.category)
        + getsizeof(draft.user)
    )


def _drop_frames(error: BaseException | None) -> None:
    """Let an error, and what led to it, hold no frames of functions: those hold segments, and
    so the room on the disk of files that have been removed."""
    while error is not None:
        error.with_traceback(None)
        error = error.__cause__ or error.__context__


def open_journal(
    directory: str,
    deliver: Callable[[Callable[[], None]], None],
    *,
    max_bytes: int,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    elapsed_us: Callable[[], int] = boot_time_us,
) -> Journal:
    """Open a journal for writing, making it if there is none.

    @param deliver: runs what it is given in the thread where L{Journal} is used:
        C{reactor.callFromThread}.
    @param max_bytes: what retention will keep; segments are made small enough that
        whole ones can be removed.
    @param now_us: the system's clock.
    @param elapsed_us: one that cannot be set, for the age of records.
    @raise stationd.errors.JournalError: it cannot be opened.
    """
    segment_bytes = min(SEGMENT_BYTES, max(64 << 10, max_bytes // 8))
    store = Store(
        directory, segment_bytes, Disk(), now_us, lambda: secrets.randbits(32), elapsed_us
    )
    name = f"journal-{os.path.basename(directory)}"
    return Journal(
        store,
        deliver,
        writer=lambda work: ThreadWorker(work, name),
        sealer=lambda work: ThreadWorker(work, f"{name}-sealer"),
    )


@implementer(IJournal)
class Journal:
    """A L{Store}, a worker that is the only one to change it, and one that seals.

    While the worker waits for one flush, appends gather; all that has gathered is
    the next commit, so one slow flush serves any number of producers. Its Deferreds
    have no canceller: what is on its way to the disk stays so.
    """

    _log = Logger()

    def __init__(
        self,
        store: Store,
        deliver: Callable[[Callable[[], None]], None],
        *,
        writer: Callable[[Callable[[], None]], IWorker],
        sealer: Callable[[Callable[[], None]], IWorker],
        reader: Callable[[Callable[[], None]], None] = start_thread,
    ) -> None:
        self._store = store
        self._deliver = deliver
        self._view = store.view
        self._cache = BlockCache()
        self._reads = BackgroundReads(deliver, reader)
        self._queue: collections.deque[_Append | _Task] = collections.deque()
        self._waiting_bytes = 0
        self._closed: list[Deferred[None]] | None = None
        self._released = False
        self._worker = writer(self._run)
        self._sealer = Sealer(store.disk, store.next_to_seal, self._install_sealed, sealer)
        self._sealer.wake()

    def append(self, drafts: Sequence[Draft]) -> Deferred[AppendResult]:
        if self._closed is not None:
            return fail(JournalClosed())
        if not drafts:
            raise ValueError("an append needs at least one record")
        size_bytes = APPEND_OVERHEAD_BYTES + sum(map(_memory_bytes, drafts))
        if self._waiting_bytes and self._waiting_bytes + size_bytes > MAX_WAITING_BYTES:
            return fail(JournalOverloaded())
        self._waiting_bytes += size_bytes
        done: Deferred[AppendResult] = Deferred()
        self._queue.append(_Append(drafts, size_bytes, done))
        self._worker.wake()
        return done

    def select(self, query: Query) -> Iterator[list[Record]]:
        return select(self._view, query, self._cache)

    def select_without_waiting(self, query: Query) -> Iterator[list[Record]]:
        return self._reads.steps(self.select(query))

    def clear(self, now_us: int) -> Deferred[int]:
        return self._task(lambda: self._store.clear(now_us))

    def vacuum(self, retention: Retention) -> Deferred[int]:
        return self._task(lambda: self._store.vacuum(retention))

    def _task(self, do: Callable[[], int]) -> Deferred[int]:
        if self._closed is not None:
            return fail(JournalClosed())
        done: Deferred[int] = Deferred()
        self._queue.append(_Task(do, done))
        self._worker.wake()
        return done

    def status(self) -> JournalStatus:
        # Of what is shown, not of what the thread has just written: a number that
        # status tells must be one that select finds.
        return self._store.status(self._view)

    def close(self) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        if self._released:
            done.callback(None)
        elif self._closed is not None:
            self._closed.append(done)
        else:
            self._closed = [done]
            self._worker.wake()
        return done

    # In the worker's thread:

    def _run(self) -> None:
        """Do everything that waits, then tell. Called once more after the last wake."""
        while self._queue:
            segments = self._store.view.segments
            outcome = self._run_batch()
            if outcome.view.segments is not segments:
                self._sealer.wake()
            self._deliver(lambda outcome=outcome: self._publish(outcome))  # type: ignore[misc]
        if self._closed is not None and not self._released:
            self._deliver(self._release)

    def _run_batch(self) -> _Results:
        """One task, or one commit of all the appends before the next task."""
        fired: list[tuple[Deferred[AppendResult], AppendResult] | tuple[Deferred[int], int]] = []
        failed: list[tuple[Deferred[AppendResult] | Deferred[int], Exception]] = []
        taken_bytes = 0
        group: list[_Append] = []
        while self._queue and isinstance(self._queue[0], _Append):
            if taken_bytes and taken_bytes + self._queue[0].size_bytes > MAX_COMMIT_BYTES:
                break
            job = self._queue.popleft()
            assert isinstance(job, _Append)
            taken_bytes += job.size_bytes
            group.append(job)
        try:
            if group:
                number = self._store.commit([draft for job in group for draft in job.drafts])
                for job in group:
                    last = number + len(job.drafts) - 1
                    fired.append((job.done, AppendResult(first=number, last=last)))
                    number = last + 1
            else:
                task = self._queue.popleft()
                assert isinstance(task, _Task)
                fired.append((task.done, task.do()))
        except Exception as error:  # noqa: BLE001 - the outermost edge of this thread
            if not isinstance(error, JournalUnwritable):
                log_messages.JOURNAL_WRITER_CRASHED.emit(self._log)
            _drop_frames(error)
            failed = [(job.done, error) for job in group] or [(task.done, error)]
        return _Results(fired, failed, self._store.view, taken_bytes)

    # In the sealer's thread:

    def _install_sealed(self, segment: RowSegment, path: str, done: Callable[[bool], None]) -> None:
        def adopt() -> int:
            adopted = False
            try:
                self._store.install_sealed(segment, path)
                adopted = True
            except JournalUnwritable as error:
                log_messages.SEALED_RENAME_FAILED.emit(self._log, path=segment.path, error=error)
            finally:
                done(adopted)
            return 0

        self._queue.append(_Task(adopt, Deferred()))
        self._worker.wake()

    # In the reactor's thread:

    def _publish(self, outcome: _Results) -> None:
        if outcome.view.segments is not self._view.segments:
            self._cache.retain_only(outcome.view.segments)
        is_shorter = len(outcome.view.segments) < len(self._view.segments)
        self._view = outcome.view
        if is_shorter:
            # What is garbage of earlier errors can hold files that are removed, and so a disk full.
            gc.collect()
        self._waiting_bytes -= outcome.taken_bytes
        for done, result in outcome.fired:
            done.callback(result)  # type: ignore[arg-type]
        for lost, error in outcome.failed:
            lost.errback(error)

    def _release(self) -> None:
        if self._released:
            return
        self._released = True
        self._sealer.stop()
        self._worker.stop()
        self._store.close()
        waiting, self._closed = self._closed or [], []
        for done in waiting:
            done.callback(None)
