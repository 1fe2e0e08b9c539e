"""The real daemon in a process of its own, and curl."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

TWISTD = os.path.join(os.path.dirname(sys.executable), "twistd")

READY = 60.0

POLL = 0.05
"""Seconds between two looks whether something is so."""

STOPS_WITHIN = 10.0
"""Seconds after which systemd kills it (C{TimeoutStopSec}). On a quiet machine it takes some
tenths of one."""


class UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("stationd", timeout=300)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Daemon:
    """A stationd with its state in a directory of its own.

    @ivar socket: its Unix socket's path. C{port}: its TCP port.
    @ivar environment: what it is started with besides ours; C{command}: by what.
    """

    def __init__(
        self,
        docker: str = "unix:///nowhere",
        lxc: str | Sequence[str] = "/nowhere/lxc",
        retain_bytes: str = "1 GiB",
    ) -> None:
        # Not under trial's directory: a Unix socket's path can have 107 bytes.
        self.directory = tempfile.mkdtemp(prefix="stationd-")
        self.socket = os.path.join(self.directory, "api.sock")
        self.configuration = os.path.join(self.directory, "stationd.toml")
        self.log = os.path.join(self.directory, "daemon.log")
        with open(self.configuration, "w", encoding="utf-8") as file:
            file.write(
                f'[journal]\ndirectory = "{self.directory}/state"\n'
                f'retain_bytes = "{retain_bytes}"\n'
                f'[http]\nendpoints = ["unix:{self.socket}:mode=660", '
                '"tcp:0:interface=127.0.0.1"]\n'
                f'[auth]\nusers = "{self.directory}/users"\n'
                f'[sources.docker]\nurl = "{docker}"\n'
                f"[sources.lxc]\npath = {json.dumps(lxc)}\n"
            )
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}
        self.command: list[str] = []

    def start(self, *live: str) -> None:
        """Start it, and wait until it answers and follows the sources named."""
        command = [
            *self.command,
            TWISTD,
            "--nodaemon",
            "--pidfile=",
            "stationd",
            "--config",
            self.configuration,
        ]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=os.environ | self.environment,
                preexec_fn=_take_signals,  # noqa: PLW1509 - it calls nothing that takes a lock
            )
        deadline = time.monotonic() + READY
        while True:
            try:
                states = self.get("/api/v1/system")["sources"]
                if all(states[name]["state"] == "live" for name in live):
                    return
            except (OSError, ValueError):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the daemon does not get ready:\n{self.said()}")
            time.sleep(POLL)

    def said(self) -> str:
        """What it wrote to its log."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(re.findall(r"starting on (\d+)", self.said())[-1])

    def stop(self) -> float:
        """SIGTERM; the seconds until it was gone, 0 if it did not run."""
        return self._end(signal.SIGTERM)

    def kill(self) -> float:
        """SIGKILL."""
        return self._end(signal.SIGKILL)

    def _end(self, number: int) -> float:
        if self.process is None or self.process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(READY)
        return time.monotonic() - began

    def close(self) -> None:
        """Stop it and remove its state."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def curl(self, path: str, *arguments: str) -> str:
        """What curl prints, over the Unix socket."""
        command = ["curl", "-sS", "--max-time", "60", "--unix-socket", self.socket, *arguments]
        command.append(f"http://stationd{path}")
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        return self._ask("GET", path)

    def post(self, path: str, value: object) -> Any:
        """The JSON answered to a JSON."""
        return self._ask("POST", path, json.dumps(value))

    def _ask(self, method: str, path: str, body: str | None = None) -> Any:
        """Without curl: a process for each question is much of what a machine has to do that
        asks again and again until something is so."""
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body)
            return json.loads(connection.getresponse().read())
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def events(self) -> list[dict[str, Any]]:
        """The data of all events, oldest first."""
        answer = self.get("/api/v1/event?index=0")
        found: list[dict[str, Any]] = []
        while answer["messages"]:
            found += [json.loads(m.split(":", 3)[3]) for m in reversed(answer["messages"])]
            answer = self.get(f"/api/v1/event?index={answer['offset']}")
        return found

    def sentences(self) -> list[tuple[str, str, str]]:
        """Level, category and message of all log records, oldest first."""
        records = self.get("/api/v1/log?limit=10000")
        return [(r["level"], r["category"], r["message"]) for r in reversed(records)]


def _take_signals() -> None:
    """A shell has its background jobs ignore SIGINT and SIGQUIT, and they hand that down: what
    is ignored at its start a daemon goes on to ignore."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def eventually(check: Any, seconds: float = READY) -> Any:
    """The first true result of a function that is called again and again; what it gave last if
    it is never true. Only a test that fails waits for so long, however busy the machine is."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(POLL)
