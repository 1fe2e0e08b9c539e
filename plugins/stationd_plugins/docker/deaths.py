"""Why containers died: what came before an exit. Pure.

The engine tells of an exit with its code only. Somebody asked for it if a signal was
sent shortly before; the kernel did it if it told of running out of memory since the
start; otherwise the container ended by itself, and if it fails so again and again it is in a
loop.
"""

from __future__ import annotations

import collections
from collections.abc import Collection

import attrs

from stationd.records import CRASH_LOOP_EXITS, Observation
from stationd_plugins.docker.origins import SHORT, container_event
from stationd_plugins.host.process import signal_name

ASKED_US = 300 * 1_000_000
"""How long after a signal an exit is what was asked for: some stop slowly."""

HARMLESS = frozenset(["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT", "SIGCHLD", ""])
"""Signals that are sent for other reasons than to end a container, though to some to end it
too; and one of which it is not known any more what it was."""

SOON_US = 15 * 1_000_000
"""How long after such a signal an exit is what was asked for: an engine waits ten seconds
before it sends another."""

OOM_US = 10 * 1_000_000
"""How long before an exit memory ran out for that to be why."""

LOOP_US = 300 * 1_000_000
"""An exit within this time after another one belongs to the same loop: an engine waits
for a minute at most before it starts a container again."""

REMEMBERED = 4096
"""What was counted last: more than is recorded at once."""

BACKOFF_US = 75 * 1_000_000
"""A start this long after an exit is not the engine's."""


@attrs.define
class _Past:
    """What is known of a container that matters when it exits.

    @ivar asked_us: when an exit was last asked for, C{waits_us}: for how long it counts;
        C{signal}: how, C{""} if that is not known any more; C{first_us}: when it began to
        be asked for: who does not end soon is asked again.
    @ivar oom_us: when it last ran out of memory, and nobody sent it a SIGKILL since.
    @ivar died_us: when it last exited.
    @ivar exits: how often in a row it failed by itself.
    """

    asked_us: int = 0
    waits_us: int = 0
    first_us: int = 0
    signal: str = ""
    oom_us: int | None = None
    died_us: int = 0
    exits: int = 0

    def was_asked(self, time_us: int, code: object) -> bool:
        """Whether an exit at a time, with a code, is what was asked for."""
        # The clock may be set back.
        if abs(time_us - self.asked_us) >= self.waits_us:
            return False
        if self.signal not in HARMLESS or self.signal == "" or code == 0:
            return True
        # Another signal ended it; or it was told to look at its configuration, and failed.
        by_itself = isinstance(code, int) and code <= 128 and self.signal != "SIGHUP"
        return by_itself or signal_of(code) == self.signal

    def ran_out(self, time_us: int) -> bool:
        """Whether memory had run out just before."""
        return self.oom_us is not None and abs(time_us - self.oom_us) < OOM_US


class Deaths:
    """Remembers, and says why."""

    def __init__(self) -> None:
        self._past: dict[str, _Past] | None = None
        self._recorded: Collection[str] = ()
        # When the engine was lost, and when it last did not answer.
        self._lost_us = 0
        self._away_us = 0
        # Of what could not be recorded is told again, too.
        self._counted: collections.OrderedDict[str, None] = collections.OrderedDict()

    def resume(self, origins: Collection[str]) -> None:
        """Begin, or go on after something may have been missed.

        @param origins: what is recorded: a replay tells again of it. Of what was recorded
            before our time only this is known: that a signal was sent, and not which.
        """
        self._recorded = origins
        if self._past is None:
            self._past = {}
            for time_ns, action, short in filter(None, map(container_event, origins)):
                self._take(action, short, time_ns // 1000, "", 0)

    def lost(self, time_us: int) -> None:
        """The engine has ended its stream."""
        self._lost_us = time_us

    def away(self, time_us: int) -> None:
        """The engine does not answer: who is told to end meanwhile is so by itself, when it
        comes back and does not let what it finds live on."""
        self._lost_us = self._lost_us or time_us
        self._away_us = time_us

    def explain(self, seen: Observation) -> Observation:
        """An observation with what is known about why: of an exit C{signal}, C{oom}
        and, if it was seen, C{asked} and C{engineStarts}; of exits and starts in a loop
        C{exits}, how many there were."""
        if seen.subject != "container" or self._past is None:
            return seen
        short = seen.id[:SHORT]
        signal, code = str(seen.details.get("signal", "")), seen.details.get("exitCode")
        if seen.origin not in self._recorded and seen.origin not in self._counted:
            # A replay tells again of what was counted.
            self._take(seen.action, short, seen.time_us, signal, code)
            self._counted[seen.origin] = None
            if len(self._counted) > REMEMBERED:
                self._counted.popitem(last=False)
        past = self._past.get(short)
        if past is None or seen.action not in ("start", "oom", "die"):
            return seen
        details = dict(seen.details)
        if seen.action == "die":
            if by := signal_of(code):
                details["signal"] = by
            is_oom = code in (137, None) and past.ran_out(seen.time_us)
            if is_oom or not seen.inferred:
                # Of what nobody saw it is not known.
                details["oom"] = is_oom
        if seen.action == "die" and not seen.inferred:
            details["asked"] = past.was_asked(seen.time_us, code)
            if details["asked"] and self._lost_us < past.first_us < self._away_us:
                details["engineStarts"] = True
        is_of_loop = seen.action in ("die", "oom") or seen.time_us - past.died_us < BACKOFF_US
        if past.exits >= CRASH_LOOP_EXITS and is_of_loop:
            details["exits"] = past.exits
        return attrs.evolve(seen, details=details)

    def _take(self, action: str, short: str, time_us: int, signal: str, code: object) -> None:
        """In the order in which things are told: the clock may be set back meanwhile."""
        assert self._past is not None
        if action == "destroy":
            self._past.pop(short, None)
            return
        if action not in ("kill", "oom", "start", "die"):
            return
        past = self._past.setdefault(short, _Past())
        since_exit_us = time_us - past.died_us
        if action == "kill":
            is_harmless = signal in HARMLESS
            was_asked = past.was_asked(time_us, 0)
            past.first_us = past.first_us if was_asked else time_us
            if not (is_harmless and was_asked):
                past.asked_us, past.waits_us = time_us, SOON_US if is_harmless else ASKED_US
                past.signal = signal
            past.oom_us = None if signal == "SIGKILL" else past.oom_us
        elif action == "oom":
            past.oom_us = time_us
        elif action == "start":
            past.waits_us, past.oom_us = 0, None
            if since_exit_us >= LOOP_US:
                past.exits = 0
        elif action == "die":
            by_itself = code != 0 and not past.was_asked(time_us, code)
            again = past.exits if since_exit_us < LOOP_US else 0
            past.exits = again + 1 if by_itself else 0
            past.died_us = time_us


def signal_of(code: object) -> str:
    """The signal that an exit code speaks of, C{""} if of none."""
    is_one = isinstance(code, int) and 128 < code < 128 + 65
    return signal_name(code - 128) if is_one and isinstance(code, int) else ""
