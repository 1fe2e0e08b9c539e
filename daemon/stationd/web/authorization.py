"""Authorization of a request when its headers are in, before any of its body is read."""

from __future__ import annotations

from urllib.parse import parse_qsl

import attrs
from twisted.web.http import Request

from stationd.errors import AuthenticationRequired, InvalidValue, PermissionDenied
from stationd.messages import allowed_values
from stationd.messages.reason_messages import ADMINISTRATOR_REQUIRED
from stationd.web.authentication import authenticate, confirm, peer_uid, session_token
from stationd.web.request_context import (
    ApiServices,
    Caller,
    RequestContext,
    Response,
    StreamedResponse,
)
from stationd.web.request_headers import get_header
from stationd.web.routes import Access, Route, find_route

MAX_PARAMETERS = 100


@attrs.frozen
class AuthorizedRequest:
    """A request that may be made.

    @ivar context: what it asks, without its body.
    """

    route: Route
    context: RequestContext

    async def handle(self, body: bytes) -> Response | StreamedResponse:
        """What its handler answers.

        @raise AuthenticationRequired: the session is over by now.
        @raise PermissionDenied: whoever asks is no administrator any more.
        """
        context = attrs.evolve(self.context, body=body)
        if context.caller is not None:
            caller = await confirm(context.services, context.caller, context.token)
            _check_access(self.route, caller)
            context = attrs.evolve(context, caller=caller)
        return await self.route.handler(context)


def authorize_request(services: ApiServices, request: Request) -> AuthorizedRequest:
    """A request, if whoever makes it may.

    @raise ResourceNotFound: no route has its path.
    @raise MethodNotAllowed: no route has its path with its method.
    @raise AuthenticationRequired: the route needs a login.
    @raise PermissionDenied: the route needs an administrator.
    @raise InvalidValue: the path or the query cannot be decoded.
    """
    path, _, query = request.uri.decode("latin-1").partition("?")
    route, parts = find_route(request.method.decode("latin-1"), path)
    caller = authenticate(services, request)
    try:
        _check_access(route, caller)
    except PermissionDenied:
        # Somebody may have another role by now: if not for this request, then for the next.
        services.accounts.refresh()
        raise
    context = RequestContext(
        services=services,
        caller=caller,
        parts=parts,
        parameters=_parse_query(query),
        body=b"",
        content_type=get_header(request, "content-type").partition(";")[0].strip().lower(),
        token=session_token(request),
        secure=request.isSecure() and peer_uid(request) is None,
    )
    return AuthorizedRequest(route, context)


def _check_access(route: Route, caller: Caller | None) -> None:
    if route.access is Access.OPEN:
        return
    if caller is None:
        raise AuthenticationRequired()
    if route.access is Access.ADMIN and not caller.admin:
        raise PermissionDenied(ADMINISTRATOR_REQUIRED.render(method=route.method, path=route.path))


def _parse_query(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query,
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError as error:
        raise InvalidValue("query", query, allowed_values.QUERY.format(error=error)) from error
    return dict(pairs)
