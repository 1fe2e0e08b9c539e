"""Sessions: tokens in memory, gone with the daemon."""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime

COOKIE_NAME = "stationd_session"

TOKEN_BYTES = 32

IDLE_SECONDS = 3600.0
"""Seconds without a request after which a session is over."""

MAX_AGE_SECONDS = 24 * 3600.0
"""Seconds after which it is over however it was used."""

MAX_SESSIONS = 1000
"""Sessions at once; the one that was used least recently makes room."""


@attrs.define
class Session:
    """Somebody who is logged in.

    @ivar username: who.
    @ivar hash: the password's hash at login: another one ends the session.
    @ivar login_us: when, for showing.
    """

    username: str
    hash: str
    login_us: int
    begun: float
    used: float


class Sessions:
    """All sessions. A token is kept only as its hash: reading our memory or a core
    dump gives nobody a way in.

    @param random: gives that many unpredictable bytes.
    """

    def __init__(self, clock: IReactorTime, random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._sessions: collections.OrderedDict[bytes, Session] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def create(self, username: str, hash: str, login_us: int) -> str:
        """A new session's token, for the cookie."""
        token = self._random(TOKEN_BYTES).hex()
        now = self._clock.seconds()
        self._sessions[_hash_token(token)] = Session(username, hash, login_us, now, now)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return token

    def get(self, token: str) -> Session | None:
        """The session of a token, prolonged; C{None} if it is over or never was."""
        key = _hash_token(token)
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock.seconds()
        if now - session.used > IDLE_SECONDS or now - session.begun > MAX_AGE_SECONDS:
            del self._sessions[key]
            return None
        session.used = now
        self._sessions.move_to_end(key)
        return session

    def delete(self, token: str) -> None:
        """End a session, if there is one."""
        self._sessions.pop(_hash_token(token), None)


def _hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
