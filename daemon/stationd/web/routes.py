"""The table of routes: method, path, who may, how large a body."""

from __future__ import annotations

import enum
from urllib.parse import unquote

import attrs

from stationd.errors import InvalidValue, MethodNotAllowed, ResourceNotFound
from stationd.messages import allowed_values
from stationd.web import routes_account, routes_container, routes_event, routes_log, routes_system
from stationd.web.request_context import Handler

MAX_SMALL_BODY_BYTES = 8 << 10
"""The greatest body where none is needed, or a name and a password."""

MAX_RECORDS_BODY_BYTES = 16 << 20
"""The greatest body of records."""


class Access(enum.Enum):
    """Who can call a route."""

    OPEN = enum.auto()
    USER = enum.auto()
    ADMIN = enum.auto()


@attrs.frozen
class Route:
    """A method of a path; C{*} stands for any one part of it.

    @ivar body_bytes: the greatest body. Only a handler of C{POST} reads it; others ignore it, or
        refuse it.
    """

    method: str
    path: str
    handler: Handler
    access: Access = Access.USER
    body_bytes: int = MAX_SMALL_BODY_BYTES


ROUTES = (
    Route("GET", "/api/v1/log", routes_log.get_log),
    Route("POST", "/api/v1/log", routes_log.post_log, body_bytes=MAX_RECORDS_BODY_BYTES),
    Route("DELETE", "/api/v1/log", routes_log.delete_log, Access.ADMIN),
    Route("GET", "/api/v1/log/export", routes_log.export_log),
    Route("GET", "/api/v1/event", routes_event.get_event),
    Route("POST", "/api/v1/event", routes_event.post_event, body_bytes=MAX_RECORDS_BODY_BYTES),
    Route("GET", "/api/v1/event/wait/*/*/*", routes_container.wait),
    Route("GET", "/api/v1/container", routes_container.get_containers),
    Route("GET", "/api/v1/container/*/*", routes_container.get_container),
    Route("POST", "/api/v1/login", routes_account.login, Access.OPEN),
    Route("GET", "/api/v1/login_refresh", routes_account.login_refresh),
    Route("PUT", "/api/v1/logout", routes_account.logout),
    Route("GET", "/api/v1/system", routes_system.get_system),
    Route("GET", "/healthz", routes_system.healthz, Access.OPEN),
    Route("GET", "/metrics", routes_system.metrics),
)


def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """The route for a request, and what stands at its placeholders.

    @raise ResourceNotFound: no route has the path.
    @raise MethodNotAllowed: one has, with other methods.
    @raise InvalidValue: what stands at a placeholder cannot be decoded.
    """
    parts = path.rstrip("/").split("/")
    allowed: list[str] = []
    for route in ROUTES:
        pattern = route.path.split("/")
        if len(pattern) != len(parts):
            continue
        if all(p in ("*", part) for p, part in zip(pattern, parts, strict=True)):
            if method == route.method or (method == "HEAD" and route.method == "GET"):
                found = [part for p, part in zip(pattern, parts, strict=True) if p == "*"]
                return route, tuple(_decode_part("path", part) for part in found)
            allowed += ["GET", "HEAD"] if route.method == "GET" else [route.method]
    if allowed:
        raise MethodNotAllowed(method, tuple(allowed))
    raise ResourceNotFound(path)


def _decode_part(name: str, part: str) -> str:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise InvalidValue(name, part, allowed_values.PERCENT_ENCODED) from None
