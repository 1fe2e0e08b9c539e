"""The one resource: finds the route, calls it, and answers, whatever happens."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from stationd.errors import BadValue, MethodNotAllowed, NotFound, NotLoggedIn, StationdError
from stationd.web import (
    problems,
    routes_account,
    routes_container,
    routes_event,
    routes_log,
    routes_system,
)
from stationd.web.answers import send, stream
from stationd.web.api import Answer, Api, Call, Handler, Stream
from stationd.web.identity import caller_of, peer_uid, token_of

MAX_PARAMETERS = 100


@attrs.frozen
class Route:
    """A method of a path; C{*} stands for any one part of it.

    @ivar open: whether it can be called without a login.
    """

    method: str
    path: str
    handler: Handler
    open: bool = False


ROUTES = (
    Route("GET", "/api/v1/log", routes_log.get_log),
    Route("POST", "/api/v1/log", routes_log.post_log),
    Route("DELETE", "/api/v1/log", routes_log.delete_log),
    Route("GET", "/api/v1/log/export", routes_log.export_log),
    Route("GET", "/api/v1/event", routes_event.get_event),
    Route("POST", "/api/v1/event", routes_event.post_event),
    Route("GET", "/api/v1/event/wait/*/*/*", routes_container.wait),
    Route("GET", "/api/v1/container", routes_container.get_containers),
    Route("GET", "/api/v1/container/*/*", routes_container.get_container),
    Route("POST", "/api/v1/login", routes_account.login, open=True),
    Route("GET", "/api/v1/login_refresh", routes_account.login_refresh),
    Route("PUT", "/api/v1/logout", routes_account.logout),
    Route("GET", "/api/v1/system", routes_system.get_system),
    Route("GET", "/healthz", routes_system.healthz, open=True),
    Route("GET", "/metrics", routes_system.metrics),
)


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """The route for a request, and what stands at its placeholders.

    @raise NotFound: no route has the path.
    @raise MethodNotAllowed: one has, with other methods.
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
                return route, tuple(_decoded("path", part) for part in found)
            allowed += ["GET", "HEAD"] if route.method == "GET" else [route.method]
    if allowed:
        raise MethodNotAllowed(method, tuple(allowed))
    raise NotFound(path)


class ApiResource(Resource):
    """Everything under C{/}."""

    isLeaf = True
    _log = Logger()

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api

    def render(self, request: Request) -> int:
        """Answer, now or later."""
        answering = Deferred.fromCoroutine(self._answer(request))
        # Nobody is there any more: whatever the handler waits for is cancelled.
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addCallback(self._send, request)
        answering.addErrback(self._problem, request)
        answering.addErrback(
            lambda failure: self._log.failure("an answer could not be sent", failure=failure)
        )
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> Answer | Stream:
        path, _, query = request.uri.decode("latin-1").partition("?")
        route, parts = find(request.method.decode("latin-1"), path)
        caller = caller_of(self._api, request)
        if caller is None and not route.open:
            raise NotLoggedIn()
        content_type = request.getHeader("content-type") or ""
        return await route.handler(
            Call(
                api=self._api,
                caller=caller,
                parts=parts,
                parameters=_parameters(query),
                body=request.content.read() if request.content else b"",
                content_type=content_type.partition(";")[0].strip().lower(),
                token=token_of(request),
                secure=request.isSecure() and peer_uid(request) is None,
            )
        )

    def _send(self, answer: Answer | Stream, request: Request) -> None:
        if request._disconnected:
            return
        if isinstance(answer, Stream):
            stream(request, answer, self._api.clock)
        else:
            send(request, answer)

    def _problem(self, failure: Failure, request: Request) -> None:
        if request._disconnected or failure.check(CancelledError):
            return
        error = failure.value
        if isinstance(error, StationdError):
            status = problems.status_of(error)
            body, headers = problems.document_of(error), problems.headers_of(error)
        if not isinstance(error, StationdError) or status is HTTPStatus.INTERNAL_SERVER_ERROR:
            status, headers = HTTPStatus.INTERNAL_SERVER_ERROR, {}
            incident = secrets.token_hex(4)
            self._log.failure(
                "incident {incident}: {method} {path} failed",
                failure=failure,
                incident=incident,
                method=request.method.decode("latin-1"),
                path=request.path.decode("latin-1"),
            )
            detail = f"a bug; the daemon's log has it as incident {incident}"
            body = problems.document(status, detail, incident=incident)
        answer = Answer(
            body=body, status=status, content_type=problems.CONTENT_TYPE, headers=headers
        )
        send(request, answer)


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query,
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError as error:
        raise BadValue("query", query, f"UTF-8, percent-encoded: {error}") from error
    return dict(pairs)


def _decoded(name: str, part: str) -> str:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise BadValue(name, part, "UTF-8, percent-encoded") from None
