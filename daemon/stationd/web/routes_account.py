"""The routes of logging in and out."""

from __future__ import annotations

from urllib.parse import parse_qsl

from twisted.logger import Logger

from stationd.errors import AuthenticationRequired, InvalidValue
from stationd.messages import allowed_values
from stationd.messages.log_messages import LOGIN_FAILED
from stationd.messages.reason_messages import INVALID_CREDENTIALS
from stationd.web.posted_records import parse_json
from stationd.web.request_context import RequestContext, Response
from stationd.web.routes_log import format_time, json_response
from stationd.web.sessions import COOKIE_NAME

_log = Logger()


async def login(context: RequestContext) -> Response:
    """C{POST /api/v1/login}: a session, in a cookie."""
    username, password = _read_credentials(context)
    account = await context.services.accounts.authenticate(username, password)
    if account is None:
        LOGIN_FAILED.emit(_log, user=repr(username[:60]))
        raise AuthenticationRequired(INVALID_CREDENTIALS.text)
    now_us = context.services.now_us()
    token = context.services.sessions.create(account.name, account.hash, now_us)
    response = json_response(_account_document(account.name, account.admin, now_us))
    return Response(body=response.body, headers={"Set-Cookie": _cookie(context, token)})


async def login_refresh(context: RequestContext) -> Response:
    """C{GET /api/v1/login_refresh}: who is logged in; asking prolongs the session."""
    caller = context.require_caller
    login_us = caller.session.login_us if caller.session else context.services.now_us()
    return json_response(_account_document(caller.user, caller.admin, login_us))


async def logout(context: RequestContext) -> Response:
    """C{PUT /api/v1/logout}: the session is gone."""
    caller = context.require_caller
    context.services.sessions.delete(context.token)
    response = json_response({"username": caller.user})
    return Response(
        body=response.body, headers={"Set-Cookie": f"{_cookie(context, '')}; Max-Age=0"}
    )


def _read_credentials(context: RequestContext) -> tuple[str, str]:
    if context.content_type == "application/json":
        document = parse_json(context.body)
        given = document if isinstance(document, dict) else {}
    else:
        given = dict(parse_qsl(context.body.decode("utf-8", "replace"), keep_blank_values=True))
    found: list[str] = []
    for name in ("username", "password"):
        value = given.get(name)
        if not isinstance(value, str):
            shown = value if name == "username" else "…"
            raise InvalidValue(name, shown, allowed_values.CREDENTIAL)
        found.append(value)
    return found[0], found[1]


def _account_document(username: str, admin: bool, login_us: int) -> dict[str, object]:
    return {
        "anonymous": False,
        "isAdmin": admin,
        "logintime": format_time(login_us).partition(".")[0],
        "username": username,
    }


def _cookie(context: RequestContext, token: str) -> str:
    secure = "; Secure" if context.secure else ""
    return f"{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict{secure}"
