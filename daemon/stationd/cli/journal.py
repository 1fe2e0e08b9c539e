"""C{stationctl journal}: whether the files of a journal are whole, and mending them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

from stationd.config import DEFAULT_DIRECTORY
from stationd.errors import StationdError

PROGRESS_INTERVAL = 0.2
"""Seconds between two words about how far it is."""


class JournalDamaged(StationdError):
    """A journal is damaged; what is wrong has been printed."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add what this module does to a command line."""
    parser = commands.add_parser("journal", help="look after the files of the journals")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, do, what in (
        ("verify", _verify, "look at every byte; the daemon may be running"),
        ("repair", _repair, "seal what can be read of damaged files, and keep these"),
    ):
        action = actions.add_parser(name, help=what, description=what)
        action.add_argument(
            "directories",
            nargs="*",
            metavar="DIRECTORY",
            help=f"a journal, or what has journals in it ({DEFAULT_DIRECTORY})",
        )
        action.set_defaults(do=do)


def _verify(options: argparse.Namespace) -> None:
    from stationd.journal.verify import verify

    damaged = []
    for directory in _find_journals(options.directories or [DEFAULT_DIRECTORY]):
        with _Progress(directory) as progress:
            report = verify(directory, progress)
        for sentence in report.damage:
            print(f"damage: {sentence}")
        for sentence in report.notes:
            print(f"note: {sentence}")
        files = _count_files(report.segments)
        size = f"{report.records:,} records in {files}, {report.size_bytes:,} bytes"
        print(f"{directory}: {size}: {'damaged' if report.damage else 'whole'}")
        if report.damage:
            damaged.append(directory)
    if damaged:
        raise JournalDamaged(f"damaged: {', '.join(damaged)}; 'stationctl journal repair' mends it")


def _repair(options: argparse.Namespace) -> None:
    from stationd.journal.disk import Disk
    from stationd.journal.repair import repair

    for directory in _find_journals(options.directories or [DEFAULT_DIRECTORY]):
        with _Progress(directory) as progress:
            done = repair(directory, Disk(), progress)
        for sentence in done:
            print(sentence)
        print(f"{directory}: {_count_files(len(done))} repaired" if done else f"{directory}: whole")


def _count_files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"


def _find_journals(given: list[str]) -> list[str]:
    """The journals among some directories and right below them.

    @raise StationdError: one of them has none.
    """
    from stationd.journal.disk import raise_file_limit
    from stationd.journal.file_header import SegmentName

    raise_file_limit()

    def is_journal(directory: str) -> bool:
        return any(map(SegmentName.parse, os.listdir(directory)))

    found: list[str] = []
    for directory in given:
        if is_journal(directory):
            found.append(directory)
            continue
        below = [entry.path for entry in os.scandir(directory) if entry.is_dir()]
        journals = sorted(filter(is_journal, below))
        if not journals:
            raise StationdError(f"{directory} is no journal and has none in it")
        found += journals
    return found


class _Progress:
    """How far it is, on a terminal."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._shown = time.monotonic()

    def __enter__(self) -> Callable[[int, int], None]:
        return self._show if sys.stderr.isatty() else lambda done, of: None

    def _show(self, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self._shown >= PROGRESS_INTERVAL and of:
            self._shown = now
            print(f"\r{self._directory}: {done * 100 // of} %", end="", file=sys.stderr, flush=True)

    def __exit__(self, *failure: object) -> None:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
