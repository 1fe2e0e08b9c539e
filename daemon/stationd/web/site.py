"""The HTTP server around the resource: requests, and what they may hold together. A request is
decided when its headers are in; if one is refused whose body is to come, the connection ends."""

from __future__ import annotations

import io

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.server import Request, Site

from stationd.errors import BodyTooLarge, StationdError, TooManyBodies
from stationd.web.authorization import AuthorizedRequest
from stationd.web.channel import ApiChannel, RequestRefused
from stationd.web.request_context import ApiServices
from stationd.web.resource import ApiResource
from stationd.web.routes import MAX_SMALL_BODY_BYTES

MAX_BODIES_BYTES = 128 << 20
"""Bodies in memory at once, of all requests together. Those that must be small do not count: slow
clients with large ones must keep no one from logging in. The head of a request may be larger."""

IDLE_TIMEOUT = 120.0
"""Seconds that a connection may be silent between requests."""


class ApiRequest(Request):
    """A request that is decided when its headers are in, and handled when its body is.

    Neither Twisted's parsing of forms and queries nor its search for a resource is used."""

    channel: ApiChannel
    _site: ApiSite
    _decision: AuthorizedRequest | Failure
    _held = 0

    def gotLength(self, length: int | None) -> None:
        """The headers are in.

        @param length: bytes of the body, C{None} if it comes in chunks.
        """
        channel = self.channel
        self.method, self.uri, self.clientproto = channel.request_line()
        self.path = self.uri.partition(b"?")[0]
        self._body = io.BytesIO()
        site = self._site = _site_of(channel)
        self.notifyFinish().addBoth(lambda _: site.release_body(self._held))
        try:
            admitted = site.resource.admit(self)
            if length is not None and length > admitted.route.body_bytes:
                raise BodyTooLarge(admitted.route.body_bytes)
            self._decision = admitted
        except Exception:  # noqa: BLE001 - the outermost edge of a request
            self._decision = Failure()
            if length != 0:
                self._refuse(self._decision)

    def handleContentChunk(self, data: bytes) -> None:
        """Part of the body is in.

        @raise RequestRefused: it is too much; that has been answered.
        """
        assert isinstance(self._decision, AuthorizedRequest)
        limit = self._decision.route.body_bytes
        try:
            if self._body.tell() + len(data) > limit:
                raise BodyTooLarge(limit)
            if limit > MAX_SMALL_BODY_BYTES:
                self._site.reserve_body(len(data))
                self._held += len(data)
        except StationdError:
            self._refuse(Failure())
            raise RequestRefused() from None
        self._body.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of it is in."""
        self.channel.request_received()
        if isinstance(self._decision, Failure):
            self._site.resource.refuse(self._decision, self)
        else:
            self._site.resource.answer(self, self._decision, self._body.getvalue())

    def _refuse(self, failure: Failure) -> None:
        self.channel.stop_receiving()
        self.setHeader("connection", "close")
        self._site.resource.refuse(failure, self)


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

    def reserve_body(self, size_bytes: int) -> None:
        """Account for a part of a body.

        @raise TooManyBodies: there is no room for it.
        """
        if size_bytes > self._left:
            raise TooManyBodies()
        self._left -= size_bytes

    def release_body(self, size_bytes: int) -> None:
        """A request and its body are gone."""
        self._left += size_bytes

    def log(self, request: object) -> None:
        """Nothing."""


def _site_of(channel: ApiChannel) -> ApiSite:
    assert isinstance(channel.site, ApiSite)
    return channel.site


def make_site(services: ApiServices, clock: IReactorTime) -> ApiSite:
    """A factory for listening ports, over the API's resource."""
    return ApiSite(ApiResource(services), clock, MAX_BODIES_BYTES)
