"""Records as lines of JSON."""

from __future__ import annotations

import json

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stationd.cli.record_lines import MAX_LINE_BYTES, decode_draft, encode_record
from stationd.errors import InvalidValue
from stationd.records import MAX_NAME_LENGTH, MAX_TEXT_BYTES, MAX_TIME_US, Draft, Level, Record

any_text = st.text(st.characters(codec="utf-8"), max_size=300)

printable = st.characters(codec="utf-8").filter(str.isprintable)

words = st.text(printable.filter(lambda one: one not in ":,"), min_size=1, max_size=MAX_NAME_LENGTH)

references = st.text(printable, max_size=MAX_NAME_LENGTH)

drafts = st.builds(
    Draft,
    time_us=st.integers(0, MAX_TIME_US),
    level=st.sampled_from(Level),
    category=words,
    user=words,
    container=references,
    text=any_text,
    origin=references,
)
"""Whatever a journal can hold."""


def record(draft: Draft, number: int = 1) -> Record:
    """A draft that has got a number."""
    return Record(number=number, **attrs.asdict(draft))


class LineTests(SynchronousTestCase):
    """Both ways."""

    good = record(Draft(time_us=5, category="a", user="b", text="c", origin="o:1"), 7)

    @given(drafts)
    def test_each_record_comes_back_as_it_was(self, draft: Draft) -> None:
        line = encode_record(record(draft)).encode()
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(decode_draft(line), draft)

    def test_the_longest_text_fits(self) -> None:
        for character in ("\0", "\U0001f4a5", '"', "\u2028"):
            text = character * (MAX_TEXT_BYTES // len(character.encode()))
            draft = Draft(time_us=5, category="a", user="b", text=text)
            line = encode_record(record(draft)).encode()
            self.assertLess(len(line), MAX_LINE_BYTES)
            self.assertEqual(decode_draft(line), draft)

    def test_what_a_line_is(self) -> None:
        self.assertEqual(
            encode_record(self.good),
            '{"number": 7, "time_us": 5, "level": "INFO", "category": "a", "user": "b", '
            '"container": "", "text": "c", "origin": "o:1"}\n',
        )

    def test_number_container_and_origin_may_be_left_out(self) -> None:
        fields = json.loads(encode_record(self.good))
        for key in ("number", "container", "origin"):
            del fields[key]
        draft = decode_draft(json.dumps(fields).encode())
        self.assertEqual((draft.container, draft.origin, draft.text), ("", "", "c"))

    def test_what_is_wrong_is_said(self) -> None:
        fields = json.loads(encode_record(self.good))
        for change, said in (
            ({"time_us": 1.5}, "time_us: 1.5 is not allowed; a whole number"),
            ({"time_us": True}, "time_us: True is not allowed; a whole number"),
            ({"time_us": -1}, "time_us: -1 is not allowed; a whole number"),
            ({"time_us": MAX_TIME_US + 1}, "time_us: .* microseconds, 0 to the year 9999"),
            ({"number": "7"}, "number: '7' is not allowed; a whole number"),
            ({"level": "info"}, "level: 'info' is not allowed; one of DEBUG, INFO, WARN, ERROR"),
            ({"level": 1}, "level: 1 is not allowed; a string"),
            ({"category": ""}, "category: '' is not allowed; 1 to 256"),
            ({"user": "a:b"}, "user: 'a:b' is not allowed"),
            ({"container": "\n"}, "container: .* is not allowed; at most 256 printable"),
            ({"text": None}, "text: None is not allowed; a string"),
            ({"text": "\ud800"}, "text: .* no lone surrogates"),
            ({"text": "x" * 65537}, "text: .* at most 65536 bytes"),
            ({"ts": 5}, "ts: 5 is not allowed; keys are "),
        ):
            with self.assertRaisesRegex(InvalidValue, said):
                decode_draft(json.dumps(fields | change).encode())
        for key in ("time_us", "level", "category", "user", "text"):
            with self.assertRaisesRegex(InvalidValue, f"{key}: None is not allowed; required"):
                decode_draft(json.dumps({k: v for k, v in fields.items() if k != key}).encode())

    def test_what_is_no_record(self) -> None:
        good = encode_record(self.good).encode()
        for line in (
            b"",
            b"\n",
            b"5",
            b"[]",
            good[:-5],
            good + good,
            b"\xff" + good,
            good.replace(b'"c"', b'"c", "text": "d"'),
            good.replace(b"5", b"NaN"),
            b"[" * 100_000,
            b" " * (MAX_LINE_BYTES + 1),
        ):
            with self.assertRaises(InvalidValue):
                decode_draft(line)

    @given(st.binary(max_size=60))
    def test_anything_else_is_refused(self, raw: bytes) -> None:
        with self.assertRaises(InvalidValue):
            decode_draft(raw)
