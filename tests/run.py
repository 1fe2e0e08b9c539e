"""All tests, in two processes side by side: those that only need Python, and those that
need the laboratory, which mostly wait for it.

C{python -m tests.run} runs both, shows the second as it goes and the first at the end, and
exits with 1 if one of them failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

UNIT = ("cli", "journal", "plugins", "web")
"""Packages of tests that need no laboratory, as do the modules beside them."""


def unit_tests() -> list[str]:
    """The names of the tests that need no laboratory."""
    here = os.path.dirname(os.path.abspath(__file__))
    modules = [name.removesuffix(".py") for name in os.listdir(here) if name.startswith("test_")]
    return [f"tests.{name}" for name in sorted([*UNIT, *modules])]


def trial(*arguments: str) -> list[str]:
    """The command that runs tests."""
    return [sys.executable, "-m", "twisted.trial", *arguments]


def main() -> int:
    """Run all; the exit code."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        alone = trial("--temp-directory", "_trial_temp-unit", *unit_tests())
        with subprocess.Popen(alone, stdout=said, stderr=subprocess.STDOUT) as unit:
            try:
                functional = subprocess.call(trial("tests.functional"))
            except BaseException:
                unit.terminate()
                raise
        said.seek(0)
        print(said.read(), end="", flush=True)
    return int(bool(functional or unit.returncode))


if __name__ == "__main__":
    sys.exit(main())
