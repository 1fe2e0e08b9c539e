"""What stationd pays for a record: the daemon's recorder and its two journals, with their
threads, in one process. Leaves the journals in C{DIRECTORY/log} and C{DIRECTORY/event}, as a
daemon would have them, for the others."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater, react

from benchmarks.corpus import Happening, groups
from benchmarks.timing import Result, Stopwatch, batched
from stationd.feed import Feed
from stationd.interfaces import IHostReactor
from stationd.journal.disk import Disk
from stationd.journal.journal import SEGMENT_BYTES, Journal, open_journal
from stationd.journal.row_segment import RowSegment
from stationd.journal.seal import seal_segment
from stationd.journal.seal_verification import verify_sealed_file
from stationd.journal.store import Store
from stationd.journal.worker_thread import ThreadWorker
from stationd.record_builder import build_records
from stationd.recorder import Recorder
from stationd.records import Draft, Observation
from stationd.registry import Registry

PRODUCERS = 64

SINGLES = 40_000
"""Records that the producers append together."""

POLL = 0.002
"""Seconds between two looks whether everything is sealed."""


class Parts:
    """A journal whose threads are timed.

    @ivar commit: its writer's. C{sealing}: its sealer's, and our own of the last segment.
    """

    def __init__(self, path: str, reactor: IHostReactor) -> None:
        self.commit, self.sealing = Stopwatch(time.thread_time), Stopwatch(time.thread_time)
        self.store = Store(path, SEGMENT_BYTES, Disk(), _now_us, lambda: secrets.randbits(32))
        self.journal = Journal(
            self.store,
            reactor.callFromThread,
            writer=lambda work: ThreadWorker(self.commit.around(work), "writer"),
            sealer=lambda work: ThreadWorker(self.sealing.around(work), "sealer"),
        )

    def seal_last(self) -> int:
        """What would be done when the last one is full; the bytes of all that is sealed."""
        *sealed, last = self.store.view.segments
        size = sum(segment.end for segment in sealed)
        assert isinstance(last, RowSegment)
        if last.records:
            with self.sealing:
                path = seal_segment(self.store.disk, last, lambda: None)
                verify_sealed_file(self.store.disk, last, path, lambda: None)
            size += os.path.getsize(path)
            os.unlink(path)
        return size


def _now_us() -> int:
    return time.time_ns() // 1000


def _ignore(_: object) -> None:
    """Nobody waits."""


def _split(group: list[Happening]) -> tuple[list[Observation], list[Mapping[str, Any]]]:
    """What sources have seen, and the fields of what was posted."""
    return (
        [one for one in group if isinstance(one, Observation)],
        [one for one in group if not isinstance(one, Observation)],
    )


async def _append(reactor: IHostReactor, count: int, directory: str) -> Result:
    """Everything that is done for a record, until all are durable and sealed."""
    log, event = (Parts(os.path.join(directory, name), reactor) for name in ("log", "event"))
    recorder = Recorder(
        log.journal, event.journal, Registry(), Feed(0), _now_us, _ignore, _ignore, _ignore
    )
    whole, making = Stopwatch(), Stopwatch()
    for batch in batched(map(_split, groups(count)), 100):
        # For its own row: the recorder makes them again.
        with making:
            for observations, posted in batch:
                for observation in observations:
                    build_records(observation)
                for fields in posted:
                    Draft(**fields)
        with whole:
            for observations, posted in batch:
                waiting: list[Deferred[Any]] = [recorder.observe(observations)]
                if posted:
                    waiting.append(recorder.post_log([Draft(**fields) for fields in posted]))
                await gatherResults(waiting)
            while log.store.next_to_seal() or event.store.next_to_seal():
                await deferLater(reactor, POLL)
    with whole:
        size = log.seal_last() + event.seal_last()
    written = log.journal.status().records + event.journal.status().records
    await gatherResults([log.journal.close(), event.journal.close()])
    seconds = {
        "append wall": whole.seconds,
        "append cpu": whole.cpu_seconds,
        "drafts": making.cpu_seconds,
        "commit": log.commit.cpu_seconds + event.commit.cpu_seconds,
        "sealing": log.sealing.cpu_seconds + event.sealing.cpu_seconds,
    }
    parts = seconds["drafts"] + seconds["commit"] + seconds["sealing"]
    seconds["recorder"] = seconds["append cpu"] - parts
    result: Result = {key: value / written * 1e6 for key, value in seconds.items()}
    return result | {"bytes": size / written}


async def _singles(reactor: IHostReactor, count: int, path: str) -> float:
    """Records a second of many producers of whom each waits for its record to be
    durable before it makes the next."""
    journal = open_journal(path, reactor.callFromThread, max_bytes=1 << 30)
    every = map(_split, groups(count))
    drafts = [Draft(**fields) for _, posted in every for fields in posted]
    left = iter(drafts)

    async def produce() -> None:
        for draft in left:
            await journal.append([draft])

    began = time.perf_counter()
    await gatherResults([Deferred.fromCoroutine(produce()) for _ in range(PRODUCERS)])
    seconds = time.perf_counter() - began
    await journal.close()
    return len(drafts) / seconds


async def main(reactor: IHostReactor, count: str, directory: str) -> None:
    """Append in groups; then many producers, one record each at a time."""
    result = await _append(reactor, int(count), directory)
    few = min(SINGLES, int(count) // 10)
    result["singles"] = await _singles(reactor, few, os.path.join(directory, "singles"))
    print(json.dumps(result))


if __name__ == "__main__":
    react(main, sys.argv[1:])
