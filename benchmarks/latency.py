"""From a happening to whoever waits for it: our long poll over the Unix socket, which tells
what is on disk, beside C{docker events} and C{lxc-monitor} in the same run.

C{python -m tests.functional.lab python -m benchmarks.latency [ROUNDS]}, or C{make latency}.
Docker's events count from the engine's own time stamp, LXC's from when the command that
causes them was started.
"""

from __future__ import annotations

import json
import os
import platform
import pty
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from benchmarks.serving import Client
from benchmarks.timing import warm_ms
from stationd_plugins.docker.source import measured
from stationd_plugins.host.sampler import Sampler
from tests.functional import lab
from tests.functional.daemon import Daemon
from tests.functional.lxc import Lxc

ROUNDS = 300

MEDIAN_MS, P99_MS = 3.0, 15.0
"""How much later than a peer we may be."""

SAMPLE_MS = 1.0
"""What a sample of one container may cost."""

PAUSE = 0.03
"""Seconds between happenings: nobody does these faster."""

SETTLE = 5.0
"""Seconds that the last ones have to arrive."""

Arrivals = list[tuple[float, str]]
"""When something came and what it was, in seconds since the epoch."""


class Poller(threading.Thread):
    """Waits for events of stationd again and again.

    @ivar arrived: what came.
    """

    def __init__(self, daemon: Daemon) -> None:
        super().__init__(daemon=True)
        self.arrived: Arrivals = []
        self._client = Client(daemon.socket)
        self._offset = daemon.get("/api/v1/event")["offset"]
        self.start()

    def run(self) -> None:
        """Until the daemon hangs up."""
        while True:
            self._client.send("GET", f"/api/v1/event?index={self._offset}&duration=60")
            try:
                answer = json.loads(self._client.receive())
            except ConnectionError:
                return
            now = time.time()
            self._offset = answer["offset"]
            for message in reversed(answer["messages"]):
                self.arrived.append((now, json.loads(message.split(":", 3)[3])["state"]))


class Lines(threading.Thread):
    """Reads what a peer prints on a terminal, which it does not hold back.

    @ivar arrived: its lines.
    """

    def __init__(self, command: list[str]) -> None:
        super().__init__(daemon=True)
        self.arrived: Arrivals = []
        self._terminal, end = pty.openpty()
        self._process = subprocess.Popen(command, stdout=end, stderr=end)
        os.close(end)
        self.start()

    def run(self) -> None:
        """Until it ends."""
        rest = b""
        while True:
            try:
                read = os.read(self._terminal, 65536)
            except OSError:
                return
            now = time.time()
            *lines, rest = (rest + read).split(b"\n")
            self.arrived += [(now, line.decode().strip()) for line in lines]

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        os.close(self._terminal)


def docker(rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds from each event to the poll's answer, and to C{docker events}."""
    url = lab.docker_url()
    daemon = Daemon(docker=url)
    name = "stationd-latency"
    lab.docker(url, "run", "-d", "--network", "none", "--name", name, lab.IMAGE, "sleep", "1000")
    try:
        daemon.start("docker")
        poller = Poller(daemon)
        lines = Lines(["docker", "-H", url, "events", "--format", "{{json .}}"])
        time.sleep(1)
        for _ in range(rounds // 2):
            for action in ("pause", "unpause"):
                lab.docker(url, action, name)
                time.sleep(PAUSE)
        _until(lambda: len(poller.arrived) >= rounds and len(lines.arrived) >= rounds)
        lines.close()
    finally:
        daemon.close()
        lab.docker(url, "rm", "-f", name)
    told = [(at, json.loads(line)) for at, line in lines.arrived]
    happened = [event["timeNano"] / 1e9 for _, event in told]
    _same([state for _, state in poller.arrived], [event["Action"] for _, event in told])
    return _ms(happened, poller.arrived), _ms(happened, lines.arrived)


def lxc(rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds from each command to the poll's answer, and to C{lxc-monitor}."""
    lxc = Lxc()
    lxc.create("one")
    daemon = Daemon(lxc=lxc.path)
    happened: list[float] = []
    try:
        lxc.run("start", "one")
        daemon.start("lxc")
        poller = Poller(daemon)
        lines = Lines(["lxc-monitor", "-P", lxc.path, "-n", "one"])
        time.sleep(1)
        for _ in range(rounds // 2):
            for command in ("freeze", "unfreeze"):
                happened.append(time.time())
                lxc.run(command, "one")
                time.sleep(PAUSE)
        _until(lambda: len(poller.arrived) >= rounds)
        lines.close()
    finally:
        daemon.close()
        lxc.close()
    changes: Arrivals = []
    for at, line in lines.arrived:
        state = re.search(r"changed state to \[(FROZEN|THAWED)\]", line)
        # It tells of each twice.
        if state and (not changes or changes[-1][1] != state[1]):
            changes.append((at, state[1]))
    ours = [{"pause": "FROZEN", "unpause": "THAWED"}[state] for _, state in poller.arrived]
    _same(ours, [state for _, state in changes])
    return _ms(happened, poller.arrived), _ms(happened, changes)


def figures() -> tuple[float, float]:
    """Milliseconds for the figures of one container: a sample of ours, and C{docker stats}
    without what a process costs."""
    from twisted.internet import reactor

    url = lab.docker_url()
    name = "stationd-figures"
    lab.docker(url, "run", "-d", "--name", name, lab.IMAGE, "sleep", "1000")
    try:
        id, pid = lab.docker(url, "inspect", "-f", "{{.Id}} {{.State.Pid}}", name).split()
        sampler = Sampler(reactor)  # type: ignore[arg-type]
        one = measured(id, int(pid))
        if sampler.read_counters(one) is None:
            raise RuntimeError("it cannot be read")
        ours = warm_ms(lambda: sampler.read_counters(one))
        process = warm_ms(lambda: lab.docker(url, "version"))
        stats = warm_ms(lambda: lab.docker(url, "stats", "--no-stream", name))
    finally:
        lab.docker(url, "rm", "-f", name)
    return ours, stats - process


def _until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLE
    while not check() and time.monotonic() < deadline:
        time.sleep(0.05)


def _same(ours: list[str], theirs: list[str]) -> None:
    if ours != theirs:
        raise RuntimeError(f"not the same: {len(ours)} of ours, {len(theirs)} of theirs")


def _ms(happened: list[float], arrived: Arrivals) -> list[float]:
    return [(at - since) * 1000 for since, (at, _) in zip(happened, arrived, strict=True)]


def row(what: str, ours: list[float], peer: list[float]) -> str:
    """One line of the table: median and 99th percentile of both, and by how much we are
    later; what misses its target is marked."""
    cells = [what]
    missed = ""
    for mark, allowed in ((50, MEDIAN_MS), (99, P99_MS)):
        own, theirs = (statistics.quantiles(times, n=100)[mark - 1] for times in (ours, peer))
        cells += [f"{own:.2f}", f"{theirs:.2f}", f"{own - theirs:+.2f}", f"≤ {allowed:+g}"]
        missed = missed if own - theirs <= allowed else "missed"
    return f"| {' | '.join([*cells, missed])} |"


def main() -> None:
    """Measure, and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    rows = [
        row("a Docker event, beside `docker events`, ms", *docker(rounds)),
        row("an LXC container frozen or thawed, beside `lxc-monitor`, ms", *lxc(rounds)),
    ]
    sample, stats = figures()
    print(f"\n{platform.platform()}, {os.cpu_count()} CPUs, {rounds} of each\n")
    print("| | median | peer | later | target | p99 | peer | later | target | |")
    print("|---|---:|---:|---:|---|---:|---:|---:|---|---|")
    print("\n".join(rows))
    print(f"\nfigures of one container: {sample:.2f} ms, `docker stats` {stats:,.0f} ms", end="")
    print(f"; target ≤ {SAMPLE_MS:g}{'' if sample <= SAMPLE_MS else ', missed'}")


if __name__ == "__main__":
    main()
