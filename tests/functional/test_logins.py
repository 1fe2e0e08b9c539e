"""A flood of logins, against the real daemon."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import threading
import time

from twisted.trial.unittest import TestCase

from stationd.web.users_file import Account, hash_password, write_users
from tests.functional.daemon import STOPS_WITHIN, Daemon

TICK = 1 / os.sysconf("SC_CLK_TCK")

WRONG = (
    b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 29\r\n\r\n"
    b"username=admin&password=wrong"
)


class LoginTests(TestCase):
    """A daemon without sources, and one account."""

    timeout = 300

    def setUp(self) -> None:
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        began = time.thread_time()
        accounts = [Account("admin", "admin", hash_password("secret", b"x" * 16))]
        self.hash_seconds = time.thread_time() - began
        write_users(f"{self.daemon.directory}/users", accounts)
        self.daemon.start()
        self.port = self.daemon.port

    def flood(self, number: int) -> None:
        """Log in wrongly, and leave after some milliseconds."""
        for _ in range(number):
            # Once the daemon stops it may reset connections.
            with contextlib.suppress(ConnectionError), socket.socket() as connection:
                connection.connect(("127.0.0.1", self.port))
                connection.sendall(WRONG)
                time.sleep(0.004)

    def login(self) -> tuple[int, str | None]:
        """Log in rightly: the status, and when to try again."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            connection.request("POST", "/api/v1/login", "username=admin&password=secret")
            answer = connection.getresponse()
            return answer.status, answer.getheader("Retry-After")

    def cpu_seconds(self) -> float:
        """What the daemon has used of a processor."""
        assert self.daemon.process is not None
        with open(f"/proc/{self.daemon.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK

    def greatest_mib(self) -> int:
        """The most memory that the daemon has had."""
        assert self.daemon.process is not None
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as file:
            found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
        assert found is not None
        return int(found.group(1)) // 1024

    def test_clients_that_leave_cost_nothing_more(self) -> None:
        flooding = threading.Thread(target=self.flood, args=(400,))
        flooding.start()
        status, later = self.login()
        self.assertTrue(status == 200 or (status == 503 and later), status)
        flooding.join()
        before = self.cpu_seconds()
        self.assertEqual(self.login()[0], 200)
        # Two that were being computed, this one, and the rest of the daemon: not what 400 take.
        self.assertLess(self.cpu_seconds() - before, 20 * self.hash_seconds + 1)
        self.assertLess(self.greatest_mib(), 300)
        self.assertNotIn("Traceback", self.daemon.said())

    def test_a_stop_meanwhile(self) -> None:
        self.flood(300)
        flooding = threading.Thread(target=self.flood, args=(100,))
        flooding.start()
        self.assertLess(self.daemon.stop(), STOPS_WITHIN)
        flooding.join()
        self.assertIn("everything is on disk", self.daemon.said())
        self.assertNotIn("Traceback", self.daemon.said())
