"""The page and the code say the same: the examples of C{docs/journal-format.md} are what
the code writes or reads, and a reader written from the page alone reads what the code
writes, sealed or not."""

from __future__ import annotations

import itertools
import os
import re
import struct
import zlib
from collections.abc import Iterator

import zstandard
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import Query
from stationd.journal import block_encoder
from stationd.journal.commit_encoder import encode_commit
from stationd.journal.disk import Disk
from stationd.journal.file_header import FLAG_COLUMN_FRAMES, KIND_ROWS, FileHeader, pack_file_header
from stationd.journal.read_only_journal import ReadOnlyJournal
from stationd.journal.seal import seal_segment
from stationd.journal.store import Store
from stationd.records import Draft, Level
from tests.test_layers import ROOT

SALT = 0x5A17

DRAFTS = [
    Draft(
        time_us=1432022716586827,
        category="container",
        user="system",
        container="lxc/utest",
        text="Destroy container (lxc, utest)",
    ),
    Draft(
        time_us=1432022704863714,
        level=Level.WARN,
        category="container",
        user="TestUser2",
        text="Hello",
    ),
]

Found = tuple[int, int, int, str, str, str, str, str]
"""number, time, level, category, user, container, origin, text"""


def page() -> str:
    with open(os.path.join(ROOT, "docs", "journal-format.md"), encoding="utf-8") as file:
        return file.read()


def examples() -> list[bytes]:
    """The bytes of the page's hex dumps."""
    found = []
    for dump in re.findall(r"```\n(00000000 .*?)```", page(), re.S):
        lines = re.findall(r"^[0-9a-f]{8}  ((?:[0-9a-f]{2}  ?){1,16}) *\|", dump, re.M)
        found.append(bytes.fromhex("".join(lines)))
    return found


# A reader written from the page, with nothing of the package.


def read(raw: bytes, salt: int) -> Iterator[Found]:
    """All records of a segment without damage."""
    assert raw[:8] == b"STATIONJ"
    assert struct.unpack_from("<I", raw, 44)[0] == zlib.crc32(raw[:44])
    (kind,) = struct.unpack_from("<H", raw, 10)
    yield from read_rows(raw, salt) if kind == 1 else read_sealed(raw, salt)


def read_rows(raw: bytes, salt: int) -> Iterator[Found]:
    at = 48
    while at < len(raw):
        assert raw[at : at + 4] == b"\xf5FRM"
        length, n, number = struct.unpack_from("<IIQ", raw, at + 8)
        payload_sum, header_sum = struct.unpack_from("<II", raw, at + 48)
        payload = raw[at + 56 : at + 56 + length]
        assert header_sum == zlib.crc32(raw[at : at + 52], salt)
        assert payload_sum == zlib.crc32(payload, salt)
        if raw[at + 4] == 2:
            times, categories, users, containers, levels = (
                struct.unpack_from(f"<{n}{code}", payload, size * n)
                for code, size in (("q", 0), ("H", 8), ("H", 10), ("H", 12), ("B", 14))
            )
            strings = [part.decode() for part in payload[15 * n :].split(b"\xff")[:-1]]
            names, origins, texts = strings[: -2 * n], strings[-2 * n : -n], strings[-n:]
            for i in range(n):
                three = (names[column[i]] for column in (categories, users, containers))
                yield (number + i, times[i], levels[i], *three, origins[i], texts[i])
        else:
            row = 0
            for i in range(n):
                time_us, level = struct.unpack_from("<qB", payload, row)
                sizes = struct.unpack_from("<4HI", payload, row + 10)
                row += 22
                ends = list(itertools.accumulate(sizes, initial=row))
                five = (payload[a:b].decode() for a, b in itertools.pairwise(ends))
                yield (number + i, time_us, level, *five)
                row = ends[-1]
        at += 56 + length


def read_sealed(raw: bytes, salt: int) -> Iterator[Found]:
    trailer = raw[-44:]
    assert trailer[:8] == b"STATIONF"
    offset, _, stored, size, blocks, footer_sum, own = struct.unpack_from("<QQIIIII", trailer, 8)
    assert own == zlib.crc32(trailer[:40], salt)
    footer = raw[offset : offset + stored]
    assert footer_sum == zlib.crc32(footer, salt)
    headers = zstandard.ZstdDecompressor().decompress(footer)
    assert len(headers) == size
    at = 48
    while headers:
        assert headers[:4] == b"\xf5BLK"
        (header_size,) = struct.unpack_from("<I", headers, 4)
        header, headers = headers[:header_size], headers[header_size:]
        assert raw.startswith(header, at)
        assert struct.unpack("<I", header[-4:])[0] == zlib.crc32(header[:-4], salt)
        at += header_size
        chunks, blocks = [], blocks - 1
        (count,) = struct.unpack_from("<H", header, 12)
        for kind, length, size, records, sum in struct.iter_unpack(
            "<B3xIIII", header[64 : 64 + 20 * count]
        ):
            assert sum == zlib.crc32(raw[at : at + length], salt)
            chunk = zstandard.ZstdDecompressor().decompress(raw[at : at + length])
            assert len(chunk) == size
            chunks.append((kind, records, chunk))
            at += length
        yield from read_block(header, chunks)
    assert blocks == 0 and at == offset


def numbers(planes: bytes, n: int) -> list[int]:
    width = len(planes) // n
    return [sum(planes[p * n + i] << 8 * p for p in range(width)) for i in range(n)]


def read_block(header: bytes, chunks: list[tuple[int, int, bytes]]) -> Iterator[Found]:
    first, last, least = struct.unpack_from("<QQq", header, 16)
    assert last - first + 1 == struct.unpack_from("<I", header, 8)[0]
    (count,) = struct.unpack_from("<I", chunks[0][2])
    names = [part.decode() for part in chunks[0][2][4 + 4 * count :].split(b"\xff")[:-1]]
    counts = struct.unpack_from(f"<{count}I", chunks[0][2], 4)
    containers = iter([name for name, n in zip(names, counts, strict=True) for _ in range(n)])
    groups: list[list[tuple[int, int, bytes]]] = []
    for chunk in chunks[2:]:
        if chunk[0] == 3:
            groups.append([])
        groups[-1].append(chunk)
    for group in groups:
        (_, n, columns), *others = group
        w = 1 if len(names) <= 256 else 2
        widths = [2, 1, w, w, 2, len(columns) // n - 5 - 2 * w]
        ends = itertools.accumulate(widths, initial=0)
        parts = [columns[n * a : n * b] for a, b in itertools.pairwise(ends)]
        rows, levels, categories, users, which, times = (numbers(part, n) for part in parts)
        joined = {k: b"".join(c for kind, _, c in others if kind == k) for k in (4, 6)}
        origins = joined[4].decode("latin-1").split("\xff")[:-1] or [""] * n
        texts = [text.decode() for text in joined[6].split(b"\xff")[:-1]]
        ((_, different, planes),) = (chunk for chunk in others if chunk[0] == 5)
        assert numbers(planes, different) == [len(text.encode()) for text in texts]
        for i in range(n):
            yield (
                first + rows[i],
                least + times[i],
                levels[i],
                names[categories[i]],
                names[users[i]],
                next(containers),
                origins[i],
                texts[which[i]],
            )


def given(drafts: list[Draft]) -> list[Found]:
    """What a reader should find of drafts that were numbered from 1 on."""
    return [
        (n, d.time_us, int(d.level), d.category, d.user, d.container, d.origin, d.text)
        for n, d in enumerate(drafts, 1)
    ]


class PageTests(SynchronousTestCase):
    """The examples, and files of all kinds."""

    def test_it_is_what_the_code_writes(self) -> None:
        header = FileHeader(
            kind=KIND_ROWS,
            first=1,
            created_us=1432022633000000,
            salt=SALT,
            incompatible=FLAG_COLUMN_FRAMES,
        )
        frames, _ = encode_commit(DRAFTS, 1, 1432022716600000, SALT)
        self.assertEqual(examples()[0], pack_file_header(header) + frames)

    def test_a_reader_written_from_the_page_reads_the_examples(self) -> None:
        self.assertEqual(len(examples()), 2)
        for example in examples():
            self.assertEqual(list(read(example, SALT)), given(DRAFTS))

    def test_what_the_first_writers_wrote_is_still_read_and_sealed(self) -> None:
        directory = self.mktemp()
        os.makedirs(directory)
        path = os.path.join(directory, "00000001-00000000000000000001-00005a17.rows")
        with open(path, "wb") as file:
            file.write(examples()[1])
        self.assertEqual(self.found(directory), given(DRAFTS))
        store = Store(directory, 1 << 20, Disk(), lambda: 5, lambda: 6)
        self.addCleanup(store.close)
        self.assertEqual(store.commit(DRAFTS), 3)
        self.assertEqual(len(store.view.segments), 2)
        segment = store.next_to_seal()
        assert segment is not None
        store.install_sealed(segment, seal_segment(store.disk, segment, lambda: None))
        self.assertEqual(self.found(directory), given(DRAFTS + DRAFTS))
        with open(path.replace(".rows", ".sealed"), "rb") as file:
            self.assertEqual(sorted(read(file.read(), SALT)), given(DRAFTS))

    def found(self, directory: str) -> list[Found]:
        """What the package reads."""
        reader = ReadOnlyJournal(directory)
        self.assertEqual(reader.status().damage, ())
        return [
            (r.number, r.time_us, int(r.level), r.category, r.user, r.container, r.origin, r.text)
            for records in reader.select(Query(oldest_first=True))
            for r in records
        ]

    def test_a_reader_written_from_the_page_reads_all_that_the_code_seals(self) -> None:
        self.patch(block_encoder, "GROUP_RECORDS", 64)
        self.patch(block_encoder, "CHUNK_TEXT_BYTES", 1000)
        for names in (3, 300):
            drafts = [
                Draft(
                    time_us=(n * 7919) % 5000 + (n % 7) * 10**9,
                    level=Level(n % 4),
                    category=f"category{n % 3}",
                    user=f"Üser{n % 5}",
                    container=f"lxc/{n % names}" if n % 11 else "",
                    text=f"Straße {n % 9}\n\x00" + "x" * (n % 300),
                    origin=f"docker:{n}" if n % 2 else "",
                )
                for n in range(700)
            ]
            directory = self.mktemp()
            store = Store(directory, 100, Disk(), lambda: 5, lambda: SALT)
            store.commit(drafts)
            store.commit(DRAFTS)
            segment = store.next_to_seal()
            assert segment is not None
            store.install_sealed(segment, seal_segment(store.disk, segment, lambda: None))
            store.close()
            (path,) = (name for name in os.listdir(directory) if name.endswith(".sealed"))
            with open(os.path.join(directory, path), "rb") as file:
                raw = file.read()
            self.assertEqual(sorted(read(raw, SALT)), given(drafts))
            self.assertEqual(self.found(directory), given(drafts + DRAFTS))

    def test_sizes_on_the_page_add_up(self) -> None:
        for title, size in (
            ("File header", 48),
            ("Frame", 56),
            ("Row", 22),
            ("Block header", 64),
            ("Trailer", 44),
            ("tombstone of the first writers", 28),
        ):
            section = page().split(f"{title}: {size} bytes")[1].split("\n#")[0]
            rows = re.findall(r"^\| (\d+) \| (\d+) \|", section.split("An entry:")[0], re.M)
            self.assertGreater(len(rows), 3)
            at = 0
            for offset, length in rows:
                self.assertEqual(int(offset), at, title)
                at += int(length)
            self.assertEqual(at, size, title)
