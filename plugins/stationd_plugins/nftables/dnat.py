"""Port forwards out of nftables rules (DNAT). Pure.

A rule is a little program: it loads parts of a packet into registers, compares them,
looks them up in sets and maps, and at the end an action takes its arguments from
registers. It is run here for all packets at once: a lookup makes as many cases of one as
the set has elements. What is compared with something else than the destination (an
interface, a mark) is taken to be possible.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

import attrs

from stationd_plugins.nftables import xtables
from stationd_plugins.nftables.rules import Expression, Rule, SetElement
from stationd_plugins.nftables.xtables import Address, DnatTarget, PortRange

MAX_MATCHES = 4096
"""Cases of a rule that are told apart; the rest of a larger map is left out."""

PROTOCOLS = {6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite"}
"""By their numbers (U{https://www.iana.org/assignments/protocol-numbers}): those that
have ports."""

AF_INET6 = 10
"""C{NFPROTO_IPV6}."""


@attrs.frozen
class PortForward:
    """Packets to one destination get another.

    @ivar first: the new destination, or the first of a range; C{last}: its end.
    @ivar inside: its ports, C{None} if they stay.
    @ivar outside: the ports that are forwarded, C{None} for all.
    @ivar host: the address that is, C{""} for any.
    @ivar protocol: C{"tcp"} and the like, C{""} for any.
    """

    first: Address
    last: Address
    inside: PortRange | None = None
    outside: PortRange | None = None
    host: str = ""
    protocol: str = ""

    def is_to(self, address: Address) -> bool:
        """Whether an address is the destination."""
        return address.version == self.first.version and int(self.first) <= int(address) <= int(
            self.last
        )

    def __str__(self) -> str:
        """As Docker writes it: C{0.0.0.0:8080->80/tcp}; C{*} for all ports or protocols."""
        host = self.host or ("::" if self.first.version == 6 else "0.0.0.0")
        host = f"[{host}]" if ":" in host else host
        outside = _port_range(self.outside)
        inside = _port_range(self.inside) if self.inside else outside
        return f"{host}:{outside}->{inside}/{self.protocol or '*'}"


def port_forwards(rule: Rule) -> list[PortForward]:
    """What a rule forwards; none if it has another purpose, or is not understood."""
    cases = [_PacketMatch()]
    found: list[PortForward] = []
    for expression in rule.expressions:
        values = expression.values
        if expression.name == "lookup":
            elements = _set_intervals(rule.sets.get(str(values.get("SET")), ()))
            cases = [one for case in cases for one in case.in_set(values, elements)]
        elif expression.name == "match" and values.get("NAME") == "multiport":
            cases = [
                one for case in cases for one in case.for_ports(xtables.parse_multiport(values))
            ]
        elif expression.name in ("nat", "target"):
            found += [one for case in cases if (one := case.to_forward(expression)) is not None]
        else:
            for case in cases:
                case.evaluate(expression)
        cases = cases[:MAX_MATCHES]
    return found


@attrs.define
class _PacketMatch:
    """What is known of the packets that have come so far.

    @ivar registers: by number of four bytes: bytes, or the name of a part of the packet.
    """

    host: str = ""
    protocol: str = ""
    outside: PortRange | None = None
    registers: dict[int, bytes | str] = attrs.field(factory=dict)

    def copy(self) -> _PacketMatch:
        return attrs.evolve(self, registers=dict(self.registers))

    def evaluate(self, expression: Expression) -> None:
        """Do what it says, if it is about what we want to know."""
        values = expression.values
        slot = _register_index(values.get("DREG", values.get("SREG")))
        match expression.name:
            case "meta" | "payload":
                self.registers[slot] = _loaded_field(expression)
            case "immediate":
                self._load(slot, _to_bytes(values.get("DATA")))
            case "cmp" if values.get("OP") == "NFT_CMP_EQ":
                data = _to_bytes(values.get("DATA"))
                self.narrow(self.registers.get(slot), data, data)
            case "cmp" if values.get("OP") == "NFT_CMP_GTE":
                self.narrow(self.registers.get(slot), _to_bytes(values.get("DATA")), b"")
            case "cmp" if values.get("OP") == "NFT_CMP_LTE":
                self.narrow(self.registers.get(slot), b"", _to_bytes(values.get("DATA")))
            case "range" if values.get("OP") == "NFT_RANGE_EQ":
                first, last = _to_bytes(values.get("FROM_DATA")), _to_bytes(values.get("TO_DATA"))
                self.narrow(self.registers.get(slot), first, last)
            case "match" if values.get("NAME") in ("tcp", "udp"):
                self.protocol = str(values.get("NAME"))
                self.outside = xtables.parse_destination_ports(values) or self.outside
            case _ if "DREG" in values:
                # Made of something by a way that we do not follow.
                self.registers[slot] = ""

    def narrow(self, part: bytes | str | None, first: bytes, last: bytes) -> None:
        """A part of the packet is between two values; C{b""} is no bound."""
        if part == "port":
            low = int.from_bytes(first[:2]) if first else (self.outside or (0, 0))[0]
            high = int.from_bytes(last[:2]) if last else (self.outside or (0, 65535))[1]
            self.outside = low, high
        elif part == "protocol" and first == last:
            self.protocol = PROTOCOLS.get(first[0], str(first[0])) if first else ""
        elif part == "address" and first == last and len(first) in (4, 16):
            self.host = str(ipaddress.ip_address(first))

    def in_set(
        self, values: Mapping[str, object], elements: Sequence[tuple[SetElement, bytes]]
    ) -> Iterator[_PacketMatch]:
        """A case for each element; this one if the set tells those that are not meant."""
        if values.get("FLAGS"):
            yield self
            return
        slot = _register_index(values.get("SREG"))
        for element, last in elements:
            case = self.copy()
            at = 0
            while at < len(element.key):
                part = self.registers.get(slot + at // 4)
                size = 16 if part == "address" and len(element.key) - at >= 16 else 4
                case.narrow(part, element.key[at : at + size], last[at : at + size])
                at += size
            if "DREG" in values:
                case._load(_register_index(values["DREG"]), element.data)
            yield case

    def for_ports(self, ports: Sequence[PortRange]) -> Iterator[_PacketMatch]:
        """A case for each of some ports; this one if there are none."""
        for one in ports:
            yield attrs.evolve(self.copy(), outside=one)
        if not ports:
            yield self

    def to_forward(self, expression: Expression) -> PortForward | None:
        """What becomes of the packets."""
        found = self._nat if expression.name == "nat" else xtables.parse_dnat
        destination = found(expression.values)
        if destination is None:
            return None
        first, last, inside = destination
        return PortForward(first, last, inside, self.outside, self.host, self.protocol)

    def _nat(self, values: Mapping[str, object]) -> DnatTarget | None:
        if values.get("TYPE") != "NFT_NAT_DNAT":
            return None
        size = 16 if values.get("FAMILY") == AF_INET6 else 4
        first = self._read(values.get("REG_ADDR_MIN"), size)
        last = self._read(values.get("REG_ADDR_MAX"), size) or first
        low = self._read(values.get("REG_PROTO_MIN"), 2)
        high = self._read(values.get("REG_PROTO_MAX"), 2) or low
        if not first or not last:
            return None
        ports = (int.from_bytes(low), int.from_bytes(high)) if low and high else None
        return ipaddress.ip_address(first), ipaddress.ip_address(last), ports

    def _load(self, slot: int, data: bytes) -> None:
        for at in range(0, len(data), 4):
            self.registers[slot + at // 4] = data[at : at + 4]

    def _read(self, register: object, size: int) -> bytes:
        """What a register holds, C{b""} if that is not known."""
        if register is None:
            return b""
        slot = _register_index(register)
        parts = [self.registers.get(slot + at // 4) for at in range(0, size, 4)]
        whole = b"".join(part for part in parts if isinstance(part, bytes))
        return whole[:size] if len(whole) >= size else b""


def _register_index(register: object) -> int:
    """The first four bytes of a register: C{NFT_REG_1} to C{4} have sixteen each and
    are the same as C{NFT_REG32_00} to C{15}; -1 for the verdict's."""
    prefix, _, number = str(register).rpartition("_")
    if not number.isdecimal():
        return -1
    return int(number) if prefix == "NFT_REG32" else 4 * (int(number) - 1)


def _loaded_field(expression: Expression) -> str:
    """Which part of a packet is loaded, C{""} if it does not matter."""
    values = expression.values
    if expression.name == "meta":
        return "protocol" if values.get("KEY") == "NFT_META_L4PROTO" else ""
    what = values.get("BASE"), values.get("OFFSET"), values.get("LEN")
    parts: dict[tuple[object, object, object], str] = {
        ("NFT_PAYLOAD_TRANSPORT_HEADER", 2, 2): "port",
        # IPv4 (RFC 791): protocol and destination. IPv6 (RFC 8200): the same.
        ("NFT_PAYLOAD_NETWORK_HEADER", 9, 1): "protocol",
        ("NFT_PAYLOAD_NETWORK_HEADER", 16, 4): "address",
        ("NFT_PAYLOAD_NETWORK_HEADER", 6, 1): "protocol",
        ("NFT_PAYLOAD_NETWORK_HEADER", 24, 16): "address",
    }
    return parts.get(what, "")


def _set_intervals(elements: Sequence[SetElement]) -> list[tuple[SetElement, bytes]]:
    """The elements of a set with the last key that each stands for. In a set of
    intervals one that says C{is_end} is the first key behind that before it."""
    found: list[tuple[SetElement, bytes]] = []
    has_ends = any(element.is_end for element in elements)
    for element in sorted(elements, key=lambda one: one.key) if has_ends else elements:
        if not element.is_end:
            last = element.key_end or (b"\xff" * len(element.key) if has_ends else element.key)
            found.append((element, last))
        elif found and element.key:
            behind = int.from_bytes(element.key) - 1
            if behind >= 0:
                found[-1] = found[-1][0], behind.to_bytes(len(element.key))
    return found


def _to_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _port_range(ports: PortRange | None) -> str:
    if ports is None:
        return "*"
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"
