"""What every L{IDisk} does."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from stationd.journal.disk import IDisk


class DiskContract(SynchronousTestCase):
    """Mixed into a test case that says how a disk is made."""

    def make(self) -> IDisk:
        """A disk on which C{self.directory} is empty."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.directory: str = self.mktemp()
        os.makedirs(self.directory)
        self.disk = self.make()

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def write(self, name: str, data: bytes) -> str:
        path = self.path(name)
        fd = self.disk.create(path)
        self.disk.write(fd, data)
        self.disk.sync(fd)
        self.disk.close(fd)
        return path

    def contents(self, name: str) -> bytes:
        fd = self.disk.open(self.path(name), write=False)
        try:
            return self.disk.read(fd, 1 << 20, 0)
        finally:
            self.disk.close(fd)

    def refused(self, path: str, number: int, do: Callable[[], object]) -> None:
        """Something fails with an error that has the path."""
        error = self.assertRaises(OSError, do)
        self.assertEqual((error.errno, error.filename), (number, path))

    def test_what_was_written_is_read(self) -> None:
        path = self.write("one", b"0123456789")
        fd = self.disk.open(path, write=True)
        self.addCleanup(self.disk.close, fd)
        self.assertEqual(self.disk.read(fd, 4, 3), b"3456")
        self.assertEqual(self.disk.read(fd, 4, 8), b"89")
        self.disk.write(fd, b"more")
        self.assertEqual(self.disk.size(fd), 14)
        self.assertEqual(self.disk.size_of_path(path), 14)
        self.disk.truncate(fd, 2)
        self.assertEqual(self.contents("one"), b"01")
        self.disk.sync_directory(self.directory)
        self.assertEqual(self.disk.names(self.directory), ["one"])

    def test_names(self) -> None:
        path, to, third = self.write("one", b"1"), self.path("two"), self.path("three")
        self.write("two", b"2")
        self.disk.rename(path, to)
        self.assertEqual(self.contents("two"), b"1")
        self.disk.link(to, third)
        self.disk.unlink(to)
        self.disk.unlink(to)
        self.assertEqual(self.contents("three"), b"1")
        self.assertEqual(self.disk.names(self.directory), ["three"])

    def test_errors_have_the_path(self) -> None:
        there, gone = self.write("there", b""), self.path("gone")
        self.refused(there, errno.EEXIST, lambda: self.disk.create(there))
        self.refused(gone, errno.ENOENT, lambda: self.disk.open(gone, write=False))
        self.refused(gone, errno.ENOENT, lambda: self.disk.size_of_path(gone))
        self.refused(gone, errno.ENOENT, lambda: self.disk.rename(gone, there))
        error = self.assertRaises(OSError, self.disk.link, self.write("other", b""), there)
        self.assertEqual(error.errno, errno.EEXIST)
