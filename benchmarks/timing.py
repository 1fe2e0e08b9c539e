"""Measuring, and what a contender's process tells of it."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

LEAST_SECONDS = 0.3
"""How long something quick is repeated."""

T = TypeVar("T")

Result = dict[str, float | None]
"""What was measured, by the name of a row of the table; C{None} where a contender
cannot do it."""


def warm_ms(do: Callable[[], object]) -> float:
    """The median of several runs after a first one, in milliseconds."""
    do()
    spent: list[float] = []
    while sum(spent) < LEAST_SECONDS or len(spent) < 3:
        began = time.perf_counter()
        do()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent) * 1000


class Stopwatch:
    """The seconds spent inside C{with} blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *failure: object) -> None:
        self.seconds += time.perf_counter() - self._began


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Some values, so many at a time."""
    iterator = iter(values)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def resident_mb(pid: int | str = "self") -> float:
    """The resident memory of a process in MB."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def tree_bytes(directory: str) -> int:
    """The bytes of all files in a directory."""
    return sum(
        os.path.getsize(os.path.join(path, name))
        for path, _, names in os.walk(directory)
        for name in names
    )


def contender(run: Callable[[int, str], Result]) -> None:
    """The main program of a contender: C{COUNT DIRECTORY}, and JSON on the last line."""
    count, directory = int(sys.argv[1]), sys.argv[2]
    print(json.dumps(run(count, directory)))
