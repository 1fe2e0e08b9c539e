"""C{stationctl journal export}: records as lines of JSON, oldest first."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from stationd.cli.backup import JOURNALS, add_directory
from stationd.errors import StationdError

if TYPE_CHECKING:
    from stationd.interfaces import Query
    from stationd.journal.read_only_journal import ReadOnlyJournal

FILTERS = (
    ("after", "NUMBER", "only numbers above this one"),
    ("before", "NUMBER", "only numbers below this one"),
    ("time-start", "SECONDS", "the earliest time, since the epoch, included"),
    ("time-end", "SECONDS", "the latest time, included"),
    ("level", "LEVELS", "one or more of DEBUG, INFO, WARN, ERROR, comma between"),
    ("category", "CATEGORIES", "one or more, comma between"),
    ("user", "USER", "exactly"),
    ("container", "CONTAINER", "docker/ID, lxc/NAME, or a bare name or id"),
    ("text", "TEXT", "a part of the text; case is ignored"),
)
"""What C{GET /api/v1/log} has too, with the same meaning."""

PIPE_CLOSED = 141
"""The exit code of what SIGPIPE ends: 128 and its number."""


class ExportIncomplete(StationdError):
    """Some records could not be read; the damage has been printed."""


def add_command(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add what this module does to a command line."""
    what = "write the records of a journal as lines of JSON; the daemon may be running"
    export = actions.add_parser("export", help=what, description=what)
    export.add_argument("--journal", choices=JOURNALS, default="log", help="which (%(default)s)")
    add_directory(export)
    export.add_argument("--output", metavar="FILE", help="write there, not to standard output")
    for name, value, meaning in FILTERS:
        export.add_argument(f"--{name}", metavar=value, help=meaning)
    export.set_defaults(do=_export)


def _export(options: argparse.Namespace) -> None:
    from stationd.journal.disk import raise_file_limit
    from stationd.journal.read_only_journal import ReadOnlyJournal

    query = _parse_query(options)
    raise_file_limit()
    directory = os.path.join(options.directory, options.journal)
    journal = ReadOnlyJournal(directory)
    if not journal.status().segments:
        raise StationdError(f"{directory} is no journal")
    lines = _lines(journal, query)
    if options.output is None:
        _write_to_pipe(lines)
    else:
        _write_file(options.output, lines)
    if damage := journal.status().damage:
        for sentence in damage:
            print(f"damage: {sentence}", file=sys.stderr)
        raise ExportIncomplete(f"damaged: {directory}; what cannot be read was left out")


def _parse_query(options: argparse.Namespace) -> Query:
    import attrs

    from stationd.web.query_parameters import parse_log_query

    names = [name.replace("-", "_") for name, _, _ in FILTERS]
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    # What the daemon knows of names of Docker's containers is not known here.
    query = parse_log_query(given, lambda key: frozenset({f"docker/{key}", f"lxc/{key}"}), None)
    return attrs.evolve(query, oldest_first=True)


def _lines(journal: ReadOnlyJournal, query: Query) -> Iterator[bytes]:
    from stationd.cli.record_lines import encode_record

    for records in journal.select(query):
        if records:
            yield "".join(map(encode_record, records)).encode()


def _write_to_pipe(lines: Iterator[bytes]) -> None:
    """Write to standard output; if whoever reads it goes away, end without a word."""
    out: BinaryIO = sys.stdout.buffer
    try:
        for chunk in lines:
            out.write(chunk)
        out.flush()
    except BrokenPipeError:
        # The interpreter flushes it once more as it ends.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
        raise SystemExit(PIPE_CLOSED) from None


def _write_file(path: str, lines: Iterator[bytes]) -> None:
    """Write a file whole or not at all."""
    temporary = path + ".new"
    try:
        with open(temporary, "wb") as file:
            for chunk in lines:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
