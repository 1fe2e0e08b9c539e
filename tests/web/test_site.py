"""What a client may send, and how slowly."""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from stationd.web.channel import RECEIVE_TIMEOUT
from stationd.web.resource import ApiResource
from stationd.web.routes import MAX_RECORDS_BODY_BYTES, MAX_SMALL_BODY_BYTES
from stationd.web.sessions import COOKIE_NAME
from stationd.web.site import ApiSite
from tests.web.station import StationCase, Wire

RECORD = b'{"category": "a", "message": "x"}'


class ConnectionCase(StationCase):
    """One connection."""

    def head(self, method: str, path: str, *lines: str) -> bytes:
        """A request's head; of whoever is logged in."""
        cookie = [f"Cookie: {COOKIE_NAME}={self.token}"] if self.token else []
        return "\r\n".join(
            [f"{method} {path} HTTP/1.1", "Host: x", *cookie, *lines, "", ""]
        ).encode()

    def chunks(self, size: int, number: int) -> bytes:
        """Parts of a body."""
        return (b"%x\r\n%s\r\n" % (size, b" " * size)) * number

    def assert_alive(self, wire: Wire) -> None:
        """The connection is as good as new."""
        self.assertFalse(wire.closed)
        self.assertEqual(
            [one.body for one in wire.answers(self.head("GET", "/healthz"))], [b"ok\n"]
        )


class DeadlineTests(ConnectionCase):
    """Slow clients."""

    def drip(self, data: bytes) -> float:
        """Send a byte a second; the seconds until the connection is gone."""
        wire = self.wire()
        for second, byte in enumerate(data):
            if wire.closed:
                return second
            wire.send(bytes([byte]))
            self.clock.advance(1)
        return len(data)

    def test_a_client_that_drips_its_header_is_cut_off(self) -> None:
        self.assertEqual(self.drip(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20), RECEIVE_TIMEOUT)

    def test_a_client_that_drips_its_body_is_cut_off(self) -> None:
        wire = self.wire()
        wire.send(self.head("POST", "/api/v1/log", "Content-Length: 999"))
        for _ in range(int(RECEIVE_TIMEOUT)):
            self.assertFalse(wire.closed)
            wire.send(b"x")
            self.clock.advance(1)
        self.assertTrue(wire.closed)

    def test_a_client_that_does_not_read_its_refusal_is_cut_off(self) -> None:
        wire = self.wire()
        wire.send(self.head("POST", "/nowhere", "Content-Length: 999"))
        self.assertTrue(wire.transport.disconnecting)
        self.assertFalse(wire.transport.disconnected)
        self.clock.advance(RECEIVE_TIMEOUT)
        self.assertTrue(wire.transport.disconnected)


class RefusalTests(ConnectionCase):
    """What is refused when its headers are in."""

    REFUSED = (
        ("", "POST", "/nowhere", 404),
        ("", "PUT", "/api/v1/log", 405),
        ("", "POST", "/api/v1/log", 401),
        ("", "DELETE", "/api/v1/log", 401),
        ("reader", "DELETE", "/api/v1/log", 403),
        ("reader", "POST", "/api/v1/log?text=%ff", 400),
        ("reader", "POST", "/api/v1/container/docker/%ff", 405),
        ("reader", "GET", "/api/v1/container/docker/%ff", 400),
    )

    def login(self, name: str) -> None:
        if name:
            super().login(name)
        else:
            self.token = ""

    def test_a_body_that_is_announced_is_not_waited_for(self) -> None:
        for name, method, path, status in self.REFUSED:
            self.login(name)
            for body in (
                "Content-Length: 9",
                "Content-Length: 99999999",
                "Transfer-Encoding: chunked",
            ):
                wire = self.wire()
                (answer,) = wire.answers(self.head(method, path, body))
                self.problem(status, answer)
                self.assertEqual(answer.headers["connection"], "close")
                self.assertTrue(wire.closed)

    def test_nothing_after_it_is_looked_at(self) -> None:
        self.log.append([])
        for name, method, path, status in self.REFUSED:
            self.login(name)
            refused = self.head(method, path, "Content-Length: 9")
            self.login("admin")
            follows = self.head("POST", "/api/v1/log", f"Content-Length: {len(RECORD)}") + RECORD
            for parts in ([refused + follows], [refused, follows], [refused + b"x" * 9 + follows]):
                self.assertEqual([one.status for one in self.wire().answers(*parts)], [status])
        self.assertEqual(self.records(self.log), [])

    def test_without_a_body_the_connection_goes_on(self) -> None:
        for name, method, path, status in self.REFUSED:
            self.login(name)
            wire = self.wire()
            for lines in ([], ["Content-Length: 0"], ["Content-Length: 0", "Expect: 100-continue"]):
                (answer,) = wire.answers(self.head(method, path, *lines))
                self.problem(status, answer)
            self.assert_alive(wire)

    def test_a_client_that_expects_to_be_asked_for_the_body(self) -> None:
        lines = (f"Content-Length: {len(RECORD)}", "Expect: 100-continue")
        for name, method, path, status in self.REFUSED:
            self.login(name)
            answers = self.wire().answers(self.head(method, path, *lines))
            self.assertEqual([one.status for one in answers], [status])
        self.login("admin")
        wire = self.wire()
        self.assertEqual(
            [a.status for a in wire.answers(self.head("POST", "/api/v1/log", *lines))], [100]
        )
        self.assertEqual([a.status for a in wire.answers(RECORD)], [201])
        self.assert_alive(wire)


class BodyTests(ConnectionCase):
    """How much may be sent."""

    def test_too_large_by_its_length(self) -> None:
        for name, path, limit in (
            ("admin", "/api/v1/log", MAX_RECORDS_BODY_BYTES),
            ("admin", "/api/v1/event", MAX_RECORDS_BODY_BYTES),
            ("", "/api/v1/login", MAX_SMALL_BODY_BYTES),
        ):
            self.token = ""
            if name:
                self.login(name)
            wire = self.wire()
            (answer,) = wire.answers(self.head("POST", path, f"Content-Length: {limit + 1}"))
            self.problem(413, answer, f"at most {limit} bytes")
            self.assertTrue(wire.closed)
            wire = self.wire()
            self.assertEqual(wire.send(self.head("POST", path, f"Content-Length: {limit}")), b"")
            self.assertFalse(wire.closed)

    def test_too_large_in_chunks_that_end_in_the_same_packet(self) -> None:
        head = self.head("POST", "/api/v1/log", "Transfer-Encoding: chunked")
        body = (
            b"%x\r\n%s\r\n" % (len(RECORD), RECORD)
            + self.chunks(MAX_RECORDS_BODY_BYTES, 1)
            + b"0\r\n\r\n"
        )
        for parts in ([head + body], [head, body], [head, body, head + body]):
            answers = self.wire().answers(*parts)
            self.assertEqual([one.status for one in answers], [413])
        self.assertEqual(self.records(self.log), [])

    def test_many_chunks_too_many_are_answered_once(self) -> None:
        self.token = ""
        head = self.head("POST", "/api/v1/login", "Transfer-Encoding: chunked")
        body = self.chunks(MAX_SMALL_BODY_BYTES, 1) + self.chunks(1, 5000) + b"0\r\n\r\n"
        for parts in ([head + body], [head, *[body[n : n + 6] for n in range(0, len(body), 6)]]):
            wire = self.wire()
            answers = wire.answers(*parts)
            self.assertEqual([one.status for one in answers], [413])
            self.assertTrue(wire.closed)

    def test_bodies_that_no_handler_reads(self) -> None:
        for method, path in (
            ("GET", "/api/v1/log"),
            ("GET", "/healthz"),
            ("PUT", "/api/v1/logout"),
        ):
            wire = self.wire()
            chunked = self.chunks(3, 2) + b"0\r\n\r\n"
            for line, body in (
                ("Content-Length: 3", b"x=1"),
                ("Transfer-Encoding: chunked", chunked),
            ):
                self.login("admin")
                answers = wire.answers(self.head(method, path, line), body)
                self.assertEqual([one.status for one in answers], [200])
            self.assert_alive(wire)
            self.login("admin")
            (answer,) = wire.answers(
                self.head(method, path, f"Content-Length: {MAX_SMALL_BODY_BYTES + 1}")
            )
            self.problem(413, answer)
            self.assertTrue(wire.closed)

    def test_all_bodies_together_are_bounded(self) -> None:
        self.site = ApiSite(ApiResource(self.api), self.clock, 100)
        head = self.head("POST", "/api/v1/log", "Content-Length: 90")
        one, other = self.wire(), self.wire()
        one.send(head + b" " * 50)
        (refused,) = other.answers(head + b" " * 51)
        self.problem(503, refused, "request bodies")
        self.assertIn("retry-after", refused.headers)
        self.assertTrue(other.closed)
        one.close()
        (answer,) = self.wire().answers(head + RECORD.ljust(90))
        self.assertEqual(answer.status, 201)
        (answer,) = self.wire().answers(head + RECORD.ljust(90))
        self.assertEqual(answer.status, 201, "what was answered has made room")

    def test_small_bodies_need_no_room(self) -> None:
        self.site = ApiSite(ApiResource(self.api), self.clock, 100)
        self.wire().send(self.head("POST", "/api/v1/log", "Content-Length: 200") + b" " * 100)
        form = b"username=nobody&password=x".ljust(MAX_SMALL_BODY_BYTES)
        for line, body in (
            (f"Content-Length: {len(form)}", form),
            ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(form), form)),
        ):
            wire = self.wire()
            (answer,) = wire.answers(self.head("POST", "/api/v1/login", line) + body)
            self.problem(401, answer)
            self.assert_alive(wire)
        (refused,) = self.wire().answers(
            self.head("POST", "/api/v1/log", "Content-Length: 1") + b" "
        )
        self.problem(503, refused)

    def test_forms_are_left_to_the_handler(self) -> None:
        for content_type in (
            "multipart/form-data",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
        ):
            lines = (f"Content-Type: {content_type}", f"Content-Length: {len(RECORD)}")
            (answer,) = self.wire().answers(self.head("POST", "/api/v1/log", *lines) + RECORD)
            self.assertEqual(answer.status, 201, content_type)


class HostileTests(ConnectionCase):
    """Bytes that are not text, where text is expected.

    @cvar paths: for which every header is tried with every value.
    """

    paths: tuple[str, ...] = ("/api/v1/log",)

    HEADERS = (
        "Accept-Encoding",
        "Cookie",
        "Content-Type",
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Authorization",
        "Accept",
        "Expect",
        "If-None-Match",
        "If-Modified-Since",
        "Range",
        "Connection",
        "Upgrade",
        "X-Forwarded-For",
        "X-\xff",
    )

    VALUES = (
        b"\xff",
        b"\x00",
        b"\x80\xfe",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"gzip;q=\xff",
        b"gzip;q=nan",
        b"gzip;q=1e999",
        b"gzip, gzip, *;q=",
        b"100-continue\xff",
        COOKIE_NAME.encode() + b"=\xff; =; ;;=\xff",
        b"bytes=\xff-",
        b"9" * 5000,
        b"-1",
        b"chunked, chunked",
        b"",
        b" \t",
        b"a\tb",
        b"\x0b\x0c\x1b[31m",
    )

    def assert_answered(self, data: bytes) -> None:
        wire = self.wire()
        answers = wire.answers(data)
        self.assertEqual(len(answers), 1, data)
        self.assertLess(answers[0].status, 500, data)
        if answers[0].status >= 400 and "content-encoding" not in answers[0].headers:
            self.problem(answers[0].status, answers[0])
        self.assertEqual(self.flushLoggedErrors(), [], data)

    def test_in_every_header(self) -> None:
        for name in self.HEADERS:
            for value in self.VALUES:
                line = name.encode("latin-1") + b": " + value + b"\r\n"
                for path in self.paths:
                    head = self.head("GET", path)[:-2]
                    self.assert_answered(head + line + b"\r\n")
                    self.assert_answered(head + line + b"A: b\r\n\r\n")

    def test_in_the_request_line(self) -> None:
        for line in (
            b"G\xffT / HTTP/1.1",
            b"\xff / HTTP/1.1",
            b"GET /\xff HTTP/1.1",
            b"GET /\x80\xa0 HTTP/1.1",
            b"GET /api/v1/log?text=\x80 HTTP/1.1",
            b"GET /api/v1/container/docker/\x80 HTTP/1.1",
            b"GET /%00%ff?%ff HTTP/1.1",
            b"GET * HTTP/1.1",
            b"OPTIONS * HTTP/1.1",
            b"CONNECT x:1 HTTP/1.1",
            b"GET http://\x80/ HTTP/1.1",
            b"GET /?" + b"&" * 5000 + b" HTTP/1.1",
            b"GET /api/v1/log?" + b"a=1&" * 3000 + b" HTTP/1.1",
            b"GET / HTTP/9.9",
            b"GET",
            b"x" * 40_000,
            b"GET /" + b"x" * 16_000 + b" HTTP/1.1",
        ):
            self.assert_answered(line + b"\r\n\r\n")

    def test_too_long_a_head(self) -> None:
        for head in (
            self.head("GET", "/" + "x" * 20_000),
            self.head("GET", "/healthz", "X: " + "x" * 20_000),
            self.head("GET", "/healthz", *["X: " + "x" * 1000] * 20),
        ):
            (answer,) = self.wire().answers(head)
            self.problem(431, answer)


@implementer(IHalfCloseableDescriptor)
class HalfTransport(StringTransport):
    """A connection of which one side can be closed.

    @ivar half_closed: whether ours is.
    """

    half_closed = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def writeConnectionLost(self, reason: Failure) -> None:
        """Not used here."""

    def readConnectionLost(self, reason: Failure) -> None:
        """Not used here."""


class LingeringTests(ConnectionCase):
    """The end of a connection whose client may still be sending."""

    HEADS = (
        b"POST /nowhere HTTP/1.1\r\nContent-Length: 999\r\n\r\n",
        b"POST /api/v1/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2001\r\n"
        + b"x" * 0x2001,
        b"POST /api/v1/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: x\r\nA: b\r\n\r\n",
        b"nonsense\r\n\r\n",
    )

    def test_what_it_sends_is_ignored(self) -> None:
        follows = self.head("DELETE", "/api/v1/log")
        for head in self.HEADS:
            wire = self.wire(transport := HalfTransport())
            self.assertEqual(len(wire.answers(head + follows, follows, b"\r\n\r\n" + follows)), 1)
            self.assertTrue(transport.half_closed)
            self.assertFalse(wire.closed)
            self.clock.advance(RECEIVE_TIMEOUT)
            self.assertTrue(transport.disconnected)

    def test_it_cannot_send_for_ever(self) -> None:
        wire = self.wire(HalfTransport())
        wire.send(self.HEADS[0])
        for _ in range(64):
            wire.send(b"x" * (1 << 20))
        self.assertFalse(wire.closed)
        wire.send(b"x")
        self.assertTrue(wire.closed)


class BrokenTransport(StringTransport):
    """A connection on which nothing can be sent, after some first pieces."""

    def __init__(self, pieces: int = 0) -> None:
        super().__init__()
        self._pieces = pieces

    def writeSequence(self, data: list[bytes]) -> None:
        self._pieces -= 1
        if self._pieces < 0:
            raise ZeroDivisionError
        super().writeSequence(data)


class FailureTests(ConnectionCase):
    """Answers that cannot be sent."""

    def test_the_connection_is_closed(self) -> None:
        for path in ("/healthz", "/nowhere"):
            for lines in ([], ["Content-Length: 5"]):
                wire = self.wire(BrokenTransport())
                wire.send(self.head("GET", path, *lines) + b"12345")
                self.assertTrue(wire.transport.disconnected)
                self.assertGreater(len(self.flushLoggedErrors(ZeroDivisionError)), 0)

    def test_also_in_the_middle(self) -> None:
        for pieces in range(3):
            wire = self.wire(BrokenTransport(pieces))
            wire.send(self.head("GET", "/api/v1/log/export"))
            self.settle()
            # The head, one chunk, and the last one, which is written in another way.
            self.assertEqual(wire.closed, pieces < 2)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), int(pieces < 2))


del StationCase, ConnectionCase
