"""Why containers died: what came before an exit. Pure.

The engine tells of an exit with its code only. Somebody asked for it if a signal was
sent shortly before; the kernel did it if it told of running out of memory since the
start; otherwise the container ended by itself, and if it fails so again and again it is in a
loop.
"""

from __future__ import annotations

from collections.abc import Collection

import attrs

from stationd.records import LOOP_EXITS, Observation
from stationd_plugins.docker.decode import SHORT, container_event
from stationd_plugins.live.process import signal_name

ASKED_US = 300 * 1_000_000
"""How long after a signal an exit is what was asked for: some stop slowly."""

HARMLESS = frozenset(["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT", "SIGCHLD"])
"""Signals that are sent for other reasons than to end a container."""

LOOP_US = 300 * 1_000_000
"""An exit within this time after another one belongs to the same loop: an engine waits
for a minute at most before it starts a container again."""


@attrs.define
class _Past:
    """What is known of a container that matters when it exits.

    @ivar asked_us: when a signal to end was last sent since it started, C{None} if none was.
    @ivar oom: whether it ran out of memory since.
    @ivar died_us: when it last exited.
    @ivar exits: how often in a row it failed by itself.
    """

    asked_us: int | None = None
    oom: bool = False
    died_us: int = 0
    exits: int = 0


class Deaths:
    """Remembers, and says why.

    @param origins: what is recorded: a signal that was sent before our time counts.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._past: dict[str, _Past] = {}
        self._recorded = origins
        for time_ns, action, short in filter(None, map(container_event, origins)):
            self._take(action, short, time_ns // 1000, "", 0)

    def explain(self, seen: Observation) -> Observation:
        """An observation with what is known about why: of an exit C{signal}, C{oom}
        and, if it was seen, C{asked}; of exits and starts in a loop C{exits}, how many there
        were."""
        if seen.subject != "container":
            return seen
        short = seen.id[:SHORT]
        signal, code = str(seen.details.get("signal", "")), seen.details.get("exitCode")
        if seen.origin not in self._recorded:
            # A replay tells again of what was counted.
            self._take(seen.action, short, seen.time_us, signal, code)
        past = self._past.get(short)
        if past is None or seen.action not in ("start", "die"):
            return seen
        details = dict(seen.details)
        if seen.action == "die":
            if isinstance(code, int) and 128 < code < 128 + 65:
                details["signal"] = signal_name(code - 128)
            details["oom"] = code == 137 and past.oom
        if seen.action == "die" and not seen.inferred:
            details["asked"] = self._was_asked(past, seen.time_us)
        if past.exits >= LOOP_EXITS:
            details["exits"] = past.exits
        return attrs.evolve(seen, details=details)

    def _was_asked(self, past: _Past, time_us: int) -> bool:
        return past.asked_us is not None and time_us - past.asked_us < ASKED_US

    def _take(self, action: str, short: str, time_us: int, signal: str, code: object) -> None:
        """In the order in which things are told: the clock may be set back meanwhile."""
        if action == "destroy":
            self._past.pop(short, None)
            return
        if action not in ("kill", "oom", "start", "die"):
            return
        past = self._past.setdefault(short, _Past())
        since_exit_us = time_us - past.died_us
        if action == "kill" and signal not in HARMLESS:
            past.asked_us = time_us
        elif action == "oom":
            past.oom = True
        elif action == "start":
            past.asked_us, past.oom = None, False
            if since_exit_us >= LOOP_US:
                past.exits = 0
        elif action == "die":
            by_itself = code != 0 and not self._was_asked(past, time_us)
            again = past.exits if since_exit_us < LOOP_US else 0
            past.exits = again + 1 if by_itself else 0
            past.died_us = time_us
