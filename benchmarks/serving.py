"""The daemon, in a process of its own, over its Unix socket: with the journal that
L{benchmarks.writing} left, and then with an empty one."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator

from benchmarks.corpus import Line, lines
from benchmarks.timing import Result, batched, contender, resident_mb
from tests.functional.daemon import Daemon

ARRAY = 500

POSTED = 200_000

CONNECTIONS = 4

SETTLED_SECONDS = 3.0

UNFILTERED = "qz"
"""Stands in none; of two letters no filter tells that, so every text is looked at."""


class Client:
    """A connection that sends bytes as they are."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._file = self._socket.makefile("rb")

    def send(self, method: str, path: str, body: bytes = b"") -> None:
        """Send a request."""
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n"
        self._socket.sendall(head.encode() + b"\r\n" + body)

    def receive(self) -> bytes:
        """The body of an answer with a length."""
        status = int(self._file.readline().split()[1])
        length = 0
        while (line := self._file.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = self._file.read(length)
        if status >= 300:
            raise RuntimeError(body)
        return body

    def pieces(self) -> Iterator[bytes]:
        """An answer without a length, in chunks."""
        while self._file.readline() != b"\r\n":
            pass
        while size := int(self._file.readline(), 16):
            yield self._file.read(size)
            self._file.readline()
        self._file.readline()

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()


def run(count: int, directory: str) -> Result:
    """Ask of the full journal; post to the empty one."""
    result: Result = {}
    daemon = Daemon()
    os.makedirs(os.path.join(daemon.directory, "state"))
    os.symlink(os.path.abspath(os.path.join(directory, "log")), f"{daemon.directory}/state/log")
    try:
        daemon.start()
        time.sleep(SETTLED_SECONDS)
        result |= _asked(daemon, count)
    finally:
        daemon.close()
    daemon = Daemon()
    try:
        daemon.start()
        result["socket"] = _posted(daemon)
    finally:
        daemon.close()
    return result


def _asked(daemon: Daemon, count: int) -> Result:
    assert daemon.process is not None
    pid = daemon.process.pid
    result: Result = {"idle memory": resident_mb(pid)}
    result["latency"] = _slowest_ms(daemon.socket, threading.Event(), 2.0)
    client = Client(daemon.socket)
    done = threading.Event()
    slowest: list[float] = []
    watching = threading.Thread(
        target=lambda: slowest.append(_slowest_ms(daemon.socket, done, 600.0))
    )
    watching.start()
    began = time.perf_counter()
    client.send("GET", f"/api/v1/log?text={UNFILTERED}")
    if client.receive() != b"[]":
        raise RuntimeError("it should be nowhere")
    result["scan"] = (time.perf_counter() - began) * 1000
    done.set()
    watching.join()
    result["latency in a scan"] = slowest[0]
    before = resident_mb(pid)
    began = time.perf_counter()
    client.send("GET", "/api/v1/log/export")
    found = sum(piece.count(b"\n") for piece in client.pieces()) - 1
    seconds = time.perf_counter() - began
    # The daemon has said a word of its own.
    if found < count:
        raise RuntimeError(f"{found} of {count} lines were exported")
    result["export"] = seconds / count * 1e6
    result["export memory"] = resident_mb(pid) - before
    client.close()
    return result


def _slowest_ms(path: str, done: threading.Event, seconds: float) -> float:
    """The longest that a request took which asks for nothing."""
    client = Client(path)
    slowest = 0.0
    until = time.monotonic() + seconds
    while not done.is_set() and time.monotonic() < until:
        began = time.perf_counter()
        client.send("GET", "/healthz")
        client.receive()
        slowest = max(slowest, time.perf_counter() - began)
        time.sleep(0.002)
    client.close()
    return slowest * 1000


def _posted(daemon: Daemon) -> float:
    """Records a second that are durable when they are acknowledged."""

    def record(line: Line) -> dict[str, object]:
        return {
            "level": line.level.name,
            "category": line.category,
            "user": line.user,
            "message": line.text,
            "ts": line.time_us / 1e6,
        }

    bodies = [
        json.dumps([record(line) for line in b]).encode() for b in batched(lines(POSTED), ARRAY)
    ]
    clients = [Client(daemon.socket) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for some in batched(bodies, CONNECTIONS):
        for client, body in zip(clients, some, strict=False):
            client.send("POST", "/api/v1/log", body)
        for client, _ in zip(clients, some, strict=False):
            client.receive()
    seconds = time.perf_counter() - began
    for client in clients:
        client.close()
    return POSTED / seconds


if __name__ == "__main__":
    contender(run)
