"""The power goes at changes that a backup makes: at all of them in C{tests.exhaustive}, at some
here. A restore makes everything durable before it replaces anything."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

from stationd.errors import BackupFailed
from stationd.journal.file_header import TombstoneName
from tests.journal.backup_case import NAMES, BackupCase, Contents, QuickDisk, contents
from tests.journal.memory_disk import Inode, MemoryDisk, PowerCut


class TreeDisk(MemoryDisk):
    """Keeps the files below one directory in memory, until the power goes; reads all others
    from the real disk. Directories themselves are real.

    @param root: that directory.
    """

    def __init__(self, root: str, cut_at: int | None = None) -> None:
        super().__init__(cut_at)
        self.root = os.path.abspath(root)
        self._real = QuickDisk()
        self._load()

    def _load(self) -> None:
        for directory, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(directory, name)
                with open(path, "rb") as file:
                    self.names_now[self.key(path)] = Inode(file.read())
        self.names_durable = dict(self.names_now)

    def key(self, path: str) -> str:
        return os.path.relpath(path, self.root)

    def _is_ours(self, path: str) -> bool:
        return not self.key(path).startswith("..")

    def open(self, path: str, *, write: bool) -> int:
        if self._is_ours(path):
            return super().open(path, write=write)
        fd = self._real.open(path, write=write)
        with os.fdopen(fd, "rb") as file:
            return self._descriptor(Inode(file.read()))

    def link(self, path: str, to: str) -> None:
        self._change()
        with open(path, "rb") as file:
            self.names_now[self.key(to)] = Inode(file.read())

    def names(self, directory: str) -> list[str]:
        if not self._is_ours(directory):
            return self._real.names(directory)
        key = self.key(directory)
        inside = [name for name in self.names_now if os.path.dirname(name) == key.strip(".")]
        return [os.path.basename(name) for name in inside]

    def sync_directory(self, directory: str) -> None:
        self._change()
        if self._is_ours(directory):
            key = self.key(directory).strip(".")
            self.names_durable = {
                name: inode
                for names, here in ((self.names_durable, False), (self.names_now, True))
                for name, inode in names.items()
                if (os.path.dirname(name) == key) == here
            }

    def write_survivors(self, root: str) -> Iterator[tuple[str, str]]:
        """Real directories as they may be found after the cut."""
        for number, (variant, disk) in enumerate(self.survivors()):
            directory = os.path.join(root, str(number))
            for name, inode in disk.names_now.items():
                path = os.path.join(directory, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(inode.data)
            for name in NAMES:
                os.makedirs(os.path.join(directory, name), exist_ok=True)
            yield variant, directory


class PowerCutTests(BackupCase):
    """There is the former backup or the new one, whatever of the rest has reached the disk.

    @cvar every: 1 for all changes, 2 for every second, and so on.
    """

    every = 25

    def check(self, disk: TreeDisk, former: Contents | None, where: str) -> None:
        current = contents(self.source)
        for variant, directory in disk.write_survivors(self.mktemp()):
            self.target = directory
            try:
                self.assertIn(self.restored(), (former, current), f"{where}, {variant}")
            except BackupFailed as error:
                if former is not None:
                    raise AssertionError(f"{where}, {variant}: {error}") from error
                if "not empty" in str(error):
                    raise
            if former is not None:
                self.back_up()
                self.assertEqual(self.restored(), current, f"{where}, {variant}")

    def test_at_each_change_of_a_later_one(self) -> None:
        for remove in (self.vacuum, self.clear):
            self.target = self.mktemp()
            self.back_up()
            target, former = self.target, contents(self.source)
            for change in (self.append, self.seal, remove, self.append):
                change()
            for at in itertools.count(1, self.every):
                self.target = target
                disk = TreeDisk(target, at)
                try:
                    self.back_up(disk)
                except PowerCut:
                    self.check(disk, former, f"cut at {at}")
                else:
                    break
            self.assertGreater(at, 30)
            self.check(disk, former, "at the end")

    def test_at_each_change_of_the_first(self) -> None:
        for at in itertools.count(1, self.every):
            self.target = self.mktemp()
            os.makedirs(self.target)
            disk = TreeDisk(self.target, at)
            try:
                self.back_up(disk)
            except PowerCut:
                self.check(disk, None, f"cut at {at}")
            else:
                break
        self.assertGreater(at, 50)


class RestoreOrderTests(BackupCase):
    """What is replaced goes when what replaces it is durable."""

    def test_files_then_their_names_then_the_directory(self) -> None:
        self.back_up()
        directory = self.mktemp()
        disk = RecordingDisk()
        self.restore(directory, disk)
        for name in NAMES:
            target = os.path.join(directory, name)
            calls = [call for call in disk.calls if call[1].startswith(target)]
            replaced = calls.index(("rename", target + ".restoring"))
            self.assertEqual(calls[replaced - 1 :][0][0], "unlink")
            before = [call for call in calls[:replaced] if call[0] != "unlink"]
            self.assertEqual(before[-1], ("sync_directory", target + ".restoring"))
            # The tombstone is a name and nothing else.
            kinds = [
                kind
                for kind, path in before[:-1]
                if TombstoneName.parse(os.path.basename(path)) is None
            ]
            self.assertEqual(kinds, ["create", "sync", "rename"] * (len(kinds) // 3))
        self.assertEqual(disk.calls[-1], ("sync_directory", os.path.abspath(directory)))


class RecordingDisk(QuickDisk):
    """Remembers what was done, and to what.

    @ivar calls: what, and the path.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self._paths: dict[int, str] = {}

    def create(self, path: str) -> int:
        fd = super().create(path)
        self._paths[fd] = path
        self.calls.append(("create", path))
        return fd

    def sync(self, fd: int) -> None:
        self.calls.append(("sync", self._paths[fd]))

    def rename(self, path: str, to: str) -> None:
        self.calls.append(("rename", path))
        super().rename(path, to)

    def unlink(self, path: str) -> None:
        self.calls.append(("unlink", path))
        super().unlink(path)

    def sync_directory(self, directory: str) -> None:
        self.calls.append(("sync_directory", directory))
