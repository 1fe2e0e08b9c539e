"""SIGKILL at any moment loses nothing that was acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time

from twisted.trial.unittest import TestCase

from tests.functional.daemon import Daemon, UnixConnection, eventually

ROUNDS = 50

POSTED = 100
"""Records that are acknowledged at most, or a few more, before the daemon is killed."""


class KillTests(TestCase):
    """A producer that posts numbered records, and a daemon that is killed."""

    timeout = 900

    def test_acknowledged_records_are_there_once_and_in_order(self) -> None:
        self.kill_and_look(Daemon(), "")

    def test_while_segments_are_sealed(self) -> None:
        # A segment has 1 MiB then: it is full after some twenty posts.
        daemon = Daemon(retain_bytes="8 MiB")
        self.kill_and_look(daemon, "x" * 20_000)

        def sealed() -> int:
            names = os.listdir(os.path.join(daemon.directory, "state", "log"))
            return sum(name.endswith(".sealed") for name in names)

        # The daemon that was started last goes on with it.
        eventually(lambda: sealed() > 10)
        self.assertGreater(sealed(), 10)

    def kill_and_look(self, daemon: Daemon, filler: str) -> None:
        """Kill it again and again while it takes records that end with a filler."""
        seed = random.randrange(10**9)
        chance = random.Random(seed)
        self.addCleanup(daemon.close)
        acknowledged: dict[str, int] = {}
        posted = 0
        stop = threading.Event()

        def produce() -> None:
            nonlocal posted
            connection = UnixConnection(daemon.socket)
            while not stop.is_set():
                count = posted % 3 + 1
                texts = [f"{posted + n}" for n in range(count)]
                posted += count
                body = json.dumps(
                    [{"category": "test", "message": text + filler} for text in texts]
                )
                try:
                    connection.request("POST", "/api/v1/log", body)
                    answer = connection.getresponse()
                    first = json.loads(answer.read())["first"]
                except (OSError, http.client.HTTPException, ValueError):
                    return
                acknowledged.update({t: first + n for n, t in enumerate(texts)})

        for _ in range(ROUNDS):
            daemon.start()
            stop.clear()
            producer = threading.Thread(target=produce)
            producer.start()
            # By what is done and not by the clock: a busy machine takes longer.
            enough = len(acknowledged) + chance.randint(1, POSTED)
            while len(acknowledged) < enough and producer.is_alive():
                time.sleep(0.001)
            time.sleep(chance.uniform(0.0, 0.005))
            daemon.kill()
            stop.set()
            producer.join()
        daemon.start()
        lines = daemon.curl("/api/v1/log/export?format=jsonl&category=test").splitlines()
        records = [json.loads(line) for line in lines]
        texts = [record["message"].removesuffix(filler) for record in records]
        said = f"seed {seed}, {len(acknowledged)} acknowledged, {len(texts)} found"
        self.assertGreater(len(acknowledged), ROUNDS, said)
        self.assertEqual(len(texts), len(set(texts)), said)
        self.assertEqual(texts, sorted(texts, key=int), said)
        ids = dict(zip(texts, (record["id"] for record in records), strict=True))
        lost = {text: id for text, id in acknowledged.items() if ids.get(text) != id}
        self.assertEqual(lost, {}, said)
        numbers = [record["id"] for record in records]
        self.assertEqual(numbers, sorted(set(numbers)), said)
        self.assertEqual(daemon.get("/api/v1/system")["journal"]["log"]["damage"], [], said)
