"""What a client may send, and how slowly."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from stationd.web import site as module
from stationd.web.site import RECEIVE_TIMEOUT, DeadlineChannel, make_site


class ConnectionTests(SynchronousTestCase):
    """One connection, and a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        site = make_site(None, self.clock)  # type: ignore[arg-type]
        channel = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert isinstance(channel, DeadlineChannel)
        self.channel = channel
        self.transport = StringTransport()
        self.channel.makeConnection(self.transport)

    def tearDown(self) -> None:
        self.channel.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def drip(self, data: bytes) -> float:
        """Send a byte a second; the seconds until the connection is gone."""
        for second, byte in enumerate(data):
            if self.transport.disconnecting or self.transport.disconnected:
                return second
            self.channel.dataReceived(bytes([byte]))
            self.clock.advance(1)
        return len(data)

    def test_a_client_that_drips_its_header_is_cut_off(self) -> None:
        self.assertEqual(self.drip(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20), RECEIVE_TIMEOUT)

    def test_a_client_that_drips_its_body_is_cut_off(self) -> None:
        head = b"POST /api/v1/log HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n"
        self.channel.dataReceived(head)
        self.assertEqual(self.drip(b"x" * 100), RECEIVE_TIMEOUT)

    def test_a_body_that_is_too_large_is_refused_at_its_header(self) -> None:
        self.patch(module, "MAX_BODY_BYTES", 10)
        head = b"POST /api/v1/log HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n"
        self.channel.dataReceived(head)
        self.assertTrue(self.transport.value().startswith(b"HTTP/1.1 413 "))
        self.assertTrue(self.transport.disconnecting)
