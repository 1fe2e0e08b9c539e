"""What we do with engines that misbehave in ways that a real one cannot be made to."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socketserver
import tempfile
import threading
import time
from email.utils import formatdate
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from stationd.errors import SourceLost
from stationd.interfaces import IHostReactor
from stationd.records import Container, State
from stationd_plugins.docker.engine import QUEUE_LIMIT, Questions, Stream, engine_time
from stationd_plugins.docker.source import DockerSource

ID = "ab" * 32


class Misbehaving(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """An engine's socket.

    @ivar version: the only version of the API that it speaks.
    @ivar events: how many events it tells, as fast as they are read.
    @ivar hung_up: fires when the reader of the events did.
    @ivar inspected: the containers with a name that were asked about: there are none. C{reached}:
        fires when the first was, C{released}: what lets it answer that.
    """

    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(path, _Handler)
        self.version = "1.41"
        self.events = 0
        self.hung_up = threading.Event()
        self.inspected: list[str] = []
        self.reached, self.released = threading.Event(), threading.Event()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Misbehaving
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        version, _, path = self.path.removeprefix("/v").partition("/")
        if self.path.endswith("/version"):
            self.answer(200, {"ApiVersion": self.server.version})
        elif version != self.server.version:
            self.answer(400, {"message": f"client version {version} is not spoken here"})
        elif path.startswith("containers/json"):
            listed = {"Id": ID, "Names": ["/odd"], "Image": "bb", "State": "running"}
            self.answer(200, [listed, {"Id": "cd" * 32}])
        elif path.startswith("containers/one"):
            self.server.inspected.append(path.split("/")[1])
            self.server.reached.set()
            self.server.released.wait(30)
            self.answer(404, {"message": "no such container"})
        elif path.startswith("containers/"):
            self.answer(500, {"message": "its layer is unexpectedly nil"})
        else:
            self.tell()

    def tell(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        line = json.dumps({"Type": "container", "Action": "exec_die", "timeNano": 1}).encode()
        try:
            for _ in range(self.server.events):
                self.wfile.write(b"%x\r\n%s\n\r\n" % (len(line) + 1, line))
            while True:
                self.wfile.write(b"2\r\n \n\r\n")
                time.sleep(0.05)
        except OSError:
            self.server.hung_up.set()
        self.close_connection = True


class MisbehavingTests(TestCase):
    """Over a real socket, with the real SDK."""

    timeout = 30

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor = cast(IHostReactor, reactor)
        self.directory = tempfile.mkdtemp(prefix="stationd-")
        self.addCleanup(shutil.rmtree, self.directory)
        path = os.path.join(self.directory, "engine.sock")
        self.url = f"unix://{path}"
        self.server = Misbehaving(path)
        self.addCleanup(self.server.server_close)
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.released.set)

    def source(self) -> DockerSource:
        found = DockerSource(self.url, False, "/sys/fs/cgroup", self.reactor)
        self.addCleanup(found.close)
        return found

    async def test_an_engine_that_was_upgraded(self) -> None:
        questions = Questions(self.url, self.reactor, "ask")
        self.addCleanup(questions.close)

        def list_them(client: Any) -> int:
            return len(client.containers())

        self.assertEqual(await questions.ask(list_them), 2)
        self.server.version = "1.52"
        with self.assertRaisesRegex(Exception, "1.41 is not spoken here"):
            await questions.ask(list_them)
        self.assertEqual(await questions.ask(list_them), 2)

    async def test_a_container_that_cannot_be_inspected(self) -> None:
        listing = await self.source().list_all()
        (one,) = listing.containers
        self.assertEqual((one.container.name, one.container.state), ("odd", State.RUNNING))
        # Of the other the list makes no sense, but it exists.
        self.assertEqual(listing.ids, {ID, "cd" * 32})

    async def test_too_much_that_waits_ends_the_stream_and_the_connection(self) -> None:
        self.server.events = QUEUE_LIMIT + 1
        stream = Stream(self.url, self.reactor, lambda: None)
        await stream.opened
        self.assertIn("waited to be recorded", await stream.ended)
        self.assertTrue(await deferToThread(self.server.hung_up.wait, 10))
        self.assertEqual(len(stream.take(2 * QUEUE_LIMIT)), QUEUE_LIMIT + 1)

    async def test_a_stream_that_is_closed(self) -> None:
        stream = Stream(self.url, self.reactor, lambda: None)
        await stream.opened
        stream.close()
        await stream.ended
        self.assertTrue(await deferToThread(self.server.hung_up.wait, 10))

    async def test_nothing_is_asked_after_the_end(self) -> None:
        questions = Questions(self.url, self.reactor, "ask")
        await questions.ask(lambda client: client.containers())
        await questions.close()
        with self.assertRaises(SourceLost):
            await questions.ask(lambda client: client.containers())

    async def test_who_goes_away_is_told_nothing(self) -> None:
        source = self.source()
        going = Deferred.fromCoroutine(source.inspect(ID))
        going.cancel()
        with self.assertRaises(CancelledError):
            await going
        await deferLater(self.reactor, 0.1)

    async def test_what_clients_ask_does_not_hold_up_what_is_recorded(self) -> None:
        source = self.source()
        found = [source.find("one") for _ in range(3)]
        one = Container(type="docker", id="one", name="one", state=State.RUNNING)
        sampled = source.sample([one])
        self.assertTrue(await deferToThread(self.server.reached.wait, 10))
        self.assertEqual(len((await source.list_all()).containers), 1)
        self.assertFalse(sampled.called or any(one.called for one in found))
        self.server.released.set()
        self.assertEqual([await one for one in found], [None] * 3)
        self.assertEqual(await sampled, {})

    async def test_what_nobody_waits_for_any_more_is_not_asked(self) -> None:
        source = self.source()
        first, *others = [source.find(f"one{number}") for number in range(4)]
        self.assertTrue(await deferToThread(self.server.reached.wait, 10))
        for one in others[:2]:
            one.cancel()
            await self.assertFailure(one, CancelledError)
        self.server.released.set()
        self.assertEqual([await first, await others[2]], [None, None])
        self.assertEqual(self.server.inspected, ["one0", "one3"])

    async def test_a_close_does_not_wait_for_what_clients_asked(self) -> None:
        source = self.source()
        found = source.find("one")
        self.assertTrue(await deferToThread(self.server.reached.wait, 10))
        await source.close()
        self.assertFalse(found.called)
        with self.assertRaises(SourceLost):
            await source.find("one")
        self.server.released.set()
        self.assertIs(await found, None)


class TimeTests(SynchronousTestCase):
    """The engine's clock."""

    def test_ours_if_they_agree_else_the_engine_s(self) -> None:
        date = formatdate(1_000_000, usegmt=True)
        for ours, expected in (
            (1_000_000.25, 1_000_000.25),
            (1_000_003.0, 1_000_000),
            (999_999.0, 1_000_000),
        ):
            self.assertEqual(engine_time(date, ours), expected)
        self.assertEqual(engine_time("", 5.5), 5.5)
