"""Extensions of iptables in nftables rules: the kernel's own argument structures, in the machine's
byte order. Pure."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping

PortRange = tuple[int, int]
"""First and last."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

DnatTarget = tuple[Address, Address, PortRange | None]
"""First and last address; the ports, C{None} if they stay."""

MAP_IPS, MAP_PORTS = 1, 2
"""C{NF_NAT_RANGE_MAP_IPS} and C{NF_NAT_RANGE_PROTO_SPECIFIED} (linux/netfilter/nf_nat.h)."""


def parse_dnat(values: Mapping[str, object]) -> DnatTarget | None:
    """What C{DNAT} leads to, C{None} for another target (linux/netfilter/nf_nat.h:
    C{struct nf_nat_range2}, C{nf_nat_range}, which is its beginning, or, in revision 0,
    C{nf_nat_ipv4_multi_range_compat})."""
    info = _extension_info(values)
    if values.get("NAME") != "DNAT" or len(info) < 20:
        return None
    if values.get("REV") == 0:
        flags, *raw = struct.unpack_from("=I4s4s2s2s", info, 4)
        size = 4
    else:
        if len(info) < 40:
            return None
        flags, *raw = struct.unpack_from("=I16s16s2s2s", info)
        # An IPv4 address has the rest of the union empty.
        size = 16 if any(raw[0][4:]) else 4
    first, last, low, high = raw
    if not flags & MAP_IPS:
        return None
    ports = (int.from_bytes(low), int.from_bytes(high)) if flags & MAP_PORTS else None
    return ipaddress.ip_address(first[:size]), ipaddress.ip_address(last[:size]), ports


def parse_destination_ports(values: Mapping[str, object]) -> PortRange | None:
    """What C{tcp} or C{udp} match, C{None} for all (linux/netfilter/xt_tcpudp.h:
    C{struct xt_tcp} and C{xt_udp})."""
    info = _extension_info(values)
    at = 11 if values.get("NAME") == "tcp" else 8
    if len(info) <= at:
        return None
    first, last = struct.unpack_from("=2H", info, 4)
    is_inverse = info[at] & 2
    return None if is_inverse or (first, last) == (0, 65535) else (first, last)


def parse_multiport(values: Mapping[str, object]) -> list[PortRange]:
    """The destination ports that C{multiport} matches, none if it is about something
    else (linux/netfilter/xt_multiport.h: C{struct xt_multiport_v1})."""
    info = _extension_info(values)
    if len(info) < 48 or info[0] == 0 or info[47]:
        # Source ports, or those that are not meant.
        return []
    count = min(info[1], 15)
    ports = struct.unpack_from("=15H", info, 2)[:count]
    found: list[PortRange] = []
    at = 0
    while at < count:
        is_range = info[32 + at] and at + 1 < count
        found.append((ports[at], ports[at + 1] if is_range else ports[at]))
        at += 2 if is_range else 1
    return found


def _extension_info(values: Mapping[str, object]) -> bytes:
    digits = str(values.get("INFO", "")).replace(":", "")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""
