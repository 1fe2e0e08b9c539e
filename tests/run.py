"""All tests, side by side: those that need the laboratory, which mostly wait for it, and those
that only need Python, first the quick ones and then the exhaustive ones.

C{python -m tests.run} runs all, shows those of the laboratory as they go and the others at the
end, and exits with 1 if one of them failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

UNIT = ("cli", "journal", "plugins", "web")
"""Packages of tests that are quick and need no laboratory, as are the modules beside them."""


def unit_tests() -> list[str]:
    """The names of the tests that are quick and need no laboratory."""
    here = os.path.dirname(os.path.abspath(__file__))
    modules = [name.removesuffix(".py") for name in os.listdir(here) if name.startswith("test_")]
    return [f"tests.{name}" for name in sorted([*UNIT, *modules])]


def trial(*arguments: str) -> list[str]:
    """The command that runs tests."""
    return [sys.executable, "-m", "twisted.trial", *arguments]


def main() -> int:
    """Run all; the exit code."""
    codes: list[int] = []
    kinds = (("unit", unit_tests()), ("exhaustive", ["tests.exhaustive"]))
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(trial("tests.functional")) as functional,
    ):
        try:
            for name, tests in kinds:
                alone = trial("--temp-directory", f"_trial_temp-{name}", *tests)
                codes.append(subprocess.call(alone, stdout=said, stderr=subprocess.STDOUT))
            codes.append(functional.wait())
        except BaseException:
            functional.terminate()
            raise
        said.seek(0)
        print(said.read(), end="", flush=True)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
