"""C{/api/v1/event}."""

from __future__ import annotations

import json

from tests.contracts.journal import draft
from tests.web.station import StationCase
from tests.web.test_log import seed


class EventTests(StationCase):
    """Reading by number."""

    def put(self, *texts: str, **fields: object) -> None:
        self.successResultOf(self.recorder.post_events([draft(t, **fields) for t in texts]))

    def numbers(self, path: str) -> tuple[int, list[int], int]:
        answer = self.get(path)
        texts = [int(message.split(":", 3)[3]) for message in answer["messages"]]
        return answer["index"], texts, answer["offset"]

    def test_the_seeds_messages_come_out_byte_for_byte(self) -> None:
        messages = json.loads(seed("event-response.json"))["messages"]
        self.assertEqual(len(messages), 20)
        body = []
        for message in reversed(messages):
            category, user, ts, data = message.split(":", 3)
            body.append(
                f'{{"category": "{category}", "user": "{user}", "ts": {ts}, "data": {data}}}'
            )
        answered = self.call("POST", "/api/v1/event", f"[{','.join(body)}]".encode())
        self.assertEqual(answered.json, {"first": 1, "last": 20})
        answer = self.get("/api/v1/event")
        self.assertEqual(answer, {"index": 0, "messages": messages, "offset": 20})

    def test_the_latest_twenty(self) -> None:
        self.assertEqual(self.numbers("/api/v1/event"), (0, [], 0))
        self.put(*map(str, range(1, 82)))
        self.assertEqual(self.numbers("/api/v1/event"), (61, list(range(81, 61, -1)), 81))

    def test_following_by_the_last_offset_skips_none(self) -> None:
        self.put(*map(str, range(1, 2502)))
        index, seen = 0, []
        while True:
            begin, found, offset = self.numbers(f"/api/v1/event?index={index}")
            self.assertEqual(begin, index)
            if not found:
                break
            seen += found[::-1]
            index = offset
        self.assertEqual(seen, list(range(1, 2502)))
        self.assertEqual(index, 2501)

    def test_index_and_offset(self) -> None:
        self.put(*map(str, range(1, 31)))
        for query, expected in {
            "index=28": (28, [30, 29], 30),
            "index=30": (30, [], 30),
            "index=99": (30, [], 30),
            "offset=5": (0, [5, 4, 3, 2, 1], 5),
            "offset=25": (5, list(range(25, 5, -1)), 25),
            "index=3&offset=5": (3, [5, 4], 5),
            "index=5&offset=3": (3, [], 3),
            "offset=0": (0, [], 0),
        }.items():
            self.assertEqual(self.numbers(f"/api/v1/event?{query}"), expected, query)

    def test_filters_describe_what_was_looked_at(self) -> None:
        self.put("1", "2")
        self.put("3", "4", category="image")
        self.put("5")
        self.assertEqual(self.numbers("/api/v1/event?index=0&category=image"), (0, [4, 3], 5))
        self.assertEqual(self.numbers("/api/v1/event?category=image"), (0, [4, 3], 5))
        self.assertEqual(self.numbers("/api/v1/event?index=0&container=lxc/x"), (0, [], 5))

    def test_what_retention_has_removed_is_said(self) -> None:
        self.put(*map(str, range(1, 31)))
        del self.event._records[:10]
        answer = self.get("/api/v1/event?index=3")
        self.assertEqual((answer["index"], answer["truncated"]), (10, True))
        self.assertEqual(len(answer["messages"]), 20)
        self.assertNotIn("truncated", self.get("/api/v1/event?index=10"))

    def test_a_poll_is_held_until_there_is_something(self) -> None:
        self.put("1")
        asked = self.ask("GET", "/api/v1/event?index=1&duration=30")
        self.assertNoResult(asked)
        self.clock.advance(29)
        self.put("2")
        self.assertEqual(self.answer(asked).json["offset"], 2)

    def test_a_poll_with_a_filter_passes_over_the_others(self) -> None:
        asked = self.ask("GET", "/api/v1/event?index=0&duration=30&category=image")
        self.put("1")
        self.assertNoResult(asked)
        self.put("2", category="image")
        answer = self.answer(asked).json
        self.assertEqual((answer["offset"], len(answer["messages"])), (2, 1))

    def test_a_poll_ends_with_nothing(self) -> None:
        asked = self.ask("GET", "/api/v1/event?index=0&duration=0.5")
        self.clock.advance(0.5)
        self.assertEqual(self.answer(asked).json, {"index": 0, "messages": [], "offset": 0})
        self.assertEqual(self.feed.waiting, 0)

    def test_a_poll_is_answered_when_the_daemon_stops(self) -> None:
        asked = self.ask("GET", "/api/v1/event?index=0&duration=30")
        self.assertNoResult(asked)
        self.feed.close()
        self.assertEqual(self.answer(asked).json["messages"], [])

    def test_bad_values(self) -> None:
        for query, parameter in {
            "index=-1": "index",
            "offset=x": "offset",
            "duration=301": "duration",
            "duration=-1": "duration",
            "duration=soon": "duration",
            "category=,": "category",
        }.items():
            answered = self.call("GET", f"/api/v1/event?{query}")
            self.assertEqual(self.problem(400, answered)["parameter"], parameter, query)

    def test_bad_bodies_store_nothing(self) -> None:
        for body, parameter in (
            ({"category": "a"}, "data"),
            ({"category": "a", "data": []}, "data"),
            ({"category": "a", "data": {"x": "y" * 70_000}}, "data"),
            ({"category": "a", "data": {"x": "\ud800"}}, "data"),
            (b'{"category": "a", "data": {"x": 1e400}}', "data"),
            (b'{"category": "a", "data": {"x": 1, "x": 2}}', "body"),
            ({"category": "a", "data": {}, "message": "x"}, "message"),
        ):
            problem = self.problem(400, self.call("POST", "/api/v1/event", body))
            self.assertEqual(problem["parameter"], parameter, str(body)[:60])
        self.assertEqual(self.records(self.event), [])


del StationCase
