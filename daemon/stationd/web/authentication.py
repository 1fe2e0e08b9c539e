"""Who is calling: the kernel says so on a Unix socket, a cookie anywhere else."""

from __future__ import annotations

import os
import pwd
import socket
import struct

from twisted.web.http import Request

from stationd.web.request_context import ApiServices, Caller
from stationd.web.request_headers import get_cookie
from stationd.web.sessions import COOKIE_NAME

_UCRED = struct.Struct("3i")
"""pid, uid, gid (unix(7), SO_PEERCRED)."""


def authenticate(services: ApiServices, request: Request) -> Caller | None:
    """Who sent a request, C{None} if nobody knows."""
    uid = peer_uid(request)
    if uid is not None:
        return Caller(account_name(uid), uid in (0, os.getuid()))
    session = services.sessions.get(session_token(request))
    if session is None:
        return None
    account = services.accounts.get(session.username)
    if account is None or account.hash != session.hash:
        # The account was removed, or has another password now.
        services.sessions.delete(session_token(request))
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


def account_name(uid: int) -> str:
    """The system account's name, C{uid-N} if it has none that can stand in a record."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
    return f"uid-{uid}" if {":", ","} & set(name) or not name.isprintable() else name
