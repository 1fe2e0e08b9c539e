"""How far a command is, on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

PROGRESS_INTERVAL = 0.2
"""Seconds between two updates."""


class Progress:
    """A line on standard error that says how much of something is done, if that is a
    terminal; it is gone at the end.

    @param what: what is worked on.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = time.monotonic()

    def __enter__(self) -> Callable[[int, int], None]:
        return self._show if sys.stderr.isatty() else lambda done, of: None

    def _show(self, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self._shown >= PROGRESS_INTERVAL and of:
            self._shown = now
            print(f"\r{self._what}: {done * 100 // of} %", end="", file=sys.stderr, flush=True)

    def __exit__(self, *failure: object) -> None:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
