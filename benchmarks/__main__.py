"""C{make bench}: every contender, one after the other, and a table of what each reached."""

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
from benchmarks.table import table
from benchmarks.timing import Result


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="for all (%(default)s)")
    parser.add_argument("--many", type=int, default=10_000_000, help="for us (%(default)s)")
    parser.add_argument(
        "--directory", default=".", help="where the files go: on the disk that counts (%(default)s)"
    )
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="bench-", dir=options.directory)
    try:
        few = os.path.join(directory, "few")
        ours = _ours(options.records, few)
        sqlite = _measured("sqlite", options.records, os.path.join(directory, "sqlite"))
        if reason := journald.missing():
            print(f"journald is left out: {reason}")
        peer = {} if reason else _measured("journald", options.records, directory)
        shutil.rmtree(few)
        many = _ours(options.many, os.path.join(directory, "many")) if options.many else {}
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"\n{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    print(f"{options.records:,} records for all, {options.many:,} in the second column\n")
    print(table(ours, many, sqlite, peer))


def _ours(count: int, directory: str) -> Result:
    result: Result = {}
    for name in ("writing", "reading", "serving"):
        result |= _measured(name, count, directory)
    return result


def _measured(name: str, count: int, directory: str) -> Result:
    print(f"{name}, {count:,} records", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", str(count), directory]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: Result = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
