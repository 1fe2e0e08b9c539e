"""A Docker engine as a source: what it is asked, and what its events mean."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Mapping, Sequence

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from zope.interface import implementer

from stationd.errors import InvalidValue, SourceError, SourceLost
from stationd.interfaces import IHostReactor, IRecorder, ISource
from stationd.messages import allowed_values, reason_messages
from stationd.messages import source_log_messages as log_messages
from stationd.records import Container, ContainerStats, Observation, State
from stationd_plugins.docker.attempts import Attempts
from stationd_plugins.docker.deaths import Deaths
from stationd_plugins.docker.decode import Inspected, Malformed, inspected, observation, summarized
from stationd_plugins.docker.engine import Questions, Stream, inspect, is_about_one, remembered
from stationd_plugins.docker.following import Following
from stationd_plugins.docker.gap import REMEMBERED
from stationd_plugins.docker.inquest import inquire, is_open
from stationd_plugins.docker.labels import Labels
from stationd_plugins.docker.origins import TYPE
from stationd_plugins.docker.reconcile import Listing
from stationd_plugins.host import cgroups, process
from stationd_plugins.host.oom_log import OomKill
from stationd_plugins.host.sampler import Sampler, SampleTarget

PREFIX_LENGTH = 12
"""Characters of an id that are enough to name a container."""


def make_source(settings: Mapping[str, object], reactor: IHostReactor) -> ISource:
    """A source for C{[sources.docker]}.

    @param settings: C{url}, where the engine listens; C{exec_events}, whether what
        is executed in containers is recorded; C{cgroup}, where cgroups are mounted.
    @raise InvalidValue: a setting is wrong.
    """
    values: dict[str, object] = {
        "url": "unix:///var/run/docker.sock",
        "exec_events": False,
        "cgroup": "/sys/fs/cgroup",
    }
    for key, value in settings.items():
        if key not in values:
            keys = ", ".join(["plugin", *values])
            raise InvalidValue(key, value, allowed_values.CONFIGURATION_KEYS.format(keys=keys))
        if type(value) is not type(values[key]):
            allowed = allowed_values.BOOLEAN if key == "exec_events" else allowed_values.STRING
            raise InvalidValue(key, value, allowed)
        values[key] = value
    url, cgroup = str(values["url"]), str(values["cgroup"])
    if not url.startswith(("unix://", "tcp://", "http://", "https://")):
        raise InvalidValue("url", url, allowed_values.DOCKER_URL)
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
        self.deaths = Deaths()
        self._questions = Questions(url, reactor, "docker-ask")
        # For itself: a question about a container that is being started is answered late,
        # and what is recorded must not wait for it.
        self._inquests = Questions(url, reactor, "docker-inquest")
        # For clients of the API: an engine may hang with one container, and as many of them as
        # like may ask about it.
        self._finds = Questions(url, reactor, "docker-find")
        self.read: collections.deque[str] = collections.deque(maxlen=REMEMBERED)
        self._sampler = Sampler(reactor, cgroup)
        self._attempts = Attempts()
        self._labels = Labels()
        # Those of the kernel that were the reason of an exit. Of the thread that asks.
        self._kills: dict[OomKill, str] = {}
        self._pids: dict[str, int] = {}
        # Whether the engine that is followed is being stopped.
        self._stops = False

    def follow(self, recorder: IRecorder) -> Deferred[None]:
        return Following(self, recorder).done()

    def stream(self, wake: Callable[[], None]) -> Stream:
        """Subscribe to the engine's events; see L{Stream}."""
        self._stops = False
        return Stream(self.url, self.reactor, wake)

    def find(self, key: str) -> Deferred[Container | None]:
        async def find() -> Container | None:
            # The key becomes part of a URL; and the engine takes any short prefix.
            if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", key) is None:
                return None
            try:
                found = await self._inspect(self._finds, key)
            except (CancelledError, SourceError):
                raise
            except Exception as error:
                raise SourceLost(
                    reason_messages.ENGINE_NOT_RESPONDING.render(error=error)
                ) from error
            if found is None:
                return None
            exact = key in (found.container.id, found.container.name)
            return found.container if exact or len(key) >= PREFIX_LENGTH else None

        return Deferred.fromCoroutine(find())

    def sample(self, containers: Sequence[Container]) -> Deferred[dict[str, ContainerStats]]:
        return Deferred.fromCoroutine(self._sample(containers))

    async def _sample(self, containers: Sequence[Container]) -> dict[str, ContainerStats]:
        unknown = [c.id for c in containers if c.id not in self._pids]
        if unknown:
            asked = [Deferred.fromCoroutine(self._inspect(self._finds, id)) for id in unknown]
            await DeferredList(asked, consumeErrors=True)
        found = {c.id: measured(c.id, self._pids[c.id]) for c in containers if c.id in self._pids}
        return await self._sampler.sample(found) if found else {}

    def close(self) -> Deferred[None]:
        threads = (self._questions, self._inquests, self._finds, self._sampler)
        return DeferredList([one.close() for one in threads]).addCallback(lambda _: None)

    async def inspect(self, key: str) -> Inspected | None:
        """A container as the engine has it now, C{None} if it does not say."""
        try:
            return await self._inspect(self._questions, key)
        except CancelledError:
            raise
        except Malformed as error:
            log_messages.ENGINE_RESPONSE_MALFORMED.emit(self._log, error=error)
            return None
        except Exception:  # noqa: BLE001 - gone, down: it does not say
            return None

    async def _inspect(self, questions: Questions, key: str) -> Inspected | None:
        """The same; C{None} only if there is none.

        @param questions: where to ask.
        @raise Malformed: what is said makes no sense.
        @raise Exception: whatever the SDK raises.
        """
        document = await questions.ask(lambda client: inspect(client, key))
        if document is None:
            return None
        found = inspected(document)
        if found.pid:
            self._pids[found.container.id] = found.pid
        return found

    async def list_all(self) -> Listing:
        """All containers as the engine has them now; of one that it cannot inspect what its
        list says.

        @raise Exception: whatever the SDK raises.
        """
        summaries = await self._summaries()
        self._pids.clear()
        # It connects now, and not when the first container dies.
        self._inquests.ask(lambda client: None).addErrback(lambda _: None)
        found: list[Inspected] = []
        ids = {str(one.get("Id")) for one in summaries if isinstance(one, Mapping)}
        for summary in summaries:
            try:
                listed = summarized(summary)
            except Malformed as error:
                log_messages.ENGINE_LIST_MALFORMED.emit(self._log, error=error)
                continue
            one = await self._in_detail(listed)
            if one is not None:
                found.append(one)
        return Listing(frozenset(ids), found)

    async def _summaries(self) -> list[object]:
        """The engine's list of all containers, which says what their labels are."""
        summaries: list[object] = await self._questions.ask(
            lambda client: client.containers(all=True)
        )
        self._labels.listed(summaries)
        return summaries

    async def _in_detail(self, listed: Inspected) -> Inspected | None:
        """A container that was listed; C{None} if it has gone since."""
        try:
            return await self._inspect(self._questions, listed.container.id)
        except (CancelledError, SourceError):
            raise
        except Exception as error:
            if not isinstance(error, Malformed) and not is_about_one(error):
                raise
            name = listed.container.name
            log_messages.CONTAINER_NOT_INSPECTED.emit(self._log, name=name, error=error)
            return listed

    async def remembered(self) -> list[object]:
        """See L{stationd_plugins.docker.engine.remembered}.

        @raise Exception: whatever the SDK raises.
        """
        events = await self._questions.ask(remembered)
        for event in events:
            self._labels.learn(event)
        if self._labels.are_unknown(events):
            await self._summaries()
        return events

    async def ping(self) -> None:
        """Make sure that the engine is there.

        @raise Exception: whatever the SDK raises.
        """
        await self._questions.ask(lambda client: client.ping())

    def decode(self, events: Sequence[object]) -> list[Observation]:
        """What events of the stream mean."""
        found: list[Observation] = []
        for event in events:
            # What comes later may say what the labels are.
            self._labels.learn(event)
        for event in events:
            if failed := self._attempts.take(event):
                found.append(failed)
            try:
                hidden = self._labels.hidden(event)
                seen = observation(event, exec_events=self._exec_events, hidden=hidden)
            except Malformed as error:
                log_messages.ENGINE_EVENT_MALFORMED.emit(self._log, e=error)
                continue
            if seen is None:
                continue
            found.append(seen)
            if (seen.subject, seen.action) == ("container", "start"):
                # One that is being stopped starts nothing.
                self._stops = False
            if seen.subject == "container" and seen.action in ("start", "die", "destroy"):
                self._pids.pop(seen.id, None)
        return found

    async def looked_into(self, died: Observation) -> Observation:
        """An exit with what only the kernel or the engine can tell of it, if they do."""
        if not is_open(died):
            return died
        if self._stops and died.details.get("asked"):
            return attrs.evolve(died, details={**died.details, "engineStops": True})
        try:
            found = await self._inquests.ask(
                lambda client: inquire(client, self.url, died, self._kills)
            )
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - gone, down: they do not
            return died
        self._stops = self._stops or "engineStops" in found
        return attrs.evolve(died, details={**died.details, **found})

    async def failed(self, seen: Observation) -> Observation | None:
        """A start that seems to have failed, with why; C{None} if it did not."""
        try:
            found = await self._inspect(self._questions, seen.id)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - down: an engine that comes back knows nothing of it
            return None
        if found is None:
            # It was removed at once, as C{docker run --rm} does.
            return seen if seen.name else None
        if found.container.state is not State.STOPPED or not found.error:
            return None
        code = {} if found.error_code is None else {"exitCode": found.error_code}
        details = {"error": found.error, **code}
        name, image = found.container.name, found.container.image
        return attrs.evolve(seen, name=name, image=image, details=details)

    async def published(self, id: str) -> tuple[str, ...]:
        """The ports that a container has published; none if it does not run."""
        found = await self.inspect(id)
        return () if found is None else found.container.ports


def measured(id: str, pid: int) -> SampleTarget:
    """A container by its first process, if that is in a cgroup that is named after it."""

    def places(stat: process.ProcessStat) -> Mapping[str, str]:
        found = cgroups.container_cgroups(cgroups.process_membership(stat.pid), id)
        if not found:
            raise ProcessLookupError(stat.pid)
        return found

    return SampleTarget(pid, places)
