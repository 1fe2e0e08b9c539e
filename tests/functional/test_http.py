"""The real server over real sockets, mostly with curl."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import stat
import subprocess
import time

from twisted.trial.unittest import TestCase

from stationd.web.users_file import Account, hash_password, write_users
from tests.functional.daemon import STOPS_WITHIN, TWISTD, Daemon, eventually


class HttpTests(TestCase):
    """A daemon without sources."""

    timeout = 120

    def setUp(self) -> None:
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        accounts = [Account("admin", "admin", hash_password("secret", b"x" * 16))]
        write_users(f"{self.daemon.directory}/users", accounts)
        self.daemon.start()

    def tcp(self, path: str, *arguments: str) -> str:
        """What curl prints, over TCP, with a cookie jar."""
        jar = f"{self.daemon.directory}/cookies.txt"
        command = ["curl", "-sq", "-b", jar, "-c", jar, *arguments]
        command.append(f"http://127.0.0.1:{self.daemon.port}{path}")
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def test_login_as_the_seed_does_it(self) -> None:
        self.assertEqual(json.loads(self.tcp("/api/v1/log"))["status"], 401)
        shown = json.loads(self.tcp("/api/v1/login", "-d", "username=admin&password=secret"))
        self.assertEqual((shown["username"], shown["isAdmin"]), ("admin", True))
        self.assertEqual(len(json.loads(self.tcp("/api/v1/log?limit=5&category=system"))), 1)
        posted = self.tcp("/api/v1/log", "-d", '{"category": "image", "message": "über"}')
        self.assertEqual(json.loads(posted), {"first": 2, "last": 2})
        self.assertIn("INFO,image,admin,über\n", self.tcp("/api/v1/log/export"))
        self.assertEqual(json.loads(self.tcp("/api/v1/log", "-XDELETE")), {"records": 2})
        self.assertEqual(json.loads(self.tcp("/api/v1/log")), [])
        self.assertIn("admin cleared the log of 2 records", self.daemon.said())
        self.tcp("/api/v1/logout", "-XPUT")
        self.assertEqual(json.loads(self.tcp("/api/v1/log"))["status"], 401)

    def test_the_kernel_says_who_is_at_the_unix_socket(self) -> None:
        who = self.daemon.get("/api/v1/login_refresh")
        self.assertEqual((who["username"], who["isAdmin"]), ("root", True))
        self.daemon.post("/api/v1/event", {"category": "a", "data": {"x": 1.5}})
        (message,) = self.daemon.get("/api/v1/event")["messages"]
        self.assertRegex(message, r'^a:root:\d+:\{"x": 1.5\}$')
        mode = os.stat(self.daemon.socket).st_mode
        self.assertEqual((stat.S_ISSOCK(mode), stat.S_IMODE(mode)), (True, 0o660))

    def test_a_stale_socket_file_is_in_nobodys_way(self) -> None:
        self.daemon.kill()
        self.assertTrue(os.path.exists(self.daemon.socket))
        self.daemon.start()
        self.daemon.stop()
        self.assertFalse(os.path.exists(self.daemon.socket))

    def test_a_client_that_goes_away_leaves_nothing_behind(self) -> None:
        command = ["curl", "-s", "--max-time", "0.3", "--unix-socket", self.daemon.socket]
        command.append("http://x/api/v1/event?index=99&duration=60")
        self.assertEqual(subprocess.run(command, check=False).returncode, 28)
        self.assertLess(self.daemon.stop(), STOPS_WITHIN)

    def test_a_poll_over_a_socket(self) -> None:
        command = ["curl", "-s", "--unix-socket", self.daemon.socket]
        command.append("http://x/api/v1/event?index=0&duration=30")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as polling:
            time.sleep(0.3)
            self.daemon.post("/api/v1/event", {"category": "a", "data": {}})
            out, _ = polling.communicate(timeout=20)
        self.assertEqual(json.loads(out)["offset"], 1)

    def send(self, data: bytes) -> bytes:
        """What comes back for some bytes, until the server closes."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(self.daemon.socket)
            received = b""
            # A server that refuses may close before it has read everything.
            with contextlib.suppress(OSError):
                connection.sendall(data)
            with contextlib.suppress(OSError):
                while part := connection.recv(65536):
                    received += part
            return received

    def test_a_body_that_is_too_large(self) -> None:
        head = b"POST /api/v1/log HTTP/1.1\r\nHost: x\r\n"
        answer = self.send(head + b"Content-Length: 99999999\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        self.assertIn(b"at most 16777216 bytes", answer)
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        answer = self.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 20)
        self.assertIn(b"HTTP/1.1 413 ", answer)
        self.assertEqual(len(self.daemon.get("/api/v1/log")), 1)
        self.assertNotIn("Traceback", self.daemon.said())

    def test_a_client_that_sends_all_before_it_reads_gets_its_refusal(self) -> None:
        length = 14 << 20
        for path, status in (("/nowhere", 404), ("/api/v1/log", 401), ("/api/v1/login", 413)):
            connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=60)
            with contextlib.closing(connection):
                connection.request("POST", path, b"x" * length)
                answer = connection.getresponse()
                self.assertEqual((answer.status, json.load(answer)["status"]), (status, status))
                self.assertEqual(answer.getheader("Connection"), "close")
        head = f"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        follows = b"DELETE /api/v1/log HTTP/1.1\r\nHost: x\r\n\r\n"
        received = self.send(head.encode() + b"x" * length + follows * 3)
        self.assertEqual(received.count(b"HTTP/1.1 "), 1)
        self.assertEqual(len(self.daemon.get("/api/v1/log")), 1)

    def test_large_arrays_are_stored_and_exported_whole(self) -> None:
        for start in range(0, 100_000, 10_000):
            batch = [
                {"category": "c", "message": f"{start + n} " + "x" * 40} for n in range(10_000)
            ]
            path = f"{self.daemon.directory}/body.json"
            with open(path, "w", encoding="utf-8") as file:
                json.dump(batch, file)
            answer = self.daemon.curl("/api/v1/log", "--data-binary", f"@{path}")
            self.assertIn("first", answer)
        exported = self.daemon.curl("/api/v1/log/export?category=c", "--compressed")
        lines = exported.splitlines()[1:]
        self.assertEqual(len(lines), 100_000)
        self.assertTrue(lines[-1].split(",")[-1].startswith("99999 "))
        self.daemon.stop()
        self.daemon.start()
        newest = self.daemon.get("/api/v1/log?category=c&limit=1")
        self.assertTrue(newest[0]["message"].startswith("99999 "))

    def test_what_is_wrong_at_the_start_is_one_line(self) -> None:
        self.assert_start_says(r"is open for writing in process \d+")
        with open(self.daemon.configuration, "a", encoding="utf-8") as file:
            file.write("[nonsense]\n")
        self.assert_start_says("nonsense: {} is not allowed; keys here are", literal=True)

    def assert_start_says(self, text: str, literal: bool = False) -> None:
        command = [TWISTD, "--nodaemon", "--pidfile=", "stationd", "--config"]
        command.append(self.daemon.configuration)
        where = self.daemon.directory
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=20, cwd=where, check=False
        )
        self.assertEqual(done.returncode, 1)
        said = done.stdout + done.stderr
        self.assertNotIn("Traceback", said)
        if literal:
            self.assertIn(text, said)
        else:
            self.assertRegex(said, text)

    def test_an_engine_that_hangs_holds_nothing_up(self) -> None:
        self.daemon.stop()
        path = f"{self.daemon.directory}/hung.sock"
        with open(self.daemon.configuration, encoding="utf-8") as file:
            text = file.read()
        with open(self.daemon.configuration, "w", encoding="utf-8") as file:
            file.write(text.replace("unix:///nowhere", f"unix://{path}"))
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()
            self.daemon.start()
            states = self.daemon.get("/api/v1/system")["sources"]
            self.assertEqual(states["docker"], {"state": "connecting"})
            self.assertLess(self.daemon.stop(), STOPS_WITHIN)
            self.assertIn("everything is on disk", self.daemon.said())
            self.assertNotIn("Traceback", self.daemon.said())

    def test_as_a_daemon_in_the_background(self) -> None:
        self.daemon.stop()
        pidfile = f"{self.daemon.directory}/pid"
        log = f"{self.daemon.directory}/background.log"
        command = [TWISTD, "--pidfile", pidfile, "--logfile", log, "stationd", "--config"]
        command.append(self.daemon.configuration)
        subprocess.run(command, check=True, timeout=20, cwd=self.daemon.directory)
        self.assertTrue(eventually(lambda: os.path.exists(self.daemon.socket)))
        with open(pidfile, encoding="ascii") as file:
            pid = int(file.read())
        try:
            answer = self.daemon.post("/api/v1/log", {"category": "a", "message": "x"})
            self.assertIn("first", answer)
        finally:
            os.kill(pid, 15)
        self.assertTrue(eventually(lambda: not os.path.exists(pidfile)))
