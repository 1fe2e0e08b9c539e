"""Queries of all kinds, against the plain reference, over rows and sealed blocks."""

# ruff: noqa: RUF001 - letters that look like others are what is tested
from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import Query
from stationd.journal import block_encoder, row_segment, seal
from stationd.journal.block_cache import BlockCache
from stationd.journal.disk import Disk
from stationd.journal.query import select
from stationd.journal.store import Store
from stationd.journal.text_search import Substring, trigram_filter
from stationd.records import Draft, Level, Record
from stationd.testing import query_matches
from tests.contracts.journal import draft

DOCKER = [f"docker/{n:02d}" + "ab" * 31 for n in range(20)]
LXC = ["lxc/web", "lxc/web2", "lxc/" + "long" * 10, "lxc/" + "long" * 11, ""]
WORDS = [
    "Straße", "STRASSE", "Kelvin", "\u212aelvin", "\u017ftop", "stop", "STOP now", "ﬁle", "file",
    "İstanbul", "日本", "Ünïcode", "a@b", "a`b", "[x]", "{x}", "line\nbreak", "tab\tend", "\x00nul",
    "code 137", "CODE 1", "", "xyz", "߀\u07ff", "𝔘𝔫𝔦",
]  # fmt: skip


def drafts(count: int) -> list[Draft]:
    rng = random.Random(7)
    return [
        Draft(
            time_us=1000 + n * 10 + rng.randrange(-200, 200),
            level=Level(rng.choice((0, 1, 1, 1, 2, 3))),
            category=rng.choice(("container", "image", "export")),
            user=rng.choice(("all", "root", "Jörg")),
            container=rng.choice(DOCKER + LXC),
            text=" ".join(rng.choices(WORDS, k=rng.randrange(4))),
            origin=f"docker:{n}" if n % 3 else "",
        )
        for n in range(count)
    ]


def sometimes(*values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of some, or most often none, so that what is asked for together can be found."""
    return st.one_of(st.none(), st.none(), *values)


names = st.frozensets(st.sampled_from(["container", "image", "all", "Jörg", "nobody"]), max_size=3)

queries = st.builds(
    Query,
    time_start_us=sometimes(st.integers(500, 12_000)),
    time_end_us=sometimes(st.integers(500, 12_000)),
    after=sometimes(st.integers(0, 1100)),
    before=sometimes(st.integers(0, 1100)),
    levels=sometimes(st.frozensets(st.sampled_from(Level), max_size=3)),
    categories=sometimes(names),
    users=sometimes(names),
    containers=sometimes(
        st.frozensets(
            st.sampled_from([*DOCKER, *LXC, DOCKER[3][:19], DOCKER[4][:30], DOCKER[5][:18]]),
            max_size=4,
        ),
        st.just(frozenset(DOCKER)),
    ),
    text=sometimes(
        st.sampled_from(WORDS),
        st.sampled_from(WORDS).map(str.swapcase),
        st.sampled_from(["s", "SS", "st", "k", "fi", "o", "\n", "137", "b [", "e s", "é", "ß"]),
        st.text(max_size=3).filter(lambda text: text.isascii()),
    ),
    offset=st.sampled_from([0, 0, 0, 1, 20, 400]),
    limit=sometimes(st.integers(0, 50)),
    oldest_first=st.booleans(),
)


class QueryTests(SynchronousTestCase):
    """One journal of a thousand records: three sealed segments of several blocks and
    groups, one of rows that is full, and the one that is written.

    @cvar examples: how many queries are tried.
    """

    examples = 60

    def setUp(self) -> None:
        self.patch(block_encoder, "GROUP_RECORDS", 32)
        self.patch(seal, "BLOCK_RECORDS", 100)
        self.patch(block_encoder, "CHUNK_TEXT_BYTES", 300)
        self.patch(row_segment, "SPAN_RECORDS", 40)
        salts = itertools.count(9)
        self.store = Store(self.mktemp(), 14_000, self.make_disk(), lambda: 5, salts.__next__)
        self.addCleanup(self.store.close)
        given = drafts(1000)
        for batch in range(0, 1000, 8):
            self.store.commit(given[batch : batch + 8])
        for _ in range(3):
            segment_ = self.store.next_to_seal()
            assert segment_ is not None
            path = seal.seal_segment(self.store.disk, segment_, lambda: None)
            self.store.install_sealed(segment_, path)
        self.assertGreaterEqual(len(self.store.view.segments), 5)
        self.records = [
            Record(n, d.time_us, d.level, d.category, d.user, d.container, d.text, d.origin)
            for n, d in enumerate(given, 1)
        ]

    def make_disk(self) -> Disk:
        return Disk()

    def steps(self, query: Query, cache: BlockCache) -> Iterator[list[Record]]:
        """The steps of a query."""
        return select(self.store.view, query, cache)

    def select(self, query: Query, cache: BlockCache) -> list[Record]:
        return [record for found in self.steps(query, cache) for record in found]

    def expected(self, query: Query) -> list[Record]:
        records = self.records if query.oldest_first else self.records[::-1]
        found = [record for record in records if query_matches(query, record)][query.offset :]
        return found if query.limit is None else found[: query.limit]

    def test_any_query_finds_what_the_reference_finds(self) -> None:
        cache = BlockCache(200_000)
        seen = 0

        @settings(max_examples=self.examples)
        @given(queries)
        def check(query: Query) -> None:
            nonlocal seen
            found = self.select(query, cache)
            self.assertEqual(found, self.expected(query))
            seen += bool(found)

        check()
        self.assertGreater(seen, self.examples // 6)
        self.assertEqual([s.damage for s in self.store.view.segments if s.damage], [])

    def test_every_word_is_found_however_it_is_written(self) -> None:
        cache = BlockCache()
        for word in WORDS:
            for text in {word, word.swapcase(), word.casefold()}:
                query = Query(text=text)
                self.assertEqual(self.select(query, cache), self.expected(query), text)

    def test_a_small_cache_stays_small(self) -> None:
        cache = BlockCache(100_000)
        for _ in self.select(Query(), cache):
            pass
        largest = max(block.size_bytes for block in cache._blocks.values())
        self.assertLessEqual(cache.size_bytes(), 100_000 + largest)

    def test_summaries_rule_out_what_is_not_there(self) -> None:
        reads: list[int] = []
        read = self.store.disk.read

        def counted(fd: int, size: int, offset: int) -> bytes:
            reads.append(offset)
            return read(fd, size, offset)

        self.patch(self.store.disk, "read", counted)
        last = 3 * 14_000
        for query in (
            Query(before=300, containers=frozenset(["lxc/nowhere"])),
            Query(before=300, categories=frozenset(["nothing"])),
            Query(before=300, time_start_us=last),
            Query(before=300, time_end_us=3),
        ):
            self.assertEqual(self.select(query, BlockCache()), [])
            self.assertEqual(reads, [], query)


class BesideTests(SynchronousTestCase):
    """Queries that are under way while others run and more is committed.

    @cvar seeds: of the runs.
    """

    seeds = range(4)

    def setUp(self) -> None:
        self.patch(row_segment, "SPAN_RECORDS", 40)
        self.patch(row_segment, "READ_BYTES", 500)
        self.directory = self.mktemp()
        self.store = Store(self.directory, 1 << 20, Disk(), lambda: 5, itertools.count(9).__next__)
        self.addCleanup(self.store.close)

    def test_each_sees_what_there_was_when_it_began(self) -> None:
        for seed in self.seeds:
            rng = random.Random(seed)
            cache = BlockCache(rng.choice((1, 10_000, 1 << 20)))
            # Of each: the last number when it began, its order, what it has found.
            running: list[tuple[int, bool, list[int], Iterator[list[Record]]]] = []
            ended = 0
            for turn in range(1000):
                if rng.random() < 0.1 and turn < 500:
                    first = self.store.view.last + 1
                    given = range(first, first + rng.randrange(1, 15))
                    self.store.commit([draft(f"{n}", time_us=n) for n in given])
                    # Somebody looks at the newest.
                    page = select(self.store.view, Query(limit=20), cache)
                    newest = [record.number for records in page for record in records]
                    self.assertEqual(newest[0], given[-1])
                elif rng.random() < 0.1 and turn < 500:
                    oldest = rng.random() < 0.5
                    query = Query(
                        after=self.store.view.last - 100,
                        oldest_first=oldest,
                        time_start_us=rng.choice((None, 0)),
                    )
                    under_way = select(self.store.view, query, cache)
                    running.append((self.store.view.last, oldest, [], under_way))
                elif running:
                    at = rng.randrange(len(running))
                    last, oldest, numbers, found = running[at]
                    records = next(found, None)
                    if records is not None:
                        self.assertTrue(all(r.text == str(r.number) for r in records))
                        numbers += [record.number for record in records]
                        continue
                    running.pop(at)
                    ended += 1
                    expected = list(range(max(1, last - 99), last + 1))
                    self.assertEqual(numbers, expected if oldest else expected[::-1], seed)
            self.assertGreater(ended, 20)
            self.assertEqual(self.store.status().damage, (), seed)

    def test_a_query_does_not_keep_what_was_removed(self) -> None:
        cache = BlockCache()
        self.store.commit([draft("x" * 400) for _ in range(90)])
        under_way = select(self.store.view, Query(), cache)
        next(under_way)
        self.store.clear(9)
        cache.retain_only(self.store.view.segments)
        self.assertEqual(sum(map(len, under_way)) > 0, True)
        self.assertEqual(cache.size_bytes(), 0)


class NameTests(SynchronousTestCase):
    """As many and as long names as can be."""

    def check(self, given: list[Draft], blocks: int) -> None:
        directory = self.mktemp()
        store = Store(directory, 1, Disk(), lambda: 5, itertools.count(9).__next__)
        self.addCleanup(store.close)
        store.commit(given)
        store.commit([draft("the next segment")])
        for sealed in (False, True):
            if sealed:
                segment_ = store.next_to_seal()
                assert segment_ is not None
                store.install_sealed(
                    segment_, seal.seal_segment(store.disk, segment_, lambda: None)
                )
                self.assertEqual(len(store.view.segments[-2].parts), blocks)
            found = [
                r.category
                for rs in select(store.view, Query(oldest_first=True), BlockCache())
                for r in rs
            ]
            self.assertEqual(found[:-1], [one.category for one in given])
            self.assertEqual(store.status().damage, ())

    def test_long_ones_fit_into_frames(self) -> None:
        for letter in "xü":
            names = [f"{n:05d}" + letter * 251 for n in range(1024)]
            self.check([draft(category=name, user=name) for name in names], 1)

    def test_many_ones_make_more_blocks(self) -> None:
        numbers = range(30_000)
        given = [draft(category=f"c{n}", user=f"u{n}", container=f"lxc/{n}") for n in numbers]
        self.check(given, 2)


class FilterTests(SynchronousTestCase):
    """The text filter never says no to a text that is there."""

    def test_it_has_every_part_of_every_text(self) -> None:
        @settings(max_examples=200)
        @given(st.lists(st.text(max_size=20), max_size=5), st.data())
        def check(texts: list[str], data: st.DataObject) -> None:
            raw = trigram_filter([text.encode() for text in texts])
            self.assertEqual(len(raw), 8192)
            for text in texts:
                begin = data.draw(st.integers(0, len(text)))
                end = data.draw(st.integers(begin, len(text)))
                self.assertTrue(Substring(text.casefold()[begin:end]).may_match(raw))
                self.assertTrue(
                    Substring(text.upper()).may_match(trigram_filter([text.upper().encode()]))
                )

        check()

    def test_it_rules_out_most_of_what_is_not(self) -> None:
        raw = trigram_filter(
            [f"container {n} exited with code {n % 7}".encode() for n in range(999)]
        )
        missing = [f"{n:x}fault{n:x}" for n in range(200)]
        self.assertLess(sum(Substring(part).may_match(raw) for part in missing), 3)
