"""The dictionary of a sealed block's names, and which records belong to which container."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stationd.journal.file_header import TERMINATOR
from stationd.messages import damaged_parts


class NameDictionary:
    """A table of names. Records are stored in the order of their containers in it.

    @ivar table: the names, ascending, in UTF-8.
    @ivar decoded: the same as strings, by index.
    @raise ValueError: the bytes are no such table.
    """

    def __init__(self, raw: bytes, records: int) -> None:
        count = int.from_bytes(raw[:4], "little")
        self.table = raw[4 + 4 * count :].split(TERMINATOR)[:-1]
        if len(self.table) != count:
            found = len(self.table)
            raise ValueError(damaged_parts.NAME_COUNT.format(found=found, count=count))
        self._ends = np.cumsum(np.frombuffer(raw, "<u4", count, 4))
        if not count or int(self._ends[-1]) != records:
            raise ValueError(damaged_parts.NAME_SUM)
        self.decoded = _LazyStrings(self.table)

    def container_range(self, code: int) -> tuple[int, int]:
        """Where the records of a container begin and end in their order."""
        begin = int(self._ends[code - 1]) if code else 0
        return begin, int(self._ends[code])

    def containers_at(self, places: npt.NDArray[np.intp]) -> npt.NDArray[np.uint16]:
        """The containers of the records at some places."""
        return np.searchsorted(self._ends, places, "right").astype(np.uint16)


class _LazyStrings(dict[int, str]):
    """Strings of a table, each decoded when it is first asked for."""

    def __init__(self, table: Sequence[bytes]) -> None:
        self._table = table

    def __missing__(self, code: int) -> str:
        name = self[code] = self._table[code].decode()
        return name
