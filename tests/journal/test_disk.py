"""The disk, the fakes of it, and the lock of a directory: each error has its path, and nothing
that is in a file's place is waited for."""

from __future__ import annotations

import errno
import os
import socket
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from stationd.errors import JournalLocked
from stationd.journal.directory_lock import Lock
from stationd.journal.disk import Disk, IDisk, as_unreadable, as_unwritable
from stationd.journal.partial_read import UnreadRange, read_available
from tests.contracts import disk as contracts
from tests.journal.faulty_disk import CHANGES, FAULTS, FaultyDisk
from tests.journal.memory_disk import MemoryDisk


class MemoryDiskTests(contracts.DiskContract):
    """In memory."""

    def make(self) -> IDisk:
        return MemoryDisk()


class FaultyDiskTests(contracts.DiskContract):
    """One that does not fail yet."""

    def make(self) -> IDisk:
        return FaultyDisk(Disk(), "EMFILE", 1 << 30, 1)

    def test_each_refusal_has_the_path(self) -> None:
        path = self.write("one", b"")
        fd = self.disk.open(path, write=True)
        self.addCleanup(os.close, fd)
        for fault, (number, operations) in FAULTS.items():
            for operation in operations & {*CHANGES, "unlink", "open"}:
                bad = FaultyDisk(self.disk, fault, 1, 1)
                bad._paths[fd] = path
                calls = {
                    "create": lambda bad=bad: bad.create(path),
                    "open": lambda bad=bad: bad.open(path, write=False),
                    "write": lambda bad=bad: bad.write(fd, b"?"),
                    "sync": lambda bad=bad: bad.sync(fd),
                    "truncate": lambda bad=bad: bad.truncate(fd, 0),
                    "rename": lambda bad=bad: bad.rename(path, path),
                    "link": lambda bad=bad: bad.link(path, path),
                    "unlink": lambda bad=bad: bad.unlink(path),
                    "sync_directory": lambda bad=bad: bad.sync_directory(path),
                }
                self.refused(path, number, calls[operation])


class DiskTests(contracts.DiskContract):
    """The real one."""

    def make(self) -> IDisk:
        return Disk()

    def test_errors_of_descriptors_have_the_path(self) -> None:
        path = self.write("one", b"1")
        fd = self.disk.open(path, write=False)
        self.refused(path, errno.EBADF, lambda: self.disk.write(fd, b"2"))
        self.refused(path, errno.EINVAL, lambda: self.disk.truncate(fd, 0))
        os.close(fd)
        self.refused(path, errno.EBADF, lambda: self.disk.read(fd, 1, 0))
        self.refused(path, errno.EBADF, lambda: self.disk.size(fd))
        self.refused(path, errno.EBADF, lambda: self.disk.sync(fd))
        self.refused(path, errno.EBADF, lambda: self.disk.close(fd))

    def test_errors_of_directories_have_the_path(self) -> None:
        path = self.path("nowhere")
        self.refused(path, errno.ENOENT, lambda: self.disk.names(path))
        self.refused(path, errno.ENOENT, lambda: self.disk.sync_directory(path))

    def test_what_is_no_file_is_not_opened(self) -> None:
        for number, path in self.strange():
            for write in (False, True):
                self.refused(path, number, partial(self.disk.open, path, write=write))

    def strange(self) -> list[tuple[int, str]]:
        """What can be in a file's place, and the error that tells."""
        directory, fifo, link, bound = map(self.path, ("directory", "fifo", "link", "socket"))
        os.mkdir(directory)
        os.mkfifo(fifo)
        os.symlink("nowhere", link)
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.bind(bound)
        null = self.path("device")
        os.symlink(os.devnull, null)
        return [
            (errno.EISDIR, directory),
            (errno.EINVAL, fifo),
            (errno.ENOENT, link),
            (errno.EINVAL, bound),
            (errno.EINVAL, null),
        ]

    def test_all_of_them_can_be_removed(self) -> None:
        for _, path in self.strange():
            self.disk.unlink(path)
        self.assertEqual(self.disk.names(self.directory), [])

    def test_a_directory_that_is_not_empty_stays(self) -> None:
        path = self.path("directory")
        os.makedirs(os.path.join(path, "deep"))
        self.refused(path, errno.ENOTEMPTY, lambda: self.disk.unlink(path))

    def test_what_is_in_the_place_of_the_lock(self) -> None:
        for make in (os.mkdir, os.mkfifo):
            self.directory = self.mktemp()
            os.makedirs(self.directory)
            make(self.path("lock"))
            error = self.assertRaises(OSError, Lock, self.directory)
            self.assertEqual(error.filename, self.path("lock"))

    def test_a_lock_that_another_has(self) -> None:
        lock = Lock(self.directory)
        error = self.assertRaises(JournalLocked, Lock, self.directory)
        self.assertEqual(error.holder, f"{os.getpid()}")
        lock.release()
        Lock(self.directory).release()


class ErrorTests(SynchronousTestCase):
    """What becomes of the system's errors."""

    def test_they_keep_the_path(self) -> None:
        full = OSError(errno.ENOSPC, "No space left on device", "/j/1.rows")
        self.assertEqual(as_unwritable(full).reason, "/j/1.rows: No space left on device")
        self.assertTrue(as_unwritable(full).full)
        self.assertEqual(str(as_unreadable(full, "/j")), "/j/1.rows: No space left on device")
        nameless = OSError(errno.EIO, "Input/output error")
        self.assertEqual(str(as_unreadable(nameless, "/j")), "/j: Input/output error")


class BadSectorDisk(MemoryDisk):
    """One that does not give some sectors of a file."""

    bad = frozenset({1, 2, 4})

    def read(self, fd: int, size: int, offset: int) -> bytes:
        if self.bad & set(range(offset // 4096, (offset + size - 1) // 4096 + 1)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(fd, size, offset)


class ReadAvailableTests(SynchronousTestCase):
    """What is read of a file with bad sectors."""

    def test_all_but_these(self) -> None:
        disk = BadSectorDisk()
        fd = disk.create("file")
        disk.write(fd, bytes(range(1, 201)) * 100)
        disk.bad = frozenset()
        whole = disk.read(fd, 20_000, 0)
        disk.bad = BadSectorDisk.bad
        raw, unread = read_available(disk, fd, 19_000, 1000)
        self.assertEqual(len(raw), 19_000)
        self.assertEqual(raw[:3096], whole[1000:4096])
        self.assertEqual(raw[3096:11288], b"\xff" * 8192)
        self.assertEqual(raw[11288:15384], whole[12288:16384])
        error = os.strerror(errno.EIO)
        found = [UnreadRange(4096, 8192, error), UnreadRange(16384, 3616, error)]
        self.assertEqual(unread, found)

    def test_a_file_that_has_become_shorter(self) -> None:
        disk = MemoryDisk()
        fd = disk.create("file")
        disk.write(fd, b"12")
        self.assertEqual(read_available(disk, fd, 4, 0), (b"12\xff\xff", []))
