"""One wait for a container: its target and its state. No I/O."""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from stationd.errors import SourceError
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
class WaitResult:
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
    C{asking}: the state may be reached, and the source is being asked.
    C{asking again}: likewise, and the registry has changed since the question.
    C{following}: the state was not reached when that was last certain; a change to it ends
    the wait if it is younger than that, and is a reason to ask if not.
    """

    SEEKING = "seeking"
    LINGERING = "lingering"
    PARKED = "parked"
    ASKING = "asking"
    ASKING_AGAIN = "asking again"
    FOLLOWING = "following"


QUERYING = (WaitState.ASKING, WaitState.ASKING_AGAIN)
"""In these the source is being asked about the container of a wait."""

UNCONFIRMED = (WaitState.SEEKING, WaitState.LINGERING, *QUERYING)
"""In these a wait goes on until L{stationd.waits.CONFIRM_SECONDS}, also when its time is up."""


@attrs.define(eq=False)
class PendingWait:
    """One caller.

    @ivar began: when, on the clock; C{until}: when the time is up.
    @ivar since_us: when it began, or its source last answered, by the clock that changes are
        dated with: what changed before is not news.
    @ivar container: whom it waits for; C{None} while that is not known.
    @ivar removed: the container that the key named last, if there is none now.
    @ivar failure: why the source did not say what the key names.
    @ivar query: what its source is being asked.
    @ivar timer: fires at the end of the time; C{grace}: when one lingers no longer.
    """

    type: str
    key: str
    reached: Callable[[Container], bool]
    began: float
    until: float
    since_us: int
    done: Deferred[WaitResult]
    state: WaitState = WaitState.SEEKING
    container: Container | None = None
    removed: Container | None = None
    failure: SourceError | None = None
    query: Deferred[Container | None] | None = None
    timer: IDelayedCall | None = None
    grace: IDelayedCall | None = None

    @property
    def lookup_key(self) -> str:
        """What its source is asked for: a name if it waits for who has that."""
        if self.container is None or self.key == self.container.name:
            return self.key
        return self.container.id

    def is_for_another(self, found: Container) -> bool:
        """Whether it waits for another one than this."""
        return self.container is None or self.container.reference != found.reference

    def cancel_query(self) -> None:
        """The answer is not needed any more."""
        question, self.query = self.query, None
        if question is not None:
            question.cancel()

    def cancel_grace(self) -> None:
        """It is known whom it waits for."""
        grace, self.grace = self.grace, None
        if grace is not None and grace.active():
            grace.cancel()
