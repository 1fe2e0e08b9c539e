"""The page and the code say the same: the example of C{docs/journal-format.md} is what
the code writes and reads, and a reader written from the page alone reads it too."""

from __future__ import annotations

import os
import re
import struct
import zlib

from twisted.trial.unittest import SynchronousTestCase

from stationd.journal.commit import pack_commit
from stationd.journal.format import KIND_ROWS, FileHeader, pack_file_header
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


def page() -> str:
    with open(os.path.join(ROOT, "docs", "journal-format.md"), encoding="utf-8") as file:
        return file.read()


def example() -> bytes:
    """The bytes of the page's hex dump."""
    lines = re.findall(r"^[0-9a-f]{8}  ((?:[0-9a-f]{2}  ?){1,16}) *\|", page(), re.M)
    return bytes.fromhex("".join(lines))


def read(raw: bytes, salt: int) -> list[tuple[int, int, int, list[str]]]:
    """A reader written from the page, with nothing of the package: number, time,
    level and the five strings of each record."""
    assert raw[:8] == b"STATIONJ"
    assert struct.unpack_from("<I", raw, 44)[0] == zlib.crc32(raw[:44])
    found = []
    at = 48
    while at < len(raw):
        assert raw[at : at + 4] == b"\xf5FRM"
        length, records, number = struct.unpack_from("<IIQ", raw, at + 8)
        payload_sum, header_sum = struct.unpack_from("<II", raw, at + 48)
        payload = raw[at + 56 : at + 56 + length]
        assert header_sum == zlib.crc32(raw[at : at + 52], salt)
        assert payload_sum == zlib.crc32(payload, salt)
        row = 0
        for _ in range(records):
            time_us, level = struct.unpack_from("<qB", payload, row)
            sizes = struct.unpack_from("<4HI", payload, row + 10)
            row += 22
            strings = []
            for size in sizes:
                strings.append(payload[row : row + size].decode())
                row += size
            found.append((number, time_us, level, strings))
            number += 1
        assert row == length
        at += 56 + length
    return found


class PageTests(SynchronousTestCase):
    """The example."""

    def test_it_is_what_the_code_writes(self) -> None:
        header = FileHeader(kind=KIND_ROWS, first=1, created_us=1432022633000000, salt=SALT)
        frames, _ = pack_commit(DRAFTS, 1, 1432022716600000, SALT)
        self.assertEqual(example(), pack_file_header(header) + frames)

    def test_a_reader_written_from_the_page_reads_it(self) -> None:
        self.assertEqual(
            read(example(), SALT),
            [
                (
                    number,
                    draft.time_us,
                    int(draft.level),
                    [draft.category, draft.user, draft.container, draft.origin, draft.text],
                )
                for number, draft in enumerate(DRAFTS, 1)
            ],
        )

    def test_sizes_on_the_page_add_up(self) -> None:
        for title, size in (("File header", 48), ("Frame", 56), ("Row", 22), ("tombstone", 28)):
            section = page().split(f"{title}: {size} bytes")[1].split("\n#")[0]
            rows = re.findall(r"^\| (\d+) \| (\d+) \|", section, re.M)
            self.assertGreater(len(rows), 3)
            at = 0
            for offset, length in rows:
                self.assertEqual(int(offset), at, title)
                at += int(length)
            self.assertEqual(at, size, title)
