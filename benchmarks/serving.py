"""The daemon, in a process of its own, over its Unix socket: with the journal that
L{benchmarks.writing} left, and then with an empty one."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator

from benchmarks.corpus import groups, records
from benchmarks.timing import Result, Stopwatch, batched, contender, once_ms, resident_mb
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
    with contextlib.closing(Daemon()) as daemon:
        state = os.path.join(daemon.directory, "state")
        os.makedirs(state)
        for name in ("log", "event"):
            os.symlink(os.path.abspath(os.path.join(directory, name)), os.path.join(state, name))
        daemon.start()
        time.sleep(SETTLED_SECONDS)
        _asked(daemon, count, result)
    with contextlib.closing(Daemon()) as daemon:
        daemon.start()
        with _watched(daemon, result, "latency in posts"):
            result["socket"] = _posted(daemon, min(count, POSTED))
    return result


def _asked(daemon: Daemon, count: int, result: Result) -> None:
    assert daemon.process is not None
    pid = daemon.process.pid
    result["idle memory"] = resident_mb(pid)
    with _watched(daemon, result, "latency"):
        time.sleep(SETTLED_SECONDS)
    client = Client(daemon.socket)

    def scan() -> None:
        client.send("GET", f"/api/v1/log?text={UNFILTERED}")
        if client.receive() != b"[]":
            raise RuntimeError("it should be nowhere")

    with _watched(daemon, result, "latency in a scan"):
        result["scan"] = once_ms(scan)
    before = resident_mb(pid)
    export = Stopwatch()
    with export:
        client.send("GET", "/api/v1/log/export")
        found = sum(piece.count(b"\n") for piece in client.pieces()) - 1
    # The daemon has said a word of its own.
    if found < count:
        raise RuntimeError(f"{found} of {count} lines were exported")
    result["export"] = export.seconds / count * 1e6
    result["export memory"] = resident_mb(pid) - before
    client.close()


@contextlib.contextmanager
def _watched(daemon: Daemon, result: Result, key: str) -> Iterator[None]:
    """Ask for nothing again and again, from another thread: the slowest answer, in ms."""
    client, done, spent = Client(daemon.socket), threading.Event(), [0.0]

    def ask() -> None:
        client.send("GET", "/healthz")
        client.receive()

    def watch() -> None:
        while not done.wait(0.002):
            spent.append(once_ms(ask))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        client.close()
    result[key] = max(spent)


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
