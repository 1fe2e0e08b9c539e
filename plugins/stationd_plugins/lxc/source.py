"""LXC containers as a source: its settings, and what is asked of them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from stationd.errors import InvalidValue, SourceAbsent
from stationd.interfaces import IHostReactor, IRecorder, ISource
from stationd.messages import allowed_values
from stationd.records import Container, ContainerStats, Observation
from stationd_plugins.host import cgroups, oom_log, process
from stationd_plugins.host.sampler import Sampler, SampleTarget
from stationd_plugins.lxc import identity
from stationd_plugins.lxc.below import Below
from stationd_plugins.lxc.daemons import PROGRAMS, Daemons
from stationd_plugins.lxc.following import Following, nowhere, unwatchable
from stationd_plugins.lxc.inquest import inquire, is_open
from stationd_plugins.lxc.paths import Paths, Scan, is_absent
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.lxc.telling import TYPE, container
from stationd_plugins.lxc.tracker import Tracker
from stationd_plugins.nftables.port_map import PortMap


def make_source(settings: Mapping[str, object], reactor: IHostReactor) -> ISource:
    """A source for C{[sources.lxc]}.

    @param settings: C{path}, the LXC path or a list of them; C{cgroup}, where
        cgroups are mounted.
    @raise InvalidValue: a setting is wrong.
    """
    for key, value in settings.items():
        if key not in ("path", "cgroup"):
            keys = "plugin, path, cgroup"
            raise InvalidValue(key, value, allowed_values.CONFIGURATION_KEYS.format(keys=keys))
    path = settings.get("path", "/var/lib/lxc")
    cgroup = settings.get("cgroup", "/sys/fs/cgroup")
    paths = path if isinstance(path, list) else [path]
    if not paths or not all(isinstance(p, str) and p.startswith("/") for p in paths):
        raise InvalidValue("path", path, allowed_values.LXC_PATHS)
    if not isinstance(cgroup, str) or not cgroup.startswith("/"):
        raise InvalidValue("cgroup", cgroup, allowed_values.ABSOLUTE_PATH)
    clean = tuple(dict.fromkeys(os.path.normpath(str(p)) for p in paths))
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
        self.tracker = Tracker(identity.lives)
        self.ports = PortMap()
        self._below = Below(oom_log.oom_kills_since_boot, oom_log.read_oom_kills)
        self._cgroup = cgroup
        self._sampler = Sampler(reactor, cgroup)
        self._threads = ThreadPool(0, 2, "lxc")
        self._threads.start()
        self._daemons = Daemons(PROGRAMS, reactor.seconds)
        self._paths = Paths(paths, cgroups.mounted_hierarchies(cgroup))

    @property
    def layout(self) -> cgroups.Layout:
        """The cgroups."""
        return self._paths.layout

    def follow(self, recorder: IRecorder) -> Deferred[None]:
        if all(map(is_absent, self.paths)):
            # Not worth a watch: the kernel takes milliseconds to take one back.
            return fail(SourceAbsent(nowhere(self.paths)))
        try:
            self._paths.layout = cgroups.mounted_hierarchies(self._cgroup)
            return Following(self, recorder).done()
        except OSError as error:
            return fail(unwatchable(error))

    def find(self, key: str) -> Deferred[Container | None]:
        home = self.tracker.homes.get(key)

        def find() -> Container | None:
            if all(map(is_absent, self.paths)):
                raise SourceAbsent(nowhere(self.paths))
            seen = self._paths.find(key, home)
            return None if seen is None else container(seen, self.now_us())

        return deferToThreadPool(self.reactor, self._threads, find)

    def sample(self, containers: Sequence[Container]) -> Deferred[dict[str, ContainerStats]]:
        running = self.tracker.running
        return self._sampler.sample(
            {one.id: measured(running[one.id]) for one in containers if one.id in running}
        )

    def scan(self) -> Deferred[Scan]:
        """See L{Paths.scan}; with the ports of the containers."""
        if self.layout.is_empty:
            # Whoever starts the first container mounts them.
            self._paths.layout = cgroups.mounted_hierarchies(self._cgroup)
        homes, running = self.tracker.homes, self.tracker.running

        def look_at_all() -> Scan:
            began = time.thread_time()
            found = self._paths.scan(homes)
            filled = self.ports.with_ports(self._below.fill_in(found.containers, running))
            return attrs.evolve(found, containers=filled, seconds=time.thread_time() - began)

        return deferToThreadPool(self.reactor, self._threads, look_at_all)

    async def looked_into(
        self, happened: Sequence[Observation], runs: Mapping[str, Seen]
    ) -> Sequence[Observation]:
        """See L{inquire}; the kernel's log is read only if there is anything to ask."""
        if not any(map(is_open, happened)):
            return happened
        return await deferToThreadPool(self.reactor, self._threads, inquire, happened, runs)

    def dump_ports(self) -> Deferred[None]:
        """See L{PortMap.dump}."""
        self.ports.dumping = True
        return deferToThreadPool(self.reactor, self._threads, self.ports.dump)

    def connect(self, paths: Sequence[str]) -> Deferred[dict[str, socket.socket]]:
        """See L{Daemons.connect}."""
        return deferToThreadPool(self.reactor, self._threads, self._daemons.connect, paths)

    def close(self) -> Deferred[None]:
        self._threads.stop()
        return self._sampler.close()


def measured(seen: Seen) -> SampleTarget:
    """A run, and no other process that has got the number of its first."""

    def places(stat: process.ProcessStat) -> Mapping[str, str]:
        if identity.of_process(stat) != seen.run:
            raise ProcessLookupError(stat.pid)
        return seen.cgroups

    return SampleTarget(seen.init_pid, places)
