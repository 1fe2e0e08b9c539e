"""The lxc-monitord of each LXC path: connected to, and started where there is none. Blocking,
for a worker's thread."""

from __future__ import annotations

import glob
import os
import select
import socket
import subprocess
from collections.abc import Callable, Sequence

from twisted.logger import Logger

from stationd.messages import source_log_messages as log_messages
from stationd_plugins.lxc.command import TIMEOUT
from stationd_plugins.lxc.monitord import address
from stationd_plugins.lxc.peers import is_trusted

PROGRAMS = tuple(f"/usr/{place}/lxc/lxc-monitord" for place in ("libexec", "lib", "lib/*"))
"""Where it may be, as patterns."""

READY_SECONDS = 1.0
"""How long it may take until it listens; it takes 2 ms."""

START_AGAIN, MAX_START_AGAIN = 5.0, 600.0
"""Seconds until the next attempt to start one, after one that failed, and at most: twice as long
after each. One that was killed as it started is soon replaced, one that cannot run costs little."""


class Daemons:
    """All of them, and which could not be had.

    @param programs: patterns of where the program may be.
    @param seconds: the time, by a clock that is never set.
    """

    _log = Logger()

    def __init__(self, programs: Sequence[str], seconds: Callable[[], float]) -> None:
        self._programs = programs
        self._seconds = seconds
        # Of those that could not be started: when to try again, and the pause before that.
        self._failed: dict[str, tuple[float, float]] = {}
        self._missed: set[str] = set()

    def connect(self, paths: Sequence[str]) -> dict[str, socket.socket]:
        """Connect to those of some LXC paths. One that does not run is started, if its path
        is there and ours: another user's would be taken from its owner.

        @return: the connections that could be made, by path.
        """
        tried = {path: self._connected(path) for path in paths}
        return {path: connection for path, connection in tried.items() if connection is not None}

    def _connected(self, path: str) -> socket.socket | None:
        connection = _connection(path)
        if connection is None:
            try:
                owner = os.stat(path).st_uid
            except OSError:
                # When it is there, we begin anew.
                self._failed.pop(path, None)
                return None
            start_at, before = self._failed.get(path, (0.0, 0.0))
            if owner == os.geteuid() and self._seconds() >= start_at:
                pause = min(2 * before or START_AGAIN, MAX_START_AGAIN)
                self._failed[path] = self._seconds() + pause, pause
                connection = _connection(path) if self._start(path) else None
        if connection is not None:
            self._failed.pop(path, None)
        self._say(path, connection is not None)
        return connection

    def _say(self, path: str, is_there: bool) -> None:
        """What has changed for an operator."""
        if is_there and path in self._missed:
            self._missed.discard(path)
            log_messages.LXC_MONITORD_FOUND.emit(self._log, path=path)
        elif not is_there and path not in self._missed:
            self._missed.add(path)
            log_messages.LXC_MONITORD_MISSING.emit(self._log, path=path)

    def _start(self, path: str) -> bool:
        """Whether it was started and is ready: it writes a byte then."""
        programs = [program for pattern in self._programs for program in glob.glob(pattern)]
        if not programs:
            return False
        ready, tell = os.pipe()
        try:
            # It becomes a daemon of its own by a second fork: what we wait for ends at once.
            script = '"$0" "$@" >/dev/null 2>&1 </dev/null &'
            command = ["/bin/sh", "-c", script, programs[0], path, str(tell)]
            subprocess.run(command, pass_fds=(tell,), start_new_session=True, check=True)
            # Ours closed, the end of one that failed is seen as such.
            os.close(tell)
            tell = -1
            return bool(select.select([ready], [], [], READY_SECONDS)[0] and os.read(ready, 1))
        except (OSError, subprocess.CalledProcessError):
            return False
        finally:
            os.close(ready)
            if tell != -1:
                os.close(tell)


def _connection(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(TIMEOUT)
        connection.connect(address(path))
        if not is_trusted(connection, path):
            raise PermissionError
    except OSError:
        connection.close()
        return None
    connection.setblocking(False)
    return connection
