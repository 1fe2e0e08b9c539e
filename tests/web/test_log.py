"""C{/api/v1/log}."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from stationd.records import Level, Record
from stationd.web.routes_log import _csv_chunks, _json_lines
from stationd.web.sessions import COOKIE_NAME
from tests.contracts.journal import draft
from tests.web.station import Answered, StationCase

SEED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "seed")


def seed(name: str) -> bytes:
    with open(os.path.join(SEED, name), "rb") as file:
        return file.read()


class SeedTests(StationCase):
    """What the seed shows."""

    def store(self) -> None:
        """Post the records of the seed's export, with their times."""
        rows = list(csv.reader(io.StringIO(seed("log-export.csv").decode())))[1:]
        self.assertGreater(len(rows), 50)
        body = ",".join(
            json.dumps({"category": c, "level": level, "message": m, "user": u})[:-1]
            + f', "ts": {int(datetime.fromisoformat(d[:19]).replace(tzinfo=UTC).timestamp())}'
            + f"{d[19:]}}}"
            for d, level, c, u, m in rows
        )
        answered = self.call("POST", "/api/v1/log", f"[{body}]".encode())
        self.assertEqual(answered.json, {"first": 1, "last": len(rows)})

    def test_the_export_comes_out_byte_for_byte(self) -> None:
        self.store()
        answered = self.call("GET", "/api/v1/log/export")
        self.assertEqual(answered.body, seed("log-export.csv"))
        self.assertEqual(answered.headers["content-type"], "text/csv; charset=utf-8")
        self.assertEqual(answered.headers["content-disposition"], 'attachment; filename="log.csv"')

    def test_a_filtered_query_has_the_seeds_shape(self) -> None:
        self.store()
        found = self.get("/api/v1/log?limit=5&category=image,export")
        expected = json.loads(seed("log-response.json"))
        self.assertEqual(len(found), 5)
        for mine, theirs in zip(found, expected, strict=True):
            self.assertEqual(list(mine), list(theirs))
            self.assertEqual({type(v) for v in mine.values()}, {type(v) for v in theirs.values()})
        self.assertEqual({r["category"] for r in found}, {"image", "export"})
        self.assertEqual([r["id"] for r in found], sorted((r["id"] for r in found), reverse=True))

    def test_clearing(self) -> None:
        self.store()
        records = len(self.records(self.log))
        self.assertEqual(self.call("DELETE", "/api/v1/log").json, {"records": records})
        self.assertEqual(self.get("/api/v1/log"), [])
        again = self.post("/api/v1/log", {"category": "system", "message": "x"})
        self.assertEqual(again["first"], records + 1)


class ReadTests(StationCase):
    """Filters and paging."""

    def setUp(self) -> None:
        super().setUp()
        for number in range(1, 31):
            self.log.append(
                [
                    draft(
                        f"Message {number}",
                        time_us=number * 1_000_000 + 500_000,
                        category=("container", "image")[number % 2],
                        level=(Level.INFO, Level.WARN, Level.ERROR)[number % 3],
                        user=("system", "admin")[number % 2],
                        container="lxc/utest" if number == 7 else "",
                    )
                ]
            )

    def ids(self, query: str) -> list[int]:
        return [record["id"] for record in self.get(f"/api/v1/log?{query}")]

    def test_twenty_newest_first(self) -> None:
        self.assertEqual(self.ids(""), list(range(30, 10, -1)))

    def test_filters(self) -> None:
        for query, expected in {
            "limit=2&offset=3": [27, 26],
            "before=4": [3, 2, 1],
            "after=28": [30, 29],
            "time_start=29": [30, 29],
            "time_start=29.6": [30],
            "time_end=2": [2, 1],
            "time_end=2.4": [1],
            "time_start=29.50000000000000000001": [30, 29],
            "time_end=2.49999999999999999999999999999999999999999999999": [1],
            "time_start=.5&before=2": [1],
            "time_start=0&time_end=0&limit=1": [30],
            "text=message%2030": [30],
            "text=SAGE+29": [29],
            "user=nobody": [],
            "level=ERROR&before=6": [5, 2],
            "level=ERROR,WARN&before=6": [5, 4, 2, 1],
            "category=image&before=6": [5, 3, 1],
            "user=admin&limit=1": [29],
            "container=lxc/utest": [7],
            "container=utest": [7],
            "unknown=1&limit=1": [30],
        }.items():
            self.assertEqual(self.ids(query), expected, query)

    def test_bad_values(self) -> None:
        for query, parameter in {
            "limit=-1": "limit",
            "limit=0": "limit",
            "limit=10001": "limit",
            "limit=ten": "limit",
            "limit=": "limit",
            "limit=1.0": "limit",
            "limit=%D9%A1": "limit",
            "offset=-1": "offset",
            "before=x": "before",
            "level=LOUD": "level",
            "level=INFO,": "level",
            "level=info": "level",
            "time_start=yesterday": "time_start",
            "time_start=-1": "time_start",
            "time_start=1e5": "time_start",
            "time_end=999999999999": "time_end",
            "time_end=253402300800.0000000000000000000000000000000000000000": "time_end",
            "time_start=.": "time_start",
            "time_start=5&time_end=4": "time_end",
            "category=": "category",
            "text=": "text",
            "user=": "user",
            "container=podman/x": "container",
            "container=docker/": "container",
            "text=%ff": "query",
        }.items():
            answered = self.call("GET", f"/api/v1/log?{query}")
            self.assertEqual(self.problem(400, answered)["parameter"], parameter, query)

    def test_an_export_can_be_filtered_and_have_lines_of_json(self) -> None:
        answered = self.call("GET", "/api/v1/log/export?format=jsonl&category=image&after=26")
        lines = [json.loads(line) for line in answered.body.splitlines()]
        self.assertEqual([line["id"] for line in lines], [27, 29])
        self.problem(400, self.call("GET", "/api/v1/log/export?format=xml"), "csv, jsonl")

    def test_head_is_get_without_a_body(self) -> None:
        for path in ("/api/v1/log", "/api/v1/log/export"):
            answered = self.call("HEAD", path)
            self.assertEqual((answered.status, answered.body), (200, b""))

    def test_gzip_where_it_is_wanted_and_worth_it(self) -> None:
        path = "/api/v1/log"
        plain = self.call("GET", path)
        self.assertNotIn("content-encoding", plain.headers)
        zipped = self.call("GET", path, Accept_Encoding="br, gzip;q=0.5")
        self.assertEqual(zipped.headers["content-encoding"], "gzip")
        self.assertEqual(gzip.decompress(zipped.body), plain.body)
        for query, accept in (("", "gzip;q=0"), ("?limit=1", "gzip")):
            answered = self.call("GET", path + query, Accept_Encoding=accept)
            self.assertNotIn("content-encoding", answered.headers)
        exported = self.call("GET", "/api/v1/log/export", Accept_Encoding="gzip")
        self.assertIn(b"Message 30\n", gzip.decompress(exported.body))


class CutTests(StationCase):
    """An export that fails half-way."""

    def test_it_is_cut_off_and_logged(self) -> None:
        def broken(query: object) -> Iterator[list[Record]]:
            yield []
            raise ZeroDivisionError

        self.patch(self.log, "select", broken)
        asked = self.ask("GET", "/api/v1/log/export")
        self.settle()
        self.failureResultOf(asked)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_to_a_client_that_takes_the_end_of_the_connection_for_its_end(self) -> None:
        def broken(query: object) -> Iterator[list[Record]]:
            yield []
            raise ZeroDivisionError

        self.patch(self.log, "select", broken)
        wire = self.wire()
        request = f"GET /api/v1/log/export HTTP/1.0\r\nCookie: {COOKIE_NAME}={self.token}\r\n\r\n"
        wire.send(request.encode())
        self.settle()
        self.assertTrue(wire.transport.disconnected, "reset, not closed in order")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class CsvTests(StationCase):
    """What a CSV must quote."""

    def test_everything_comes_back_through_a_reader(self) -> None:
        texts = ['a "quoted" word', "a,b", "two\nlines", "a lone \r return", " space ", "", "ß"]
        self.log.append([draft(text) for text in texts])
        exported = self.call("GET", "/api/v1/log/export").body.decode()
        rows = list(csv.reader(io.StringIO(exported, newline="")))
        self.assertEqual([row[4] for row in rows[1:]], texts)


class StepTests(SynchronousTestCase):
    """Exports let others run."""

    def test_even_if_they_find_nothing(self) -> None:
        for chunks in (_csv_chunks(iter([[], [], []])), _json_lines(iter([[], [], []]))):
            self.assertEqual(len([chunk for chunk in chunks if not chunk]), 3)


class DeleteTests(StationCase):
    """Clearing takes everything, so it is done only when that is meant."""

    def setUp(self) -> None:
        super().setUp()
        self.log.append([draft("Message")])

    def assert_kept(self, answered: Answered, status: int) -> Any:
        self.assertEqual(len(self.records(self.log)), 1)
        return self.problem(status, answered)

    def test_with_parameters_nothing_is_removed(self) -> None:
        for query, parameter in {
            "time_end=5": "time_end",
            "time_end=": "time_end",
            "time_end": "time_end",
            "before=1": "before",
            "level=DEBUG": "level",
            "text=": "text",
            "container=lxc/a": "container",
            "limit=0": "limit",
            "unknown=1": "unknown",
            "_=1&time_end=5&sid=x": "time_end",
            "_=1;time_end=5": "_",
            "_=1%26time_end=5": "_",
            "sid=1?time_end=5": "sid",
            "_=1%23time_end": "_",
            "time_end=5&time_end=0": "time_end",
            "_=1&_=2&text=x": "text",
            "%74ime_end=5": "time_end",
            "time%5Fend=5": "time_end",
            "%5f%00=1": "_\x00",
            "+_=1": " _",
            "SID=1": "SID",
            "=5": "",
            "?sid=1": "?sid",
            "sid=%ff": "query",
            "&".join(["_=1"] * 101): "query",
            "x" * 5000: "x" * 80,
        }.items():
            answered = self.call("DELETE", f"/api/v1/log?{query}")
            self.assertEqual(self.assert_kept(answered, 400)["parameter"], parameter, query)

    def test_with_a_body_nothing_is_removed(self) -> None:
        for body in (b"{}", b'{"before": 1}', b"before=1", b" ", b"\xff"):
            answered = self.call("DELETE", "/api/v1/log", body)
            self.assertEqual(self.assert_kept(answered, 400)["parameter"], "body")

    def test_nearly_the_path_or_the_method(self) -> None:
        for method, path, status in (
            ("delete", "/api/v1/log", 405),
            ("DELETE", "/api/v1/LOG", 404),
            ("DELETE", "/API/V1/log", 404),
            ("DELETE", "/api/v1/%6cog", 404),
            ("DELETE", "/api/v1/log;time_end=5", 404),
            ("DELETE", "/api/v1/log%3Ftime_end=5", 404),
            ("DELETE", "//api/v1/log", 404),
            ("DELETE", "/api/v1/./log", 404),
            ("DELETE", "/api/v1/log/1", 404),
            ("DELETE", "/api/v1/log/export", 405),
            ("DELETE", "/api/v1/event", 405),
        ):
            self.assert_kept(self.call(method, path), status)
        self.assertEqual(self.call("HEAD", "/api/v1/log").status, 200)
        self.assertEqual(len(self.records(self.log)), 1)

    def test_what_clients_add_to_every_request_is_ignored(self) -> None:
        for query in ("", "?", "?_=1432022743", "?sid=abc&_=1", "?sid=&_=", "?_=1&_=2", "?&"):
            self.log.append([draft("Message")])
            self.assertEqual(self.call("DELETE", f"/api/v1/log{query}").status, 200, query)
            self.assertEqual(self.records(self.log), [])
        self.log.append([draft("Message")])
        self.assertEqual(self.call("DELETE", "/api/v1/log", b"").json, {"records": 1})


class PostTests(StationCase):
    """What can be posted, and what cannot."""

    GOOD = {"category": "system", "message": "x"}  # noqa: RUF012

    def test_defaults(self) -> None:
        self.assertEqual(self.post("/api/v1/log", self.GOOD), {"first": 1, "last": 1})
        (record,) = self.records(self.log)
        self.assertEqual(
            (record.level, record.user, record.time_us, record.container),
            (Level.INFO, "admin", 1432022743_500000, ""),
        )

    def test_times_are_exact(self) -> None:
        for text, time_us in {
            "1432022633.173968": 1432022633173968,
            "0": 0,
            "0.000001": 1,
            "1432022633.1739689": 1432022633173968,
            "1.5e3": 1_500_000_000,
        }.items():
            body = f'{{"category": "a", "message": "", "ts": {text}}}'.encode()
            self.assertEqual(self.call("POST", "/api/v1/log", body).status, 201)
            self.assertEqual(self.records(self.log)[-1].time_us, time_us)

    def test_bad_bodies_store_nothing(self) -> None:
        good = self.GOOD
        for body, parameter in (
            (b"", "body"),
            (b"{", "body"),
            (b"\xff", "body"),
            (b"[]", "body"),
            (b"[1]", "[0]"),
            (b'"x"', "body"),
            (b"[" * 100_000, "body"),
            (b'{"category": "a", "category": "b", "message": ""}', "body"),
            (b'{"category": "a", "message": "", "ts": NaN}', "body"),
            (b'{"category": "a", "message": "", "ts": 1e400}', "ts"),
            (b'{"category": "a", "message": "", "ts": 1e19}', "ts"),
            ([good] * 10_001, "body"),
            ({"message": "x"}, "category"),
            ({"category": "a"}, "message"),
            (good | {"nonsense": 1}, "nonsense"),
            (good | {"level": "LOUD"}, "level"),
            (good | {"level": 1}, "level"),
            (good | {"message": 5}, "message"),
            (good | {"message": "x" * 65_537}, "message"),
            (good | {"message": "\ud800"}, "message"),
            (good | {"category": "a:b"}, "category"),
            (good | {"category": ""}, "category"),
            (good | {"user": "a,b"}, "user"),
            (good | {"user": None}, "user"),
            (good | {"ts": "1"}, "ts"),
            (good | {"ts": True}, "ts"),
            (good | {"ts": -1}, "ts"),
            (good | {"ts": 10**15}, "ts"),
            (good | {"container": "x"}, "container"),
            ([good, good | {"level": "LOUD"}], "[1].level"),
            ([good, good | {"category": "a:b"}], "[1].category"),
        ):
            answered = self.call("POST", "/api/v1/log", body)
            problem = self.problem(400, answered)
            self.assertEqual(problem["parameter"], parameter, str(body)[:60])
        self.assertEqual(self.records(self.log), [])

    def test_only_an_administrator_writes_as_another(self) -> None:
        self.login("reader")
        self.post("/api/v1/log", self.GOOD | {"user": "reader"})
        self.problem(403, self.call("POST", "/api/v1/log", self.GOOD | {"user": "admin"}))
        self.problem(403, self.call("DELETE", "/api/v1/log"), "administrator")
        self.assertEqual(len(self.records(self.log)), 1)


del StationCase
