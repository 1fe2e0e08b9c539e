"""Logging in and out."""

from __future__ import annotations

from urllib.parse import parse_qsl

from twisted.logger import Logger

from stationd.errors import AuthenticationRequired, InvalidValue
from stationd.messages import allowed_values
from stationd.messages.log_messages import LOGIN_REFUSED
from stationd.messages.reason_messages import WRONG_PASSWORD
from stationd.web.request_body import parse
from stationd.web.request_context import Answer, Call
from stationd.web.routes_log import date, json_answer
from stationd.web.sessions import COOKIE

_log = Logger()


async def login(call: Call) -> Answer:
    """C{POST /api/v1/login}: a session, in a cookie."""
    username, password = _credentials(call)
    account = await call.api.accounts.check(username, password)
    if account is None:
        LOGIN_REFUSED.emit(_log, user=repr(username[:60]))
        raise AuthenticationRequired(WRONG_PASSWORD.text)
    now_us = call.api.now_us()
    token = call.api.sessions.begin(account.name, account.hash, now_us)
    answer = json_answer(_who(account.name, account.admin, now_us))
    return Answer(body=answer.body, headers={"Set-Cookie": _cookie(call, token)})


async def login_refresh(call: Call) -> Answer:
    """C{GET /api/v1/login_refresh}: who is logged in; asking prolongs the session."""
    caller = call.who
    login_us = caller.session.login_us if caller.session else call.api.now_us()
    return json_answer(_who(caller.user, caller.admin, login_us))


async def logout(call: Call) -> Answer:
    """C{PUT /api/v1/logout}: the session is gone."""
    caller = call.who
    call.api.sessions.end(call.token)
    answer = json_answer({"username": caller.user})
    return Answer(body=answer.body, headers={"Set-Cookie": f"{_cookie(call, '')}; Max-Age=0"})


def _credentials(call: Call) -> tuple[str, str]:
    if call.content_type == "application/json":
        document = parse(call.body)
        given = document if isinstance(document, dict) else {}
    else:
        given = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    found: list[str] = []
    for name in ("username", "password"):
        value = given.get(name)
        if not isinstance(value, str):
            shown = value if name == "username" else "…"
            raise InvalidValue(name, shown, allowed_values.CREDENTIAL)
        found.append(value)
    return found[0], found[1]


def _who(username: str, admin: bool, login_us: int) -> dict[str, object]:
    return {
        "anonymous": False,
        "isAdmin": admin,
        "logintime": date(login_us).partition(".")[0],
        "username": username,
    }


def _cookie(call: Call, token: str) -> str:
    secure = "; Secure" if call.secure else ""
    return f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{secure}"
