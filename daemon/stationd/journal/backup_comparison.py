"""Comparing journals with the manifest of a backup: what is missing, or older."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import attrs

from stationd.errors import BackupFailed, JournalUnreadable
from stationd.interfaces import JournalStatus
from stationd.journal.backup_files import count_bytes
from stationd.journal.backup_manifest import (
    Manifest,
    ManifestJournal,
    find_files,
    read_manifest,
)
from stationd.journal.disk import Disk
from stationd.journal.file_header import SegmentName
from stationd.journal.read_only_journal import ReadOnlyJournal
from stationd.messages import damage_messages
from stationd.messages.file_reason_messages import BACKUP_EMPTY, BACKUP_MANIFEST_MISSING


@attrs.frozen
class Comparison:
    """What a comparison found.

    @ivar missing: a sentence for each thing that the manifest has and that is not there.
    @ivar notes: a sentence for each that is not wrong, but that one may want to know of.
    """

    missing: tuple[str, ...]
    notes: tuple[str, ...]


def compare_with_backup(
    directory: str, backup: str, progress: Callable[[int, int], None]
) -> Comparison:
    """Compare journals with the manifest of a backup: their numbers, which may have gone on since;
    and if they are those of the backup itself, every byte.

    @param directory: a journal by the name that it has in the backup, or what has journals in it.
    @param backup: what has the manifest.
    @param progress: told how many bytes have been looked at, of how many.
    @raise BackupFailed: there is no manifest, or a file cannot be read.
    """
    manifest = _require_manifest(backup)
    directories = _find_directories(directory, manifest)
    missing: list[str] = []
    notes: list[str] = []
    inside = {
        name: manifest.journals[name]
        for name, path in directories.items()
        if os.path.realpath(path) == os.path.realpath(os.path.join(backup, name))
    }
    if inside:
        read = count_bytes(sum(one.size_bytes for one in inside.values()), progress)
        for name, journal in inside.items():
            try:
                missing += find_files(Disk(), directories[name], journal, read)[1]
            except OSError as error:
                raise BackupFailed(directories[name], error.strerror or str(error)) from error
    for name, path in directories.items():
        _compare_numbers(path, manifest.journals[name], missing, notes)
    return Comparison(tuple(missing), tuple(notes))


def _require_manifest(directory: str) -> Manifest:
    try:
        manifest = read_manifest(Disk(), directory)
    except OSError as error:
        raise BackupFailed(directory, error.strerror or str(error)) from error
    if manifest is None:
        raise BackupFailed(directory, BACKUP_MANIFEST_MISSING.text)
    if not manifest.journals:
        raise BackupFailed(directory, BACKUP_EMPTY.text)
    return manifest


def _find_directories(directory: str, manifest: Manifest) -> Mapping[str, str]:
    """Where each journal of a manifest should be."""
    name = os.path.basename(os.path.abspath(directory))
    if name in manifest.journals and any(map(SegmentName.parse, os.listdir(directory))):
        return {name: directory}
    return {name: os.path.join(directory, name) for name in manifest.journals}


def _compare_numbers(
    directory: str, expected: ManifestJournal, missing: list[str], notes: list[str]
) -> None:
    status = _status(directory)
    numbers = {"first": expected.first, "last": expected.last}
    if status is None:
        absent = damage_messages.BACKUP_JOURNAL_MISSING
        missing.append(absent.render(directory=directory, **numbers))
        return
    if status.last < expected.last:
        newest = damage_messages.NEWEST_RECORDS_MISSING
        last = {"last": status.last, "expected": expected.last}
        missing.append(newest.render(directory=directory, **last))
    if status.first > expected.first and expected.records:
        oldest = damage_messages.OLDEST_RECORDS_MISSING
        first = {"first": status.first, "expected": expected.first}
        notes.append(oldest.render(directory=directory, **first))


def _status(directory: str) -> JournalStatus | None:
    """What a journal holds, C{None} if there is none."""
    try:
        status = ReadOnlyJournal(directory).status()
    except JournalUnreadable:
        return None
    return status if status.segments else None
