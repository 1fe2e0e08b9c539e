"""Every connection ends, whatever is sent on it, and whether or not the answers are read."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport

from stationd.web.channel import CLOSE_TIMEOUT, RECEIVE_TIMEOUT
from stationd.web.sessions import COOKIE_NAME
from stationd.web.site import IDLE_TIMEOUT
from tests.web.station import StationCase, Wire
from tests.web.test_site import HalfTransport

GOOD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BODY = b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nnonsense!"
CHUNKED = b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

PIECES = (
    GOOD,
    REFUSED,
    LAST,
    BODY,
    BODY[:-3],
    CHUNKED,
    CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
    CHUNKED + b"2001\r\n" + b"x" * 0x2001,
    CHUNKED + b"nonsense\r\n",
    REFUSED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
    b"GET /healthz HTTP/1.0\r\n\r\n",
    b"HEAD /healthz HTTP/1.1\r\n\r\n",
    b"GET /api/v1/log HTTP/1.1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nContent-Length: x\r\nA: b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 501 + b"\r\n",
    b"nonsense\r\n\r\n",
    b"x" * 17_000,
    b"GET /health",
    b"GET /healthz HTTP/1.1\r\nHo",
    b"\r\n",
    b"\r",
    b"\x00",
)

POLL = b"GET /api/v1/event?duration=20 HTTP/1.1\r\nCookie: %s\r\n\r\n"

UNREAD = RECEIVE_TIMEOUT + IDLE_TIMEOUT + CLOSE_TIMEOUT
"""Seconds after which no connection can be open on which nothing is sent or read."""


class EndingTests(StationCase):
    """A connection has a time limit, or a request that is being answered."""

    def assert_bounded(self, wire: Wire) -> None:
        """Something will happen to the connection, though its client does nothing."""
        channel = wire.channel
        self.assertTrue(
            wire.transport.disconnected
            or self.clock.getDelayedCalls()
            or (channel._handlingRequest and channel.requests)
        )

    def assert_ends(self, transport: StringTransport, packets: list[tuple[bytes, int]]) -> None:
        """It is closed, though its client reads nothing: C{loseConnection} waits for that."""
        wire = Wire(self.site, transport)
        for data, seconds in packets:
            if transport.disconnected:
                break
            wire.send(data)
            self.assert_bounded(wire)
            self.clock.advance(seconds)
            self.assert_bounded(wire)
        self.clock.pump([5] * int(UNREAD // 5))
        self.assertTrue(transport.disconnected, packets)
        wire.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @settings(deadline=None)
    @given(
        st.lists(st.sampled_from((*PIECES, POLL)), max_size=5),
        st.lists(st.tuples(st.integers(0, 400), st.sampled_from((0, 0, 1, 25))), max_size=6),
        st.booleans(),
    )
    @example([GOOD, REFUSED], [], True)
    @example([GOOD, b"nonsense\r\n\r\n"], [], True)
    @example([GOOD, GOOD, CHUNKED + b"nonsense\r\n"], [], True)
    @example([BODY, REFUSED], [], True)
    @example([POLL, REFUSED], [], True)
    @example([GOOD, REFUSED], [], False)
    @example([LAST], [], False)
    def test_whatever_is_sent(
        self, pieces: list[bytes], cuts: list[tuple[int, int]], half: bool
    ) -> None:
        poll = POLL % self.cookie()
        data = b"".join(poll if piece is POLL else piece for piece in pieces)
        packets: list[tuple[bytes, int]] = []
        for size, seconds in cuts:
            packets.append((data[:size], seconds))
            data = data[size:]
        packets = [packet for packet in [*packets, (data, 0)] if packet[0]]
        self.assert_ends(HalfTransport() if half else StringTransport(), packets)

    def test_each_after_each_in_one_packet(self) -> None:
        for one in PIECES:
            for other in PIECES:
                for transport in (HalfTransport(), StringTransport()):
                    self.assert_ends(transport, [(GOOD + one + other, 0)])

    def test_a_request_in_the_same_packet_has_the_same_time(self) -> None:
        for half in (GOOD[:9], GOOD[:30], BODY[:-3], CHUNKED + b"3\r\nab"):
            wire = self.wire()
            wire.send(GOOD + half)
            self.clock.advance(RECEIVE_TIMEOUT - 1)
            self.assertFalse(wire.transport.disconnected, half)
            self.clock.advance(1)
            self.assertTrue(wire.transport.disconnected, half)

    def test_a_client_has_time_to_read_its_last_answer(self) -> None:
        wire = self.wire()
        wire.send(LAST)
        self.clock.advance(CLOSE_TIMEOUT - 1)
        self.assertFalse(wire.transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(wire.transport.disconnected)

    def cookie(self) -> bytes:
        return f"{COOKIE_NAME}={self.token}".encode()


del StationCase
