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
from stationd_plugins.docker.decode import (
    SHORT,
    container_event,
    origin_of,
    signal_name,
    time_ns_of,
)
from stationd_plugins.docker.reconcile import INVERSION_NS

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

    @ivar asked_us: when a signal to end was last sent.
    @ivar oom_us: when it last ran out of memory.
    @ivar created_us: when it was made, 0 if that was before our time.
    @ivar started_us: when it last started; C{died_us}: when it last exited.
    @ivar exits: how often in a row it failed by itself.
    """

    asked_us: int = -ASKED_US
    oom_us: int = -1
    created_us: int = 0
    started_us: int = 0
    died_us: int = 0
    exits: int = 0


class Deaths:
    """Remembers, and says why.

    @param origins: what is recorded: a signal that was sent before our time counts.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._recorded = origins
        self._past: dict[str, _Past] = {}
        for time_ns, action, short in sorted(filter(None, map(container_event, origins))):
            self._take(action, short, time_ns // 1000, "", 0)

    def untold(self, seen: Observation, started_ns: int | None = None) -> Observation | None:
        """What must have come before an exit or a removal, and was not told: an engine
        that is killed while it starts a container tells of the exit only, and never of
        what ended while it was dead.

        @param started_ns: when the engine says that the container last started: its
            start is put there if that is possible, else just before the exit.
        """
        past = self._past.get(seen.id[:SHORT])
        if seen.subject != "container" or seen.inferred or past is None:
            return None
        if seen.origin in self._recorded:
            # A replay.
            return None
        runs = past.started_us > past.died_us + INVERSION_NS // 1000
        began = max(past.created_us, past.died_us)
        if seen.action == "die" and began and past.started_us < began:
            action = "start"
        elif seen.action == "destroy" and runs:
            action = "die"
        else:
            return None
        time_ns = time_ns_of(seen.origin) - 1
        if action == "start" and started_ns and began * 1000 < started_ns < time_ns:
            time_ns = started_ns
        return attrs.evolve(
            seen,
            time_us=time_ns // 1000,
            action=action,
            details={},
            inferred=True,
            origin=origin_of(time_ns, "container", action, seen.id),
        )

    def explain(self, seen: Observation) -> Observation:
        """An observation with what is known about why: of an exit C{signal}, C{oom}
        and C{asked}; of exits and starts in a loop C{exits}, how many there were."""
        if seen.subject != "container":
            return seen
        short = seen.id[:SHORT]
        signal, code = str(seen.details.get("signal", "")), seen.details.get("exitCode")
        self._take(seen.action, short, seen.time_us, signal, code)
        past = self._past.get(short)
        if past is None or seen.action not in ("start", "die"):
            return seen
        details = dict(seen.details)
        if seen.action == "die" and not seen.inferred:
            if isinstance(code, int) and 128 < code < 128 + 65:
                details["signal"] = signal_name(code - 128)
            details["oom"] = code == 137 and past.oom_us >= past.started_us
            details["asked"] = self._was_asked(past, seen.time_us)
        if past.exits >= LOOP_EXITS:
            details["exits"] = past.exits
        return attrs.evolve(seen, details=details)

    def _was_asked(self, past: _Past, time_us: int) -> bool:
        return past.started_us <= past.asked_us and time_us - past.asked_us < ASKED_US

    def _take(self, action: str, short: str, time_us: int, signal: str, code: object) -> None:
        if action == "destroy":
            self._past.pop(short, None)
            return
        if action not in ("create", "kill", "oom", "start", "die"):
            return
        past = self._past.setdefault(short, _Past())
        if action == "create":
            past.created_us = time_us
        elif action == "kill" and signal not in HARMLESS:
            past.asked_us = time_us
        elif action == "oom":
            past.oom_us = time_us
        elif action == "start":
            past.started_us = time_us
            if time_us - past.died_us >= LOOP_US:
                past.exits = 0
        elif action == "die" and time_us > past.died_us:
            # A replay tells of exits again that were counted.
            by_itself = code != 0 and not self._was_asked(past, time_us)
            again = past.exits if time_us - past.died_us < LOOP_US else 0
            past.exits = again + 1 if by_itself else 0
            past.died_us = time_us
