"""C{stationctl journal}: whether the files of a journal are whole, and repairing them. What else
is done with journals is in modules of its own."""

from __future__ import annotations

import argparse
import os

from stationd.cli import backup, record_export, record_import
from stationd.cli.progress import Progress
from stationd.config import DEFAULT_DIRECTORY
from stationd.errors import StationdError


class JournalDamaged(StationdError):
    """A journal is damaged; what is wrong has been printed."""


class JournalIncomplete(StationdError):
    """A journal has not all that a backup has; what is missing has been printed."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add what this module and its siblings do to a command line."""
    parser = commands.add_parser("journal", help="look after the files of the journals")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    what = "read every byte; the daemon may be running"
    verify = actions.add_parser("verify", help=what, description=what)
    verify.add_argument(
        "--manifest",
        metavar="BACKUP",
        help="compare with this backup: report records that it has and the journal has not",
    )
    verify.set_defaults(do=_verify)
    what = "seal what can be read of damaged files, and keep these; the daemon must be stopped"
    repair = actions.add_parser("repair", help=what, description=what)
    repair.set_defaults(do=_repair)
    for action in (verify, repair):
        action.add_argument(
            "directories",
            nargs="*",
            metavar="DIRECTORY",
            help=f"a journal, or a directory that has journals in it ({DEFAULT_DIRECTORY})",
        )
    backup.add_commands(actions)
    record_export.add_command(actions)
    record_import.add_command(actions)


def _verify(options: argparse.Namespace) -> None:
    from stationd.journal.verify import verify

    given = options.directories or [DEFAULT_DIRECTORY]
    damaged = []
    for directory in _find_journals(given):
        with Progress(directory) as progress:
            report = verify(directory, progress)
        for sentence in report.damage:
            print(f"damage: {sentence}")
        for sentence in report.notes:
            print(f"note: {sentence}")
        numbers = f"last number {report.last}"
        if report.records:
            numbers = f"first number {report.first}, {numbers}"
        size = f"{report.records:,} records in {_count_files(report.segments)}"
        found = f"{size}, {report.size_bytes:,} bytes, {numbers}"
        print(f"{directory}: {found}: {'damaged' if report.damage else 'whole'}")
        if report.damage:
            damaged.append(directory)
    incomplete = [one for one in given if not _compare(one, _find_backups(one, options.manifest))]
    if incomplete:
        raise JournalIncomplete(
            f"incomplete: {', '.join(incomplete)}; restore a whole backup, or copy it again"
        )
    if damaged:
        raise JournalDamaged(f"damaged: {', '.join(damaged)}; 'stationctl journal repair' mends it")


def _find_backups(directory: str, named: str | None) -> list[str]:
    """The backups to compare a directory with: that which it is, or is a journal of, and the one
    that was named."""
    from stationd.journal.backup_manifest import MANIFEST_NAME

    above = os.path.dirname(os.path.abspath(directory)) if _is_journal(directory) else directory
    own = [above] if os.path.exists(os.path.join(above, MANIFEST_NAME)) else []
    return own if named is None else [*own, named]


def _compare(directory: str, backups: list[str]) -> bool:
    """Whether journals have all that the manifests of some backups name."""
    from stationd.journal.backup_comparison import compare_with_backup

    complete = True
    for one in backups:
        with Progress(one) as progress:
            compared = compare_with_backup(directory, one, progress)
        for sentence in compared.notes:
            print(f"note: {sentence}")
        for sentence in compared.missing:
            print(f"missing: {sentence}")
        if compared.missing:
            complete = False
        else:
            print(f"{directory}: complete by the manifest of {one}")
    return complete


def _repair(options: argparse.Namespace) -> None:
    from stationd.journal.disk import Disk
    from stationd.journal.repair import repair

    for directory in _find_journals(options.directories or [DEFAULT_DIRECTORY]):
        with Progress(directory) as progress:
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

    raise_file_limit()
    found: list[str] = []
    for directory in given:
        if _is_journal(directory):
            found.append(directory)
            continue
        # What a restore has set aside, or not finished, has a dot in its name.
        below = [
            entry.path
            for entry in os.scandir(directory)
            if entry.is_dir() and "." not in entry.name
        ]
        journals = sorted(filter(_is_journal, below))
        if not journals:
            raise StationdError(f"{directory} is no journal and has none in it")
        found += journals
    return found


def _is_journal(directory: str) -> bool:
    from stationd.journal.file_header import SegmentName, TombstoneName

    return any(
        SegmentName.parse(name) or TombstoneName.parse(name) for name in os.listdir(directory)
    )
