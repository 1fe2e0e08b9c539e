"""stationd's store, in process: opening and asking, of the journal that
L{benchmarks.writing} left."""

from __future__ import annotations

import os
import secrets
import time

from benchmarks.corpus import CATEGORIES, HOUR_US, NOWHERE, USERS, WORD, containers, middle_us
from benchmarks.timing import Result, contender, resident_mb, warm_ms
from stationd.interfaces import Query
from stationd.journal.block_cache import BlockCache
from stationd.journal.disk import Disk
from stationd.journal.journal import SEGMENT_BYTES
from stationd.journal.query import select
from stationd.journal.store import Store
from stationd.records import Level


def run(count: int, directory: str) -> Result:
    """All questions, warm; the memory that opening and asking took."""
    before = resident_mb()
    began = time.perf_counter()
    path = os.path.join(directory, "log")
    store = Store(
        path, SEGMENT_BYTES, Disk(), lambda: time.time_ns() // 1000, lambda: secrets.randbits(32)
    )
    open_ms = (time.perf_counter() - began) * 1000
    open_mb = resident_mb() - before
    cache = BlockCache()

    def ask(query: Query) -> float:
        return warm_ms(lambda: list(select(store.view, query, cache)))

    def counted(text: str) -> float:
        # An offset that nothing reaches: every match is counted, none is made.
        return ask(Query(text=text, offset=count))

    reference, _ = containers()[50]
    start_us = middle_us(count)
    result: Result = {
        "open": open_ms,
        "open memory": open_mb,
        "newest": ask(Query(limit=20)),
        "newest category": ask(Query(categories=frozenset([CATEGORIES[4]]), limit=20)),
        "newest user": ask(Query(users=frozenset([USERS[6]]), limit=20)),
        "newest container": ask(Query(containers=frozenset([reference]), limit=20)),
        "newest level": ask(Query(levels=frozenset([Level.ERROR]), limit=20)),
        "newest text": ask(Query(text=WORD.lower(), limit=20)),
        "newest three": ask(
            Query(
                categories=frozenset([CATEGORIES[0]]),
                users=frozenset([USERS[1]]),
                levels=frozenset([Level.ERROR]),
                limit=20,
            )
        ),
        "newest rare": ask(
            Query(
                categories=frozenset([CATEGORIES[0]]),
                users=frozenset([USERS[1]]),
                text=WORD.lower(),
                limit=20,
            )
        ),
        "hour": ask(Query(time_start_us=start_us, time_end_us=start_us + HOUR_US, limit=20)),
        "container": ask(Query(containers=frozenset([reference]))),
        "nowhere": counted(NOWHERE),
        "word": counted(WORD.lower()),
        "word fetched": ask(Query(text=WORD.lower())),
        "asked memory": resident_mb() - before,
    }
    store.close()
    return result


if __name__ == "__main__":
    contender(run)
