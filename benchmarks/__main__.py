"""C{make bench}: the contenders in turn, some rounds of that, and tables of what each reached."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile

from benchmarks import journald
from benchmarks.table import tables
from benchmarks.timing import Result

CONTENDERS = {
    "stationd": ("writing", "reading", "serving"),
    "sqlite": ("sqlite",),
    "journald": ("journald",),
}
"""Modules, each a process; those of one contender share a directory."""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="for all (%(default)s)")
    parser.add_argument("--many", type=int, default=10_000_000, help="for us (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of all contenders (%(default)s)")
    parser.add_argument(
        "--directory", default=".", help="where the files go: on the disk that counts (%(default)s)"
    )
    options = parser.parse_args()
    reason = journald.missing()
    contenders = [name for name in CONTENDERS if name != "journald" or not reason]
    turns = [(number, name) for number in range(options.rounds) for name in contenders]
    rounds: dict[str, list[Result]] = {name: [] for name in [*contenders, "many"]}
    for number, name in turns:
        label = f"round {number + 1} of {options.rounds}, {options.records:,} records"
        rounds[name].append(_turn(name, options.records, options.directory, label))
    if options.many:
        label = f"{options.many:,} records"
        rounds["many"] = [_turn("stationd", options.many, options.directory, label)]
    _show_progress("zstd")
    rounds["stationd"].append(_measured("corpus", options.records, options.directory))
    _show_progress("")
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    print(f"{options.records:,} records of the log, and their events; once {options.many:,}.")
    print(f"Median of {options.rounds} rounds (least..greatest); N x: we are N times as good.\n")
    if reason:
        print(f"journald is left out: {reason}\n")
    print(tables(rounds))


def _show_progress(what: str) -> None:
    """Show on a terminal what is being done, in the place of what was shown before."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


def _turn(name: str, count: int, parent: str, label: str) -> Result:
    """One contender, in a directory of its own."""
    directory = tempfile.mkdtemp(prefix="bench-", dir=parent)
    result: Result = {}
    try:
        for module in CONTENDERS[name]:
            _show_progress(f"{label}: {module}")
            result |= _measured(module, count, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return result


def _measured(module: str, count: int, directory: str) -> Result:
    command = [sys.executable, "-m", f"benchmarks.{module}", str(count), directory]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: Result = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
