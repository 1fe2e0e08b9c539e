"""A block in memory that grows by whole frames: the newest records, and those about to be
sealed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stationd.journal.block import (
    ALL,
    CONTAINERS,
    LEVELS,
    BlockSummary,
    Codes,
    Places,
)
from stationd.journal.file_header import TERMINATOR
from stationd.journal.frame_codec import FrameColumns
from stationd.journal.text_search import Indexes, Substring
from stationd.records import Record


class ColumnBatch:
    """A block that grows by whole frames: the newest records, or those that are
    about to be sealed.
    @ivar end: where the last frame in it ends in the file.
    @ivar text_bytes: how long its texts are together.
    @ivar name_bytes: how long its different names are.
    """

    def __init__(self, end: int = 0) -> None:
        self.end = end
        self.is_cacheable = True
        self.records = 0
        self.size_bytes = 0
        self.text_bytes = 0
        self.name_bytes = 0
        self._runs: list[tuple[int, int]] = []
        self._index: dict[bytes, int] = {}
        self._times: list[int] = []
        self._levels: list[int] = []
        self._names: tuple[list[int], list[int], list[int]] = ([], [], [])
        self._origins: list[bytes] = []
        self._texts: list[bytes] = []
        self._lengths: list[int] = []
        self._ascii = True
        self._blob = (0, b"")
        self._found: tuple[str, int, Indexes] = ("", 0, np.empty(0, np.intp))
        self._arrays: dict[object, npt.NDArray[np.generic]] = {}

    @property
    def first(self) -> int:
        """The number of the first record."""
        return self._runs[0][1]

    @property
    def name_count(self) -> int:
        """How many names there are."""
        return len(self._index)

    @property
    def last(self) -> int:
        """The number of the last record."""
        row, first = self._runs[-1]
        return first + self.records - row - 1

    def append_frame(self, first: int, rows: FrameColumns) -> None:
        """Add the records of a frame, of which the first has this number."""
        if not rows.texts:
            return
        if not self._runs or first - self.records != self._runs[-1][1] - self._runs[-1][0]:
            self._runs.append((self.records, first))
        index = self._index
        self.name_bytes += sum(len(name) for name in rows.names if name not in index)
        codes = [index.setdefault(name, len(index)) for name in rows.names]
        given = (rows.categories, rows.users, rows.containers)
        for column, added in zip(self._names, given, strict=True):
            column.extend([codes[code] for code in added])
        self._times.extend(rows.times_us)
        self._levels.extend(rows.levels)
        self._origins.extend(rows.origins)
        self._texts.extend(rows.texts)
        self.records += len(rows.texts)
        lengths = list(map(len, rows.texts))
        self._lengths += lengths
        self._ascii = self._ascii and all(map(bytes.isascii, rows.texts))
        text_bytes = sum(lengths)
        self.text_bytes += text_bytes
        strings = text_bytes + sum(map(len, rows.origins)) + sum(map(len, rows.names))
        # Some 170 bytes of numbers, and two byte strings.
        self.size_bytes += 260 * len(rows.texts) + strings

    def _array(self, key: object, values: Sequence[int], dtype: type) -> npt.NDArray[np.generic]:
        """Some values as an array; what was converted before is not again."""
        array = self._arrays.get(key)
        if array is None:
            array = self._arrays[key] = np.array(values, dtype)
        elif len(array) < self.records:
            array = np.concatenate((array, np.array(values[len(array) :], dtype)))
            self._arrays[key] = array
        return array

    def numbers(self, places: Places) -> npt.NDArray[np.int64]:
        within = np.arange(self.records)[places] if isinstance(places, slice) else places
        if len(self._runs) == 1:
            return within + self.first
        starts = np.array([row for row, _ in self._runs], np.intp)
        ahead = np.array([first - row for row, first in self._runs], np.intp)
        found: npt.NDArray[np.int64] = within + ahead[np.searchsorted(starts, within, "right") - 1]
        return found

    def covers(self, part: BlockSummary) -> bool:
        return self.end >= part.end

    def times(self, places: Places) -> npt.NDArray[np.int64]:
        return self._array("times", self._times, np.int64)[places]  # type: ignore[return-value]

    def levels(self, places: Places) -> npt.NDArray[np.uint8]:
        return self._array("levels", self._levels, np.uint8)[places]  # type: ignore[return-value]

    def names(self) -> list[bytes]:
        return list(self._index)

    def codes(self, field: int, places: Places) -> Codes:
        return self._array(field, self._names[field], np.uint16)[places]  # type: ignore[return-value]

    def origins(self) -> list[bytes]:
        """All origins."""
        return self._origins

    def texts(self, places: Indexes) -> list[bytes]:
        return [self._texts[place] for place in places.tolist()]

    @property
    def ascii(self) -> bool:
        """See L{stationd.journal.text_search.SearchableTexts}."""
        return self._ascii

    def blobs(self) -> list[bytes]:
        return [self._joined()]

    def _joined(self) -> bytes:
        if self._blob[0] < self.records:
            added = self._texts[self._blob[0] :]
            self._blob = self.records, TERMINATOR.join([self._blob[1] + added[0], *added[1:], b""])
        return self._blob[1]

    def ends(self) -> Indexes:
        lengths = self._array("lengths", self._lengths, np.intp)
        return np.cumsum(lengths + 1) - 1

    def places_by_number(self) -> Indexes:
        return np.arange(self.records)

    def places_of(self, containers: Sequence[int]) -> Indexes:
        return np.flatnonzero(np.isin(self.codes(CONTAINERS, ALL), containers))

    def may_match(self, needle: Substring) -> bool:
        return True

    def find(self, needle: Substring) -> Indexes:
        if self._found[:2] != (needle.text, self.records):
            self._found = needle.text, self.records, needle.find(self)
        return self._found[2]

    def records_at(self, places: Indexes, expected: int) -> list[Record]:
        names = [name.decode() for name in self._index]
        categories, users, containers = self._names
        return [
            Record(
                number,
                self._times[row],
                LEVELS[self._levels[row]],
                names[categories[row]],
                names[users[row]],
                names[containers[row]],
                self._texts[row].decode(),
                self._origins[row].decode(),
            )
            for row, number in zip(places.tolist(), self.numbers(places).tolist(), strict=True)
        ]
