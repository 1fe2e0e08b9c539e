"""Two journals that are backed up, and what may happen to them and to the disk meanwhile."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import Query, Retention
from stationd.journal.backup import BackupReport, back_up
from stationd.journal.backup_restore import RestoreReport, restore_backup
from stationd.journal.disk import Disk, IDisk
from stationd.journal.read_only_journal import ReadOnlyJournal
from stationd.journal.seal import seal_segment
from stationd.journal.store import Store
from tests.contracts.journal import draft

NAMES = ("log", "event")

Contents = dict[str, dict[int, str]]
"""The texts of some journals, by name and number."""


class Killed(BaseException):
    """The process has ended."""


class QuickDisk(Disk):
    """A disk without flushes: a process that ends, unlike the power, loses nothing."""

    def sync(self, fd: int) -> None:
        pass

    def sync_directory(self, directory: str) -> None:
        pass


class HookedDisk(QuickDisk):
    """A disk that calls something before each of its operations, or those that change it.

    @ivar operations: how many there were so far.
    """

    def __init__(self, hook: Callable[[int], None], *, reading: bool = False) -> None:
        super().__init__()
        self._hook = hook
        self._reading = reading
        self.operations = 0

    def _before(self) -> None:
        self.operations += 1
        self._hook(self.operations)

    def create(self, path: str) -> int:
        self._before()
        return super().create(path)

    def open(self, path: str, *, write: bool) -> int:
        if self._reading:
            self._before()
        return super().open(path, write=write)

    def names(self, directory: str) -> list[str]:
        if self._reading:
            self._before()
        return super().names(directory)

    def write(self, fd: int, data: bytes) -> None:
        super().write(fd, data[: len(data) // 2])
        self._before()
        super().write(fd, data[len(data) // 2 :])

    def sync(self, fd: int) -> None:
        self._before()
        super().sync(fd)

    def rename(self, path: str, to: str) -> None:
        self._before()
        super().rename(path, to)

    def link(self, path: str, to: str) -> None:
        self._before()
        super().link(path, to)

    def unlink(self, path: str) -> None:
        self._before()
        super().unlink(path)

    def sync_directory(self, directory: str) -> None:
        self._before()
        super().sync_directory(directory)


def kill_at(operation: int) -> HookedDisk:
    """A disk with which the process ends before an operation that changes something."""

    def hook(number: int) -> None:
        if number >= operation:
            raise Killed

    return HookedDisk(hook)


def contents(directory: str) -> Contents:
    """What some journals hold; nothing of one that is not there. Their damage fails."""
    found: Contents = {}
    for name in NAMES:
        path = os.path.join(directory, name)
        if os.path.isdir(path):
            journal = ReadOnlyJournal(path)
            records = [r for some in journal.select(Query(oldest_first=True)) for r in some]
            found[name] = {record.number: record.text for record in records}
            assert journal.status().damage == (), journal.status().damage
    return found


class BackupCase(SynchronousTestCase):
    """A directory with two journals that are open for writing."""

    def setUp(self) -> None:
        self.source, self.target = self.mktemp(), self.mktemp()
        self.salts = itertools.count(77)
        self.texts = itertools.count()
        self.stores = {name: self.open_store(name) for name in NAMES}
        self.addCleanup(self.close_stores)
        for _ in range(3):
            self.append()
            self.seal()
        self.append()

    def open_store(self, name: str) -> Store:
        path = os.path.join(self.source, name)
        return Store(path, 300, QuickDisk(), lambda: 5, self.salts.__next__)

    def close_stores(self) -> None:
        """End the writers."""
        for store in self.stores.values():
            store.close()

    def append(self) -> None:
        """Commit some records to each journal."""
        for store in self.stores.values():
            for _ in range(3):
                store.commit([draft(f"text {next(self.texts)}")])

    def seal(self) -> None:
        """Seal what is full."""
        for store in self.stores.values():
            while segment := store.next_to_seal():
                store.install_sealed(segment, seal_segment(store.disk, segment, lambda: None))

    def clear(self) -> None:
        """Clear both journals."""
        for store in self.stores.values():
            store.clear(9)

    def vacuum(self) -> None:
        """Let retention remove about half of each journal."""
        for store in self.stores.values():
            half = store.status().size_bytes // 2
            store.vacuum(Retention(max_age_us=None, max_bytes=half))

    def back_up(
        self,
        disk: IDisk | None = None,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> BackupReport:
        return back_up(self.source, NAMES, self.target, disk or QuickDisk(), lambda: 7, progress)

    def restore(
        self, directory: str, disk: IDisk | None = None, *, force: bool = False
    ) -> RestoreReport:
        disk = disk or QuickDisk()
        return restore_backup(self.target, directory, disk, lambda done, of: None, force=force)

    def restored(self) -> Contents:
        """What a restore of the backup gives."""
        directory = self.mktemp()
        self.restore(directory)
        return contents(directory)

    def files(self, directory: str) -> dict[str, bytes]:
        """All files below a directory."""
        found: dict[str, bytes] = {}
        for path, _, names in os.walk(directory):
            for name in names:
                with open(os.path.join(path, name), "rb") as file:
                    found[os.path.relpath(os.path.join(path, name), directory)] = file.read()
        return found
