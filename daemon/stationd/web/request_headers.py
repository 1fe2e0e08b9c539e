"""Headers of a request as text, decoded as latin-1, which has a character for each byte."""

from __future__ import annotations

from twisted.web.http import Request


def get_header(request: Request, name: str) -> str:
    """A header's value; those of repeated headers with C{", "} between (RFC 9110, 5.3), C{""} if
    there is none."""
    values = request.requestHeaders.getRawHeaders(name.encode("ascii")) or []
    return b", ".join(values).decode("latin-1")


def get_cookie(request: Request, name: str) -> str:
    """A cookie's value, C{""} if there is none."""
    value: bytes = request.getCookie(name.encode("ascii")) or b""
    return value.decode("latin-1")
