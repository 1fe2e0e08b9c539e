"""Authentication of a request: by the kernel on a Unix socket, by a cookie elsewhere."""

from __future__ import annotations

import os
import socket
import struct

import attrs
from twisted.web.http import Request

from stationd.web.request_context import ApiServices, Caller
from stationd.web.request_headers import get_cookie
from stationd.web.sessions import COOKIE_NAME, Session

_UCRED = struct.Struct("3i")
"""pid, uid, gid (unix(7), SO_PEERCRED)."""


def authenticate(services: ApiServices, request: Request) -> Caller | None:
    """Who sent a request, as far as that is known at once, C{None} if nobody knows; see
    L{confirm}."""
    uid = peer_uid(request)
    if uid is not None:
        return Caller("", uid in (0, os.getuid()), uid=uid)
    token = session_token(request)
    session = services.sessions.get(token)
    if session is None:
        return None
    return _of_session(services, token, session)


async def confirm(services: ApiServices, caller: Caller, token: str) -> Caller | None:
    """The same with the system account's name, or as the users file has it now; C{None} if the
    session is over. It may wait for a disk or a name service.

    @param token: the session cookie's value.
    """
    if caller.uid is not None:
        return attrs.evolve(caller, user=await services.system_accounts.name(caller.uid))
    if caller.session is None:
        return caller
    await services.accounts.refresh()
    return _of_session(services, token, caller.session)


def _of_session(services: ApiServices, token: str, session: Session) -> Caller | None:
    account = services.accounts.get(session.username)
    if account is None or account.hash != session.hash:
        # The account was removed, or has another password now.
        services.sessions.delete(token)
        return None
    return Caller(account.name, account.admin, session)


def session_token(request: Request) -> str:
    """The session cookie's value, C{""} without one."""
    return get_cookie(request, COOKIE_NAME)


def peer_uid(request: Request) -> int | None:
    """The user id at the other end of a Unix socket, C{None} on any other."""
    transport = getattr(request.channel, "transport", None)
    connection = getattr(transport, "socket", None)
    if not isinstance(connection, socket.socket) or connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, _ = _UCRED.unpack(raw)
    return int(uid)
