"""A disk that sleeps: only who needs it waits."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import TestCase

from stationd.web.users_file import Account, hash_password, write_users
from tests.functional import lab
from tests.functional.daemon import Daemon, eventually

SLEEP = 5
"""Seconds that a call takes, as C{slow_disk.c} has it."""

RECORDS = 3000


class Asked(threading.Thread):
    """Something that is asked in a thread.

    @ivar answer: what came; C{seconds}: how long it took.
    """

    def __init__(self, ask: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self.answer: Any = None
        self.seconds = 0.0
        self.start()

    def run(self) -> None:
        began = time.monotonic()
        self.answer = self._ask()
        self.seconds = time.monotonic() - began


class SlowDiskTests(TestCase):
    """The journals and the users file are on such a disk."""

    timeout = 300

    def setUp(self) -> None:
        lab.need_root()
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        library = os.path.join(self.daemon.directory, "slow_disk.so")
        source = os.path.join(os.path.dirname(__file__), "slow_disk.c")
        compile_it = ["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]
        subprocess.run(compile_it, check=True)
        self.flags = os.path.join(self.daemon.directory, "asleep")
        self.daemon.environment = {
            "LD_PRELOAD": library,
            "SLOW_DIRECTORY": self.daemon.directory,
            "SLOW_FLAGS": self.flags,
        }
        accounts = [Account("admin", "admin", hash_password("secret", b"x" * 16))]
        write_users(f"{self.daemon.directory}/users", accounts)
        self.daemon.start()
        items = [{"category": "a", "message": f"{n}", "ts": n + 1} for n in range(RECORDS)]
        self.daemon.post("/api/v1/log", items)
        # Nothing that was decoded is kept.
        self.daemon.stop()
        self.daemon.start()

    def sleeps(self, *calls: str) -> None:
        """Let calls sleep from now on."""
        for call in calls:
            with open(f"{self.flags}.{call}", "w", encoding="ascii"):
                pass

    def wakes(self) -> None:
        """No call sleeps from now on."""
        for call in ("open", "stat", "read", "sync"):
            if os.path.exists(f"{self.flags}.{call}"):
                os.unlink(f"{self.flags}.{call}")

    def assert_others_go_on(self, asked: Asked) -> None:
        """Others are answered while somebody waits for the disk."""
        count = 0
        while asked.is_alive():
            began = time.monotonic()
            self.daemon.get("/api/v1/container")
            self.daemon.get("/api/v1/event?index=0&offset=0")
            seconds = time.monotonic() - began
            # Each would take as long as the disk sleeps, if it stood still.
            self.assertLess(seconds, SLEEP - 1)
            count += 1
            time.sleep(0.02)
        self.assertGreater(asked.seconds, SLEEP - 1)
        self.assertGreater(count, 5)

    def test_a_query_of_what_is_not_in_memory(self) -> None:
        newest = self.daemon.get("/api/v1/log?limit=20")
        self.sleeps("open", "stat", "read")
        # What has been looked at is in memory.
        began = time.monotonic()
        self.assertEqual(self.daemon.get("/api/v1/log?limit=20"), newest)
        self.assertLess(time.monotonic() - began, SLEEP - 1)
        asked = Asked(lambda: self.daemon.get("/api/v1/log?limit=1&offset=2000"))
        self.assert_others_go_on(asked)
        self.wakes()
        self.assertEqual(len(asked.answer), 1)

    def test_an_append(self) -> None:
        self.sleeps("sync")
        asked = Asked(lambda: self.daemon.post("/api/v1/log", {"category": "a", "message": "x"}))
        self.assert_others_go_on(asked)
        self.wakes()
        self.assertGreater(asked.answer["last"], RECORDS)

    def login(self) -> int:
        """Log in; the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", "/api/v1/login", "username=admin&password=secret")
            return connection.getresponse().status

    def test_a_login(self) -> None:
        self.sleeps("stat", "open")
        asked = Asked(self.login)
        self.assert_others_go_on(asked)
        self.wakes()
        self.assertEqual(asked.answer, 200)

    def test_it_ends_while_somebody_waits_for_the_disk(self) -> None:
        self.sleeps("read")
        asked = Asked(self.unanswered)
        time.sleep(1)
        self.assertTrue(asked.is_alive())
        self.assertLess(self.daemon.stop(), SLEEP - 1)
        self.wakes()
        self.assertIn("everything is on disk", self.daemon.said())
        self.assertTrue(eventually(lambda: not asked.is_alive()))

    def unanswered(self) -> None:
        try:
            self.daemon.get("/api/v1/log?limit=1&offset=2000")
        except (OSError, ValueError):
            return
