"""C{stationctl journal backup} and C{restore}."""

from __future__ import annotations

import argparse
import sys
import time

from stationd.cli.progress import Progress
from stationd.config import DEFAULT_DIRECTORY
from stationd.errors import StationdError

JOURNALS = ("log", "event")
"""The journals of a daemon, by the names of their directories."""


class SourceDamaged(StationdError):
    """A backup was made of journals that are damaged; what is wrong has been printed."""


def add_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add what this module does to a command line."""
    what = "back up both journals, or bring a backup up to date; the daemon may be running"
    backup = actions.add_parser("backup", help=what, description=what)
    backup.add_argument("target", metavar="TARGET", help="a new directory, or an earlier backup")
    backup.set_defaults(do=_back_up)
    what = "put the journals of a backup in place; the daemon must be stopped"
    restore = actions.add_parser("restore", help=what, description=what)
    restore.add_argument("source", metavar="SOURCE", help="a backup")
    restore.add_argument(
        "--force", action="store_true", help="set journals aside that are not empty"
    )
    restore.set_defaults(do=_restore)
    for action in (backup, restore):
        add_directory(action)


def add_directory(action: argparse.ArgumentParser) -> None:
    """Add the option that names the directory of the journals."""
    action.add_argument(
        "--directory",
        default=DEFAULT_DIRECTORY,
        metavar="DIRECTORY",
        help="what has the journals log and event in it (%(default)s)",
    )


def _back_up(options: argparse.Namespace) -> None:
    from stationd.journal.backup import back_up
    from stationd.journal.disk import Disk, raise_file_limit

    raise_file_limit()
    with Progress(options.target) as progress:
        report = back_up(
            options.directory,
            JOURNALS,
            options.target,
            Disk(),
            lambda: time.time_ns() // 1000,
            progress,
        )
    for sentence in report.damage:
        print(f"damage: {sentence}", file=sys.stderr)
    journals = report.manifest.journals
    numbers = ", ".join(f"{name} to number {one.last}" for name, one in journals.items())
    files = f"{report.copied} copied, {report.linked} linked, {report.unchanged} unchanged"
    print(f"{options.target}: {numbers}; files: {files}; {report.copied_bytes:,} bytes copied")
    if report.damage:
        raise SourceDamaged(
            f"backed up with its damage: {options.directory}; see 'stationctl journal verify'"
        )


def _restore(options: argparse.Namespace) -> None:
    from stationd.journal.backup_restore import restore_backup
    from stationd.journal.disk import Disk, raise_file_limit

    raise_file_limit()
    with Progress(options.source) as progress:
        report = restore_backup(
            options.source, options.directory, Disk(), progress, force=options.force
        )
    for path in report.kept:
        print(f"note: what was there is kept as {path}")
    for name, journal in report.manifest.journals.items():
        print(
            f"{options.directory}/{name}: restored {journal.records:,} records, "
            f"last number {journal.last}"
        )
