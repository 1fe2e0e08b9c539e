"""Sampling of what running containers use, while somebody asks."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping

import attrs
from twisted.internet.defer import Deferred

from stationd.interfaces import IHostReactor
from stationd.records import ContainerStats
from stationd_plugins.host import cgroups, network, process

FRESH_SECONDS = 1.0
"""Seconds for which figures are given again as they are."""

MIN_INTERVAL = 0.2
"""Seconds that a rate is measured over at least."""

MAX_INTERVAL = 5.0
"""Seconds after which an earlier reading says nothing about now."""


@attrs.frozen
class SampleTarget:
    """A container that is to be measured.

    @ivar pid: its first process.
    @ivar cgroups: where it is in each hierarchy, by controller, given what has that number
        now. Blocking. It raises C{ProcessLookupError} if that is a stranger: a pid is used
        again.
    """

    pid: int
    cgroups: Callable[[process.ProcessStat], Mapping[str, str]]


@attrs.frozen
class CounterReading:
    """The counters of one container at one moment.

    @ivar at: on the monotonic clock, in seconds.
    @ivar started: when its process began, in ticks: a pid is used again.
    """

    at: float
    started: int
    used: cgroups.CgroupUsage
    traffic: network.Traffic
    addresses: tuple[str, ...]


class Sampler:
    """One thread that reads, for containers of any type.

    @param cgroup_root: where cgroups are mounted.
    """

    def __init__(self, reactor: IHostReactor, cgroup_root: str = "/sys/fs/cgroup") -> None:
        self._reactor = reactor
        self._root = cgroup_root
        self._layout: cgroups.Layout | None = None
        self._cpus = os.cpu_count() or 1
        self._readings: dict[str, CounterReading] = {}
        self._stats: dict[str, tuple[CounterReading, ContainerStats]] = {}
        self._requests: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def sample(self, containers: Mapping[str, SampleTarget]) -> Deferred[dict[str, ContainerStats]]:
        """Figures by id, for containers by id. One that is gone is left out."""
        done: Deferred[dict[str, ContainerStats]] = Deferred()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="stats", daemon=True)
            self._thread.start()

        def run() -> None:
            try:
                found = self._sample(dict(containers))
            except Exception as error:  # noqa: BLE001 - it goes to whoever asked
                self._reactor.callFromThread(_fail, done, error)
            else:
                self._reactor.callFromThread(_fire, done, found)

        self._requests.put(run)
        return done

    def close(self) -> Deferred[None]:
        """End the thread."""
        if self._thread is not None:
            self._requests.put(None)
            self._thread.join()
            self._thread = None
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def _run(self) -> None:
        while (run := self._requests.get()) is not None:
            run()

    def _sample(self, containers: dict[str, SampleTarget]) -> dict[str, ContainerStats]:
        now = time.monotonic()
        # Nobody has asked for these for a while; they may not exist any more.
        for id in [id for id, reading in self._readings.items() if now - reading.at > MAX_INTERVAL]:
            del self._readings[id]
        for id in [
            id for id, (reading, _) in self._stats.items() if now - reading.at > MAX_INTERVAL
        ]:
            del self._stats[id]
        due = {
            id: container
            for id, container in containers.items()
            if id not in self._stats or now - self._stats[id][0].at > FRESH_SECONDS
        }
        first = [id for id in due if id not in self._readings]
        for id in first:
            self._store_reading(id, self.read_counters(due[id]))
        if first:
            time.sleep(MIN_INTERVAL)
        for id, container in due.items():
            before, after = self._readings.get(id), self.read_counters(container)
            if before and after and before.started == after.started:
                self._stats[id] = (after, self._stats_between(before, after))
            else:
                self._stats.pop(id, None)
            self._store_reading(id, after)
        return {id: self._stats[id][1] for id in containers if id in self._stats}

    def _store_reading(self, id: str, reading: CounterReading | None) -> None:
        if reading is None:
            self._readings.pop(id, None)
        else:
            self._readings[id] = reading

    def _stats_between(self, before: CounterReading, after: CounterReading) -> ContainerStats:
        seconds = max(after.at - before.at, 1e-6)
        cpu = (after.used.cpu_ns - before.used.cpu_ns) / 1e9 / seconds / self._cpus
        return ContainerStats(
            cpu=min(1.0, max(0.0, cpu)),
            memory_bytes=after.used.memory_bytes,
            rx_rate=_rate(before.traffic.rx_bytes, after.traffic.rx_bytes, seconds),
            tx_rate=_rate(before.traffic.tx_bytes, after.traffic.tx_bytes, seconds),
            addresses=after.addresses,
        )

    def read_counters(self, container: SampleTarget) -> CounterReading | None:
        """Read the counters of a container now; C{None} if it is gone. Blocking."""
        pid = container.pid
        try:
            if self._layout is None or self._layout.is_empty:
                self._layout = cgroups.mounted_hierarchies(self._root)
            began = process.read_stat(pid)
            places = container.cgroups(began)
            # The counters that become rates are read at the time that is noted with them.
            at = time.monotonic()
            used = cgroups.read_usage(self._layout, places)
            traffic, addresses = self._read_network(pid)
            if process.read_stat(pid).start_ticks != began.start_ticks:
                return None
        except OSError:
            return None
        return CounterReading(at, began.start_ticks, used, traffic, addresses)

    def _read_network(self, pid: int) -> tuple[network.Traffic, tuple[str, ...]]:
        try:
            return network.read_process_network(pid)
        except OSError:
            # Of a process that is gone nothing is said; of others the rest.
            return network.Traffic(), ()


def _rate(before: int, after: int, seconds: float) -> int:
    return max(0, round((after - before) / seconds))


def _fire(done: Deferred[dict[str, ContainerStats]], found: dict[str, ContainerStats]) -> None:
    if not done.called:
        done.callback(found)


def _fail(done: Deferred[dict[str, ContainerStats]], error: Exception) -> None:
    if not done.called:
        done.errback(error)
