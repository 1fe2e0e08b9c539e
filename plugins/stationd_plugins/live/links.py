"""Links and addresses inside a container's network namespace, over netlink."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import attrs

CLONE_NEWNET = 0x40000000
"""unistd's flag of setns(2)."""

IFF_LOOPBACK = 0x8
"""netdevice(7)."""

RT_SCOPE_UNIVERSE = 0
"""rtnetlink(7): an address that means something outside its link."""


@attrs.frozen
class Traffic:
    """What has gone through all links but C{lo}, since they were made.

    @ivar rx_bytes: received, C{tx_bytes} sent.
    @ivar addresses: global ones, IPv4 first.
    """

    rx_bytes: int
    tx_bytes: int
    addresses: tuple[str, ...]


NONE = Traffic(0, 0, ())


def traffic(pid: int) -> Traffic:
    """What a process's network namespace has; L{NONE} if it is the host's own.

    @raise OSError: the process is gone, or we may not look.
    """
    path = f"/proc/{pid}/ns/net"
    if os.stat(path).st_ino == os.stat("/proc/self/ns/net").st_ino:
        return NONE
    from pyroute2 import IPRoute

    with IPRoute(fileno=_socket_in(path).detach()) as route:
        links: list[Any] = list(route.get_links())
        found: list[Any] = list(route.get_addr())
    rx_bytes = tx_bytes = 0
    for link in links:
        stats = link.get("stats64") or link.get("stats")
        if not link["flags"] & IFF_LOOPBACK and stats:
            rx_bytes += stats["rx_bytes"]
            tx_bytes += stats["tx_bytes"]
    addresses = sorted(
        (address["family"] != socket.AF_INET, index, text)
        for index, address in enumerate(found)
        if address["scope"] == RT_SCOPE_UNIVERSE and (text := _text(address))
    )
    return Traffic(rx_bytes, tx_bytes, tuple(text for _, _, text in addresses))


def _text(address: Any) -> str:
    # IFA_LOCAL is ours, IFA_ADDRESS the peer's on a point-to-point link.
    return str(address.get("local") or address.get("address") or "")


def _socket_in(path: str) -> socket.socket:
    """A netlink socket in a namespace. A thread that ends at once enters it: a
    socket belongs to the namespace it was made in, whoever uses it later."""
    result: list[socket.socket] = []
    errors: list[OSError] = []

    def make() -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _setns(fd)
                result.append(
                    socket.socket(
                        socket.AF_NETLINK,
                        socket.SOCK_DGRAM | socket.SOCK_CLOEXEC,
                        socket.NETLINK_ROUTE,
                    )
                )
            finally:
                os.close(fd)
        except OSError as error:
            errors.append(error)

    _in_thread(make)
    if errors:
        raise errors[0]
    return result[0]


def _in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work, name="setns")
    thread.start()
    thread.join()


def _setns(fd: int) -> None:
    # os.setns came with Python 3.12.
    if _LIBC.setns(fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_LIBC = ctypes.CDLL(None, use_errno=True)
