"""The interface of a block to a query: some thousand records, column by column, from a row segment
or a sealed one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stationd.journal.text_search import Indexes, Substring
from stationd.records import Level, Record

CATEGORIES, USERS, CONTAINERS = range(3)
"""The columns that point to names."""

LEVELS = tuple(Level)

Codes = npt.NDArray[np.uint16] | npt.NDArray[np.uint8]

Places = Indexes | slice
ALL = slice(None)


class BlockUnreadable(Exception):
    """A part of a block is damaged, or the disk does not give it."""


class BlockSummary(Protocol):
    """What is known of a block without reading it.

    @ivar first: the number of the first of C{records} records, C{last} that of the last.
    @ivar min_us: the least time of them, C{max_us} the greatest.
    @ivar offset: where it begins in the file, C{end} where it ends.
    """

    @property
    def offset(self) -> int: ...

    @property
    def end(self) -> int: ...

    @property
    def first(self) -> int: ...

    @property
    def last(self) -> int: ...

    @property
    def records(self) -> int: ...

    @property
    def min_us(self) -> int: ...

    @property
    def max_us(self) -> int: ...


class Block(Protocol):
    """Records that lie together, each at a place: 0, 1, 2, …, in no particular order.

    A method that has to read raises L{BlockUnreadable}, or C{ValueError} or C{LookupError}
    for what has the right checksum and is wrong all the same.

    @ivar size_bytes: about what it takes in memory now; it can grow when it is used.
    @ivar is_cacheable: whether reading it again would give the same.
    """

    @property
    def is_cacheable(self) -> bool: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def records(self) -> int:
        """How many there are."""

    def covers(self, part: BlockSummary) -> bool:
        """Whether all that a summary speaks of has been read that has to be read
        first. If not, asking for the block again reads more."""

    def names(self) -> list[bytes]:
        """The categories, users and containers that occur, in UTF-8."""

    def places_by_number(self) -> Indexes:
        """All places, in the order of the numbers."""

    def places_of(self, containers: Sequence[int]) -> Indexes:
        """The places of the records of some containers, which are given by where they
        stand in C{names}, in the order of the numbers."""

    def numbers(self, places: Places) -> npt.NDArray[np.int64]:
        """The numbers of some records."""

    def times(self, places: Places) -> npt.NDArray[np.int64]:
        """Their times in microseconds."""

    def levels(self, places: Places) -> npt.NDArray[np.uint8]:
        """Their levels."""

    def codes(self, field: int, places: Places) -> Codes:
        """Where their categories, users or containers stand in C{names}."""

    def texts(self, places: Indexes) -> list[bytes]:
        """Their texts."""

    def may_match(self, needle: Substring) -> bool:
        """Whether L{find} may find something, as far as can be told at once."""

    def find(self, needle: Substring) -> Indexes:
        """The places of the texts that have a part, ascending."""

    def records_at(self, places: Indexes, expected: int) -> list[Record]:
        """Some records, in the order of the places given.

        @param expected: how many will be taken for this question, in several calls.
        """


class BlockSource(Protocol):
    """Something that blocks can be read from."""

    def is_intact(self, part: BlockSummary) -> bool:
        """Whether every record of a block can be read, by the checksums."""

    def salvage(self, part: BlockSummary) -> Iterator[Block | None]:
        """What can be read of a damaged block; before that C{None} after each step."""

    def block(self, part: BlockSummary, known: Block | None) -> Block:
        """A block.

        @param known: what an earlier call gave, if it is still there.
        @raise BlockUnreadable: see L{Block}.
        """
