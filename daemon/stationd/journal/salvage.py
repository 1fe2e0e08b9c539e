"""Salvage of a damaged sealed block: group by group, and within a group text by text."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import groupby

from stationd.journal.block import CATEGORIES, CONTAINERS, USERS, BlockUnreadable
from stationd.journal.block_reader import SealedBlock
from stationd.journal.column_batch import ColumnBatch
from stationd.journal.frame_codec import FrameColumns, check_columns

Fields = tuple[int, int, int, int, int, int, bytes, bytes]
"""number, time, level, category, user, container, origin, text"""

STEP_RUNS = 256
"""Records that follow one another are taken together; so many times in a step."""


def salvage_block(block: SealedBlock) -> Iterator[ColumnBatch | None]:
    """See L{stationd.journal.block.BlockSource}."""
    found: list[Fields] = []
    names: list[bytes] = []
    for group in range(len(block.groups())):
        with contextlib.suppress(BlockUnreadable, LookupError, ValueError):
            names = block.names()
            found += _salvage_group(block, group)
        yield None
    found.sort()
    columns = ColumnBatch()
    runs = groupby(enumerate(found), lambda pair: pair[1][0] - pair[0])
    for count, (_, run) in enumerate(runs):
        first, rows = _frame_columns([fields for _, fields in run], names)
        with contextlib.suppress(LookupError, ValueError):
            check_columns(rows)
            columns.append_frame(first, rows)
        if count % STEP_RUNS == STEP_RUNS - 1:
            yield None
    yield columns


def _salvage_group(block: SealedBlock, group: int) -> list[Fields]:
    """The records of a group that can be read.

    @raise BlockUnreadable: none can: its columns or origins are damaged, or the names.
    """
    places = block.groups()[group]
    columns = zip(
        block.numbers(places).tolist(),
        block.times(places).tolist(),
        block.levels(places).tolist(),
        *[block.codes(field, places).tolist() for field in (CATEGORIES, USERS, CONTAINERS)],
        block.origins(places),
        block.split_texts(places),
        strict=True,
    )
    return [fields for fields in columns if fields[7] is not None]


def _frame_columns(found: list[Fields], names: list[bytes]) -> tuple[int, FrameColumns]:
    """Records with consecutive numbers, and the number of the first."""
    numbers, times, levels, categories, users, containers, origins, texts = zip(*found, strict=True)
    used = sorted({*categories, *users, *containers})
    index = {code: at for at, code in enumerate(used)}
    rows = FrameColumns(
        times_us=times,
        levels=levels,
        names=[names[code] for code in used],
        categories=[index[code] for code in categories],
        users=[index[code] for code in users],
        containers=[index[code] for code in containers],
        origins=list(origins),
        texts=list(texts),
    )
    return numbers[0], rows
