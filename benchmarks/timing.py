"""Measuring, and what a contender's process tells of it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

LEAST_SECONDS = 0.1
"""How long something quick is repeated."""

TEMPERATURES = ("cold", "first", "again")
"""A question is asked with nothing of its files in memory, then in a process that has not
been asked before but with its files in the page cache, then again and again."""

T = TypeVar("T")

Result = dict[str, float | None]
"""What was measured, by the name of a row of the table; C{None} where a contender
cannot do it."""


def warm_ms(do: Callable[[], object]) -> float:
    """The median of several runs after a first one, in milliseconds."""
    do()
    spent: list[float] = []
    while sum(spent) < LEAST_SECONDS * 1000 or len(spent) < 3:
        spent.append(once_ms(do))
    return statistics.median(spent)


def once_ms(do: Callable[[], object]) -> float:
    """One run, in milliseconds."""
    began = time.perf_counter()
    do()
    return (time.perf_counter() - began) * 1000


class Stopwatch:
    """The seconds spent inside C{with} blocks.

    @param cpu: those of the processor that count: all of the process's, or a thread's.
    """

    def __init__(self, cpu: Callable[[], float] = time.process_time) -> None:
        self._cpu = cpu
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    def __enter__(self) -> None:
        self._began, self._cpu_began = time.perf_counter(), self._cpu()

    def __exit__(self, *failure: object) -> None:
        self.seconds += time.perf_counter() - self._began
        self.cpu_seconds += self._cpu() - self._cpu_began

    def around(self, work: Callable[[], None]) -> Callable[[], None]:
        """The same work, timed."""

        def timed() -> None:
            with self:
                work()

        return timed


def in_child(do: Callable[[], Result]) -> Result:
    """What is measured in a process of its own."""
    context = multiprocessing.get_context("fork")
    found = context.SimpleQueue()
    process = context.Process(target=lambda: found.put(do()))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"it ended with {process.exitcode}")
    result: Result = found.get()
    return result


Ready = Callable[[], Callable[[], object]]
"""Opens what is to be asked, and returns what asks."""


def asked(directory: str, questions: Mapping[str, Ready]) -> Result:
    """How long each question takes, at each of the L{TEMPERATURES}.

    @param directory: whose files are asked.
    """
    # Once only, as everybody on the machine has to read again: it takes names and inodes, too.
    with contextlib.suppress(OSError), open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")
    result: Result = {}
    for key, ready in questions.items():
        _drop_pages(directory)
        for how in ("cold", "first"):
            result |= in_child(functools.partial(_times, key, how, ready))
    return result


def _times(key: str, how: str, ready: Ready) -> Result:
    ask = ready()
    found: Result = {f"{key}:{how}": once_ms(ask)}
    return found | {f"{key}:again": warm_ms(ask)} if how == "first" else found


def _drop_pages(directory: str) -> None:
    for path in _files(directory):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


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
    return sum(map(os.path.getsize, _files(directory)))


def _files(directory: str) -> list[str]:
    return [os.path.join(path, name) for path, _, names in os.walk(directory) for name in names]


def contender(run: Callable[[int, str], Result]) -> None:
    """The main program of a contender: C{COUNT DIRECTORY}, and JSON on the last line."""
    count, directory = int(sys.argv[1]), sys.argv[2]
    print(json.dumps(run(count, directory)))
