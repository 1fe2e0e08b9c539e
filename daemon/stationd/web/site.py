"""The HTTP server around the resource: what a client may send, and how slowly. A request is
decided when its headers are in; if one is refused whose body is to come, the connection ends."""

from __future__ import annotations

import contextlib
import io
from http import HTTPStatus

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site

from stationd.errors import BodiesBusy, BodyTooLarge, StationdError
from stationd.web import problems
from stationd.web.admission import Admitted
from stationd.web.api import Api
from stationd.web.resource import ApiResource

BODIES_BYTES = 128 << 20
"""Bodies in memory at once, of all requests together."""

RECEIVE_TIMEOUT = 30.0
"""Seconds that a request may take to arrive, from its first byte to its last. Twisted
counts only silence, which a client that sends a byte a second never keeps."""

IDLE_TIMEOUT = 120.0
"""Seconds that a connection may be silent between requests."""


class Refused(Exception):
    """A request was refused while its body arrived. Raised through Twisted's decoder, so that it
    parses no further."""


class ApiRequest(Request):
    """A request that is decided when its headers are in, and handled when its body is.

    Neither Twisted's parsing of forms and queries nor its search for a resource is used."""

    channel: ApiChannel
    _decision: Admitted | Failure
    _held = 0

    def gotLength(self, length: int | None) -> None:
        """The headers are in.

        @param length: bytes of the body, C{None} if it comes in chunks.
        """
        channel = self.channel
        self.method, self.uri, self.clientproto = channel.request_line()
        self.path = self.uri.partition(b"?")[0]
        self._body = io.BytesIO()
        self.notifyFinish().addBoth(lambda _: channel.site.release(self._held))
        try:
            admitted = channel.site.resource.admit(self)
            if length is not None and length > admitted.route.body_bytes:
                raise BodyTooLarge(admitted.route.body_bytes)
            self._decision = admitted
        except Exception:  # noqa: BLE001 - the outermost edge of a request
            self._decision = Failure()
            if length != 0:
                self._refuse(self._decision)

    def handleContentChunk(self, data: bytes) -> None:
        """Part of the body is in.

        @raise Refused: it is too much; that has been answered.
        """
        assert isinstance(self._decision, Admitted)
        limit = self._decision.route.body_bytes
        try:
            if self._held + len(data) > limit:
                raise BodyTooLarge(limit)
            self.channel.site.hold(len(data))
        except StationdError:
            self._refuse(Failure())
            raise Refused() from None
        self._held += len(data)
        self._body.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of it is in."""
        channel = self.channel
        channel.received()
        if isinstance(self._decision, Failure):
            channel.site.resource.refuse(self._decision, self)
        else:
            channel.site.resource.answer(self, self._decision, self._body.getvalue())

    def _refuse(self, failure: Failure) -> None:
        channel = self.channel
        channel.end()
        self.setHeader("connection", "close")
        channel.site.resource.refuse(failure, self)


class ApiChannel(HTTPChannel):
    """A connection that must finish what it begins to send."""

    site: ApiSite
    _deadline: IDelayedCall | None = None
    _ending = False

    def request_line(self) -> tuple[bytes, bytes, bytes]:
        """Method, target and version of the request whose headers are in. Twisted hands them over
        only with the whole body; a test holds these names to what they are."""
        return self._command, self._path, self._version

    def end(self) -> None:
        """Take nothing more: the connection is closed after the answer under way. The deadline
        stays, for a client that does not read that."""
        self._ending = True
        self.persistent = False

    def dataReceived(self, data: bytes) -> None:
        """Something came: the clock runs until the request is whole."""
        if self._ending:
            return
        if self._deadline is None and not self._handlingRequest:
            self._deadline = self.callLater(RECEIVE_TIMEOUT, self._late)
        super().dataReceived(data)

    def rawDataReceived(self, data: bytes) -> None:
        """Part of a body came, or of the next request."""
        if self._ending:
            return
        with contextlib.suppress(Refused):
            super().rawDataReceived(data)

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
        self._malformed(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def received(self) -> None:
        """The request is whole."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        self.received()
        super().connectionLost(reason)

    def _send100Continue(self) -> None:
        if self.length != 0 and not self._ending:
            super()._send100Continue()

    def _respondToBadRequestAndDisconnect(self) -> None:
        is_long = self._receivedHeaderSize > self.totalHeadersSize
        self._malformed(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_long else HTTPStatus.BAD_REQUEST
        )

    def _malformed(self, status: HTTPStatus) -> None:
        """Refuse what Twisted could not parse: there is no request to answer."""
        if self._ending:
            return
        self.end()
        body = problems.document(status, "the request is not well-formed HTTP/1.1, or too long")
        lines = [
            f"HTTP/1.1 {int(status)} {status.phrase}",
            f"Content-Type: {problems.CONTENT_TYPE}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        head = "\r\n".join(lines) + "\r\n\r\n"
        self.transport.write(head.encode() + body)  # type: ignore[union-attr]
        self.loseConnection()

    def _late(self) -> None:
        self._deadline = None
        self.transport.abortConnection()  # type: ignore[union-attr]


class ApiSite(Site):
    """Makes our channels. It logs no requests: one line for each would bury what an
    operator looks for.

    @param bodies_bytes: bodies in memory at once.
    """

    protocol = ApiChannel  # type: ignore[assignment]
    requestFactory = ApiRequest
    resource: ApiResource
    displayTracebacks = False
    noisy = False

    def __init__(self, resource: ApiResource, clock: IReactorTime, bodies_bytes: int) -> None:
        super().__init__(resource, reactor=clock, timeout=IDLE_TIMEOUT)
        self._left = bodies_bytes

    def hold(self, size_bytes: int) -> None:
        """Account for a part of a body.

        @raise BodiesBusy: there is no room for it.
        """
        if size_bytes > self._left:
            raise BodiesBusy()
        self._left -= size_bytes

    def release(self, size_bytes: int) -> None:
        """A request and its body are gone."""
        self._left += size_bytes

    def log(self, request: object) -> None:
        """Nothing."""


def make_site(api: Api, clock: IReactorTime) -> ApiSite:
    """A factory for listening ports, over the API's resource."""
    return ApiSite(ApiResource(api), clock, BODIES_BYTES)
