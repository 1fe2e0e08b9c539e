"""Backing up journals beside their writer: what has changed is copied or linked, the
manifest says what counts, and until it is replaced the former backup does.

What the former manifest names is not changed before that: row files only get longer, sealed
ones never change, and of one that a repair has rewritten the former manifest is first made to
name both.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence

import attrs

from stationd.errors import BackupFailed, JournalUnreadable
from stationd.journal.backup_files import (
    ReadBytes,
    SourceChanged,
    copy_file,
    count_bytes,
    hash_descriptor,
    hash_file,
    link_file,
)
from stationd.journal.backup_manifest import (
    MANIFEST_NAME,
    Manifest,
    ManifestFile,
    ManifestJournal,
    read_manifest,
    write_manifest,
)
from stationd.journal.backup_source import OpenJournal, open_source
from stationd.journal.directory_lock import LOCK_NAME, Lock
from stationd.journal.disk import TEMPORARY_SUFFIX, IDisk
from stationd.journal.file_header import ROWS_SUFFIX, SegmentName, TombstoneName
from stationd.journal.sealed_codec import TRAILER
from stationd.journal.segment_catalogue import MAX_ATTEMPTS
from stationd.journal.snapshot import AnySegment
from stationd.journal.tombstone import put_tombstone
from stationd.messages import file_reason_messages as reasons


@attrs.define
class BackupReport:
    """What a backup has done.

    @ivar manifest: what is in it now.
    @ivar copied: how many files were copied, C{linked}: or linked, C{unchanged}: or were there.
    @ivar copied_bytes: how many bytes were copied.
    @ivar damage: a sentence for each thing that is wrong with the journals themselves.
    """

    manifest: Manifest
    copied: int = 0
    linked: int = 0
    unchanged: int = 0
    copied_bytes: int = 0
    damage: tuple[str, ...] = ()


def back_up(
    source: str,
    names: Sequence[str],
    target: str,
    disk: IDisk,
    now_us: Callable[[], int],
    progress: Callable[[int, int], None],
) -> BackupReport:
    """Bring a backup up to date, or make a first one.

    @param source: the directory that has the journals; nothing in it is changed.
    @param names: of the journals in it.
    @param target: an empty directory, one that is not there yet, or an earlier backup.
    @param progress: told how many bytes have been looked at, of how many.
    @raise BackupFailed: it could not be made. The former backup is as good as it was.
    @raise stationd.errors.JournalLocked: another process makes a backup there.
    @raise stationd.errors.JournalUnreadable: a journal cannot be read.
    @raise stationd.errors.JournalTooNew: a newer stationd wrote a journal.
    """
    _check_paths(disk, source, names, target)
    try:
        os.makedirs(target, mode=0o750, exist_ok=True)
        lock = Lock(target)
        try:
            former = _prepare_target(disk, target, now_us)
            for _ in range(MAX_ATTEMPTS):
                with contextlib.suppress(SourceChanged):
                    return _Backup(target, disk, former).run(source, names, now_us(), progress)
        finally:
            lock.release()
    except OSError as error:
        path = error.filename if isinstance(error.filename, str) else target
        raise BackupFailed(path, error.strerror or str(error)) from error
    raise BackupFailed(source, reasons.BACKUP_SOURCE_CHANGING.text)


def _check_paths(disk: IDisk, source: str, names: Sequence[str], target: str) -> None:
    """Whether there are journals, and the backup is not put among their files."""
    path = os.path.realpath(target)
    journals = [os.path.realpath(os.path.join(source, name)) for name in names]
    for journal in journals:
        try:
            disk.names(journal)
        except OSError as error:
            raise JournalUnreadable(journal, error.strerror or str(error)) from error
    if path == os.path.realpath(source) or any(
        os.path.commonpath([path, journal]) == journal for journal in journals
    ):
        raise BackupFailed(target, reasons.BACKUP_TARGET_IS_SOURCE.text)


def _prepare_target(disk: IDisk, target: str, now_us: Callable[[], int]) -> Manifest:
    """The manifest in the target; an empty directory gets one of nothing, by which a
    backup that is interrupted is known for one."""
    manifest = read_manifest(disk, target)
    if manifest is None:
        if set(disk.names(target)) - {LOCK_NAME, MANIFEST_NAME + TEMPORARY_SUFFIX}:
            raise BackupFailed(target, reasons.BACKUP_TARGET_NOT_EMPTY.text)
        manifest = Manifest(time_us=now_us(), journals={})
        write_manifest(disk, target, manifest)
        disk.sync_directory(os.path.dirname(os.path.abspath(target)))
    return manifest


class _Backup:
    """One run."""

    def __init__(self, target: str, disk: IDisk, former: Manifest) -> None:
        self._target = target
        self._disk = disk
        self._former = former
        self._report = BackupReport(former)

    def run(
        self,
        source: str,
        names: Sequence[str],
        now_us: int,
        progress: Callable[[int, int], None],
    ) -> BackupReport:
        """Copy, write the manifest, then remove what it does not name.

        @raise SourceChanged: begin again.
        @raise OSError: the disk refused.
        """
        with contextlib.ExitStack() as stack:
            # All files are open before any is copied.
            journals = {
                name: open_source(self._disk, os.path.join(source, name), stack) for name in names
            }
            total = sum(journal.status.size_bytes for journal in journals.values())
            read = count_bytes(total, progress)
            entries = {name: self._copy(name, one, read) for name, one in journals.items()}
        self._report.manifest = Manifest(time_us=now_us, journals=entries)
        write_manifest(self._disk, self._target, self._report.manifest)
        for name, entry in entries.items():
            self._tidy(os.path.join(self._target, name), entry)
        self._report.damage = tuple(
            sentence for journal in journals.values() for sentence in journal.status.damage
        )
        return self._report

    def _copy(self, name: str, journal: OpenJournal, read: ReadBytes) -> ManifestJournal:
        directory = os.path.join(self._target, name)
        os.makedirs(directory, mode=0o750, exist_ok=True)
        self._disk.sync_directory(self._target)
        files: list[ManifestFile] = []
        for segment, fd in journal.segments:
            to = os.path.join(directory, str(segment.name))
            if segment.name.suffix == ROWS_SUFFIX:
                digest = self._copy_file(segment, fd, to, read)
            else:
                digest = self._copy_sealed(name, segment, fd, to, read)
            files.append(_manifest_file(segment, digest))
        self._disk.sync_directory(directory)
        return ManifestJournal(
            first=journal.status.first,
            last=journal.status.last,
            records=journal.status.records,
            cleared_through=journal.cleared_through,
            cleared_us=journal.status.cleared_us,
            files=tuple(files),
        )

    def _copy_file(self, segment: AnySegment, fd: int, to: str, read: ReadBytes) -> str:
        """Copy a file, of rows up to the last whole commit, unless that is there already."""
        digest = hash_descriptor(self._disk, fd, segment.end, read)
        stored, there = self._stored(to, segment.end)
        may_be_longer = segment.name.suffix == ROWS_SUFFIX
        if there == digest and (stored == segment.end or (may_be_longer and stored > segment.end)):
            self._report.unchanged += 1
            return digest
        digest = copy_file(self._disk, fd, segment.end, to)
        self._report.copied += 1
        self._report.copied_bytes += segment.end
        return digest

    def _copy_sealed(
        self, name: str, segment: AnySegment, fd: int, to: str, read: ReadBytes
    ) -> str:
        """Link or copy a sealed file, unless it is there already."""
        former = self._former.journals.get(name)
        known = former.named(str(segment.name)) if former else []
        if [one.size_bytes for one in known] == [segment.end] and self._is_same(
            fd, segment.end, to
        ):
            read(segment.end)
            self._report.unchanged += 1
            return known[0].sha256
        if former and known:
            self._allow(name, former, segment, fd)
        if link_file(self._disk, segment.path, to):
            size, digest = hash_file(self._disk, to, segment.end, read)
            if size == segment.end:
                self._report.linked += 1
                return digest
        return self._copy_file(segment, fd, to, read)

    def _allow(self, name: str, former: ManifestJournal, segment: AnySegment, fd: int) -> None:
        """Have the former manifest name what will replace a file of its own: a repair has
        rewritten it, or it is damaged in the backup."""
        digest = hash_descriptor(self._disk, fd, segment.end, lambda size: None)
        file = _manifest_file(segment, digest)
        if file not in former.files:
            either = attrs.evolve(former, files=(*former.files, file))
            journals = {**self._former.journals, name: either}
            self._former = attrs.evolve(self._former, journals=journals)
            write_manifest(self._disk, self._target, self._former)

    def _is_same(self, fd: int, size: int, path: str) -> bool:
        """Whether a sealed file is that of the backup: as long, and with the same trailer,
        which has a checksum of all that is said of its blocks."""
        try:
            other = self._disk.open(path, write=False)
        except FileNotFoundError:
            return False
        try:
            begin = max(0, size - TRAILER.size)
            return self._disk.size(other) == size and (
                self._disk.read(other, TRAILER.size, begin)
                == self._disk.read(fd, TRAILER.size, begin)
            )
        finally:
            self._disk.close(other)

    def _stored(self, path: str, size: int) -> tuple[int, str]:
        try:
            return hash_file(self._disk, path, size, lambda size: None)
        except FileNotFoundError:
            return -1, ""

    def _tidy(self, directory: str, entry: ManifestJournal) -> None:
        """Leave what the manifest names, so that the directory is a journal by itself."""
        cleared = TombstoneName(entry.cleared_through, entry.cleared_us)
        put_tombstone(self._disk, directory, cleared)
        for name in sorted(self._disk.names(directory)):
            path = os.path.join(directory, name)
            named = entry.named(name)
            if not named and (SegmentName.parse(name) or name.endswith(TEMPORARY_SUFFIX)):
                self._disk.unlink(path)
            elif named and name.endswith(ROWS_SUFFIX):
                self._cut(path, named[0].size_bytes)
        self._disk.sync_directory(directory)

    def _cut(self, path: str, size: int) -> None:
        """Take from a row file what an interrupted backup has added. The file is made anew:
        it might have another name elsewhere."""
        fd = self._disk.open(path, write=False)
        try:
            if self._disk.size(fd) > size:
                copy_file(self._disk, fd, size, path)
        finally:
            self._disk.close(fd)


def _manifest_file(segment: AnySegment, digest: str) -> ManifestFile:
    return ManifestFile(name=str(segment.name), size_bytes=segment.end, sha256=digest)
