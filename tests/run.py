"""All tests, in lines side by side: those of Docker and those of LXC, which mostly wait for it; the
other functional ones; and those that only need Python, first the quick ones and then the
exhaustive ones.

C{python -m tests.run} runs all, shows the first line as it goes and the others at the end, and
exits with 1 if one of them failed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import IO

HERE = os.path.dirname(os.path.abspath(__file__))

UNIT = ("cli", "journal", "plugins", "web")
"""Packages of tests that are quick and need no laboratory, as are the modules beside them."""

DOCKER = ("bench", "chaos", "clock", "docker", "gaps", "waits")
"""Functional tests that use a Docker engine, by how their names begin."""

LXC = ("install", "lxc", "stats")
"""Functional tests that use LXC alone, by how their names begin."""


def modules(directory: str) -> list[str]:
    """The names of the test modules in a directory of ours, without C{.py}."""
    names = os.listdir(os.path.join(HERE, directory))
    return sorted(name.removesuffix(".py") for name in names if name.startswith("test_"))


def unit_tests() -> list[str]:
    """The names of the tests that are quick and need no laboratory."""
    return [f"tests.{name}" for name in sorted([*UNIT, *modules(".")])]


def functional_tests(kind: str) -> list[str]:
    """The names of the functional tests of a kind: C{docker}, C{lxc}, C{daemon} for others."""
    found = {"docker": DOCKER, "lxc": LXC}
    kinds = {
        module: next((kind for kind, begins in found.items() if _begins(module, begins)), "daemon")
        for module in modules("functional")
    }
    return [f"tests.functional.{module}" for module, its in kinds.items() if its == kind]


def _begins(module: str, names: Sequence[str]) -> bool:
    return module.startswith(tuple(f"test_{name}" for name in names))


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
        self._ended = False
        self.codes: list[int] = []

    def run(self) -> None:
        for name, tests in self._kinds:
            if self._ended:
                return
            command = trial("--temp-directory", f"_trial_temp-{name}", *tests)
            errors = None if self._output is None else subprocess.STDOUT
            self._now = subprocess.Popen(command, stdout=self._output, stderr=errors)
            self.codes.append(self._now.wait())

    def end(self) -> None:
        """End the tests that run now, as Ctrl-C does, which lets them clean up; no others begin."""
        self._ended = True
        if self._now is not None:
            self._now.send_signal(signal.SIGINT)
        self.join(60)

    def outcome(self) -> int:
        """Wait for all; 0 if all of them passed."""
        self.join()
        return int(any(self.codes) or len(self.codes) < len(self._kinds))


def main() -> int:
    """Run all; the exit code."""
    with contextlib.ExitStack() as files:
        lines = [Line([("docker", functional_tests("docker"))], None)]
        outputs: list[IO[str]] = []
        for kinds in (
            [("lxc", functional_tests("lxc"))],
            [("daemon", functional_tests("daemon"))],
            [("unit", unit_tests()), ("exhaustive", ["tests.exhaustive"])],
        ):
            outputs.append(
                files.enter_context(
                    tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
                )
            )
            lines.append(Line(kinds, outputs[-1]))
        try:
            for line in lines:
                line.start()
            codes = [line.outcome() for line in lines]
        except BaseException:
            for line in lines:
                line.end()
            raise
        for output in outputs:
            output.seek(0)
            print(output.read(), end="", flush=True)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
