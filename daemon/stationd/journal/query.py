"""Execution of a query: blocks are ruled out by their headers, only the columns that matter are
decoded, and every step is short."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stationd.interfaces import Query
from stationd.journal.block import (
    ALL,
    CATEGORIES,
    CONTAINERS,
    USERS,
    Block,
    BlockSummary,
    BlockUnreadable,
    Codes,
    Places,
)
from stationd.journal.block_cache import BlockCache
from stationd.journal.cold_reads import Fetched, NotCached
from stationd.journal.pagination import Pagination
from stationd.journal.sealed_codec import BlockHeader, name_key
from stationd.journal.snapshot import AnySegment, Snapshot
from stationd.journal.text_search import Indexes, Substring
from stationd.records import Record

MAX_COMPARISONS = 16
"""If no more than one in so many records of a block is left, what is asked of them is
looked up for each; else for the whole block."""

DOCKER_PREFIX = len("docker/") + 12
"""How long the reference of a Docker container must be to mean all ids that begin so."""

DOCKER_FULL = len("docker/") + 64


_NONE: Indexes = np.empty(0, np.intp)


class ColdStep(list[Record]):
    """A step that gives nothing: something has to be fetched first, see L{without_waiting}.

    @ivar cold: what.
    """

    def __init__(self, cold: NotCached) -> None:
        super().__init__()
        self.cold = cold


def select(view: Snapshot, query: Query, cache: BlockCache) -> Iterator[list[Record]]:
    """See L{stationd.interfaces.IJournal.select}. In a thread that may not wait it gives
    L{ColdStep}s."""
    plan = _QueryPlan(query, view.last)
    page = Pagination(query)
    for segment, part in _candidate_blocks(view, plan, query.oldest_first):
        if page.left == 0:
            return
        if part is None:
            yield []
            continue
        fetched: Fetched = {}
        is_retry = False
        while True:
            try:
                yield from _read(segment, part, plan, page, cache, is_retry)
                break
            except NotCached as cold:
                fetched, is_retry = cold.fetched, True
                yield ColdStep(cold)
        fetched.clear()
        yield []


def _read(
    segment: AnySegment,
    part: BlockSummary,
    plan: _QueryPlan,
    page: Pagination,
    cache: BlockCache,
    is_retry: bool,
) -> Iterator[list[Record]]:
    """What a query wants of a block.

    @param is_retry: whether some of it may have been given already.
    @raise NotCached: what is not in memory has to be fetched; then this can be tried again.
    """
    try:
        if page.skip and not segment.is_intact(part):
            # What cannot be read does not count.
            raise BlockUnreadable
        if plan.matches_all(part) and page.skip >= part.records:
            page.skip -= part.records
            return
        block = cache.get(segment, part, None)
        while not block.covers(part):
            yield []
            block = cache.get(segment, part, block)
        take = page.take_rest if is_retry else page.take
        yield from take(block, plan.find(block, part))
    except (BlockUnreadable, LookupError, ValueError) as error:
        if not isinstance(error, BlockUnreadable):
            # Whole by its checksum, and wrong all the same: a writer's fault.
            segment.report_damage(part, str(error))
        yield from _salvage(segment, part, plan, page)


def _salvage(
    segment: AnySegment, part: BlockSummary, plan: _QueryPlan, page: Pagination
) -> Iterator[list[Record]]:
    """What a query wants of a block that is damaged."""
    for columns in segment.salvage(part):
        if columns is None:
            yield []
        elif columns.records:
            yield from page.take_rest(columns, plan.find(columns, part))


def _candidate_blocks(
    view: Snapshot, plan: _QueryPlan, oldest_first: bool
) -> Iterator[tuple[AnySegment, BlockSummary | None]]:
    """What may hold matches, in the order asked for; C{None} after each segment."""
    direction = 1 if oldest_first else -1
    for segment in view.segments[::direction]:
        if plan.excludes_segment(segment):
            continue
        # A copy: the writer appends to the list while we are suspended.
        parts: list[BlockSummary] = segment.parts[::direction]  # type: ignore[assignment]
        for part in parts:
            if not plan.excludes(part):
                yield segment, part
        yield segment, None


class _QueryPlan:
    """A query, worked out."""

    def __init__(self, query: Query, last: int) -> None:
        self._least = 1 if query.after is None else query.after + 1
        self._greatest = last if query.before is None else min(last, query.before - 1)
        self._start_us, self._end_us = query.time_start_us, query.time_end_us
        self._levels = None if query.levels is None else sorted(map(int, query.levels))
        self._level_set = -1 if self._levels is None else sum(1 << n for n in self._levels)
        self._fields = [
            (field, [name.encode() for name in sorted(names)])
            for field, names in (
                (CONTAINERS, query.containers),
                (CATEGORIES, query.categories),
                (USERS, query.users),
            )
            if names is not None
        ]
        self._keys = [(field, [name_key(name) for name in names]) for field, names in self._fields]
        self._pattern = Substring(query.text) if query.text else None
        self._anything = (
            self._start_us is None
            and self._end_us is None
            and self._levels is None
            and not self._fields
            and self._pattern is None
        )

    def matches_all(self, part: BlockSummary) -> bool:
        """Whether every record of a block is wanted."""
        inside = self._least <= part.first and part.last <= self._greatest
        return self._anything and inside

    def excludes_segment(self, segment: AnySegment) -> bool:
        """Whether nothing in a segment is wanted."""
        return (
            segment.name.first > self._greatest
            or segment.last < self._least
            or (self._start_us is not None and segment.max_us < self._start_us)
            or (self._end_us is not None and segment.min_us > self._end_us)
        )

    def excludes(self, part: BlockSummary) -> bool:
        """Whether nothing in a block is wanted, by its summary."""
        if (
            part.first > self._greatest
            or part.last < self._least
            or (self._start_us is not None and part.max_us < self._start_us)
            or (self._end_us is not None and part.min_us > self._end_us)
        ):
            return True
        if not isinstance(part, BlockHeader):
            return False
        if not part.levels & self._level_set:
            return True
        return any(
            not any(part.may_contain(field, wanted) for wanted in keys)
            for field, keys in self._keys
        )

    def find(self, block: Block, part: BlockSummary) -> Indexes:
        """The places of the records of a block that are wanted, in the order of the
        numbers.

        @raise BlockUnreadable: see L{Block}.
        """
        if self._pattern is not None and not block.may_match(self._pattern):
            return _NONE
        wanted = {f: _wanted_codes(f, names, block.names()) for f, names in self._fields}
        if not all(wanted.values()):
            return _NONE
        containers = wanted.pop(CONTAINERS, None)
        places: Places = ALL if containers is None else block.places_of(containers)
        masks: list[npt.NDArray[np.bool_]] = []
        # A block of the newest records may have got more than the summary speaks of.
        other = block.records != part.records
        if other or part.first < self._least or part.last > self._greatest:
            numbers = block.numbers(places)
            masks.append((numbers >= self._least) & (numbers <= self._greatest))
        for field, codes in wanted.items():
            masks.append(_is_one_of(block.codes(field, places), codes))
        if self._levels is not None:
            masks.append(_is_one_of(block.levels(places), self._levels))
        if self._start_us is not None and (other or part.min_us < self._start_us):
            masks.append(block.times(places) >= self._start_us)
        if self._end_us is not None and (other or part.max_us > self._end_us):
            masks.append(block.times(places) <= self._end_us)
        mask = np.logical_and.reduce(masks) if masks else None
        if self._pattern is not None:
            having = self._with_text(block, places, mask)
            mask = having if mask is None else mask & having
        if not isinstance(places, slice):
            return places if mask is None else places[mask]
        if mask is not None and np.count_nonzero(mask) * MAX_COMPARISONS <= block.records:
            found = np.flatnonzero(mask)
            return found[np.argsort(block.numbers(found))]
        order = block.places_by_number()
        return order if mask is None else order[mask[order]]

    def _with_text(
        self, block: Block, places: Places, mask: npt.NDArray[np.bool_] | None
    ) -> npt.NDArray[np.bool_]:
        """Which of some records have the text that is looked for; of those that a mask
        rules out it does not matter what is said."""
        assert self._pattern is not None
        at = np.arange(block.records) if isinstance(places, slice) else places
        kept = np.arange(len(at)) if mask is None else np.flatnonzero(mask)
        if len(kept) * MAX_COMPARISONS <= block.records:
            having = np.zeros(len(at), np.bool_)
            having[kept] = [self._pattern.matches(text) for text in block.texts(at[kept])]
            return having
        among = np.zeros(block.records, np.bool_)
        among[block.find(self._pattern)] = True
        return among[places]


def _wanted_codes(field: int, wanted: list[bytes], names: list[bytes]) -> list[int]:
    """Where the names that are wanted stand in a block's table."""
    prefixes = tuple(
        name
        for name in wanted
        if field == CONTAINERS
        and name.startswith(b"docker/")
        and DOCKER_PREFIX <= len(name) < DOCKER_FULL
    )
    if prefixes or len(wanted) > 8:
        exactly = set(wanted)
        return [
            code for code, name in enumerate(names) if name in exactly or name.startswith(prefixes)
        ]
    return [names.index(name) for name in wanted if name in names]


def _is_one_of(column: Codes | npt.NDArray[np.uint8], codes: list[int]) -> npt.NDArray[np.bool_]:
    """Which of a column's values are one of some: for a few, comparing with each is
    some times as fast as C{isin}."""
    if len(codes) > 8:
        return np.isin(column, codes)
    mask = np.zeros(len(column), np.bool_)
    for code in codes:
        mask |= column == code
    return mask
