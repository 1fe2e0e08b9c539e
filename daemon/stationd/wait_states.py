"""One wait: whom it is for, what it waits for, and what it is doing. No I/O."""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from stationd.records import Container, State

TARGETS: dict[str, Callable[[Container], bool]] = {
    "running": lambda c: c.state is State.RUNNING,
    "stopped": lambda c: c.state is State.STOPPED,
    "paused": lambda c: c.state is State.PAUSED,
    "healthy": lambda c: c.health == "healthy",
    "removed": lambda c: c.removed,
}
"""What can be waited for, and when a container is so."""


@attrs.frozen
class Waited:
    """How a wait ended.

    @ivar container: as it was when the state was reached; at the end of the time as it
        was last known.
    @ivar is_certain: C{False} if it is shown in the state that was waited for, and its
        source has not confirmed that.
    """

    container: Container
    is_certain: bool = True


class WaitState(enum.Enum):
    """What a wait is doing.

    C{seeking}: the key names no container that exists, so its source is being asked.
    C{lingering}: the source has none either, and one may still turn up in the records.
    C{parked}: likewise, and nothing is certain before the source is live.
    C{asking}: by the registry the state is reached, and the source is being asked.
    C{asking again}: likewise, and the registry has changed since the question.
    C{doubting}: the source has denied it, or did not say, and the registry has yet to
    catch up: its next change to the state is a reason to ask.
    C{settled}: the state is not reached; a change to it, seen live, ends the wait.
    """

    SEEKING = "seeking"
    LINGERING = "lingering"
    PARKED = "parked"
    ASKING = "asking"
    ASKING_AGAIN = "asking again"
    DOUBTING = "doubting"
    SETTLED = "settled"


UNCONFIRMED = (WaitState.SEEKING, WaitState.LINGERING, WaitState.ASKING, WaitState.ASKING_AGAIN)
"""In these a wait goes on until L{stationd.waits.CONFIRM}, also when its time is up."""


@attrs.define(eq=False)
class Wait:
    """One caller.

    @ivar began: when, on the clock; C{until}: when the time is up.
    @ivar container: whom it waits for; C{None} while that is not known.
    @ivar removed: the container that the key named last, if there is none now.
    @ivar timer: fires at the end of the time.
    @ivar pause: fires when a source is to be asked again, or when the grace is over.
    """

    type: str
    key: str
    reached: Callable[[Container], bool]
    began: float
    until: float
    done: Deferred[Waited]
    state: WaitState = WaitState.SEEKING
    container: Container | None = None
    removed: Container | None = None
    timer: IDelayedCall | None = None
    pause: IDelayedCall | None = None

    def end_pause(self) -> None:
        """What was put off is not needed any more."""
        if self.pause is not None and self.pause.active():
            self.pause.cancel()
        self.pause = None
