"""The HTTP server around the resource: what a client may send, and how slowly."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site

from stationd.errors import BodyTooLarge
from stationd.web import problems
from stationd.web.api import Api
from stationd.web.resource import ApiResource

MAX_BODY_BYTES = 16 << 20
"""What can be posted at once; Twisted itself has no limit."""

RECEIVE_TIMEOUT = 30.0
"""Seconds that a request may take to arrive, from its first byte to its last. Twisted
counts only silence, which a client that sends a byte a second never keeps."""

IDLE_TIMEOUT = 120.0
"""Seconds that a connection may be silent between requests."""


class BoundedRequest(Request):
    """A request that is refused as soon as it is known to be too large."""

    _received = 0

    def gotLength(self, length: int | None) -> None:
        """The headers are in."""
        if length is not None and length > MAX_BODY_BYTES:
            self._refuse()
            length = 0
        super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        """Part of the body is in."""
        self._received += len(data)
        if self._received > MAX_BODY_BYTES:
            self._refuse()
            return
        super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of it is in."""
        channel = self.channel
        if isinstance(channel, DeadlineChannel):
            channel.received()
        super().requestReceived(command, path, version)

    def _refuse(self) -> None:
        error = BodyTooLarge(MAX_BODY_BYTES)
        status, body = problems.status_of(error), problems.document_of(error)
        lines = [
            f"HTTP/1.1 {int(status)} {status.phrase}",
            f"Content-Type: {problems.CONTENT_TYPE}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        head = "\r\n".join(lines) + "\r\n\r\n"
        self.channel.transport.write(head.encode() + body)  # type: ignore[union-attr]
        self.channel.loseConnection()


class DeadlineChannel(HTTPChannel):
    """A connection that must finish what it begins to send."""

    _deadline: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        """Something came: the clock runs until the request is whole."""
        if self._deadline is None and not self._handlingRequest:
            self._deadline = self.callLater(RECEIVE_TIMEOUT, self._late)
        super().dataReceived(data)

    def received(self) -> None:
        """The request is whole."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        self.received()
        super().connectionLost(reason)

    def _late(self) -> None:
        self._deadline = None
        self.transport.abortConnection()  # type: ignore[union-attr]


class ApiSite(Site):
    """Makes our channels. It logs no requests: one line for each would bury what an
    operator looks for."""

    protocol = DeadlineChannel  # type: ignore[assignment]
    displayTracebacks = False
    noisy = False

    def log(self, request: object) -> None:
        """Nothing."""


def make_site(api: Api, clock: IReactorTime) -> Site:
    """A factory for listening ports, over the API's resource."""
    return ApiSite(
        ApiResource(api), requestFactory=BoundedRequest, reactor=clock, timeout=IDLE_TIMEOUT
    )
