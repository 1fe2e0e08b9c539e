"""The supervisor of a source: follows it, reports its end once, and restarts it with exponential
back-off."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, DeferredList, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

from stationd.errors import SourceAbsent, SourceError
from stationd.interfaces import IRecorder, ISource
from stationd.messages import log_messages, reason_messages
from stationd.messages import system_record_messages as said
from stationd.records import Container, ContainerStats, Level

MIN_RETRY_DELAY = 0.1
"""Seconds before the first new attempt: an engine that restarts is soon back."""

MAX_RETRY_DELAY = 5.0
"""Seconds between attempts at most: how late a source that appears is noticed."""

RESET_DELAY_AFTER = 10.0
"""Seconds of following after which the delays begin at the first again."""


class SourceState(enum.Enum):
    """What a source is doing. C{connecting}: before it has found what it watches.
    C{catching up}: it looks at what happened before. C{live}: it follows what
    happens. C{absent}: there is nothing to watch. C{failed}: it ended or could not
    start, for a reason that is shown. The last two try again."""

    CONNECTING = "connecting"
    CATCHING_UP = "catching up"
    LIVE = "live"
    ABSENT = "absent"
    FAILED = "failed"


class Supervisor(Service):
    """One source, kept running while the service runs.

    @param note: puts a sentence into the journal's log.
    @ivar state: what it is doing.
    @ivar reason: why it is absent or failed, C{""} otherwise.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        source: ISource,
        recorder: IRecorder,
        note: Callable[[Level, str], Deferred[None]],
    ) -> None:
        self._clock = clock
        self._source = source
        self._recorder = recorder
        self._note = note
        self.type: str = source.type
        self.state = SourceState.CONNECTING
        self.reason = ""
        self._previous = (self.state, self.reason)
        self._lost = False
        self._delay = MIN_RETRY_DELAY
        self._live_since: float | None = None
        self._following: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._follow()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        following = self._following or succeed(None)
        following.cancel()
        return following.addBoth(lambda _: self._source.close())

    def connected(self) -> None:
        """The source says that it is about to catch up."""
        if self.state is not SourceState.LIVE:
            self._previous = (self.state, self.reason)
            self.state, self.reason = SourceState.CATCHING_UP, ""

    def live(self) -> None:
        """The source says that it has caught up."""
        self._live_since = self._clock.seconds()
        if self.state is SourceState.LIVE:
            return
        self.state, self.reason = SourceState.LIVE, ""
        log_messages.SOURCE_LIVE.emit(self._log, type=self.type)
        if self._lost:
            self._lost = False
            self._note(Level.INFO, said.SOURCE_LIVE_AGAIN_RECORD.render(type=self.type))

    def _follow(self) -> None:
        self._retry = None
        following = maybeDeferred(self._source.follow, self._recorder)
        self._following = following.addBoth(self._ended)

    def _ended(self, result: Failure | None) -> None:
        self._following = None
        if not self.running:
            return
        if result is None:
            self._report(SourceState.FAILED, reason_messages.SOURCE_ENDED.text)
        else:
            if not result.check(SourceError):
                log_messages.SOURCE_FAILED.emit(self._log, result, type=self.type)
            absent = result.check(SourceAbsent) is not None
            self._report(
                SourceState.ABSENT if absent else SourceState.FAILED, safe_str(result.value)
            )
        self._retry = self._clock.callLater(self._next_delay(), self._follow)

    def _next_delay(self) -> float:
        since, self._live_since = self._live_since, None
        if since is not None and self._clock.seconds() - since >= RESET_DELAY_AFTER:
            self._delay = MIN_RETRY_DELAY
        delay, self._delay = self._delay, min(self._delay * 2, MAX_RETRY_DELAY)
        return delay

    def _report(self, state: SourceState, reason: str) -> None:
        """Tell the operator what has changed, once and not at every attempt."""
        before = (self.state, self.reason)
        if self.state is SourceState.CATCHING_UP:
            before = self._previous
        self.state, self.reason = state, reason
        if before[0] is SourceState.LIVE:
            self._lost = True
            log_messages.SOURCE_LOST.emit(self._log, type=self.type, reason=reason)
            self._note(Level.WARN, said.SOURCE_LOST_RECORD.render(type=self.type, reason=reason))
        elif before != (state, reason):
            is_absent = state is SourceState.ABSENT
            message = log_messages.SOURCE_ABSENT if is_absent else log_messages.SOURCE_UNAVAILABLE
            message.emit(self._log, type=self.type, reason=reason)


class Sources(MultiService):
    """All the supervisors, and what is asked of sources by the type of a container."""

    def __init__(self) -> None:
        super().__init__()
        self._sources: dict[str, ISource] = {}
        self._supervisors: dict[str, Supervisor] = {}

    def add(self, source: ISource, supervisor: Supervisor) -> None:
        """Take care of one more."""
        self._sources[source.type] = source
        self._supervisors[source.type] = supervisor
        supervisor.setServiceParent(self)

    def live(self, type: str) -> None:
        """See L{IRecorder.live}."""
        self._supervisors[type].live()

    def connected(self, type: str) -> None:
        """See L{IRecorder.connected}."""
        self._supervisors[type].connected()

    def states(self) -> dict[str, dict[str, str]]:
        """What each source is doing, and why, by type."""
        return {
            type: {"state": supervisor.state.value}
            | ({"reason": supervisor.reason} if supervisor.reason else {})
            for type, supervisor in self._supervisors.items()
        }

    def is_live(self, type: str) -> bool:
        """Whether what is known of the containers of a type is how they are."""
        supervisor = self._supervisors.get(type)
        return supervisor is not None and supervisor.state is SourceState.LIVE

    def find(self, type: str, key: str) -> Deferred[Container | None]:
        """See L{ISource.find}.

        @raise SourceAbsent: (Deferred) there is no source of that type, either.
        """
        source = self._sources.get(type)
        if source is None:
            return fail(SourceAbsent(reason_messages.SOURCE_NOT_CONFIGURED.render(type=type)))
        return source.find(key)

    def sample(self, containers: Sequence[Container]) -> Deferred[Mapping[str, ContainerStats]]:
        """What running containers use, by their references."""
        wanted: dict[str, list[Container]] = {}
        for container in containers:
            wanted.setdefault(container.type, []).append(container)
        asked = [
            self._sources[type].sample(of_type).addCallback(_by_reference, type)
            for type, of_type in wanted.items()
            if type in self._sources
        ]

        def join(
            results: list[tuple[bool, Mapping[str, ContainerStats]]],
        ) -> Mapping[str, ContainerStats]:
            return {key: f for good, found in results if good for key, f in found.items()}

        return DeferredList(asked, consumeErrors=True).addCallback(join)


def _by_reference(stats: Mapping[str, ContainerStats], type: str) -> Mapping[str, ContainerStats]:
    return {f"{type}/{id}": found for id, found in stats.items()}
