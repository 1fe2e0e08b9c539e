"""Restoring a backup: checked whole, copied beside what is there, then put in its place."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Sequence

import attrs

from stationd.errors import BackupFailed
from stationd.journal.backup_files import copy_file, count_bytes
from stationd.journal.backup_manifest import (
    Manifest,
    ManifestJournal,
    find_files,
    read_manifest,
)
from stationd.journal.directory_lock import LOCK_NAME, Lock
from stationd.journal.disk import TEMPORARY_SUFFIX, IDisk
from stationd.journal.file_header import TombstoneName
from stationd.journal.tombstone import put_tombstone
from stationd.messages import file_reason_messages as reasons

RESTORING_SUFFIX = ".restoring"
"""After the name of a journal's directory that is being made; it means nothing."""

FORMER_SUFFIX = ".before-restore"
"""After the name of a journal's directory that was replaced."""


@attrs.frozen
class RestoreReport:
    """What was restored.

    @ivar manifest: of the backup.
    @ivar kept: where the directories are that were replaced.
    """

    manifest: Manifest
    kept: tuple[str, ...]


def restore_backup(
    source: str,
    directory: str,
    disk: IDisk,
    progress: Callable[[int, int], None],
    *,
    force: bool,
) -> RestoreReport:
    """Put the journals of a backup where nobody writes.

    @param source: the backup; nothing in it is changed.
    @param directory: what gets the journals; it is made if it is not there.
    @param progress: told how many bytes have been looked at, of how many.
    @param force: set journals aside that have something in them.
    @raise BackupFailed: there is no whole backup, or a journal that is not empty, or the disk
        refused. Nothing has changed, unless a journal is named in the error: then those before
        it are restored.
    @raise stationd.errors.JournalLocked: somebody writes a journal there.
    """
    try:
        manifest = read_whole_backup(source, disk, progress)
        os.makedirs(directory, mode=0o750, exist_ok=True)
        disk.sync_directory(os.path.dirname(os.path.abspath(directory)))
        with contextlib.ExitStack() as stack:
            targets = {name: os.path.join(directory, name) for name in manifest.journals}
            for target in targets.values():
                os.makedirs(target, mode=0o750, exist_ok=True)
                stack.callback(Lock(target).release)
            filled = [target for target in targets.values() if _has_files(disk, target)]
            if filled and not force:
                raise BackupFailed(filled[0], reasons.RESTORE_TARGET_NOT_EMPTY.text)
            for name, target in targets.items():
                _copy_journal(disk, os.path.join(source, name), target, manifest.journals[name])
            kept = [_replace(disk, target, target in filled) for target in targets.values()]
        return RestoreReport(manifest, tuple(filter(None, kept)))
    except OSError as error:
        path = error.filename if isinstance(error.filename, str) else directory
        raise BackupFailed(path, error.strerror or str(error)) from error


def read_whole_backup(source: str, disk: IDisk, progress: Callable[[int, int], None]) -> Manifest:
    """The manifest of a backup, all of whose files are as it says.

    @raise BackupFailed: one is not, or there is no backup.
    @raise OSError: it cannot be read.
    """
    manifest = read_manifest(disk, source)
    if manifest is None:
        raise BackupFailed(source, reasons.BACKUP_MANIFEST_MISSING.text)
    if not manifest.journals:
        raise BackupFailed(source, reasons.BACKUP_EMPTY.text)
    read = count_bytes(sum(one.size_bytes for one in manifest.journals.values()), progress)
    journals: dict[str, ManifestJournal] = {}
    for name, journal in manifest.journals.items():
        files, problems = find_files(disk, os.path.join(source, name), journal, read)
        for problem in problems:
            raise BackupFailed(source, reasons.BACKUP_DAMAGED.render(problem=problem))
        journals[name] = attrs.evolve(journal, files=tuple(files))
    return attrs.evolve(manifest, journals=journals)


def _has_files(disk: IDisk, target: str) -> bool:
    return any(
        name != LOCK_NAME and not name.endswith(TEMPORARY_SUFFIX) for name in disk.names(target)
    )


def _copy_journal(disk: IDisk, source: str, target: str, journal: ManifestJournal) -> None:
    """Make a journal beside the one that it will replace, durable.

    @raise BackupFailed: a file has changed since it was checked.
    """
    restoring = target + RESTORING_SUFFIX
    os.makedirs(restoring, mode=0o750, exist_ok=True)
    for name in disk.names(restoring):
        disk.unlink(os.path.join(restoring, name))
    for file in journal.files:
        path = os.path.join(source, file.name)
        fd = disk.open(path, write=False)
        try:
            digest = copy_file(disk, fd, file.size_bytes, os.path.join(restoring, file.name))
        finally:
            disk.close(fd)
        if digest != file.sha256:
            raise BackupFailed(path, reasons.RESTORE_COPY_DIFFERS.text)
    put_tombstone(disk, restoring, TombstoneName(journal.cleared_through, journal.cleared_us))
    disk.sync_directory(restoring)


def _replace(disk: IDisk, target: str, filled: bool) -> str:
    """Put the journal that was made in its place; where the former one is, if it had files."""
    directory = os.path.dirname(os.path.abspath(target))
    kept = ""
    if filled:
        kept = _unused_name(disk.names(directory), target)
        disk.rename(target, kept)
    else:
        # A directory takes the place of an empty one only.
        for name in disk.names(target):
            disk.unlink(os.path.join(target, name))
    try:
        disk.rename(target + RESTORING_SUFFIX, target)
    except OSError:
        if kept:
            with contextlib.suppress(OSError):
                disk.rename(kept, target)
        raise
    disk.sync_directory(directory)
    return kept


def _unused_name(names: Sequence[str], target: str) -> str:
    numbers = itertools.chain([""], map(str, itertools.count(2)))
    base = target + FORMER_SUFFIX
    return next(base + n for n in numbers if os.path.basename(base + n) not in names)
