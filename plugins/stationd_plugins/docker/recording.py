"""What an engine tells, made whole and recorded: with the reasons, with what must have come
before, with the ports that come and go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from stationd.interfaces import IRecorder
from stationd.records import Observation
from stationd_plugins.docker.deaths import LOOP_US, Deaths
from stationd_plugins.docker.decode import Inspected
from stationd_plugins.docker.lives import Lives
from stationd_plugins.docker.ooms import Ooms, untold_oom
from stationd_plugins.docker.origins import TYPE, time_ns_of
from stationd_plugins.docker.reconcile import Listing

STAYS_UP = LOOP_US / 1e6
"""Seconds after which one that kept ending does not any more: another exit would not belong to
the loop."""


class Witness(Protocol):
    """What is asked about containers of which something was told.

    @ivar deaths: why they died, from one subscription to the next.
    """

    deaths: Deaths

    async def inspect(self, key: str) -> Inspected | None:
        """A container as the engine has it now, C{None} if it does not say."""

    async def looked_into(self, died: Observation) -> Observation:
        """An exit with what only the kernel or the engine can tell of it."""

    async def failed(self, seen: Observation) -> Observation | None:
        """A start that seems to have failed, with why; C{None} if it did not."""

    async def published(self, id: str) -> tuple[str, ...]:
        """The ports that a container has published; none if it does not run."""


class Recording:
    """Goes on from what is recorded.

    @param failed: called with what went wrong beside L{record}.
    @ivar origins: what was recorded when it began.
    @ivar worked_out: how much of what was not told must have come before what was.
    """

    def __init__(
        self,
        clock: IReactorTime,
        witness: Witness,
        recorder: IRecorder,
        failed: Callable[[Failure], None],
    ) -> None:
        self._clock = clock
        self._witness = witness
        self._recorder = recorder
        self._failed = failed
        self.origins = recorder.origins(TYPE)
        known = recorder.known(TYPE)
        self._ports = {container.id: container.ports for container in known.containers}
        # What each is called by what was told last.
        self._names = {container.id: container.name for container in known.containers}
        # The origin of the last start of each that runs.
        self._starts: dict[str, str] = {}
        self._lives = Lives(self.origins, known)
        self._ooms = Ooms(self.origins)
        self._over = False
        # When it is clear of one that kept ending that it does not any more.
        self._hopes: dict[str, IDelayedCall] = {}
        self.worked_out = 0
        witness.deaths.resume(self.origins)

    def close(self) -> None:
        """Record nothing more of what was recorded: no ports, and not that it stays up."""
        self._over = True
        for hope in self._hopes.values():
            hope.cancel()
        self._hopes.clear()

    def engine_restarted(self) -> None:
        """See L{Lives.restarted}."""
        self._lives.restarted()

    def listed(self, listing: Listing) -> Deferred[None]:
        """These containers exist, and no other. Fires as L{IRecorder.listing}."""
        containers = [one.container for one in listing.containers]
        untold = listing.ids - {one.id for one in containers}
        known = self._recorder.known(TYPE).containers
        containers += [one for one in known if one.id in untold]
        self._lives.listed(listing.ids, [container.id for container in containers])
        self._ports = {container.id: container.ports for container in containers}
        # One of which more was told is listed with the name that it has by now.
        self._names = {container.id: container.name for container in containers} | self._names
        return self._recorder.listing(TYPE, containers)

    async def record(self, seen: Sequence[Observation]) -> None:
        """Record what was told, in this order. One call after the other.

        @raise JournalError: as L{IRecorder.observe}.
        """
        if not seen:
            return
        explained: list[Observation] = []
        for one in seen:
            for told in await self._explained(one):
                explained += [told, *self._ports_gone(told)]
        recorded = self._recorder.observe(explained)
        self._hope(explained)
        for started in explained:
            if started.origin == self._starts.get(started.id):
                adding = Deferred.fromCoroutine(self._add_ports(started))
                adding.addErrback(self._failed)
        await recorded

    async def _explained(self, seen: Observation) -> list[Observation]:
        """What was told with its reasons, and before it what was not told."""
        is_new = seen.origin not in self.origins
        if self._lives.is_known(seen) or (is_new and self._ooms.is_known(seen)):
            return []
        if (seen.subject, seen.action) == ("container", "fail"):
            failed = await self._witness.failed(seen) if is_new else None
            if failed is None:
                return []
            seen = failed
        deaths = self._witness.deaths
        if seen.subject == "container":
            seen = await self._completed(seen)
        found: list[Observation] = []
        if missing := self._lives.missing(seen):
            now = await self._witness.inspect(seen.id)
            found += map(deaths.explain, self._lives.untold(seen, missing, now))
            self.worked_out += len(found)
        for told in (*found, seen):
            self._lives.take(told)
        explained = deaths.explain(seen)
        found.append(explained)
        if (seen.subject, seen.action) == ("container", "die") and is_new:
            died = await self._witness.looked_into(explained)
            found[-1:] = [*untold_oom(explained, died), died]
        for told in found if is_new else ():
            self._ooms.take(told)
        return found

    async def _completed(self, seen: Observation) -> Observation:
        """What was told with what it did not say, because a label hides it or the engine is not
        Docker's: the code of an exit, the old name of one that was renamed."""
        if seen.action == "die" and "exitCode" not in seen.details and not seen.inferred:
            is_new = seen.origin not in self.origins
            code = _code_of(seen, await self._witness.inspect(seen.id)) if is_new else None
            if code is not None:
                seen = attrs.evolve(seen, details={**seen.details, "exitCode": code})
        old = self._names.get(seen.id, "")
        if seen.action == "rename" and "old" not in seen.details and old not in ("", seen.name):
            seen = attrs.evolve(seen, details={**seen.details, "old": old})
        if seen.action == "destroy":
            self._names.pop(seen.id, None)
        elif seen.name:
            self._names[seen.id] = seen.name
        return seen

    def _hope(self, told: Sequence[Observation]) -> None:
        """Of what kept ending, tell that it does not if its last start lasts."""
        for one in told:
            if one.subject != "container" or one.action not in ("start", "die", "destroy"):
                continue
            hope = self._hopes.pop(one.id, None)
            if hope is not None:
                hope.cancel()
            if one.action == "start" and "exits" in one.details and not self._over:
                self._hopes[one.id] = self._clock.callLater(STAYS_UP, self._stays_up, one)

    def _stays_up(self, started: Observation) -> None:
        del self._hopes[started.id]
        now_us = started.time_us + int(STAYS_UP * 1e6)
        up = attrs.evolve(started, action="recovered", time_us=now_us, origin="")
        self._recorder.observe([up]).addErrback(self._failed)

    def _ports_gone(self, told: Observation) -> list[Observation]:
        """The ports that go with an exit."""
        if told.action == "start":
            self._starts[told.id] = told.origin
        if told.action != "die" or told.subject != "container" or told.origin in self.origins:
            return []
        self._starts.pop(told.id, None)
        ports = self._ports.pop(told.id, ())
        return [_port_change(told, "port-remove", ports)] if ports else []

    async def _add_ports(self, started: Observation) -> None:
        ports = await self._witness.published(started.id)
        # It may have ended in the meantime.
        if ports and self._starts.get(started.id) == started.origin and not self._over:
            self._ports[started.id] = ports
            await self._recorder.observe([_port_change(started, "port-add", ports)])


def _code_of(died: Observation, now: Inspected | None) -> int | None:
    """The code of an exit that was told of, C{None} if the engine does not know it any more: the
    container was removed, runs again, has exited again or could not be started again."""
    if now is None or now.error or not 0 < (now.finished_ns or 0) <= time_ns_of(died.origin):
        return None
    return now.container.exit_code


def _port_change(cause: Observation, action: str, ports: tuple[str, ...]) -> Observation:
    """Ports that came or went with a start or an exit."""
    return attrs.evolve(
        cause, action=action, details={"ports": list(ports)}, origin=f"{cause.origin}:port"
    )
