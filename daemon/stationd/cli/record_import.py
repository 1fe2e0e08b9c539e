"""C{stationctl journal import}: lines of JSON into a journal that nobody writes.

All lines are read before anything is stored, so a line that is wrong stores nothing. What
the journal has already is not stored again, so an import can be cut short and begun again.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO

from stationd.cli.backup import JOURNALS, add_directory
from stationd.cli.progress import Progress
from stationd.errors import InvalidValue, JournalUnwritable, StationdError
from stationd.records import Draft

if TYPE_CHECKING:
    from stationd.journal.row_segment import RowSegment
    from stationd.journal.store import Store

BATCH_RECORDS = 1000
"""Records that are stored together, all or none."""

ReadBytes = Callable[[int], None]


class InvalidLine(StationdError):
    """A line of a file is no record."""


def add_command(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add what this module does to a command line."""
    what = "store records from lines of JSON; the daemon must be stopped"
    parser = actions.add_parser("import", help=what, description=what)
    parser.add_argument("file", metavar="FILE", help="what export has written; - for stdin")
    parser.add_argument("--journal", choices=JOURNALS, required=True, help="where they go")
    add_directory(parser)
    parser.set_defaults(do=_import)


def _import(options: argparse.Namespace) -> None:
    from stationd.journal.disk import Disk, raise_file_limit
    from stationd.journal.journal import SEGMENT_BYTES
    from stationd.journal.store import Store

    raise_file_limit()
    with _open_twice(options.file) as file:
        if not os.path.isdir(options.directory):
            raise StationdError(f"{options.directory} is no directory")
        directory = os.path.join(options.directory, options.journal)
        store = Store(
            directory,
            SEGMENT_BYTES,
            Disk(),
            lambda: time.time_ns() // 1000,
            lambda: secrets.randbits(32),
        )
        try:
            with Progress(options.file) as progress:
                importing = Import(store, options.file, options.journal == "event")
                try:
                    importing.run(file, progress)
                except JournalUnwritable as error:
                    stored = f"{importing.stored:,} records are stored; import again for the rest"
                    raise StationdError(f"{error}; {stored}") from error
            print(
                f"{directory}: {importing.stored:,} records stored, {importing.skipped:,} were "
                f"there already; last number {store.view.last}"
            )
        finally:
            store.close()


def _open_twice(path: str) -> BinaryIO:
    """A file that can be read more than once; of a pipe a copy is made."""
    if path != "-" and os.path.isfile(path):
        return open(path, "rb")
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - who calls closes it
    with sys.stdin.buffer if path == "-" else open(path, "rb") as file:
        shutil.copyfileobj(file, copy)
    return copy


class Import:
    """One import.

    @param name: of the file, for errors.
    @param events: whether each text has to be the JSON of an event.
    @ivar stored: how many records have been stored so far.
    @ivar skipped: how many the journal had already.
    """

    def __init__(self, store: Store, name: str, events: bool) -> None:
        self._store = store
        self._name = name
        self._events = events
        self._unsealed: list[RowSegment] = []
        self.stored = 0
        self.skipped = 0

    def run(self, file: BinaryIO, progress: Callable[[int, int], None]) -> None:
        """Check all lines, then store what is new.

        @raise InvalidLine: a line is wrong; nothing is stored.
        @raise JournalUnwritable: the disk refused; C{stored} records are stored.
        """
        from stationd.cli.record_lines import digest_of

        size = file.seek(0, os.SEEK_END)
        # Each line is read twice.
        wanted = {digest_of(draft) for draft in self._read(file, 0, 2 * size, progress)}
        present = self._count_present(wanted)
        drafts = self._new(self._read(file, size, 2 * size, progress), present)
        for batch in _batches(drafts):
            self._store.commit(batch)
            self.stored += len(batch)
            self._seal()

    def _read(
        self, file: BinaryIO, done: int, total: int, progress: Callable[[int, int], None]
    ) -> Iterator[Draft]:
        from stationd.cli.record_lines import MAX_LINE_BYTES, decode_draft

        file.seek(0)
        for number in itertools.count(1):
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            try:
                draft = decode_draft(line)
                if self._events:
                    _check_event(draft)
            except InvalidValue as error:
                stored = (
                    f"{self.stored:,} records are stored" if self.stored else "nothing is stored"
                )
                raise InvalidLine(f"{self._name}: line {number}: {error}; {stored}") from error
            done += len(line)
            progress(done, total)
            yield draft

    def _count_present(self, wanted: set[bytes]) -> Mapping[bytes, int]:
        """How often the journal has what is wanted."""
        from stationd.cli.record_lines import digest_of
        from stationd.interfaces import Query
        from stationd.journal.block_cache import BlockCache
        from stationd.journal.query import select

        present: collections.Counter[bytes] = collections.Counter()
        for records in select(self._store.view, Query(oldest_first=True), BlockCache()):
            present.update(digest for one in records if (digest := digest_of(one)) in wanted)
        return present

    def _new(self, drafts: Iterator[Draft], present: Mapping[bytes, int]) -> Iterator[Draft]:
        """What the journal has not got. One happening can be several records, so an origin is
        there with all of them or none; of equal records without one, so many are there."""
        from stationd.cli.record_lines import digest_of

        left = dict(present)
        for draft in drafts:
            digest = digest_of(draft)
            if not left.get(digest):
                yield draft
                continue
            self.skipped += 1
            if not draft.origin:
                left[digest] -= 1

    def _seal(self) -> None:
        """Seal what is full, as the daemon does: retention counts bytes."""
        from stationd.journal.block import BlockUnreadable
        from stationd.journal.seal import seal_segment
        from stationd.journal.seal_verification import verify_sealed_file

        def go_on() -> None:
            """Nobody else waits."""

        while (segment := self._store.next_to_seal(self._unsealed)) is not None:
            try:
                path = seal_segment(self._store.disk, segment, go_on)
                verify_sealed_file(self._store.disk, segment, path, go_on)
                self._store.install_sealed(segment, path)
            except (OSError, BlockUnreadable, JournalUnwritable):
                # Nothing is lost: it stays as it is, and the daemon tries again.
                self._unsealed.append(segment)


def _batches(drafts: Iterator[Draft]) -> Iterator[list[Draft]]:
    """Some at a time, but all with one origin that follow one another together."""
    batch: list[Draft] = []
    for draft in drafts:
        same = batch and draft.origin and draft.origin == batch[-1].origin
        if len(batch) >= BATCH_RECORDS and not same:
            yield batch
            batch = []
        batch.append(draft)
    if batch:
        yield batch


def _check_event(draft: Draft) -> None:
    try:
        found = json.loads(draft.text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidValue("text", draft.text[:60], "the JSON of an event, an object")
