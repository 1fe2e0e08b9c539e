"""What is recorded of a container, by the order in which it was recorded: the clock may have
been set back meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from stationd.records import Container, State
from stationd_plugins.docker.origins import SHORT, container_event

INVERSION_NS = 50_000_000
"""How much later than the end of a container that lives for milliseconds the engine's
time of its start can be: the one is the kernel's, the other that of the next lock."""

GUESS_NS = 2
"""How long before an exit the start that is worked out for it is put."""


BACK = {
    "start": State.STOPPED,
    "die": State.RUNNING,
    "pause": State.RUNNING,
    "unpause": State.PAUSED,
    "destroy": State.STOPPED,
}
"""What is told of none that was removed unless it is back; and what it must have been before."""


@attrs.define
class Past:
    """One container's.

    @ivar at: when each action was told last, in nanoseconds.
    @ivar is_guess: whether its last start was worked out: it may still be told.
    @ivar runs: whether it runs, C{ran}: whether it ran before it exited, C{paused}: whether
        it is.
    """

    at: dict[str, int] = attrs.field(factory=dict)
    runs: bool = False
    ran: bool = False
    paused: bool = False
    is_guess: bool = False

    @property
    def began_ns(self) -> int:
        """When it last exited, or else was made; 0 if neither was told."""
        return self.at.get("die") or self.at.get("create", 0)

    def last_ns(self, action: str, latest_ns: int) -> int:
        """When it was told last; 0 if it never was, or is dated in the future."""
        time_ns = self.at.get(action, 0)
        return time_ns if time_ns <= latest_ns else 0

    def take(self, action: str, time_ns: int, is_guess: bool = False) -> None:
        """Something was told, or worked out."""
        self.at[action] = time_ns
        if action == "found":
            # It was recorded as removed, and is back: what was before is over.
            self.at = {"create": self.at.get("create", time_ns), "found": time_ns}
            self.runs = self.ran = self.paused = self.is_guess = False
        elif action == "die":
            # A start that is worked out for an exit is put a moment before it, if need be.
            is_guess = self.is_guess or 0 <= time_ns - self.at.get("start", 0) <= GUESS_NS
            self.ran, self.runs, self.paused = self.runs and not is_guess, False, False
        elif action == "start":
            # Of one that lives for milliseconds the start may be told after the end.
            self.runs = self.ran or not _is_told_late(time_ns, self.at.get("die", 0))
            self.paused, self.is_guess = False, is_guess
        elif action in ("pause", "unpause"):
            self.paused = action == "pause"


def pasts(origins: Collection[str], known: Collection[Container]) -> dict[str, Past]:
    """Those of all containers, by their short ids.

    @param known: what is known of those that exist: of one that was found, and of which
        nothing has been told since, nothing else is.
    """
    found: dict[str, Past] = {}
    for time_ns, action, short in filter(None, map(container_event, origins)):
        found.setdefault(short, Past()).take(action, time_ns)
    for container in known:
        past = found.setdefault(container.id[:SHORT], Past())
        if not {"start", "die"} & past.at.keys():
            past.runs = container.state is not State.STOPPED
            past.paused = container.state is State.PAUSED
    return found


def _is_told_late(started_ns: int, died_ns: int) -> bool:
    """Whether a start that is told of after an end began the run that ended so. One that
    is worked out is put just before the end."""
    return bool(died_ns) and -1 <= started_ns - died_ns <= INVERSION_NS
