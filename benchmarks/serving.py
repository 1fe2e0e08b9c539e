"""The daemon, in a process of its own, over its Unix socket: with the journal that
L{benchmarks.writing} left, and then with an empty one."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator

from benchmarks.corpus import groups, records
from benchmarks.timing import Result, batched, contender, resident_mb
from stationd.records import Draft
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
        head = self._file.readline()
        if not head:
            raise ConnectionResetError("the daemon hung up")
        status = int(head.split()[1])
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
    for name in ("log", "event"):
        os.symlink(
            os.path.abspath(os.path.join(directory, name)), f"{daemon.directory}/state/{name}"
        )
    try:
        daemon.start()
        time.sleep(SETTLED_SECONDS)
        result |= _asked(daemon, count)
    finally:
        daemon.close()
    daemon = Daemon()
    try:
        daemon.start()
        with _Watched(daemon) as watched:
            result["socket"] = _posted(daemon, min(count, POSTED))
        result["latency in posts"] = watched.slowest_ms
    finally:
        daemon.close()
    return result


def _asked(daemon: Daemon, count: int) -> Result:
    assert daemon.process is not None
    pid = daemon.process.pid
    result: Result = {"idle memory": resident_mb(pid)}
    with _Watched(daemon) as watched:
        time.sleep(SETTLED_SECONDS)
    result["latency"] = watched.slowest_ms
    client = Client(daemon.socket)
    with _Watched(daemon) as watched:
        began = time.perf_counter()
        client.send("GET", f"/api/v1/log?text={UNFILTERED}")
        if client.receive() != b"[]":
            raise RuntimeError("it should be nowhere")
        result["scan"] = (time.perf_counter() - began) * 1000
    result["latency in a scan"] = watched.slowest_ms
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


class _Watched:
    """Asks for nothing again and again, from another thread, inside a C{with} block.

    @ivar slowest_ms: the longest that it took to be answered.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._client = Client(daemon.socket)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.slowest_ms = 0.0

    def __enter__(self) -> _Watched:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._done.set()
        self._thread.join()
        self._client.close()

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            began = time.perf_counter()
            self._client.send("GET", "/healthz")
            self._client.receive()
            self.slowest_ms = max(self.slowest_ms, (time.perf_counter() - began) * 1000)


def _posted(daemon: Daemon, count: int) -> float:
    """Records a second that are durable when they are acknowledged."""

    def record(draft: Draft) -> dict[str, object]:
        return {
            "level": draft.level.name,
            "category": draft.category,
            "user": draft.user,
            "container": draft.container,
            "message": draft.text,
            "ts": draft.time_us / 1e6,
        }

    every = (one for group in groups(count) for one in records(group))
    logged = (record(draft) for journal, draft in every if journal == "log")
    bodies = [json.dumps(array).encode() for array in batched(logged, ARRAY)]
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
    return count / seconds


if __name__ == "__main__":
    contender(run)
