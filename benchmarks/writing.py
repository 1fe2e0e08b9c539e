"""stationd's store, in process: what writing costs. Leaves a sealed journal in
C{DIRECTORY/log}, as a daemon would have it, for the others."""

from __future__ import annotations

import os
import secrets
import time

from twisted.internet.defer import Deferred, gatherResults

from benchmarks.corpus import GROUP, Line, lines
from benchmarks.timing import Result, Stopwatch, batched, contender
from stationd.interfaces import AppendResult
from stationd.journal.disk import Disk
from stationd.journal.journal import SEGMENT_BYTES, open_journal
from stationd.journal.seal import seal_segment
from stationd.journal.store import Store
from stationd.records import Draft

PRODUCERS = 64

SINGLES = 40_000
"""Records that the producers append together."""


def draft(line: Line) -> Draft:
    """What a producer would give."""
    return Draft(
        time_us=line.time_us,
        level=line.level,
        category=line.category,
        user=line.user,
        container=line.container,
        text=line.text,
    )


def run(count: int, directory: str) -> Result:
    """Append in groups, seal; then many producers, one record each at a time."""
    path = os.path.join(directory, "log")
    store = Store(
        path, SEGMENT_BYTES, Disk(), lambda: time.time_ns() // 1000, lambda: secrets.randbits(32)
    )
    appending, sealing = Stopwatch(), Stopwatch()
    for batch in batched(map(draft, lines(count)), GROUP * 100):
        with appending:
            for begin in range(0, len(batch), GROUP):
                store.commit(batch[begin : begin + GROUP])
    with sealing:
        while segment := store.next_to_seal():
            store.install_sealed(segment, seal_segment(store.disk, segment, lambda: None))
    # The last segment goes on; there is nothing sealed of less than some 100,000 records.
    sealed = store.view.segments[:-1]
    store.close()
    return {
        "append": count / appending.seconds,
        "append and seal": count / (appending.seconds + sealing.seconds),
        "bytes": sum(s.end for s in sealed) / sum(s.records for s in sealed) if sealed else None,
        "singles": _singles(os.path.join(directory, "singles")),
    }


def _singles(path: str) -> float:
    """Records a second of many producers of whom each waits for its record to be
    durable before it makes the next."""
    from twisted.internet import reactor

    journal = open_journal(path, reactor.callFromThread, max_bytes=1 << 30)  # type: ignore[attr-defined]
    drafts = list(map(draft, lines(SINGLES)))
    left = iter(drafts)
    seconds = 0.0

    def produce(_: AppendResult | None, done: Deferred[None]) -> None:
        given = next(left, None)
        if given is None:
            done.callback(None)
        else:
            journal.append([given]).addCallback(produce, done)

    def start() -> None:
        nonlocal seconds
        began = time.perf_counter()
        waiting: list[Deferred[None]] = []
        for _ in range(PRODUCERS):
            waiting.append(Deferred())
            produce(None, waiting[-1])

        def finished(_: object) -> None:
            nonlocal seconds
            seconds = time.perf_counter() - began
            journal.close().addCallback(lambda _: reactor.stop())

        gatherResults(waiting).addCallback(finished)

    reactor.callWhenRunning(start)
    reactor.run()
    return SINGLES / seconds


if __name__ == "__main__":
    contender(run)
