"""The ports of the host that are forwarded to each container. Blocking, for a worker's thread."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping, Sequence

import attrs
from twisted.logger import Logger

from stationd.messages.source_log_messages import LXC_PORTS_UNAVAILABLE
from stationd_plugins.host import network
from stationd_plugins.lxc.scan import Seen
from stationd_plugins.nftables.dnat import PortForward, port_forwards
from stationd_plugins.nftables.rules import UNSUPPORTED, read_nat_rules
from stationd_plugins.nftables.xtables import Address

MIN_DUMP_INTERVAL = 0.1
"""Seconds from one dump of the rules to the next, whatever changes meanwhile."""

FRESH_SECONDS = 0.4
"""Seconds for which addresses are as they were read."""

MAX_TIME_SHARE = 0.1
"""Of the time that dumps may take."""


@attrs.frozen
class _RunAddresses:
    """Of a run of a container, and when they were read."""

    run: str
    at: float
    addresses: tuple[Address, ...]


class PortMap:
    """The rules as they were last dumped.

    @ivar dumping: whether L{dump} is under way, or about to be.
    @ivar waiting: containers that have no address yet; C{""} for rules that have changed
        since.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._forwards: list[PortForward] = []
        self._stale = True
        self.dumping = False
        self._reason = ""
        self._next_dump = 0.0
        self._addresses: dict[str, _RunAddresses] = {}
        self.waiting: set[str] = set()

    def mark_stale(self) -> bool:
        """The rules may be other ones. From any thread.

        @return: whether that is new since they were dumped.
        """
        is_new, self._stale = not self._stale, True
        return is_new

    def with_ports(self, scanned: Mapping[str, Seen]) -> dict[str, Seen]:
        """The same containers with their ports."""
        found = dict(scanned)
        self._addresses = {n: one for n, one in self._addresses.items() if n in scanned}
        running = {name: seen for name, seen in scanned.items() if seen.init_pid}
        waiting = {""} if running and self._stale else set()
        self.waiting = waiting
        if not self._forwards:
            return found
        for name, seen in running.items():
            addresses = self._addresses_of(seen)
            if not addresses:
                waiting.add(name)
            ports = {str(f) for f in self._forwards if any(map(f.is_to, addresses))}
            found[name] = attrs.evolve(seen, ports=tuple(sorted(ports)))
        return found

    def _addresses_of(self, seen: Seen) -> Sequence[Address]:
        now = time.monotonic()
        known = self._addresses.get(seen.name)
        if known is not None and known.run == seen.run and now - known.at < FRESH_SECONDS:
            return known.addresses
        try:
            _, texts = network.read_process_network(seen.init_pid)
        except OSError:
            # It has just ended, and the next scan will tell.
            return ()
        addresses = tuple(map(ipaddress.ip_address, texts))
        self._addresses[seen.name] = _RunAddresses(seen.run, now, addresses)
        return addresses

    def is_due(self, scanned: Mapping[str, Seen]) -> bool:
        """Whether to L{dump} now: rules lead to nobody while no container runs."""
        if not self._stale or self.dumping or time.monotonic() < self._next_dump:
            return False
        return any(seen.init_pid for seen in scanned.values())

    def dump(self) -> None:
        """Read the rules: some 0.07 ms each. Blocking, one at a time, in a thread of its
        own: a large firewall's must not hold up the scans."""
        began = time.monotonic()
        self._stale = False
        try:
            self._forwards = [one for rule in read_nat_rules() for one in port_forwards(rule)]
            self._reason = ""
        except OSError as error:
            if error.errno in UNSUPPORTED:
                self._forwards = []
            else:
                # We may look again; what was known is as good as ever.
                self._stale = True
            self.report_failure(error)
        except Exception as error:  # noqa: BLE001 - pyroute2 raises what it likes
            # Ports are the least of it: what pyroute2 does not understand ends nothing.
            self.report_failure(OSError(0, f"{type(error).__name__}: {error}"))
        finally:
            self.dumping = False
        now = time.monotonic()
        self._next_dump = now + max(MIN_DUMP_INTERVAL, (now - began) / MAX_TIME_SHARE)

    def report_failure(self, error: OSError) -> None:
        """Why there are no ports, once."""
        reason = error.strerror or str(error)
        if reason != self._reason:
            self._reason = reason
            LXC_PORTS_UNAVAILABLE.emit(self._log, reason=reason)
