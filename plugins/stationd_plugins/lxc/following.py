"""One subscription to the containers of LXC: inotify, netlink and monitors say that something
happened, a scan says what."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from inotify_simple import flags
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from stationd.errors import JournalError, SourceAbsent, SourceLost
from stationd.interfaces import IRecorder
from stationd.messages import reason_messages
from stationd.messages.source_log_messages import INOTIFY_OVERFLOWED
from stationd.records import Observation
from stationd_plugins.host import cgroups
from stationd_plugins.lxc.inotify import Watcher
from stationd_plugins.lxc.monitors import Connectable, Monitors, apart
from stationd_plugins.lxc.pace import Pace
from stationd_plugins.lxc.paths import Scan
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import TYPE
from stationd_plugins.nftables.port_map import PortMap
from stationd_plugins.nftables.rules import RulesetMonitor

MAX_DISTURBED = 5
"""First scans that are made again because something happened meanwhile."""

_DIRECTORY = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.ONLYDIR
_CONTAINER = _DIRECTORY | flags.CLOSE_WRITE
_PATH = _DIRECTORY | flags.DELETE_SELF | flags.MOVE_SELF


class Containers(Connectable, Protocol):
    """What is asked of the containers while they are followed.

    @ivar layout: the cgroups.
    """

    ports: PortMap

    @property
    def layout(self) -> cgroups.Layout: ...

    def scan(self) -> Deferred[Scan]:
        """All as they are now."""

    async def looked_into(
        self, happened: Sequence[Observation], runs: Mapping[str, Seen]
    ) -> Sequence[Observation]:
        """The same; of stops with what only the kernel knows. C{runs} are those that may be
        over, by name."""

    def dump_ports(self) -> Deferred[None]:
        """See L{PortMap.dump}."""


class Following:
    """One subscription, from the first watch to the last."""

    _log = Logger()

    def __init__(self, source: Containers, recorder: IRecorder) -> None:
        self._source = source
        self._recorder = recorder
        self._done: Deferred[None] = Deferred()
        self._scanning: Deferred[None] | None = None
        self._again = False
        self._missed = False
        self._begun = False
        self._dumped = False
        self._disturbed = 0
        self._over = False
        self._pace = Pace()
        self._cost = 0.0
        self._timer: IDelayedCall | None = None
        self._watched: set[int] = set()
        self._monitors = Monitors(source, self._scan)
        self._rules: RulesetMonitor | None = None
        self._watcher = Watcher(source.reactor, self._happened, self._broken)
        # Watches first, then the scan: what happens in between is seen twice.
        source.ports.mark_stale()
        try:
            self._watch(Scan({}, []))
        except OSError:
            self._watcher.close()
            raise
        try:
            self._rules = RulesetMonitor(source.reactor, self._rules_changed, self._broken)
        except OSError as error:
            source.ports.report_failure(error)
        self._scan()

    def done(self) -> Deferred[None]:
        """See L{stationd.interfaces.ISource.follow}."""
        return self._done.addErrback(lambda f: Deferred.fromCoroutine(self._release(f)))

    async def _release(self, failure: Failure) -> None:
        """Hold a failure back until everything is released."""
        self._over = True
        self._watcher.close()
        if self._rules is not None:
            self._rules.close()
        self._monitors.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._scanning is not None:
            await self._scanning
        failure.raiseException()

    def _happened(self, events: Sequence[object]) -> None:
        """Something did; a scan will tell."""
        for event in events:
            wd, mask = event.wd, event.mask  # type: ignore[attr-defined]
            if mask & flags.IGNORED:
                self._watched.discard(wd)
            if mask & flags.Q_OVERFLOW:
                INOTIFY_OVERFLOWED.emit(self._log)
                self._missed = True
        self._scan()

    def _rules_changed(self) -> None:
        if self._source.ports.mark_stale() and self._source.tracker.running:
            self._scan()

    def _scan(self) -> None:
        """Scan now, or once more when the scan under way is through."""
        if self._over:
            return
        if self._scanning is not None:
            self._again = True
            return
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        rest = self._pace.rest(self._source.reactor.seconds())
        if rest:
            self._timer = self._source.reactor.callLater(rest, self._tick)
            return
        self._again = False
        self._scanning = Deferred.fromCoroutine(self._look()).addErrback(self._failed)
        self._scanning.addCallback(self._scanned)

    async def _look(self) -> None:
        await self._monitors.connect()
        inferred, self._missed = self._missed, False
        heard = self._monitors.heard
        heard.scanning(first=not self._begun)
        scan = await self._source.scan()
        if self._over:
            return
        # Signals were lost before it, if that was noticed only during it.
        inferred = inferred or self._missed
        self._cost += scan.seconds
        tracker = self._source.tracker
        self._watch(scan)
        if self._source.ports.is_due(scan.containers):
            dumped = self._source.dump_ports()
            is_first, self._dumped = not self._dumped, True
            if is_first and (not self._begun or any(one.ports for one in tracker.containers)):
                # Without rules those that had ports would seem to have lost them.
                await dumped
                self._again = True
                self._missed |= inferred
                return
            dumped.addCallback(lambda _: self._scan())
        if not self._begun and heard.is_disturbed and self._disturbed < MAX_DISTURBED:
            # Something happened during the first scan: another one says what is.
            self._disturbed += 1
            self._again = True
            return
        if not self._begun:
            self._begun = True
            self._recorder.connected(TYPE)
            known, origins = self._recorder.known(TYPE), self._recorder.origins(TYPE)
            now_us = self._source.now_us()
            happened = tracker.begin(scan.containers, known, origins, now_us, scan.away)
            if happened:
                await self._recorder.observe(happened)
            await self._recorder.listing(TYPE, tracker.containers)
            self._recorder.live(TYPE)
            return
        # One that is over by now is in one of them, unless no scan has seen it.
        found = {name: seen for name, seen in scan.containers.items() if seen.init_pid}
        runs, homes = found | tracker.running, tracker.homes
        happened = tracker.update(
            scan.containers,
            self._source.now_us(),
            inferred=inferred,
            words=heard,
            away=scan.away,
        )
        await self._record(happened, tracker.homes | homes, runs)

    async def _record(
        self, happened: Sequence[Observation], homes: Mapping[str, str], runs: Mapping[str, Seen]
    ) -> None:
        """Record what happened: at once, if it has not to wait for what a monitor says.

        @param homes: the LXC paths of all containers, by name.
        @param runs: see L{Containers.looked_into}.
        """
        awaited = self._monitors.awaited(happened, homes)
        others, theirs = apart(happened, awaited)
        recorded = Deferred.fromCoroutine(self._observe(others, runs))
        await self._monitors.wait(awaited)
        await recorded
        await self._observe(theirs, runs)

    async def _observe(self, happened: Sequence[Observation], runs: Mapping[str, Seen]) -> None:
        if happened:
            explained = self._monitors.explained(happened)
            await self._recorder.observe(await self._source.looked_into(explained, runs))

    def _watch(self, scan: Scan) -> None:
        layout = self._source.layout
        hierarchies = {layout.unified, layout.controllers.get("freezer", "")} - {""}
        watches = [(path, _PATH) for path in self._source.paths]
        watches += [(root, _DIRECTORY) for root in hierarchies or layout.controllers.values()]
        watches += [(path, _CONTAINER) for path in scan.directories]
        files = {path for seen in scan.containers.values() for path in seen.watch}
        watches += [(path, flags.MODIFY) for path in files]
        # Where a container's cgroup was made, that of its next run will be: a user's are not
        # at the top of the hierarchy, nor are those that are told to be elsewhere.
        places = {os.path.dirname(os.path.dirname(path)) for path in files}
        watches += [(place, _DIRECTORY) for place in places]
        for path, mask in watches:
            # The same inode gets the same number, so this can be said at each scan.
            number = self._watcher.watch(path, mask)
            if number is not None and number not in self._watched:
                # What happened in it before it was watched, only a scan can tell.
                self._watched.add(number)
                self._again = True

    def _scanned(self, _: None) -> None:
        self._scanning = None
        if self._over:
            return
        now, tracker = self._source.reactor.seconds(), self._source.tracker
        waiting = self._source.ports.waiting | tracker.silent
        self._pace.scanned(now, self._cost, tracker.unsettled, waiting)
        self._cost = 0.0
        if self._again:
            self._scan()
            return
        self._timer = self._source.reactor.callLater(self._pace.pause(now), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._scan()

    def _broken(self, failure: Failure) -> None:
        """Nothing will be heard from the kernel any more."""
        if not self._done.called:
            reason = failure.getErrorMessage()
            self._done.errback(SourceLost(reason_messages.NETLINK_FAILED.render(reason=reason)))

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, FileNotFoundError):
            absent = SourceLost if self._begun else SourceAbsent
            error = absent(nowhere(self._source.paths))
        elif isinstance(error, OSError):
            error = unwatchable(error)
        elif isinstance(error, JournalError):
            error = SourceLost(reason_messages.OBSERVATION_NOT_RECORDED.render(error=error))
        self._over = True
        if not self._done.called:
            self._scanning = None
            self._done.errback(error)


def nowhere(paths: Sequence[str]) -> str:
    """What to say if none of some paths is there."""
    return reason_messages.LXC_PATHS_ABSENT.render(paths=", ".join(paths))


def unwatchable(error: OSError) -> SourceLost:
    """What the system said to a watch, with what can be done about it."""
    hint = ""
    if error.errno in (errno.ENOSPC, errno.EMFILE):
        hint = reason_messages.INOTIFY_HINT.text
    why = error.strerror or error
    return SourceLost(reason_messages.LXC_NOT_WATCHED.render(error=why, hint=hint))
