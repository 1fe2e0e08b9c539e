"""The command socket of a running LXC container: what its monitor answers.

From LXC's C{src/lxc/commands.c}: a request is C{struct iiQ} (command, length of the
data, unused) with the sender's credentials, a reply C{iiQ} (result, length, value).
Blocking, for a worker's thread.
"""

from __future__ import annotations

import os
import socket
import struct

import attrs

from stationd_plugins.lxc.peers import CREDENTIALS, is_trusted

GET_STATE = 3
GET_INIT_PID = 4
GET_CGROUP = 6
GET_LIMIT_CGROUP = 19
"""Since LXC 4.0.3: with C{lxc.cgroup.dir.container.inner} not the cgroup that the first
process is in but the one above it, which has the limits and which C{lxc-freeze} freezes."""

STATES = ["STOPPED", "STARTING", "RUNNING", "STOPPING", "ABORTING", "FREEZING", "FROZEN", "THAWED"]

TIMEOUT = 0.2
"""Seconds that a monitor has to answer; it takes 0.05 ms."""

MAX_NAME_BYTES = 107
"""What fits into C{sun_path} after the leading NUL (unix(7))."""

MAX_CGROUP_BYTES = 4096
"""C{PATH_MAX}: what is read of an answer."""

REFUSED = (ConnectionRefusedError, ConnectionResetError, BrokenPipeError)
"""What says that a monitor does not answer something, or that there is none."""

_MESSAGE = struct.Struct("iiQ")


@attrs.frozen
class Answers:
    """What a monitor says.

    @ivar state: one of L{STATES}.
    @ivar init_pid: the container's first process, 0 if it has none.
    """

    state: str
    init_pid: int


def ask(path: str, name: str) -> Answers | None:
    """Ask the monitor of a container.

    @param path: the LXC path, C{name} the container's.
    @return: C{None} if there is none that may speak for it, or it refuses: stopped.
    @raise TimeoutError: it is there and does not answer.
    @raise OSError: it cannot be asked: we have no more descriptors or memory, or may not.
    """
    # A monitor answers one request on a connection and may close it then.
    try:
        state, _ = _request(path, name, GET_STATE)
        init_pid, _ = _request(path, name, GET_INIT_PID)
    except REFUSED:
        return None
    if not 0 <= state < len(STATES):
        return None
    return Answers(STATES[state], max(0, init_pid))


def cgroup(path: str, name: str, controller: str) -> str:
    """Ask a monitor which cgroup the container is in, whatever its first process has made
    below it, or moved to: systemd's goes to C{init.scope}.

    @param controller: one that the container's base cgroup has, which may be fewer than
        the hierarchy's root: a user's are what systemd delegates. C{freezer} where there is
        only v2; C{""} for a v2 hierarchy without any.
    @return: the path from the hierarchy's root as the monitor sees it, C{"/"} for that itself;
        C{""} if the monitor does not say: it uses no such hierarchy, is too old, or there is none.
    @raise TimeoutError: it is there and does not answer.
    @raise OSError: see L{ask}.
    """
    data = os.fsencode(controller) + b"\0" if controller else b""
    for asked in (GET_LIMIT_CGROUP, GET_CGROUP):
        try:
            _, said = _request(path, name, asked, data)
        except REFUSED:
            continue
        if found := _path(said):
            return found
    return ""


def _path(said: bytes) -> str:
    """A path in an answer, C{""} if it is none.

    With v2 alone LXC leaves out the leading slash (C{cgfsng_get_cgroup}, 5.0 and 6.0): the mount
    point is in front of what it cuts off then with a slash, and else without.
    """
    text = os.fsdecode(said.partition(b"\0")[0])
    parts = [part for part in text.split("/") if part not in ("", ".")]
    return "" if not text or ".." in parts else f"/{'/'.join(parts)}"


def address(path: str, name: str) -> bytes:
    """The abstract address of a container's command socket."""
    whole = os.fsencode(f"{path}/{name}")
    if len(whole) + len(b"/command") < MAX_NAME_BYTES:
        return b"\0" + whole + b"/command"
    return b"\0lxc/%016x/command" % fnv64a(whole)


def fnv64a(data: bytes) -> int:
    """The hash that LXC names sockets by if their names are too long
    (U{http://www.isthe.com/chongo/tech/comp/fnv/})."""
    found = 0xCBF29CE484222325
    for byte in data:
        found = (found ^ byte) * 0x100000001B3 % 2**64
    return found


def _request(path: str, name: str, command: int, data: bytes = b"") -> tuple[int, bytes]:
    """The value in a monitor's reply, and the text behind it."""
    credentials = CREDENTIALS.pack(os.getpid(), os.getuid(), os.getgid())
    ancillary = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(address(path, name))
        except BlockingIOError as error:
            # Too many wait before us.
            raise TimeoutError from error
        if not is_trusted(connection, path):
            raise ConnectionRefusedError
        connection.sendmsg([_MESSAGE.pack(command, len(data), 0)], ancillary)
        if data:
            connection.sendall(data)
        result, length, value = _MESSAGE.unpack(_receive(connection, _MESSAGE.size))
        if result < 0:
            raise ConnectionRefusedError(-result, os.strerror(-result))
        return int(value), _receive(connection, min(max(0, length), MAX_CGROUP_BYTES))


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise ConnectionResetError
        received += part
    return received
