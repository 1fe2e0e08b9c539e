"""A cache of the blocks that were used last."""

from __future__ import annotations

import collections
from collections.abc import Collection

from stationd.journal.block import Block, BlockSource, BlockSummary

CACHE_BYTES = 8 << 20
"""What a journal keeps of decoded blocks: the newest ones, which most questions are
about, take some 100 KiB each; a search through everything passes by."""


class BlockCache:
    """Blocks by where they are from. What is put out is decoded again when it is
    asked for.

    @param max_bytes: what they may take together; the one in use is kept always.
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._wanted: frozenset[BlockSource] | None = None
        self._blocks: collections.OrderedDict[tuple[BlockSource, int], Block] = (
            collections.OrderedDict()
        )

    def get(self, segment: BlockSource, part: BlockSummary, held: Block | None) -> Block:
        """A block of a segment, with some more of what the part says is in it.

        @param held: what an earlier call gave.
        """
        key = (segment, part.first)
        block = segment.block(part, self._blocks.get(key) or held)
        if not block.is_cacheable or (self._wanted is not None and segment not in self._wanted):
            # The disk did not give all of it; or a query that began before its file was
            # removed. It goes with the query.
            self._blocks.pop(key, None)
            return block
        self._blocks[key] = block
        self._blocks.move_to_end(key)
        # Blocks grow while they are used, so the bound is looked at before the next.
        excess = self.size_bytes() - self._max_bytes
        while excess > 0 and len(self._blocks) > 1:
            _, gone = self._blocks.popitem(last=False)
            excess -= gone.size_bytes
        return block

    def size_bytes(self) -> int:
        """What they take now, about."""
        return sum(block.size_bytes for block in self._blocks.values())

    def retain_only(self, segments: Collection[BlockSource]) -> None:
        """Let go of the blocks of all other segments, and so of their files, now and
        from now on."""
        self._wanted = frozenset(segments)
        for key in [key for key in self._blocks if key[0] not in segments]:
            del self._blocks[key]
