"""Rules as older programs make them, and rules that make no sense. What today's make is in
the functional tests, from a kernel."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stationd_plugins.nftables.dnat import MAX_MATCHES, port_forwards
from stationd_plugins.nftables.rules import Expression, Rule, SetElement

TCP = (
    Expression("meta", {"KEY": "NFT_META_L4PROTO", "DREG": "NFT_REG_1"}),
    Expression("cmp", {"SREG": "NFT_REG_1", "OP": "NFT_CMP_EQ", "DATA": b"\x06"}),
)

PORT = Expression(
    "payload",
    {"DREG": "NFT_REG_1", "BASE": "NFT_PAYLOAD_TRANSPORT_HEADER", "OFFSET": 2, "LEN": 2},
)

ADDRESS = bytes([10, 9, 9, 2])

NAT = (
    Expression("immediate", {"DREG": "NFT_REG_1", "DATA": ADDRESS}),
    Expression(
        "nat",
        {
            "TYPE": "NFT_NAT_DNAT",
            "FAMILY": 2,
            "REG_ADDR_MIN": "NFT_REG_1",
            "REG_ADDR_MAX": "NFT_REG_1",
        },
    ),
)


def hexadecimal(data: bytes) -> str:
    return data.hex(":")


def told(*expressions: Expression, **sets: tuple[SetElement, ...]) -> list[str]:
    return [str(one) for one in port_forwards(Rule(expressions, sets))]


class OlderTests(SynchronousTestCase):
    """What iptables of some years ago hands to the kernel."""

    def target(self, revision: int, info: bytes) -> Expression:
        values = {"NAME": "DNAT", "REV": revision, "INFO": hexadecimal(info)}
        return Expression("target", values)

    def test_revisions_of_the_target(self) -> None:
        address = ADDRESS + bytes(12)
        first = struct.pack("=II4s4sHH", 1, 3, ADDRESS, ADDRESS, 80 << 8, 80 << 8)
        second = struct.pack("=I16s16s2s2s", 3, address, address, b"\0\x50", b"\0\x50")
        for revision, info in ((0, first), (1, second), (2, second + bytes(8))):
            self.assertEqual(told(self.target(revision, info)), ["0.0.0.0:*->80/*"])
            self.assertEqual(told(self.target(revision, info[:18])), [])
        no_address = struct.pack("=I16s16s2s2s", 2, address, address, b"\0\x50", b"\0\x50")
        self.assertEqual(told(self.target(1, no_address)), [])

    def test_matches(self) -> None:
        target = self.target(1, struct.pack("=I16s16s4x", 1, *[ADDRESS + bytes(12)] * 2))
        tcp = struct.pack("=4H4B", 0, 65535, 80, 90, 0, 0, 0, 0)
        for name, info, expected in (
            ("tcp", tcp, "0.0.0.0:80-90->80-90/tcp"),
            ("udp", tcp[:8] + b"\0\0", "0.0.0.0:80-90->80-90/udp"),
            # Those that are not meant; all.
            ("tcp", tcp[:11] + b"\2", "0.0.0.0:*->*/tcp"),
            ("tcp", struct.pack("=4H4x", 0, 65535, 0, 65535), "0.0.0.0:*->*/tcp"),
        ):
            match = Expression("match", {"NAME": name, "INFO": hexadecimal(info)})
            self.assertEqual(told(match, target), [expected])


class CasesTests(SynchronousTestCase):
    """Sets, and what is not followed."""

    def test_a_set_of_what_is_not_meant(self) -> None:
        flags = frozenset(["NFT_LOOKUP_F_INV"])
        lookup = Expression("lookup", {"SET": "s", "SREG": "NFT_REG_1", "FLAGS": flags})
        found = told(*TCP, PORT, lookup, *NAT, s=(SetElement(b"\0\x50"),))
        self.assertEqual(found, ["0.0.0.0:*->*/tcp"])

    def test_a_set_that_is_too_large(self) -> None:
        lookup = Expression("lookup", {"SET": "s", "SREG": "NFT_REG_1", "FLAGS": frozenset()})
        elements = tuple(SetElement(port.to_bytes(2)) for port in range(MAX_MATCHES + 10))
        self.assertEqual(len(told(*TCP, PORT, lookup, *NAT, s=elements)), MAX_MATCHES)

    def test_an_address_that_was_made_otherwise(self) -> None:
        made = Expression("hash", {"DREG": "NFT_REG_1"})
        self.assertEqual(told(NAT[0], made, NAT[1]), [])

    def test_a_set_that_has_gone(self) -> None:
        lookup = Expression("lookup", {"SET": "s", "SREG": "NFT_REG_1", "FLAGS": frozenset()})
        self.assertEqual(told(*TCP, PORT, lookup, *NAT), [])


NAMES = "meta cmp payload immediate lookup range match target nat x"

KEYS = (
    "DREG SREG OP DATA KEY BASE OFFSET LEN SET FLAGS NAME INFO REV TYPE FAMILY "
    "REG_ADDR_MIN REG_PROTO_MIN FROM_DATA TO_DATA"
)

WORDS = (
    "NFT_REG_1 NFT_REG32_01 NFT_REG_VERDICT NFT_CMP_EQ NFT_CMP_LTE NFT_RANGE_EQ NFT_NAT_DNAT "
    "NFT_META_L4PROTO NFT_PAYLOAD_TRANSPORT_HEADER NFT_PAYLOAD_NETWORK_HEADER s DNAT tcp multiport"
)

VALUES = st.one_of(
    st.binary(max_size=40),
    st.binary(max_size=60).map(hexadecimal),
    st.sampled_from(WORDS.split()),
    st.sampled_from([None, 0, 2, 4, 10, 16]),
)

EXPRESSION_NAMES, EXPRESSION_KEYS = NAMES.split(), KEYS.split()

EXPRESSIONS = st.builds(
    Expression,
    st.sampled_from(NAMES.split()),
    st.dictionaries(st.sampled_from(KEYS.split()), VALUES),
)

ELEMENTS = st.builds(
    SetElement,
    st.binary(max_size=20),
    st.binary(max_size=20),
    st.binary(max_size=20),
    st.booleans(),
)


class AnyTests(SynchronousTestCase):
    """Whatever a kernel says.

    @cvar examples: how many rules are tried.
    """

    examples = 50

    def test_anything_can_be_read(self) -> None:
        @settings(max_examples=self.examples)
        @given(
            st.lists(EXPRESSIONS | st.sampled_from([*TCP, PORT, *NAT]), max_size=8),
            st.lists(ELEMENTS, max_size=4),
        )
        def check(expressions: list[Expression], elements: list[SetElement]) -> None:
            for one in port_forwards(Rule(tuple(expressions), {"s": tuple(elements)})):
                self.assertIn("->", str(one))

        check()
