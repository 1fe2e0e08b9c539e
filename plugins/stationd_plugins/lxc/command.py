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

STATES = ["STOPPED", "STARTING", "RUNNING", "STOPPING", "ABORTING", "FREEZING", "FROZEN", "THAWED"]

TIMEOUT = 0.2
"""Seconds that a monitor has to answer; it takes 0.05 ms."""

MAX_NAME_BYTES = 107
"""What fits into C{sun_path} after the leading NUL (unix(7))."""

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
        state = _request(path, name, GET_STATE)
        init_pid = _request(path, name, GET_INIT_PID)
    except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
        return None
    if not 0 <= state < len(STATES):
        return None
    return Answers(STATES[state], max(0, init_pid))


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


def _request(path: str, name: str, command: int) -> int:
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
        connection.sendmsg([_MESSAGE.pack(command, 0, 0)], ancillary)
        reply = b""
        while len(reply) < _MESSAGE.size:
            part = connection.recv(_MESSAGE.size - len(reply))
            if not part:
                raise ConnectionResetError
            reply += part
    result, _, value = _MESSAGE.unpack(reply)
    if result < 0:
        raise ConnectionRefusedError(-result, os.strerror(-result))
    return int(value)
