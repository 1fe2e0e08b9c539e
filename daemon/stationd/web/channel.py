"""A connection: limits for the head of a request, deadlines, and how it ends."""

from __future__ import annotations

import contextlib
from http import HTTPStatus

from twisted.internet.interfaces import IDelayedCall, IHalfCloseableDescriptor
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Site

from stationd.messages.error_messages import REQUEST_MALFORMED
from stationd.web import problem_details

RECEIVE_TIMEOUT = 30.0
"""Seconds that a request may take to arrive, from its first byte to its last. Twisted
counts only silence, which a client that sends a byte a second never keeps."""

CLOSE_TIMEOUT = 120.0
"""Seconds that a client may take to read its last answer, once all of it has been written."""

MAX_IGNORED_BYTES = 64 << 20
"""What a client may go on sending after its request was refused, before it has read that."""


class RequestRefused(Exception):
    """A request was refused while its body arrived. Raised through Twisted's decoder, so that it
    parses no further."""


class ApiChannel(HTTPChannel):
    """A connection that must finish what it begins to send."""

    site: Site
    _deadline: IDelayedCall | None = None
    _ending = False
    _ignored = 0

    def request_line(self) -> tuple[bytes, bytes, bytes]:
        """Method, target and version of the request whose headers are in. Twisted hands them over
        only with the whole body; a test holds these names to what they are."""
        return self._command, self._path, self._version

    def stop_receiving(self) -> None:
        """Take nothing more: the connection is closed after the answer under way. The deadline
        stays, for a client that does not read that, and it alone."""
        self._set_deadline(RECEIVE_TIMEOUT)
        self.setTimeout(None)
        self._ending = True
        self.persistent = False

    def loseConnection(self) -> None:
        """Close the connection. If its client may still be sending, only our side is closed until
        it has read the answer: closing with bytes unread resets the connection, and the client may
        lose the answer (RFC 9112, 9.6). Both wait for the client, so both have a deadline."""
        self._set_deadline(CLOSE_TIMEOUT)
        if self._ending and _is_half_closeable(self):
            self._networkProducer.unregisterProducer()  # type: ignore[attr-defined]
            self.transport.loseWriteConnection()  # type: ignore[union-attr]
        else:
            super().loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Something came: the clock runs until the request is whole."""
        if self._ending:
            self._ignored += len(data)
            if self._ignored > MAX_IGNORED_BYTES:
                self.transport.abortConnection()  # type: ignore[union-attr]
            return
        if not self._handlingRequest:
            self._set_deadline(RECEIVE_TIMEOUT)
        super().dataReceived(data)
        if (self._buffer or self.requests) and not self._handlingRequest:
            # The end of it began another request, after one that was answered at once.
            self._set_deadline(RECEIVE_TIMEOUT)

    def rawDataReceived(self, data: bytes) -> None:
        """Part of a body came, or of the next request."""
        if self._ending:
            return
        with contextlib.suppress(RequestRefused):
            super().rawDataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """A line of a head came."""
        if not self._ending:
            super().lineReceived(line)

    def headerReceived(self, line: bytes) -> bool:
        """A header came."""
        try:
            return bool(super().headerReceived(line))
        except ValueError:
            # Python makes no integer of a Content-Length with more than 4,300 digits.
            self._respondToBadRequestAndDisconnect()
            return False

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line of the head is too long."""
        self._refuse_malformed(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def request_received(self) -> None:
        """The request is whole."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        super().connectionLost(reason)
        self.request_received()

    def _send100Continue(self) -> None:
        if self.length != 0 and not self._ending:
            super()._send100Continue()

    def _respondToBadRequestAndDisconnect(self) -> None:
        is_long = self._receivedHeaderSize > self.totalHeadersSize
        self._refuse_malformed(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_long else HTTPStatus.BAD_REQUEST
        )

    def _refuse_malformed(self, status: HTTPStatus) -> None:
        """Refuse what Twisted could not parse: there is no request to answer."""
        if self._ending:
            return
        self.stop_receiving()
        body = problem_details.problem_document(status, REQUEST_MALFORMED.text)
        lines = [
            f"HTTP/1.1 {int(status)} {status.phrase}",
            f"Content-Type: {problem_details.CONTENT_TYPE}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        head = "\r\n".join(lines) + "\r\n\r\n"
        self.transport.write(head.encode() + body)  # type: ignore[union-attr]
        self.loseConnection()

    def _set_deadline(self, seconds: float) -> None:
        """See to it that the connection has a deadline."""
        if self._deadline is None:
            self._deadline = self.callLater(seconds, self._on_deadline)

    def _on_deadline(self) -> None:
        self._deadline = None
        self.transport.abortConnection()  # type: ignore[union-attr]


def _is_half_closeable(channel: HTTPChannel) -> bool:
    """Whether one side of a connection can be closed: not with TLS."""
    return IHalfCloseableDescriptor.providedBy(channel.transport) and not channel.isSecure()
