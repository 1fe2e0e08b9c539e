"""Names of the host's accounts, for callers on a Unix socket."""

from __future__ import annotations

import pwd

from twisted.internet.interfaces import IReactorTime

from stationd.web.fresh_calls import FreshCalls

FRESH_SECONDS = 60.0
"""Seconds for which a name is as it was looked up: whoever renames an account waits so long."""

MAX_NAMES = 1000
"""Names that are remembered: on no host have more accounts asked."""


class SystemAccounts:
    """Looks names up in threads: they can come from a directory service, which can hang.

    @param calls: how functions are called.
    """

    def __init__(self, clock: IReactorTime, calls: FreshCalls) -> None:
        self._clock = clock
        self._calls = calls
        self._names: dict[int, tuple[str, float]] = {}

    async def name(self, uid: int) -> str:
        """An account's name, C{uid-N} if it has none that can stand in a record."""
        known = self._names.get(uid)
        if known is not None and self._clock.seconds() - known[1] < FRESH_SECONDS:
            return known[0]
        name = await self._calls.call(("account", uid), lambda: account_name(uid))
        if len(self._names) >= MAX_NAMES:
            self._names.clear()
        self._names[uid] = (name, self._clock.seconds())
        return name


def account_name(uid: int) -> str:
    """Look a name up. Blocking.

    @return: the name, C{uid-N} if there is none that can stand in a record.
    """
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
    return f"uid-{uid}" if {":", ","} & set(name) or not name.isprintable() else name
