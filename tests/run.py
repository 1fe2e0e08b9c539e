"""All tests, in three lines side by side: those that need an engine or LXC, which mostly wait for
it; the other functional ones; and those that only need Python, first the quick ones and then the
exhaustive ones.

C{python -m tests.run} runs all, shows the first line as it goes and the others at the end, and
exits with 1 if one of them failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import IO

HERE = os.path.dirname(os.path.abspath(__file__))

UNIT = ("cli", "journal", "plugins", "web")
"""Packages of tests that are quick and need no laboratory, as are the modules beside them."""

ENGINES = ("bench", "chaos", "clock", "docker", "gaps", "lxc", "nftables", "stats", "waits")
"""Functional tests that use the laboratory's engine or LXC, by how their names begin."""


def modules(directory: str) -> list[str]:
    """The names of the test modules in a directory of ours, without C{.py}."""
    names = os.listdir(os.path.join(HERE, directory))
    return sorted(name.removesuffix(".py") for name in names if name.startswith("test_"))


def unit_tests() -> list[str]:
    """The names of the tests that are quick and need no laboratory."""
    return [f"tests.{name}" for name in sorted([*UNIT, *modules(".")])]


def functional_tests(*, engines: bool) -> list[str]:
    """The names of the functional tests.

    @param engines: those that use an engine or LXC, or else the others.
    """
    begins = tuple(f"test_{name}" for name in ENGINES)
    return [
        f"tests.functional.{name}"
        for name in modules("functional")
        if name.startswith(begins) == engines
    ]


def trial(*arguments: str) -> list[str]:
    """The command that runs tests."""
    return [sys.executable, "-m", "twisted.trial", *arguments]


class Line(threading.Thread):
    """Runs kinds of tests one after the other.

    @param kinds: the name of each, and its tests.
    @param output: where what they write goes, C{None} for where ours goes.
    @ivar codes: the exit codes of those that have ended.
    """

    def __init__(self, kinds: Sequence[tuple[str, list[str]]], output: IO[str] | None) -> None:
        super().__init__(daemon=True)
        self._kinds = kinds
        self._output = output
        self._now: subprocess.Popen[bytes] | None = None
        self.codes: list[int] = []

    def run(self) -> None:
        for name, tests in self._kinds:
            command = trial("--temp-directory", f"_trial_temp-{name}", *tests)
            errors = None if self._output is None else subprocess.STDOUT
            self._now = subprocess.Popen(command, stdout=self._output, stderr=errors)
            self.codes.append(self._now.wait())

    def end(self) -> None:
        """End the tests that run now."""
        if self._now is not None:
            self._now.terminate()

    def outcome(self) -> int:
        """Wait for all; 0 if all of them passed."""
        self.join()
        return int(any(self.codes) or len(self.codes) < len(self._kinds))


def main() -> int:
    """Run all; the exit code."""
    engines = Line([("engines", functional_tests(engines=True))], None)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as host_output,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as unit_output,
    ):
        host = Line([("functional", functional_tests(engines=False))], host_output)
        kinds = [("unit", unit_tests()), ("exhaustive", ["tests.exhaustive"])]
        unit = Line(kinds, unit_output)
        lines = (engines, host, unit)
        try:
            for line in lines:
                line.start()
            codes = [line.outcome() for line in lines]
        except BaseException:
            for line in lines:
                line.end()
            raise
        for output in (host_output, unit_output):
            output.seek(0)
            print(output.read(), end="", flush=True)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
