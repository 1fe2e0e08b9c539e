"""Follows a Docker engine: resumes where the journal ends, lists, and goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from twisted.internet.defer import CancelledError, Deferred, DeferredList, TimeoutError
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from stationd.errors import BadValue, JournalError, SourceError, SourceLost
from stationd.interfaces import IHostReactor, IRecorder, ISource
from stationd.records import Container, Figures, Observation, State
from stationd_plugins.docker.decode import (
    TYPE,
    Inspected,
    Malformed,
    inspected,
    observation,
    time_ns_of,
)
from stationd_plugins.docker.engine import STOP_TIMEOUT, Questions, Stream
from stationd_plugins.live.sampler import Sampler

OVERLAP_NS = 2_000_000_000
"""How far before the newest recorded event a replay begins: the stream's order has
inversions of some milliseconds under load. What is known already the recorder drops."""

PREFIX_LENGTH = 12
"""Characters of an id that are enough to name a container."""

QUIET = 0.05
"""Seconds without an event after which a replay is taken to be through; the engine
sends it at once. If it is not, what follows is only told later than the listing."""

QUIET_ROUNDS = 20
"""How often quiet is waited for: on a busy engine there is none."""


def make_source(settings: Mapping[str, object], reactor: IHostReactor) -> ISource:
    """A source for C{[sources.docker]}.

    @param settings: C{url}, where the engine listens; C{exec_events}, whether what
        is executed in containers is recorded; C{cgroup}, where cgroups are mounted.
    @raise BadValue: a setting is wrong.
    """
    values: dict[str, object] = {
        "url": "unix:///var/run/docker.sock",
        "exec_events": False,
        "cgroup": "/sys/fs/cgroup",
    }
    for key, value in settings.items():
        if key not in values:
            raise BadValue(key, value, f"keys here are plugin, {', '.join(values)}")
        if type(value) is not type(values[key]):
            raise BadValue(key, value, f"a {'boolean' if key == 'exec_events' else 'string'}")
        values[key] = value
    url, cgroup = str(values["url"]), str(values["cgroup"])
    if not url.startswith(("unix://", "tcp://", "http://", "https://")):
        raise BadValue("url", url, "unix:///path or tcp://host:port")
    return DockerSource(url, bool(values["exec_events"]), cgroup, reactor)


@implementer(ISource)
class DockerSource:
    """See L{make_source}."""

    type = TYPE
    _log = Logger()

    def __init__(self, url: str, exec_events: bool, cgroup: str, reactor: IHostReactor) -> None:
        self.url = url
        self._exec_events = exec_events
        self.reactor = reactor
        self._questions = Questions(url, reactor)
        self._sampler = Sampler(reactor, cgroup)
        self._pids: dict[str, int] = {}
        self._ports: dict[str, tuple[str, ...]] = {}

    def follow(self, recorder: IRecorder) -> Deferred[None]:
        return Following(self, recorder).done()

    def find(self, key: str) -> Deferred[Container | None]:
        async def find() -> Container | None:
            # The key becomes part of a URL; and the engine takes any short prefix.
            if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", key) is None:
                return None
            found = await self.inspect(key)
            if found is None:
                return None
            exact = key in (found.container.id, found.container.name)
            return found.container if exact or len(key) >= PREFIX_LENGTH else None

        return Deferred.fromCoroutine(find())

    def sample(self, containers: Sequence[Container]) -> Deferred[dict[str, Figures]]:
        return Deferred.fromCoroutine(self._sample(containers))

    async def _sample(self, containers: Sequence[Container]) -> dict[str, Figures]:
        unknown = [c.id for c in containers if c.id not in self._pids]
        if unknown:
            await DeferredList(
                [Deferred.fromCoroutine(self.inspect(id)) for id in unknown], consumeErrors=True
            )
        pids = {c.id: self._pids[c.id] for c in containers if self._pids.get(c.id)}
        return await self._sampler.sample(pids) if pids else {}

    def close(self) -> Deferred[None]:
        async def close() -> None:
            self._questions.close()
            await self._sampler.close()

        return Deferred.fromCoroutine(close())

    async def inspect(self, key: str) -> Inspected | None:
        """A container as the engine has it now, C{None} if it does not say."""
        try:
            document = await self._questions.ask(lambda client: client.inspect_container(key))
            found = inspected(document)
        except Malformed as error:
            self._log.warn("the engine's answer makes no sense: {error}", error=error)
            return None
        except Exception as error:  # noqa: BLE001 - not found, gone, down: it does not say
            self._log.debug("inspect {key}: {error}", key=key, error=error)
            return None
        if found.pid:
            self._pids[found.container.id] = found.pid
        return found

    async def list_all(self) -> list[Container]:
        """All containers as the engine has them now.

        @raise Exception: whatever the SDK raises.
        """
        summaries = await self._questions.ask(lambda client: client.containers(all=True))
        self._pids.clear()
        self._ports.clear()
        found: list[Container] = []
        for summary in summaries:
            one = await self.inspect(summary.get("Id", ""))
            if one is not None:
                found.append(one.container)
                if one.container.state is not State.STOPPED:
                    self._ports[one.container.id] = one.ports
        return found

    def decode(self, events: Sequence[object]) -> list[Observation]:
        """What events of the stream mean."""
        found: list[Observation] = []
        for event in events:
            try:
                seen = observation(event, exec_events=self._exec_events)
            except Malformed as error:
                self._log.warn("an event makes no sense and is passed over: {e}", e=error)
                continue
            if seen is None:
                continue
            found.append(seen)
            if seen.subject == "container" and seen.action in ("start", "die", "destroy"):
                self._pids.pop(seen.id, None)
            if seen.action == "die" and (ports := self._ports.pop(seen.id, ())):
                found.append(port_change(seen, "port-remove", ports))
        return found

    async def published(self, started: Observation) -> Observation | None:
        """The ports that a container has published since it started, C{None} if none
        or if it does not run any more."""
        found = await self.inspect(started.id)
        if found is None or not found.ports or found.container.state is State.STOPPED:
            return None
        self._ports[started.id] = found.ports
        return port_change(started, "port-add", found.ports)


class Following:
    """One subscription to the event stream, from its beginning to its end."""

    _log = Logger()

    def __init__(self, source: DockerSource, recorder: IRecorder) -> None:
        self._source = source
        self._recorder = recorder
        self._done: Deferred[None] = Deferred()
        self._gone: Deferred[None] = Deferred()
        self._error: Exception | None = None
        self._live = False
        newest = max(map(time_ns_of, recorder.origins(TYPE)), default=0)
        since_ns = max(0, newest - OVERLAP_NS)
        since = f"{since_ns // 10**9}.{since_ns % 10**9:09d}" if since_ns else "0"
        self._stream = Stream(source.url, source.reactor, since, self._arrived)
        self._stream.ended.addCallback(self._ended)
        self._catching_up = Deferred.fromCoroutine(self._catch_up())
        self._catching_up.addErrback(self._failed)

    def done(self) -> Deferred[None]:
        """See L{ISource.follow}."""
        return self._done.addErrback(lambda f: Deferred.fromCoroutine(self._release(f)))

    async def _catch_up(self) -> None:
        """First what happened before the listing was asked for, then the listing,
        then what happened since: so that the newest word about a container is
        always the last one, whatever the clocks say."""
        await self._stream.opened
        before: list[object] = []
        for _ in range(QUIET_ROUNDS):
            await deferLater(self._source.reactor, QUIET)
            more = self._stream.take()
            before += more
            if not more:
                break
        await self._observe(before)
        listing = await self._source.list_all()
        await self._recorder.listing(TYPE, listing)
        self._live = True
        self._arrived()
        self._recorder.live(TYPE)

    def _arrived(self) -> None:
        """Events were read."""
        if not self._live or self._error is not None:
            return
        events = self._stream.take()
        if events:
            observing = Deferred.fromCoroutine(self._observe(events))
            observing.addErrback(self._failed)

    async def _observe(self, events: list[object]) -> None:
        seen = self._source.decode(events)
        if not seen:
            return
        recorded = self._recorder.observe(seen)
        dead = {one.id for one in seen if one.action == "die"}
        for started in seen:
            if started.action == "start" and started.id not in dead:
                adding = Deferred.fromCoroutine(self._add_ports(started))
                adding.addErrback(self._failed)
        await recorded

    async def _add_ports(self, started: Observation) -> None:
        added = await self._source.published(started)
        if added is not None and self._error is None:
            await self._recorder.observe([added])

    def _failed(self, failure: Failure) -> None:
        """It cannot go on: the stream ends, and then so do we."""
        error = failure.value
        if self._error is not None:
            return
        if isinstance(error, JournalError):
            error = SourceLost(f"what it tells cannot be recorded: {error}")
        elif not isinstance(error, SourceError):
            error = SourceLost(f"the engine did not answer: {error}")
        self._error = error
        self._stream.close()

    def _ended(self, reason: str) -> None:
        """The stream is over and its thread has ended."""
        if self._error is None:
            self._error = SourceLost(reason)
        if not self._gone.called:
            self._gone.callback(None)
        if not self._done.called:
            self._done.errback(self._error)

    async def _release(self, failure: Failure) -> None:
        """Hold a failure back until everything is released."""
        self._error = self._error or CancelledError()
        self._catching_up.cancel()
        self._stream.close()
        try:
            await self._gone.addTimeout(STOP_TIMEOUT, self._source.reactor)
        except TimeoutError:
            self._log.warn("the engine hangs; its thread is left behind")
        failure.raiseException()


def port_change(cause: Observation, action: str, ports: tuple[str, ...]) -> Observation:
    """Ports that came or went with a start or an exit."""
    return Observation(
        time_us=cause.time_us,
        type=TYPE,
        subject="container",
        action=action,
        id=cause.id,
        name=cause.name,
        image=cause.image,
        details={"ports": list(ports)},
        origin=f"{cause.origin}:port",
    )
