"""The manifest of a backup: what is in it, and how to know that it is whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import cast

import attrs

from stationd.errors import BackupFailed
from stationd.journal.backup_files import ReadBytes, hash_file
from stationd.journal.disk import IDisk, replace_file
from stationd.journal.file_header import SegmentName
from stationd.messages import damage_messages, file_reason_messages
from stationd.records import JsonValue

MANIFEST_NAME = "manifest.json"

FORMAT = 1
"""Raised when a manifest has something that an older stationd must understand."""


@attrs.frozen(kw_only=True)
class ManifestFile:
    """A segment in a backup. Only its first C{size_bytes} count: a backup that was
    interrupted may have made the file longer.

    @ivar sha256: of these bytes, in hexadecimal.
    """

    name: str
    size_bytes: int
    sha256: str


@attrs.frozen(kw_only=True)
class ManifestJournal:
    """A journal in a backup.

    @ivar first: the oldest number, C{last + 1} if there is none.
    @ivar last: the newest number that was ever given.
    @ivar records: how many records there are.
    @ivar cleared_through: the last number that was cleared, 0 if none was; C{cleared_us}: when.
    @ivar files: its segments, in order. If a name is there twice either counts: a backup was
        interrupted that had begun to replace one by the other.
    """

    first: int
    last: int
    records: int
    cleared_through: int
    cleared_us: int
    files: tuple[ManifestFile, ...]

    @property
    def size_bytes(self) -> int:
        """What its files hold."""
        return sum(file.size_bytes for file in self.files)

    def named(self, name: str) -> list[ManifestFile]:
        """What a file may be."""
        return [file for file in self.files if file.name == name]


@attrs.frozen(kw_only=True)
class Manifest:
    """A backup.

    @ivar time_us: when it was made.
    @ivar journals: by name: C{log}, C{event}. None: the first backup has not been finished.
    """

    time_us: int
    journals: Mapping[str, ManifestJournal]


def write_manifest(disk: IDisk, directory: str, manifest: Manifest) -> None:
    """Put a manifest in place of the former one, durable: from now on it counts.

    @raise OSError: the former one counts, unless the very last step failed.
    """
    replace_file(disk, os.path.join(directory, MANIFEST_NAME), encode_manifest(manifest))


def read_manifest(disk: IDisk, directory: str) -> Manifest | None:
    """The manifest in a directory, C{None} if it has none.

    @raise BackupFailed: it is damaged, or from a newer stationd.
    @raise OSError: it cannot be read.
    """
    path = os.path.join(directory, MANIFEST_NAME)
    try:
        fd = disk.open(path, write=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        raw = disk.read(fd, disk.size(fd), 0)
    finally:
        disk.close(fd)
    return decode_manifest(path, raw)


def encode_manifest(manifest: Manifest) -> bytes:
    """The JSON of a manifest."""
    journals: dict[str, JsonValue] = {}
    for name, journal in manifest.journals.items():
        journals[name] = {
            "first": journal.first,
            "last": journal.last,
            "records": journal.records,
            "cleared_through": journal.cleared_through,
            "cleared_us": journal.cleared_us,
            "files": [attrs.asdict(file) for file in journal.files],
        }
    document: dict[str, JsonValue] = {
        "format": FORMAT,
        "time_us": manifest.time_us,
        "journals": journals,
    }
    document["sha256"] = _digest(document)
    return (json.dumps(document, indent=1) + "\n").encode()


def decode_manifest(path: str, raw: bytes) -> Manifest:
    """What L{encode_manifest} has made.

    @param path: of the file, for errors.
    @raise BackupFailed: it is damaged, or from a newer stationd.
    """
    try:
        document = json.loads(raw)
        format, digest = document["format"], document.pop("sha256")
        if isinstance(format, int) and format > FORMAT:
            newer = file_reason_messages.BACKUP_MANIFEST_TOO_NEW
            raise BackupFailed(path, newer.render(format=format, known=FORMAT))
        if digest != _digest(document):
            raise ValueError(file_reason_messages.BACKUP_MANIFEST_CHECKSUM.text)
        journals = {
            name: _decode_journal(name, journal) for name, journal in document["journals"].items()
        }
        return Manifest(time_us=_whole(document["time_us"]), journals=journals)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        invalid = file_reason_messages.BACKUP_MANIFEST_INVALID
        raise BackupFailed(path, invalid.render(error=error)) from error


def _decode_journal(name: str, journal: Mapping[str, JsonValue]) -> ManifestJournal:
    files = cast(list[Mapping[str, JsonValue]], journal["files"])
    # These become paths.
    if not name.isidentifier() or any(not SegmentName.parse(str(file["name"])) for file in files):
        raise ValueError(name)
    return ManifestJournal(
        first=_whole(journal["first"]),
        last=_whole(journal["last"]),
        records=_whole(journal["records"]),
        cleared_through=_whole(journal["cleared_through"]),
        cleared_us=_whole(journal["cleared_us"]),
        files=tuple(
            ManifestFile(
                name=str(file["name"]),
                size_bytes=_whole(file["size_bytes"]),
                sha256=str(file["sha256"]),
            )
            for file in files
        ),
    )


def _whole(value: JsonValue) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


def _digest(document: Mapping[str, JsonValue]) -> str:
    """Of a manifest, however its JSON is laid out."""
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def find_file(
    disk: IDisk, path: str, candidates: Sequence[ManifestFile], read: ReadBytes
) -> ManifestFile | str:
    """Which of the files that a manifest names a file is, or a sentence if it is none of them.

    @param candidates: those of its name, one at least.
    @raise OSError: the disk does not give it.
    """
    for file in candidates:
        try:
            size, digest = hash_file(disk, path, file.size_bytes, read)
        except FileNotFoundError:
            return damage_messages.BACKUP_FILE_MISSING.render(path=path)
        if size >= file.size_bytes and digest == file.sha256:
            return file
    if size < file.size_bytes:
        sizes = {"size": size, "expected": file.size_bytes}
        return damage_messages.BACKUP_FILE_SHORT.render(path=path, **sizes)
    return damage_messages.BACKUP_FILE_DIFFERS.render(path=path)


def find_files(
    disk: IDisk, directory: str, journal: ManifestJournal, read: ReadBytes
) -> tuple[list[ManifestFile], list[str]]:
    """The files of a journal in a backup that are as its manifest says, and a sentence for each
    that is not.

    @param directory: where the journal's files are.
    @raise OSError: the disk does not give one.
    """
    files: list[ManifestFile] = []
    problems: list[str] = []
    for name in dict.fromkeys(file.name for file in journal.files):
        found = find_file(disk, os.path.join(directory, name), journal.named(name), read)
        if isinstance(found, str):
            problems.append(found)
        else:
            files.append(found)
    return files, problems
