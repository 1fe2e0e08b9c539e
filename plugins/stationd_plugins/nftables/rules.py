"""The kernel's nftables rules over netlink: dumped, and watched for changes.

iptables of today keeps its rules there, too (iptables-nft); those of the older
C{ip_tables} cannot be followed. A dump blocks, for a worker's thread; that something has
changed comes over a socket to the reactor.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.internet.interfaces import IReactorFDSet
from twisted.logger import Logger
from twisted.python.failure import Failure

from stationd_plugins.lxc.readable import Readable

NETLINK_NETFILTER = 12
"""C{linux/netlink.h}: the protocol of L{socket.AF_NETLINK}."""

NFNLGRP_NFTABLES = 7
"""C{linux/netfilter/nfnetlink.h}: the group that is told of every change."""

ALL_FAMILIES = 0
"""C{NFPROTO_UNSPEC}."""

UNSUPPORTED = frozenset(
    [errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM]
)
"""What a kernel without nftables answers, or one that does not let us look."""

READ_BYTES = 65_536

_log = Logger()


@attrs.frozen
class SetElement:
    """One of a set's or map's.

    @ivar key: what is looked up, C{data} what a map says of it. Where several values
        are strung together each begins at a multiple of four bytes.
    @ivar key_end: the last key of an interval, if it says so itself.
    @ivar is_end: it is not in the set, and the interval that began before ends here.
    """

    key: bytes
    data: bytes = b""
    key_end: bytes = b""
    is_end: bool = False


@attrs.frozen
class Expression:
    """A step of a rule: a load, a comparison, an action.

    @ivar name: as nft names it, C{payload}, C{cmp}, C{nat}.
    @ivar values: what pyroute2 makes of its attributes, by the last part of their
        names in C{linux/netfilter/nf_tables.h}: C{DREG} of C{NFTA_META_DREG}. Data are
        bytes, but what an extension of iptables has is C{"03:00:0a"}.
    """

    name: str
    values: Mapping[str, object]


@attrs.frozen
class Rule:
    """One rule.

    @ivar sets: the elements of the sets that it looks up, by their names.
    """

    expressions: tuple[Expression, ...]
    sets: Mapping[str, tuple[SetElement, ...]] = attrs.field(factory=dict)


class RulesetMonitor(Readable):
    """Hears of every change of the rules.

    @param changed: called after one or more of them, C{broken}: see L{Readable}.
    @raise OSError: the kernel has no nftables.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        changed: Callable[[], None],
        broken: Callable[[Failure], None],
    ) -> None:
        self._changed = changed
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_NETFILTER
        )
        try:
            self._socket.bind((0, 1 << (NFNLGRP_NFTABLES - 1)))
        except OSError:
            self._socket.close()
            raise
        super().__init__(reactor, self._socket, broken)

    def doRead(self) -> None:
        """Something has changed. What, a dump tells: so nothing is lost if the kernel
        had more to tell than we could hold (ENOBUFS)."""
        try:
            while self._socket.recv(READ_BYTES):
                pass
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        self._changed()


def read_nat_rules() -> list[Rule]:
    """All rules that change where packets go, or may: those of tables in which a chain is
    of type C{nat}. One that makes no sense is passed over.

    @raise OSError: the kernel has no nftables, or we may not look.
    """
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nftsocket import (
        NFT_MSG_GETCHAIN,
        NFT_MSG_GETRULE,
        NFTSocket,
        nft_chain_msg,
        nft_rule_msg,
    )

    found: list[Rule] = []
    try:
        with NFTSocket(nfgen_family=ALL_FAMILIES) as nft:
            tables = {
                (chain["nfgen_family"], chain.get_attr("NFTA_CHAIN_TABLE"))
                for chain in nft.request_get(nft_chain_msg(), NFT_MSG_GETCHAIN)
                if chain.get_attr("NFTA_CHAIN_TYPE") == "nat"
            }
        for family, table in tables:
            asked = nft_rule_msg()
            asked["attrs"] = [("NFTA_RULE_TABLE", table)]
            with NFTSocket(nfgen_family=family) as nft:
                messages: list[Any] = nft.request_get(asked, NFT_MSG_GETRULE)
            for message in messages:
                try:
                    rule = _decode_rule(message, family, table)
                except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                    # pyroute2 does not know every expression.
                    _log.debug("a rule makes no sense: {error}", error=error)
                    continue
                if rule is not None:
                    found.append(rule)
    except NetlinkError as error:
        raise OSError(error.code, str(error)) from error
    return found


def _decode_rule(message: Any, family: int, table: str) -> Rule | None:
    """A rule that translates, C{None} if it does something else."""
    expressions = tuple(map(_decode_expression, message.get_attr("NFTA_RULE_EXPRESSIONS") or ()))
    if not any(one.name in ("nat", "target") for one in expressions):
        return None
    names = {str(one.values.get("SET")) for one in expressions if one.name == "lookup"}
    return Rule(expressions, {name: _read_elements(family, table, name) for name in names})


def _read_elements(family: int, table: str, name: str) -> tuple[SetElement, ...]:
    from pyroute2.netlink.nfnetlink.nftsocket import (
        NFT_MSG_GETSETELEM,
        NFTSocket,
        nft_set_elem_list_msg,
    )

    asked = nft_set_elem_list_msg()
    asked["attrs"] = [
        ("NFTA_SET_ELEM_LIST_TABLE", table),
        ("NFTA_SET_ELEM_LIST_SET", name),
    ]
    with NFTSocket(nfgen_family=family) as nft:
        answers: list[Any] = nft.request_get(asked, NFT_MSG_GETSETELEM)
    return tuple(
        SetElement(
            key=_decode_data(raw.get_attr("NFTA_SET_ELEM_KEY")),
            data=_decode_data(raw.get_attr("NFTA_SET_ELEM_DATA")),
            key_end=_decode_data(raw.get_attr("NFTA_SET_ELEM_KEY_END")),
            is_end=bool(raw.get_attr("NFTA_SET_ELEM_FLAGS")),
        )
        for answer in answers
        for raw in answer.get_attr("NFTA_SET_ELEM_LIST_ELEMENTS") or ()
    )


def _decode_expression(raw: Any) -> Expression:
    values: dict[str, object] = {}
    data = raw.get_attr("NFTA_EXPR_DATA")
    # Of an expression that it does not know pyroute2 gives hexadecimal digits.
    for name, value in [] if data is None or isinstance(data, str) else data["attrs"]:
        values[name.split("_", 2)[2]] = _decode_data(value) if hasattr(value, "get_attr") else value
    return Expression(str(raw.get_attr("NFTA_EXPR_NAME")), values)


def _decode_data(raw: Any) -> bytes:
    """The bytes of a value, none for a verdict."""
    found = None if raw is None else raw.get_attr("NFTA_DATA_VALUE")
    return found if isinstance(found, bytes) else b""
