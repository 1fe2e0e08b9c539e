"""Whatever is posted is answered, and well."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stationd.web.posted_records import MAX_RECORDS
from stationd.web.sessions import COOKIE_NAME
from tests.web.station import StationCase, Wire

NUMBERS = (
    *(
        "0",
        "-0",
        "0.0",
        "-0.0",
        "-1",
        "0.1e1",
        "1e5",
        "1E5",
        "1e400",
        "-1e400",
        "1E-400",
        "-1E-400",
    ),
    *("1e999999999", "1e-999999999", "1e99999999999999999999", "1e-99999999999999999999", "1e19"),
    *("1432022743.5", "1432022743.50", "1432022743.17396899999999999999999", "253402300799.999999"),
    *("253402300799.9999999", "253402300800", "9" * 4300, "9" * 4299, "9" * 5000, "-" + "9" * 5000),
    *(
        "0." + "0" * 5000 + "1",
        "9" * 5000 + ".5",
        "NaN",
        "Infinity",
        "-Infinity",
        "1.",
        "01",
        "0x1",
    ),
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)

KEYS = ("category", "level", "message", "user", "ts", "container", "data", "username", "password")

RECORD = st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from(["a", "INFO", "admin"]))

HALF = st.characters(categories=["Cs", "Cc", "L", "P"])


class BodyCase(StationCase):
    """What is posted to where bodies are read."""

    KINDS = (
        ("/api/v1/log", "application/json"),
        ("/api/v1/event", "application/json"),
        ("/api/v1/login", "application/json"),
        ("/api/v1/login", "application/x-www-form-urlencoded"),
    )

    def assert_answered(self, body: bytes) -> None:
        wire = Wire(self.site)
        for path, kind in self.KINDS:
            head = (
                f"POST {path} HTTP/1.1\r\nCookie: {COOKIE_NAME}={self.token}\r\n"
                f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            (answered,) = wire.answers(head.encode() + body)
            self.assertIn(answered.status, (200, 201, 400, 401, 413), body[:100])
            if answered.status >= 400:
                self.assertLess(len(answered.body), 3000)
                self.problem(answered.status, answered)
            if wire.closed:
                # A body that is too large.
                wire.close()
                wire = Wire(self.site)
        wire.close()
        self.assertEqual(self.flushLoggedErrors(), [], body[:100])


class FuzzTests(BodyCase):
    """Anything at all."""

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_bytes(self, body: bytes) -> None:
        self.assert_answered(body)

    @settings(deadline=None)
    @given(RECORD | st.lists(RECORD, max_size=3) | JSON)
    def test_documents(self, value: Any) -> None:
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
            self.assert_answered(text.encode("utf-8", "surrogatepass"))

    @settings(deadline=None)
    @given(st.text(alphabet=HALF, max_size=20), st.sampled_from(KEYS))
    @example("\ud800", "user")
    @example("\x00", "message")
    def test_texts_in_every_place(self, text: str, key: str) -> None:
        good = {"category": "a", "message": "x", "data": {}}
        for body in (good | {key: text}, good | {text: 1}, good | {"data": {text: text}}, text):
            self.assert_answered(json.dumps(body).encode())


class NumberTests(BodyCase):
    """Every number that JSON allows, and some that it does not."""

    def test_in_every_place(self) -> None:
        for number in NUMBERS:
            for body in (
                f'{{"category": "a", "message": "x", "ts": {number}}}',
                f'{{"category": "a", "data": {{}}, "ts": {number}}}',
                f'{{"category": "a", "data": {{"x": [{number}]}}}}',
                f'{{"category": "a", "message": {number}}}',
                f'{{"category": {number}, "message": "x"}}',
                f'{{"username": {number}, "password": {number}}}',
                f'[{{"category": "a", "message": "x", "ts": {number}}}]',
                f"[{number}]",
                f'{{"nonsense": {number}}}',
                number,
            ):
                self.assert_answered(body.encode())

    def test_times(self) -> None:
        for number, expected in {
            "-0": 0,
            "-0.0": 0,
            "1E-400": 0,
            "1e-99999999999999999999": 0,
            "0.1e1": 1_000_000,
            "1e5": 100_000_000_000,
            "1432022743.50": 1432022743_500000,
            "253402300799.999999": 253402300799_999999,
            "1e400": None,
            "1e99999999999999999999": None,
            "9" * 4299: None,
            "9" * 5000: None,
            "253402300800": None,
            "-1e-3": None,
            "true": None,
        }.items():
            body = f'{{"category": "a", "message": "x", "ts": {number}}}'.encode()
            answered = self.call("POST", "/api/v1/log", body)
            if expected is None:
                self.problem(400, answered)
            else:
                self.assertEqual(answered.status, 201, number)
                self.assertEqual(self.records(self.log)[-1].time_us, expected)

    def test_in_events_they_come_back_as_they_were(self) -> None:
        for data in (
            '{"x": 1432022743.17396899999999999999999}',
            '{"x": [1.50, {"y": 1E-400}], "z": "\\u00fc"}',
            '{"x": -0.0, "y": 0.1}',
        ):
            body = f'{{"category": "a", "data": {data}}}'.encode()
            self.assertEqual(self.call("POST", "/api/v1/event", body).status, 201)
            text = self.records(self.event)[-1].text
            self.assertEqual(text, data.replace("\\u00fc", "ü"))
        body = b'{"category": "a", "data": {"x": 1e400}}'
        self.problem(400, self.call("POST", "/api/v1/event", body), "no double holds")


class ShapeTests(BodyCase):
    """Documents that are hard to read or to show."""

    def test_nesting(self) -> None:
        for depth in (50, 99, 101, 300, 800, 900, 950, 980, 1000, 5000, 100_000):
            nested = "[" * depth + "]" * depth
            objects = '{"a":' * depth + "1" + "}" * depth
            for inner in (nested, objects):
                for body in (
                    inner,
                    f'{{"category": "a", "data": {{"x": {inner}}}}}',
                    f'{{"category": "a", "message": {inner}}}',
                    f'{{"category": "a", "nonsense": {inner}}}',
                    f'{{"username": {inner}, "password": "x"}}',
                ):
                    self.assert_answered(body.encode())

    def test_what_is_wrong_is_shown_in_part(self) -> None:
        long = "x" * 1_000_000
        for body in ({long: 1}, {"category": long}, [{long: 1}], {"message": [long] * 3}, long):
            self.assert_answered(json.dumps(body).encode())
        self.assert_answered(f'{{"{long}": 1, "{long}": 2}}'.encode())

    def test_the_first_wrong_record_ends_the_reading(self) -> None:
        body = b"[" + b"1.0," * 1_000_000 + b"nonsense"
        problem = self.problem(400, self.call("POST", "/api/v1/log", body))
        self.assertEqual(problem["parameter"], "[0]")
        body = b"[" + b'{"category": "a", "message": "x"},' * (MAX_RECORDS + 1) + b"nonsense"
        problem = self.problem(400, self.call("POST", "/api/v1/log", body), "1 to 10000 at once")
        self.assertEqual(self.records(self.log), [])

    def test_spaces_around_everything(self) -> None:
        body = b' \n[ {"category" : "a" , "message":"x"} ,\t{"category":"a","message":"x"} ] \r\n'
        self.assertEqual(self.post("/api/v1/log", body), {"first": 1, "last": 2})


del StationCase, BodyCase
