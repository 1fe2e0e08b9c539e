"""Sealing in the background: when, and what happens if it cannot be done."""

from __future__ import annotations

import errno
import itertools
import os
import queue
import resource
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import JournalUnwritable
from stationd.interfaces import Query
from stationd.journal.disk import Disk
from stationd.journal.journal import Journal
from stationd.journal.row_segment import RowSegment
from stationd.journal.seal import seal_segment
from stationd.journal.sealer import Sealer
from stationd.journal.store import Store
from stationd.journal.worker_thread import IWorker, ThreadWorker
from tests.contracts.journal import draft


class RefusingDisk(Disk):
    """A disk on which no sealed segment can be made, as long as it says so."""

    error: OSError | None = None

    def create(self, path: str) -> int:
        if self.error is not None and ".sealed" in path:
            raise self.error
        return super().create(path)


class SlowDisk(Disk):
    """A disk that lets go of nothing sealed before a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.sealing, self.go_on = threading.Event(), threading.Event()

    def create(self, path: str) -> int:
        if ".sealed" in path:
            self.sealing.set()
            self.go_on.wait(10)
        return super().create(path)


class SealerTests(SynchronousTestCase):
    """A journal with real threads and small segments."""

    def open(self, disk: Disk) -> Journal:
        self.directory = self.mktemp()
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.store = Store(self.directory, 3000, disk, lambda: 5, itertools.count(7).__next__)

        def worker(work: Callable[[], None]) -> IWorker:
            return ThreadWorker(work, "test")

        return Journal(self.store, self.calls.put, writer=worker, sealer=worker)

    def until(self, done: Callable[[], bool]) -> None:
        """Do what the threads deliver until something is so."""
        while not done():
            self.calls.get(timeout=10)()

    def append(self, journal: Journal, texts: list[str]) -> None:
        """Records, each in a commit of its own."""
        for text in texts:
            appended = journal.append([draft(text)])
            self.until(lambda appended=appended: bool(appended.called))  # type: ignore[misc]

    def close(self, journal: Journal) -> None:
        done: Deferred[None] = journal.close()
        self.until(lambda: bool(done.called))
        left = [name for name in os.listdir(self.directory) if name.endswith(".new")]
        self.assertEqual(left, [])

    def texts(self, journal: Journal) -> list[str]:
        return [r.text for f in journal.select(Query(oldest_first=True)) for r in f]

    def names(self, suffix: str) -> list[str]:
        return [name for name in os.listdir(self.directory) if name.endswith(suffix)]

    def test_full_segments_are_sealed_while_more_is_appended(self) -> None:
        journal = self.open(Disk())
        texts = [f"text {n} " + "x" * 100 for n in range(200)]
        self.append(journal, texts)
        self.until(lambda: len(self.names(".rows")) == 1)
        self.assertGreater(len(self.names(".sealed")), 5)
        self.assertEqual(self.texts(journal), texts)
        self.close(journal)

    def test_a_journal_that_is_opened_goes_on_where_sealing_was(self) -> None:
        disk = RefusingDisk()
        disk.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        journal = self.open(disk)
        said: list[LogEvent] = []
        observer = cast(ILogObserver, said.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        texts = [f"text {n} " + "x" * 100 for n in range(100)]
        self.append(journal, texts)
        self.assertEqual(self.names(".sealed"), [])
        self.assertEqual(self.texts(journal), texts)
        warnings = [event for event in said if "could not be sealed" in str(event["log_format"])]
        self.assertTrue(warnings)
        # It is tried again with the next segment that is full.
        disk.error = None
        more = [f"more {n} " + "x" * 100 for n in range(30)]
        self.append(journal, more)
        self.until(lambda: len(self.names(".rows")) == 1)
        self.assertEqual(self.texts(journal), texts + more)
        self.close(journal)

    def test_closing_does_not_wait_for_a_segment(self) -> None:
        disk = SlowDisk()
        journal = self.open(disk)
        self.append(journal, ["x" * 2000, "y" * 2000, "z"])
        self.assertTrue(disk.sealing.wait(10))
        threading.Timer(0.05, disk.go_on.set).start()
        self.close(journal)
        self.assertEqual(self.names(".sealed"), [])
        self.assertEqual(len(self.names(".rows")), 2)

    def test_a_segment_that_went_bad_meanwhile_is_kept(self) -> None:
        directory = self.mktemp()
        store = Store(directory, 1000, Disk(), lambda: 5, itertools.count(7).__next__)
        self.addCleanup(store.close)
        for text in ("a", "b" * 2000, "c"):
            store.commit([draft(text)])
        segment = store.next_to_seal()
        assert segment is not None
        with open(segment.path, "r+b") as file:
            file.seek(48 + 60)
            file.write(b"\xff\xff")
        path = seal_segment(store.disk, segment, lambda: None)
        self.assertRaises(JournalUnwritable, store.install_sealed, segment, path)
        names = [n for n in os.listdir(directory) if n != "lock" and not n.endswith(".cleared")]
        self.assertEqual([name for name in names if not name.endswith(".rows")], [])
        self.assertEqual(len(names), 2)
        self.assertIs(store.next_to_seal(), None, "it is for repair now")

    def test_what_cannot_be_sealed_is_left_alone(self) -> None:
        # A writer's fault, for which no test can make bytes: seal itself raises.
        worked: list[Callable[[], None]] = []
        asked: list[int] = []

        class Now:
            def __init__(self, work: Callable[[], None]) -> None:
                worked.append(work)

            def wake(self) -> None:
                worked[0]()

            def stop(self) -> None:
                """Nothing runs."""

        journal = self.open(Disk())
        self.append(journal, ["x" * 4000, "y"])
        self.close(journal)
        segment = self.store.view.segments[0]
        bad = RowSegment(Disk(), os.open(os.devnull, os.O_RDONLY), segment.path, segment.name)
        bad.parts = [None]  # type: ignore[list-item]

        def sealable(given_up: object) -> RowSegment | None:
            assert isinstance(given_up, weakref.WeakSet)
            asked.append(len(given_up))
            return None if given_up else bad

        sealer = Sealer(Disk(), sealable, lambda *_: None, Now)
        sealer.wake()
        # It went on to the next, of which there is none.
        self.assertEqual(asked, [0, 1])
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)


class FilesTests(SynchronousTestCase):
    """A journal of more segments than files may be open."""

    def test_the_limit_is_raised(self) -> None:
        code = (
            "import itertools, sys\n"
            "from stationd.journal.disk import Disk, raise_file_limit\n"
            "from stationd.journal.store import Store\n"
            "from tests.contracts.journal import draft\n"
            "raise_file_limit()\n"
            "store = Store(sys.argv[1], 10, Disk(), lambda: 5, itertools.count(7).__next__)\n"
            "for n in range(200):\n"
            "    store.commit([draft(str(n))])\n"
            "print(len(store.view.segments))\n"
        )

        def few() -> None:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))

        done = subprocess.run(
            [sys.executable, "-c", code, self.mktemp()],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=few,
        )
        self.assertEqual(done.stderr, "")
        self.assertGreaterEqual(int(done.stdout), 200)
