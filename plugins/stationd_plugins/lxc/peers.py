"""Who is behind an abstract Unix address: anybody can bind one (unix(7)), also that of a
monitor that does not run."""

from __future__ import annotations

import os
import socket
import struct

CREDENTIALS = struct.Struct("=3i")
"""C{struct ucred} (unix(7)): process, user, group."""


def is_trusted(connection: socket.socket, path: str) -> bool:
    """Whether it is root or the owner of an LXC path, who may speak for its containers.

    @raise OSError: the path is not there.
    """
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, user, _ = CREDENTIALS.unpack(raw)
    return user in (0, os.stat(path).st_uid)
