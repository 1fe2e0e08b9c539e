"""Watches LXC containers: inotify says that something happened, a scan says what."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence

from inotify_simple import flags
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from stationd.errors import BadValue, JournalError, SourceAbsent, SourceLost
from stationd.interfaces import IHostReactor, IRecorder, ISource
from stationd.records import Container, Figures
from stationd_plugins.live import cgroups
from stationd_plugins.live.sampler import Sampler
from stationd_plugins.lxc.inotify import Watcher
from stationd_plugins.lxc.netfilter import Monitor
from stationd_plugins.lxc.ports import Ports
from stationd_plugins.lxc.scan import Seen, look, scan
from stationd_plugins.lxc.tracker import TYPE, Tracker, container

NET = 5.0
"""Seconds between scans that nothing has asked for, in case a signal was lost."""

SOON = 0.01
"""Seconds between scans while a container starts, stops or freezes: nothing tells
when it has."""

ADDRESS = 0.5
"""Seconds between scans while a container has no address that ports may lead to."""

SOON_FOR = 30.0
"""Seconds after the last signal for which we look so often."""

_DIRECTORY = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.ONLYDIR
_CONTAINER = _DIRECTORY | flags.CLOSE_WRITE
_PATH = _DIRECTORY | flags.DELETE_SELF | flags.MOVE_SELF


def make_source(settings: Mapping[str, object], reactor: IHostReactor) -> ISource:
    """A source for C{[sources.lxc]}.

    @param settings: C{path}, the LXC path or a list of them; C{cgroup}, where
        cgroups are mounted.
    @raise BadValue: a setting is wrong.
    """
    for key, value in settings.items():
        if key not in ("path", "cgroup"):
            raise BadValue(key, value, "keys here are plugin, path, cgroup")
    path = settings.get("path", "/var/lib/lxc")
    cgroup = settings.get("cgroup", "/sys/fs/cgroup")
    paths = path if isinstance(path, list) else [path]
    if not paths or not all(isinstance(p, str) and p.startswith("/") for p in paths):
        raise BadValue("path", path, "an absolute path, or a list of them")
    if not isinstance(cgroup, str) or not cgroup.startswith("/"):
        raise BadValue("cgroup", cgroup, "an absolute path")
    clean = tuple(os.path.normpath(str(p)) for p in paths)
    return LxcSource(clean, os.path.normpath(cgroup), reactor, lambda: time.time_ns() // 1000)


@implementer(ISource)
class LxcSource:
    """See L{make_source}."""

    type = TYPE

    def __init__(
        self,
        paths: tuple[str, ...],
        cgroup: str,
        reactor: IHostReactor,
        now_us: Callable[[], int],
    ) -> None:
        self.paths = paths
        self.reactor = reactor
        self.now_us = now_us
        self.tracker = Tracker(_alive)
        self.ports = Ports()
        self._sampler = Sampler(reactor, cgroup)
        self._threads = ThreadPool(0, 1, "lxc")
        self._threads.start()
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
            self.layout = cgroups.layout(file.read(), cgroup)

    def follow(self, recorder: IRecorder) -> Deferred[None]:
        try:
            return Following(self, recorder).done()
        except OSError as error:
            return fail(unwatchable(error))

    def find(self, key: str) -> Deferred[Container | None]:
        def find() -> Container | None:
            for path in self.paths:
                if "/" not in key and "\0" not in key and key not in ("", ".", ".."):
                    seen = look(path, key, self.layout)
                    if seen is not None:
                        return container(seen)
            return None

        return deferToThreadPool(self.reactor, self._threads, find)

    def sample(self, containers: Sequence[Container]) -> Deferred[dict[str, Figures]]:
        pids = self.tracker.pids
        return self._sampler.sample({c.id: pids[c.id] for c in containers if c.id in pids})

    def scan(self) -> Deferred[tuple[dict[str, Seen], list[str]]]:
        """See L{scan}; with the ports of the containers."""

        def look_at_all() -> tuple[dict[str, Seen], list[str]]:
            found, directories = scan(self.paths, self.layout)
            return self.ports.fill_in(found), directories

        return deferToThreadPool(self.reactor, self._threads, look_at_all)

    def close(self) -> Deferred[None]:
        self._threads.stop()
        return self._sampler.close()


class Following:
    """One subscription, from the first watch to the last."""

    _log = Logger()

    def __init__(self, source: LxcSource, recorder: IRecorder) -> None:
        self._source = source
        self._recorder = recorder
        self._done: Deferred[None] = Deferred()
        self._scanning: Deferred[None] | None = None
        self._again = False
        self._missed = False
        self._begun = False
        self._over = False
        self._soon_until = 0.0
        self._timer: IDelayedCall | None = None
        self._watched: set[int] = set()
        self._watcher = Watcher(source.reactor, self._happened)
        # Watches first, then the scan: what happens in between is seen twice.
        source.ports.changed()
        try:
            self._rules: Monitor | None = Monitor(source.reactor, self._rules_changed)
        except OSError as error:
            self._rules = None
            source.ports.say(error)
        for path in source.paths:
            self._watcher.watch(path, _PATH)
        hierarchies = {source.layout.unified, source.layout.controllers.get("freezer", "")}
        for root in hierarchies - {""} or set(source.layout.controllers.values()):
            self._watcher.watch(root, _DIRECTORY)
        self._scan()

    def done(self) -> Deferred[None]:
        """See L{ISource.follow}."""
        return self._done.addErrback(lambda f: Deferred.fromCoroutine(self._release(f)))

    async def _release(self, failure: Failure) -> None:
        """Hold a failure back until everything is released."""
        self._over = True
        self._watcher.close()
        if self._rules is not None:
            self._rules.close()
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
                self._log.warn("inotify's queue overflowed; scanning all containers")
                self._missed = True
        self._soon_until = self._source.reactor.seconds() + SOON_FOR
        self._scan()

    def _rules_changed(self) -> None:
        self._source.ports.changed()
        self._soon_until = self._source.reactor.seconds() + SOON_FOR
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
        self._again = False
        self._scanning = Deferred.fromCoroutine(self._look()).addErrback(self._failed)
        self._scanning.addCallback(self._scanned)

    async def _look(self) -> None:
        inferred, self._missed = self._missed, False
        found, directories = await self._source.scan()
        if self._over:
            return
        tracker = self._source.tracker
        self._watch(found, directories)
        if not self._begun:
            self._begun = True
            self._recorder.connected(TYPE)
            known, origins = self._recorder.known(TYPE), self._recorder.origins(TYPE)
            happened = tracker.begin(found, known, origins, self._source.now_us())
            if happened:
                await self._recorder.observe(happened)
            await self._recorder.listing(TYPE, tracker.containers)
            self._recorder.live(TYPE)
            return
        happened = tracker.update(found, self._source.now_us(), inferred=inferred)
        if happened:
            await self._recorder.observe(happened)

    def _watch(self, found: Mapping[str, Seen], directories: Sequence[str]) -> None:
        watches = [(path, _CONTAINER) for path in directories]
        watches += [(path, flags.MODIFY) for seen in found.values() for path in seen.watch]
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
        if self._again:
            self._scan()
            return
        now = self._source.reactor.seconds()
        delay = NET
        if now < self._soon_until and self._source.ports.waiting:
            delay = ADDRESS
        if now < self._soon_until and self._source.tracker.unsettled:
            delay = SOON
        self._timer = self._source.reactor.callLater(delay, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._scan()

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, FileNotFoundError):
            paths = ", ".join(self._source.paths)
            absent = SourceLost if self._begun else SourceAbsent
            error = absent(f"there is no {paths}")
        elif isinstance(error, OSError):
            error = unwatchable(error)
        elif isinstance(error, JournalError):
            error = SourceLost(f"what it tells cannot be recorded: {error}")
        self._over = True
        if not self._done.called:
            self._scanning = None
            self._done.errback(error)


def unwatchable(error: OSError) -> SourceLost:
    """What the system said to a watch, with what can be done about it."""
    hint = ""
    if error.errno in (errno.ENOSPC, errno.EMFILE):
        hint = "; raise the limits in /proc/sys/fs/inotify"
    return SourceLost(f"containers cannot be watched: {error.strerror or error}{hint}")


def _alive(pid: int) -> bool:
    return pid > 0 and os.path.exists(f"/proc/{pid}")
