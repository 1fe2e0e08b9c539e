"""One block of a sealed segment. Its records are grouped by container, so a place in
it is not the order of numbers; columns are decoded when they are asked for, and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np
import numpy.typing as npt

from stationd.journal.block import (
    CATEGORIES,
    CONTAINERS,
    LEVELS,
    BlockSummary,
    BlockUnreadable,
    Codes,
    Places,
)
from stationd.journal.byte_shuffle import index_width, to_codes, unshuffle_bytes
from stationd.journal.chunk_reader import ChunkFile, ChunkReader
from stationd.journal.file_header import TERMINATOR
from stationd.journal.name_dictionary import NameDictionary
from stationd.journal.sealed_codec import COLUMNS, FLAG_ASCII, NAMES, ORIGINS, TRIGRAMS, BlockHeader
from stationd.journal.text_columns import BlockTexts, GroupTexts
from stationd.journal.text_search import FILTER_BITS, Indexes, Substring
from stationd.records import Record

_NONE: Indexes = np.empty(0, np.intp)

MANY_TEXTS = 8
"""When one in so many records of a block is wanted, its texts are made together."""

STRING_OVERHEAD_BYTES = 66
"""What a string and a pointer to it take besides its characters."""

Planes = npt.NDArray[np.uint8]


class SealedBlock:
    """Provides L{stationd.journal.block.Block}."""

    is_cacheable = True

    def __init__(self, file: ChunkFile, part: BlockHeader) -> None:
        self._part = part
        self._chunks = ChunkReader(file, part)
        self.records = part.records
        self._only: dict[int, int] = {}
        groups: list[dict[int, list[int]]] = []
        for index, (kind, _) in enumerate(self._chunks.directory):
            if kind == COLUMNS:
                groups.append({})
            if groups:
                groups[-1].setdefault(kind, []).append(index)
            else:
                self._only[kind] = index
        self._begins = [0]
        for group in groups:
            self._begins.append(self._begins[-1] + self._chunks.directory[group[COLUMNS][0]][1])
        self._texts = [GroupTexts(self._chunks, group) for group in groups]
        self._groups = groups

    @property
    def size_bytes(self) -> int:
        """See L{stationd.journal.block.Block}."""
        return self._chunks.size_bytes

    def covers(self, part: BlockSummary) -> bool:
        return True

    def _table(self) -> NameDictionary:
        def make() -> tuple[NameDictionary, int]:
            raw = self._chunks.read(self._only[NAMES])
            names = NameDictionary(raw, self.records)
            return names, len(raw) + 80 * len(names.table)

        return self._chunks.cached("names", make)

    def names(self) -> list[bytes]:
        return self._table().table

    def _layout(self) -> list[slice]:
        """Where rows, levels, categories, users, indexes of texts and times stand
        among the planes of a group; times have the rest."""
        width = index_width(len(self.names()))
        ends = np.cumsum((0, 2, 1, width, width, 2)).tolist()
        return [*map(slice, ends, ends[1:]), slice(ends[-1], None)]

    def _planes(self, group: int) -> Planes:
        """The columns of a group, byte by byte."""
        index = self._groups[group][COLUMNS][0]

        def make() -> tuple[Planes, int]:
            raw = np.frombuffer(self._chunks.read(index), np.uint8)
            return raw.reshape(-1, self._begins[group + 1] - self._begins[group]), raw.size

        return self._chunks.cached(("planes", index), make)

    def _all_columns(self) -> Planes:
        """The columns of all groups."""

        def make() -> tuple[Planes, int]:
            planes = np.concatenate(list(map(self._planes, range(len(self._groups)))), axis=1)
            return planes, planes.size

        return self._chunks.cached("all", make)

    def _by_group(self, places: Indexes) -> Iterator[tuple[int, Indexes, Indexes]]:
        """For each group that some places are in: which one, which of the places these
        are, and where in the group they are."""
        within = np.searchsorted(self._begins, places, "right") - 1
        for group in np.unique(within).tolist():
            here = np.flatnonzero(within == group)
            yield group, here, places[here] - self._begins[group]

    def _columns_at(self, places: Places) -> Planes:
        """The columns of some records; of groups that are not needed nothing is read,
        unless they are few."""
        if isinstance(places, slice) or self._chunks.has("all") or self._span_most_groups(places):
            return self._all_columns()[:, places]
        parts = [
            (here, self._planes(group)[:, inside]) for group, here, inside in self._by_group(places)
        ]
        if len(parts) == 1:
            return parts[0][1]
        found = np.empty((len(parts[0][1]), len(places)), np.uint8)
        for here, planes in parts:
            found[:, here] = planes
        return found

    def _span_most_groups(self, places: Indexes) -> bool:
        """Whether some places are in more than half of the groups, or there are none."""
        touched = np.unique(np.searchsorted(self._begins, places, "right"))
        return not len(places) or len(touched) * 2 > len(self._groups)

    def numbers(self, places: Places) -> npt.NDArray[np.int64]:
        return unshuffle_bytes(self._columns_at(places)[self._layout()[0]]) + self._part.first

    def times(self, places: Places) -> npt.NDArray[np.int64]:
        return unshuffle_bytes(self._columns_at(places)[self._layout()[5]]) + self._part.min_us

    def levels(self, places: Places) -> npt.NDArray[np.uint8]:
        levels: npt.NDArray[np.uint8] = self._columns_at(places)[2]
        return levels

    def codes(self, field: int, places: Places) -> Codes:
        if field == CONTAINERS:
            within = np.arange(self.records)[places] if isinstance(places, slice) else places
            return self._table().containers_at(within)
        return to_codes(self._columns_at(places)[self._layout()[2 if field == CATEGORIES else 3]])

    def places_by_number(self) -> Indexes:
        def make() -> tuple[Indexes, int]:
            places = np.argsort(to_codes(self._all_columns()[:2]), kind="stable").astype(np.int32)
            return places, places.nbytes  # type: ignore[return-value]

        return self._chunks.cached("order", make)

    def places_of(self, containers: Sequence[int]) -> Indexes:
        spans = [np.arange(*self._table().container_range(code)) for code in sorted(containers)]
        places = np.concatenate(spans)
        return places if len(spans) == 1 else places[np.argsort(self.numbers(places))]

    def texts(self, places: Indexes) -> list[bytes]:
        found: list[bytes] = [b""] * len(places)
        for group, here, inside in self._by_group(places):
            texts = self._texts[group].texts(self._text_indexes(group)[inside])
            for at, text in zip(here.tolist(), texts, strict=True):
                found[at] = text
        return found

    def _text_indexes(self, group: int) -> Indexes:
        """For each record of a group, which of its different texts it has."""

        def make() -> tuple[Indexes, int]:
            low, high = self._planes(group)[self._layout()[4]]
            which = low.astype(np.intp) | high.astype(np.intp) << 8
            return which, which.nbytes

        return self._chunks.cached(("which", group), make)

    def may_match(self, needle: Substring) -> bool:
        return needle.may_match(self.trigram_filter())

    def trigram_filter(self) -> bytes:
        """See L{stationd.journal.text_search.trigram_filter}."""

        def make() -> tuple[bytes, int]:
            raw = self._chunks.read(self._only[TRIGRAMS])
            if len(raw) * 8 != FILTER_BITS:
                raise self._chunks.unreadable(self._only[TRIGRAMS])
            return raw, len(raw)

        return self._chunks.cached("trigrams", make)

    def check(self) -> bool:
        """Read everything, so that all damage is reported: whether there is none."""
        return self._chunks.check()

    def has_checksums(self) -> bool:
        """Whether every chunk has its checksum. Quicker than L{check}, which also
        decompresses."""
        return self._chunks.have_valid_checksums()

    def groups(self) -> list[Indexes]:
        """The places of the records of each group: they can be read if the chunks of
        another one cannot."""
        return list(map(np.arange, self._begins, self._begins[1:]))

    def find(self, needle: Substring) -> Indexes:
        def make() -> tuple[Indexes, int]:
            found = self._find(needle)
            return found, found.nbytes + 200

        # Whoever pages through what a search finds asks the same again.
        return self._chunks.cached(("find", needle.text), make)

    def _find(self, needle: Substring) -> Indexes:
        texts = BlockTexts(self._texts, bool(self._part.flags & FLAG_ASCII))
        having = np.zeros(texts.records, np.bool_)
        having[needle.find(texts)] = True
        found = [_NONE]
        for group, begin in enumerate(texts.begins):
            here = having[begin : begin + self._texts[group].records]
            if here.any():
                found.append(np.flatnonzero(here[self._text_indexes(group)]) + self._begins[group])
        return np.concatenate(found)

    def origins(self, places: Indexes) -> list[bytes]:
        """The origins of some records."""
        found = [b""] * len(places)
        if ORIGINS in self._groups[0]:
            for group, here, inside in self._by_group(places):
                origins = self._origins_of(group)
                for at, place in zip(here.tolist(), inside.tolist(), strict=True):
                    found[at] = origins[place]
        return found

    def split_texts(self, places: Indexes) -> list[bytes | None]:
        """The texts of some records of one group, found by their terminators and not by
        their lengths; C{None} for those in a chunk that cannot be read."""
        (group, _, inside), *_ = self._by_group(places)
        texts = self._texts[group].split()
        return [texts[which] for which in self._text_indexes(group)[inside].tolist()]

    def _origins_of(self, group: int) -> list[bytes]:
        def make() -> tuple[list[bytes], int]:
            raw = self._chunks.read(self._groups[group][ORIGINS][0])
            origins = raw.split(TERMINATOR)[:-1]
            return origins, len(raw) + 40 * len(origins)

        return self._chunks.cached(("origins", group), make)

    def _text_strings(self, places: Indexes, expected: int) -> list[str]:
        """Some texts, as strings. When many are wanted, all are kept: it is five times
        as fast to make them together."""
        if expected * MANY_TEXTS < self.records:
            return [text.decode() for text in self.texts(places)]

        def make() -> tuple[tuple[list[str], Indexes], int]:
            strings: list[str] = []
            which: list[Indexes] = []
            for group, texts in enumerate(self._texts):
                which.append(self._text_indexes(group) + len(strings))
                strings += texts.strings()
            size_bytes = sum(map(len, strings)) + STRING_OVERHEAD_BYTES * len(strings)
            return (strings, np.concatenate(which)), size_bytes

        try:
            strings, which = self._chunks.cached("strings", make)
        except (BlockUnreadable, ValueError):
            # Another group is damaged; these texts may be whole.
            return [text.decode() for text in self.texts(places)]
        return [strings[index] for index in which[places].tolist()]

    def records_at(self, places: Indexes, expected: int) -> list[Record]:
        names = self._table().decoded
        planes = self._columns_at(places)
        rows, levels, categories, users, _, times = (planes[at] for at in self._layout())
        values = zip(
            (unshuffle_bytes(rows) + self._part.first).tolist(),
            (unshuffle_bytes(times) + self._part.min_us).tolist(),
            [LEVELS[level] for level in levels[0].tolist()],
            [names[code] for code in to_codes(categories).tolist()],
            [names[code] for code in to_codes(users).tolist()],
            [names[code] for code in self._table().containers_at(places).tolist()],
            self._text_strings(places, expected),
            map(bytes.decode, self.origins(places)),
            strict=True,
        )
        # Record._make would take twice as long; zip has made sure of the length.
        return list(map(tuple.__new__, repeat(Record), values))
