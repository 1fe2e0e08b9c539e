"""Traffic and addresses of a process's network namespace, from files below C{/proc/PID/net}. The
files of C{/proc/PID/net} are those of the network namespace that the process is in; nobody has
to enter it."""

from __future__ import annotations

import os
import socket

import attrs

from stationd_plugins.host.process import read_text

GLOBAL_SCOPE = "00"
"""ipv6_addr_scope of an address that means something outside its link, as
C{/proc/net/if_inet6} writes it."""

NOT_GLOBAL = ("127.", "169.254.")
"""How the IPv4 addresses begin that mean nothing outside (RFC 1122, RFC 3927)."""


@attrs.frozen
class Traffic:
    """What has gone through all links but C{lo}, since they were made.

    @ivar rx_bytes: received, C{tx_bytes} sent.
    """

    rx_bytes: int = 0
    tx_bytes: int = 0


def read_process_network(pid: int) -> tuple[Traffic, tuple[str, ...]]:
    """What has gone through the links of a process, and its global addresses: IPv4 first, each
    kind in ascending order. Nothing of either if they are the host's.

    @raise OSError: the process is gone, or we may not look.
    """
    if os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino:
        return Traffic(), ()
    traffic = parse_net_dev(read_text(f"/proc/{pid}/net/dev"))
    found = parse_fib_trie(read_text(f"/proc/{pid}/net/fib_trie"))
    try:
        found += parse_if_inet6(read_text(f"/proc/{pid}/net/if_inet6"))
    except FileNotFoundError:
        # The kernel has no IPv6, or the process has gone.
        os.stat(f"/proc/{pid}")
    return traffic, tuple(found)


def parse_net_dev(dev: str) -> Traffic:
    """The sums of C{/proc/net/dev} (proc(5)): a link and its name on each line, its
    first number the bytes received, its ninth those sent."""
    rx_bytes = tx_bytes = 0
    for line in dev.splitlines():
        name, colon, rest = line.rpartition(":")
        numbers = rest.split()
        if colon and name.strip() != "lo" and len(numbers) >= 9:
            rx_bytes += int(numbers[0])
            tx_bytes += int(numbers[8])
    return Traffic(rx_bytes, tx_bytes)


def parse_fib_trie(fib_trie: str) -> list[str]:
    """The addresses in C{/proc/net/fib_trie}, the kernel's routing table: what is
    routed to this host itself."""
    address, told = "", dict[str, None]()
    for line in fib_trie.splitlines():
        words = line.split()
        if words[:1] == ["|--"] and len(words) > 1:
            address = words[1]
        elif words == ["/32", "host", "LOCAL"] and not address.startswith(NOT_GLOBAL):
            # The tables "main" and "local" are one here, and shown as both.
            told[address] = None
    return list(told)


def parse_if_inet6(if_inet6: str) -> list[str]:
    """The global addresses in C{/proc/net/if_inet6}: address, index, length of the
    prefix, scope, flags and name of the link on each line."""
    lines = [line.split() for line in if_inet6.splitlines()]
    raw = sorted(words[0] for words in lines if words[3] == GLOBAL_SCOPE)
    return [socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address)) for address in raw]
