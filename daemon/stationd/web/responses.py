"""Responses: sent whole or streamed, compressed where that is wanted and worth it."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterator

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.web.http import Request, datetimeToString
from zope.interface import implementer

from stationd.messages.log_messages import RESPONSE_TRUNCATED
from stationd.web.request_context import Response, StreamedResponse, WaitingChunk
from stationd.web.request_headers import get_header

MIN_COMPRESSED_BYTES = 1024
"""A body below this fits into one packet as it is."""

GZIP_LEVEL = 1
"""zlib's fastest: five times smaller for our texts, at 100 MB/s."""

CHUNK_BYTES = 32 << 10
"""What a stream writes at a time at least, if it can within a slice."""

SLICE_SECONDS = 0.002
"""Seconds that a stream works before others have their turn."""


def send_response(request: Request, response: Response) -> None:
    """Write a whole answer and finish."""
    body = response.body
    is_worth = len(body) >= MIN_COMPRESSED_BYTES
    is_compressed = is_worth and accepts_gzip(get_header(request, "accept-encoding"))
    if is_compressed:
        body = gzip.compress(body, GZIP_LEVEL, mtime=0)
    # What can fail is done: no header of this answer stays for another one.
    request.setResponseCode(response.status)
    _write_headers(request, response)
    if is_worth:
        request.setHeader("vary", "accept-encoding")
    if is_compressed:
        request.setHeader("content-encoding", "gzip")
    request.setHeader("content-length", str(len(body)))
    if request.method != b"HEAD":
        request.write(body)
    request.finish()


def stream_response(request: Request, response: StreamedResponse, clock: IReactorTime) -> None:
    """Write an answer at the client's pace, and finish."""
    _write_headers(request, response)
    request.setHeader("vary", "accept-encoding")
    compressed = accepts_gzip(get_header(request, "accept-encoding"))
    if compressed:
        request.setHeader("content-encoding", "gzip")
    if request.method == b"HEAD":
        request.finish()
        return
    chunks = gzip_chunks(response.chunks) if compressed else response.chunks
    pump = ResponseProducer(request, chunks, clock)
    request.registerProducer(pump, True)
    pump.resumeProducing()


def _write_headers(request: Request, response: Response | StreamedResponse) -> None:
    request.setHeader("server", "stationd")
    request.setHeader("date", datetimeToString())
    request.setHeader("content-type", response.content_type)
    request.setHeader("cache-control", "no-store")
    request.setHeader("x-content-type-options", "nosniff")
    for name, value in response.headers.items():
        request.setHeader(name, value)


@implementer(IPushProducer)
class ResponseProducer:
    """Takes from an iterator while the client can take more, a slice of time at once."""

    _log = Logger()

    def __init__(self, request: Request, chunks: Iterator[bytes], clock: IReactorTime) -> None:
        self._request = request
        self._chunks = chunks
        self._clock = clock
        self._next: IDelayedCall | None = None
        self._waits = False
        self._paused = False

    def resumeProducing(self) -> None:
        """Go on, soon."""
        self._paused = False
        if self._next is None and not self._waits:
            self._next = self._clock.callLater(0, self._produce)

    def pauseProducing(self) -> None:
        """The client cannot take more."""
        self._paused = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def stopProducing(self) -> None:
        """The client has gone."""
        self.pauseProducing()
        self._chunks = iter(())

    def _produce(self) -> None:
        self._next = None
        try:
            self._write()
        except Exception:  # noqa: BLE001 - the outermost edge of an answer under way
            # The status has been sent long ago; a cut is all that can still be said. To a client
            # of HTTP/1.0 a connection that is closed in order is the end of a whole answer.
            RESPONSE_TRUNCATED.emit(self._log)
            self.stopProducing()
            self._request.transport.abortConnection()  # type: ignore[union-attr]

    def _write(self) -> None:
        data, over = self._next_slice()
        # Before the write, which can pause us.
        if not over:
            self.resumeProducing()
        if data:
            self._request.write(data)
        if over:
            self._request.unregisterProducer()
            self._request.finish()

    def _next_slice(self) -> tuple[bytes, bool]:
        """What a slice of time gives, and whether that is all."""
        until = time.monotonic() + SLICE_SECONDS
        parts: list[bytes] = []
        size = 0
        for chunk in self._chunks:
            if isinstance(chunk, WaitingChunk):
                self._waits = True
                chunk.ready.addCallback(self._go_on)
                return b"".join(parts), False
            parts.append(chunk)
            size += len(chunk)
            if size >= CHUNK_BYTES or time.monotonic() > until:
                return b"".join(parts), False
        return b"".join(parts), True

    def _go_on(self, _: object) -> None:
        self._waits = False
        if not self._paused:
            self.resumeProducing()


def gzip_chunks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, as one gzip member."""
    compressor = zlib.compressobj(GZIP_LEVEL, wbits=31)
    for chunk in chunks:
        yield chunk if isinstance(chunk, WaitingChunk) else compressor.compress(chunk)
    yield compressor.flush()


def accepts_gzip(accepted: str) -> bool:
    """Whether an C{Accept-Encoding} allows gzip (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        coding, _, rest = part.partition(";")
        weight = rest.strip().removeprefix("q=") or "1"
        try:
            weights[coding.strip()] = float(weight)
        except ValueError:
            weights[coding.strip()] = 0
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0))) > 0
