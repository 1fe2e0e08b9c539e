"""JSON that comes back as it was."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stationd.records import MAX_TEXT_BYTES
from stationd.web.strict_json import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_OBJECTS_AND_FRACTIONS,
    MAX_VALUES,
    JsonReader,
    NumberLiteral,
    write_json,
)


def one(text: str) -> object:
    return JsonReader().read(text)


def each(text: str) -> list[object]:
    return list(JsonReader().read_array(text))


numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class NumberTests(SynchronousTestCase):
    """A number is a decimal, not what a binary fraction makes of it."""

    @settings(deadline=None)
    @given(numbers)
    def test_its_value_does_not_change(self, text: str) -> None:
        try:
            back = write_json([one(text)])[1:-1]
        except ValueError:
            self.assertTrue(math.isinf(float(text)))
        else:
            self.assertEqual(Decimal(back), Decimal(text))

    def test_how_it_is_written_does_not_change(self) -> None:
        for text in (
            "1432022633.1739689999",
            "1.50",
            "0.1e1",
            "1E-400",
            "-0.0",
            "1e999",
            "0.1",
            "1e5",
        ):
            value = one(text)
            if text == "1e999":
                self.assertRaises(ValueError, write_json, value)
            else:
                self.assertEqual(
                    write_json({"x": [value, {"y": value}]}), f'{{"x": [{text}, {{"y": {text}}}]}}'
                )

    def test_those_that_are_none(self) -> None:
        for text in ("NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "9" * 5000):
            self.assertRaises(ValueError, one, text)

    def test_one_that_is_long_costs_nothing(self) -> None:
        value = one("0." + "1" * 500_000)
        assert isinstance(value, NumberLiteral)
        self.assertEqual(len(value.text), 500_002)


class CostTests(SynchronousTestCase):
    """What one document may cost, in calls of Python's functions: the same on every machine."""

    def calls(self, work: Callable[[Any], object], given: object) -> int:
        """How many functions in Python it calls, whether or not it succeeds."""
        count = 0

        def called(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(called)
        try:
            work(given)
        except ValueError:
            pass
        finally:
            sys.setprofile(None)
        return count

    def test_writing_is_not_a_call_for_each_part(self) -> None:
        for part in ("0", '""', "[]", "[0]", "null", "[[]]", "9" * 4000):
            for number in (10_000, 50_000) if len(part) < 9 else (50,):
                for first in ("0", "1.50"):
                    value = [one(first), *[one(part)] * number]
                    self.assertLess(self.calls(write_json, value), 1000, part)

    def test_reading_is_bounded(self) -> None:
        for part in ("1.5", "1.50", "{}", '{"a": 1.5}'):
            text = f"[{','.join([part] * 40_000)}]"
            self.assertLess(self.calls(one, text), 20_000)

    def test_a_long_document_with_many_values_is_not_read(self) -> None:
        for part in ("0", '""', "[]", '"a\\",": [0]', '"\\\\"'):
            for space in ("", " " * 70_000):
                left, right = "{}" if ":" in part else "[]"
                text = f"{left}{space}{','.join([part] * 50_000)}{right}"
                self.assertRaisesRegex(ValueError, "No document of at most", one, text)
                self.assertRaisesRegex(ValueError, "No document of at most", each, f"[{text}, 1]")

    def test_its_values_are_those_that_no_string_has(self) -> None:
        commas = json.dumps('\\,",' * 20_000)
        for text in (
            f"[{commas}]",
            json.dumps([0] * (MAX_TEXT_BYTES // 3), indent=8),
            f"[{' ' * 70_000}{commas}{', 0' * (MAX_VALUES - 1)}]",
        ):
            self.assertEqual(one(text), json.loads(text))
            self.assertEqual(each(f"[{text},{text}]"), [json.loads(text)] * 2)
        self.assertEqual(len(each(f"[{json.dumps('x' * 70_000)}{',0' * 50_000}]")), 50_001)

    def test_what_is_too_long_is_not_written(self) -> None:
        for part in ("0", '""', "[]", "[0]", "null", "9" * 4000):
            number = MAX_TEXT_BYTES // len(part)
            for first in ("0", "1.50"):
                value = [one(first), *[one(part)] * (number * 2)]
                self.assertRaisesRegex(ValueError, "longer than", write_json, value)

    @settings(deadline=None, max_examples=30)
    @given(values)
    def test_nothing_that_fits_is_too_long(self, value: object) -> None:
        size = MAX_TEXT_BYTES // (len(json.dumps(value, ensure_ascii=False)) + 2)
        many = [value] * size
        self.assertEqual(write_json(many), json.dumps(many, ensure_ascii=False))

    def test_as_much_as_fits(self) -> None:
        for part in ("0", "9", '""', "[]", "[0]", "null", "9" * 99, "9" * 101, "9" * 4000):
            number = MAX_TEXT_BYTES // (len(part) + 2)
            text = f"[{', '.join([part] * number)}]"
            self.assertEqual(write_json(one(text)), text)
        for part in ("1.50", "{}"):
            text = f"[{', '.join([part] * (MAX_OBJECTS_AND_FRACTIONS - 1))}]"
            self.assertEqual(write_json(one(text)), text)


class DocumentTests(SynchronousTestCase):
    """Reading and writing."""

    @settings(deadline=None)
    @given(values)
    def test_it_is_what_json_makes_of_it(self, value: object) -> None:
        for text in (json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False)):
            self.assertEqual(json.loads(write_json(one(text))), value)
            self.assertEqual(json.loads(write_json(each(f" [{text} , {text}] "))), [value, value])

    @settings(deadline=None)
    @given(st.text(alphabet='[]{},:" \n1.eabc\\u0', max_size=20))
    def test_it_refuses_what_json_refuses(self, text: str) -> None:
        try:
            expected = json.loads(text)
        except ValueError:
            self.assertRaises(ValueError, one, text)
            self.assertRaises(ValueError, each, text)
        else:
            if isinstance(expected, list):
                self.assertEqual(json.loads(write_json(each(text))), expected)
            else:
                self.assertRaises(ValueError, each, text)

    def test_a_key_that_comes_twice(self) -> None:
        for text in ('{"a": 1, "b": 2, "a": 3}', '{"x": [{"a": 1, "\\u0061": 1}]}'):
            self.assertRaisesRegex(ValueError, "key 'a' twice", one, text)

    def test_two_of_very_many_keys(self) -> None:
        keys = [f'"{n}": 0' for n in range(20_000)]
        text = "{" + ", ".join([*keys, keys[-1]]) + "}"
        # By comparing each with each this would take half a minute.
        self.assertRaisesRegex(ValueError, f"key '{len(keys) - 1}' twice", one, text)

    def test_the_parts_of_a_document_are_bounded_not_those_of_all(self) -> None:
        for part in ("{}", "1.5", '{"a": 2.50}'):
            many = f"[{','.join([part] * (MAX_OBJECTS_AND_FRACTIONS + 1))}]"
            self.assertRaisesRegex(ValueError, "objects and fractions", one, many)
            self.assertEqual(len(each(many)), MAX_OBJECTS_AND_FRACTIONS + 1)

    def test_a_document_is_bounded_and_not_the_text(self) -> None:
        for size in (4 << 10, 64 << 10, MAX_CHARACTERS):
            for length in (size - 1, size, size + 1):
                for left, inner, right in (
                    ('"', "x", '"'),
                    ('{"a":"', "x", '"}'),
                    ("[", " ", "]"),
                    ("1.", "7", ""),
                ):
                    part = left + inner * (length - len(left + right)) + right
                    many = f"[{part}, 1,{part}]"
                    if length > MAX_CHARACTERS or (length == MAX_CHARACTERS and not right):
                        self.assertRaisesRegex(ValueError, "No document of at most", each, many)
                    else:
                        shown = [one(part), 1, one(part)]
                        self.assertEqual(each(many), shown)
        for length in (4095, 4096, 4097):
            self.assertEqual(each(f"[{'7' * length},1]"), [int("7" * length), 1])

    def test_where_it_is_wrong_counts_from_the_beginning(self) -> None:
        self.assertRaisesRegex(ValueError, r"char 9\)", each, "[1, 22, {x}]")

    def test_they_are_read_when_they_are_asked_for(self) -> None:
        read = JsonReader().read_array("[1, 2, nonsense")
        self.assertEqual([next(read), next(read)], [1, 2])
        self.assertRaises(ValueError, next, read)

    def test_nesting(self) -> None:
        for depth, is_good in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
            for left, right in (("[", "]"), ('{"a": ', "}")):
                for inner in ("1", "2.50"):
                    text = left * depth + inner + right * depth
                    if is_good:
                        self.assertEqual(write_json(one(text)), text)
                    else:
                        self.assertRaises(ValueError, write_json, one(text))
        flat = f"[{', '.join(['[]'] * MAX_DEPTH * 2)}]"
        self.assertEqual(write_json(one(flat)), flat)
        self.assertRaises(RecursionError, one, "[" * 100_000)
