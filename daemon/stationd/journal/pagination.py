"""Offset and limit of a query, in small steps. No I/O of its own."""

from __future__ import annotations

from collections.abc import Iterator

from stationd.interfaces import Query
from stationd.journal.block import Block
from stationd.journal.text_search import Indexes
from stationd.records import Record

STEP_RECORDS = 1024
"""Records that one step makes at most: some two milliseconds' work."""


class Pagination:
    """What of the records that are found a query wants.

    @ivar skip: how many are still to be left out; C{left}: how many are still to be
        given, C{None}: all.
    """

    def __init__(self, query: Query) -> None:
        self.skip, self.left = query.offset, query.limit
        self._oldest_first = query.oldest_first
        self._at: int | None = None

    def take(self, block: Block, found: Indexes) -> Iterator[list[Record]]:
        """The records at some places of a block, which are in the order of the numbers.

        @raise BlockUnreadable: see L{Block}. L{take_rest} goes on where it was.
        """
        found = found if self._oldest_first else found[::-1]
        if passed := min(self.skip, len(found)):
            self._at = int(block.numbers(found[passed - 1 : passed])[0])
            self.skip -= passed
        found = found[passed:][: self.left]
        for begin in range(0, len(found), STEP_RECORDS):
            records = block.records_at(found[begin : begin + STEP_RECORDS], len(found))
            self._at = records[-1].number
            self.left = None if self.left is None else self.left - len(records)
            yield records

    def take_rest(self, block: Block, found: Indexes) -> Iterator[list[Record]]:
        """The same, but for those that were given or left out before of another block
        of the same records."""
        if self._at is not None:
            numbers = block.numbers(found)
            found = found[numbers > self._at if self._oldest_first else numbers < self._at]
        return self.take(block, found)
