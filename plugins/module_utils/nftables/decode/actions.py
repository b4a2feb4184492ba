# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements that log, refuse, divert, copy, count or translate, and verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import uapi
from ..datatypes import TYPES
from ..expressions import Verdict
from ..selectors.program import register_index, wire_register
from ..statements.actions import LOG_FLAGS, LOG_LEVELS, QUEUE_FLAGS, SYNPROXY_FLAGS
from ..statements.dynamic import OPERATIONS
from ..statements.stateful import OBJECT_TYPES
from . import constants
from .loads import meta_node
from .matches import constant_of
from .naming import name, use
from .nodes import INTEGER, Constant, Joined, Looked, Node, Value
from .protocols import NETWORK, TRANSPORT
from .sets import verdict_json
from .stateful import STATEFUL, fresh

if TYPE_CHECKING:
    from .rule import Decoder

_LEVEL_NAMES = {number: word for word, number in LOG_LEVELS.items()}
_DEFAULT_LEVEL = LOG_LEVELS["warn"]
_OBJECT_NAMES = {number: word for word, number in OBJECT_TYPES.items()}
_OPERATION_NAMES = {number: word for word, number in OPERATIONS.items()}
_FAMILY_NAMES = {2: "ip", 10: "ip6"}  # NFPROTO_IPV4, NFPROTO_IPV6 (linux/netfilter.h)
_ADDRESS_TYPES = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}
#: NF_NAT_RANGE_* in the order in which nft lists them (linux/netfilter/nf_nat.h)
_NAT_FLAGS = {"random": 0x04, "fully-random": 0x10, "persistent": 0x08, "netmap": 0x40}
_NETMAP = 0x40
_SYNPROXY_MSS = 0x01  # NF_SYNPROXY_OPT_* (linux/netfilter/nf_synproxy.h)
_SYNPROXY_WSCALE = 0x02


def _one_or_list(words: list[str]) -> Any:
    return words[0] if len(words) == 1 else words


def verdict(expression: Any, decoder: Decoder) -> None:
    """An immediate verdict."""
    if not isinstance(expression.data, Verdict):
        raise ValueError("no verdict")
    rules = decoder.inline(expression.data.chain) if expression.data.chain is not None else None
    decoder.act(verdict_json(expression.data) if rules is None else {expression.data.name: {"rules": rules}})


def stateful(expression: Any, decoder: Decoder) -> None:
    """A counter, a limit and the like."""
    word, body = STATEFUL[expression.name](expression)
    decoder.act({word: body})


def log(expression: Any, decoder: Decoder) -> None:
    """``log``."""
    body: dict[str, Any] = {}
    if expression.prefix is not None:
        body["prefix"] = expression.prefix
    if expression.group is not None:
        body["group"] = expression.group
    if expression.snaplen is not None:
        body["snaplen"] = expression.snaplen
    if expression.qthreshold is not None:
        body["queue-threshold"] = expression.qthreshold
    if expression.level is not None and expression.level != _DEFAULT_LEVEL:
        body["level"] = _LEVEL_NAMES[expression.level]
    given = expression.flags or 0
    if given == LOG_FLAGS["all"]:
        body["flags"] = "all"
    elif given:
        words = [word for word, bit in LOG_FLAGS.items() if given & bit and word != "all"]
        body["flags"] = _one_or_list(words)
    decoder.act({"log": body or None})


def reject(expression: Any, decoder: Decoder) -> None:
    """``reject``; its kind goes with the network protocol, and makes the match on that needless."""
    protocols = decoder.protocols
    linked = decoder.family not in ("ip", "ip6")
    if expression.type == uapi.NFT_REJECT_ICMPX_UNREACH:
        body = {"type": "icmpx", "expr": constants.scalar(TYPES["icmpx_code"], expression.icmp_code)}
    else:
        if linked:
            protocols.drop(NETWORK)
        elif expression.type == uapi.NFT_REJECT_TCP_RST:
            protocols.drop(TRANSPORT)
        if expression.type == uapi.NFT_REJECT_TCP_RST:
            body = {"type": "tcp reset"}
        elif expression.type == uapi.NFT_REJECT_ICMP_UNREACH:
            kind = "icmpv6" if protocols.known.get(NETWORK) == "ip6" else "icmp"
            body = {"type": kind, "expr": constants.scalar(TYPES[kind + "_code"], expression.icmp_code)}
        else:
            raise ValueError("reject type %r" % expression.type)
    decoder.act({"reject": body})


def notrack(expression: Any, decoder: Decoder) -> None:
    """``notrack``."""
    decoder.act({"notrack": None})


def flow(expression: Any, decoder: Decoder) -> None:
    """``flow add``."""
    decoder.act({"flow": {"op": "add", "flowtable": "@" + expression.table}})


def compat(expression: Any, decoder: Decoder) -> None:
    """An iptables extension, whose data only iptables can read."""
    decoder.act({"xt": {"type": expression.name, "name": expression.module}})


def synproxy(expression: Any, decoder: Decoder) -> None:
    """``synproxy``."""
    body: dict[str, Any] = {}
    flags = expression.flags or 0
    if flags & _SYNPROXY_MSS:
        body["mss"] = expression.mss
    if flags & _SYNPROXY_WSCALE:
        body["wscale"] = expression.wscale
    words = [word for word, bit in SYNPROXY_FLAGS.items() if flags & bit]
    if words:
        body["flags"] = words
    decoder.act({"synproxy": body or None})


def queue(expression: Any, decoder: Decoder) -> None:
    """``queue``."""
    body: dict[str, Any] = {}
    if expression.sreg_qnum is not None:
        target = Value(None, INTEGER, 16, "host")
        body["num"] = use(decoder, decoder.read(expression.sreg_qnum), target)
    else:
        number, total = expression.num or 0, expression.total or 1
        body["num"] = number if total < 2 else {"range": [number, number + total - 1]}
    words = [word for word, bit in QUEUE_FLAGS.items() if (expression.flags or 0) & bit]
    if words:
        body["flags"] = _one_or_list(words)
    decoder.act({"queue": body})


# -- operands: addresses, ports, devices


def _port() -> Value:
    return Value(None, TYPES["inet_service"], 16, "big")


def _address(family: str) -> Value:
    datatype = TYPES[_ADDRESS_TYPES[family]]
    return Value(None, datatype, datatype.bits, "big")


def _device(decoder: Decoder) -> Value:
    return name(decoder, meta_node(uapi.NFT_META_OIF))


def _network(decoder: Decoder) -> str:
    return decoder.protocols.known.get(NETWORK) or "ip"


def _bounds(decoder: Decoder, target: Value, low: int, high: int | None) -> Any:
    """An operand, or both ends of a range."""
    first = decoder.read(low)
    last = first if high is None or high == low else decoder.read(high)
    if first is last:
        return use(decoder, first, target)
    numbers = [target.number(constant_of(one)) for one in (first, last)]
    return constants.interval(target.datatype, numbers[0], numbers[1], target.bits)


def nat(expression: Any, decoder: Decoder) -> None:
    """``snat``, ``dnat``: addresses and ports from constants or from one map."""
    kind = {uapi.NFT_NAT_SNAT: "snat", uapi.NFT_NAT_DNAT: "dnat"}[expression.type]
    family = _FAMILY_NAMES.get(expression.family, "")
    body: dict[str, Any] = {}
    named = decoder.family not in ("ip", "ip6")
    flags = expression.flags or 0
    port = expression.reg_proto_min
    if expression.reg_addr_min is not None:
        target = _address(family or _network(decoder))
        low, high = expression.reg_addr_min, expression.reg_addr_max
        node = decoder.read(low)
        behind = wire_register(register_index(low) + (target.width + 31) // 32)
        if isinstance(node, Looked):
            if port == behind:
                named = True
                port = None
                both = Value(None, INTEGER, 0, "big")
                both.parts = [target, _port()]
                target = both
            elif high == behind:
                named = True
                body["type_flags"] = "prefix" if flags & _NETMAP else "interval"
            body["addr"] = name(decoder, node, target).json
        else:
            body["addr"] = _bounds(decoder, target, low, high)
            if flags & _NETMAP:
                named = True
                body["type_flags"] = "prefix"
        if named and family:
            body["family"] = family
    if port is not None:
        decoder.protocols.forget_guards()
        body["port"] = _bounds(decoder, _port(), port, expression.reg_proto_max)
    _nat_flags(body, flags)
    decoder.act({kind: body})


def _nat_flags(body: dict[str, Any], flags: int) -> None:
    words = [word for word, bit in _NAT_FLAGS.items() if flags & bit]
    if words:
        body["flags"] = _one_or_list(words)


def _to_this_host(kind: str, expression: Any, decoder: Decoder) -> None:
    body: dict[str, Any] = {}
    if expression.reg_proto_min is not None:
        decoder.protocols.forget_guards()
        body["port"] = _bounds(decoder, _port(), expression.reg_proto_min, expression.reg_proto_max)
    _nat_flags(body, expression.flags or 0)
    decoder.act({kind: body or None})


def masquerade(expression: Any, decoder: Decoder) -> None:
    """``masquerade``."""
    _to_this_host("masquerade", expression, decoder)


def redirect(expression: Any, decoder: Decoder) -> None:
    """``redirect``."""
    _to_this_host("redirect", expression, decoder)


def tproxy(expression: Any, decoder: Decoder) -> None:
    """``tproxy``."""
    body: dict[str, Any] = {}
    family = _FAMILY_NAMES.get(expression.family, "")
    if family and decoder.family not in ("ip", "ip6"):
        body["family"] = family
    if expression.reg_addr is not None:
        target = _address(family or _network(decoder))
        body["addr"] = use(decoder, decoder.read(expression.reg_addr), target)
    if expression.reg_port is not None:
        decoder.protocols.forget_guards()
        body["port"] = use(decoder, decoder.read(expression.reg_port), _port())
    decoder.act({"tproxy": body})


def dup(expression: Any, decoder: Decoder) -> None:
    """``dup``; where there is no address, nft calls the device one."""
    body: dict[str, Any] = {}
    if expression.sreg_addr is not None:
        target = _address(_network(decoder))
        body["addr"] = use(decoder, decoder.read(expression.sreg_addr), target)
    if expression.sreg_dev is not None:
        key = "dev" if "addr" in body else "addr"
        body[key] = use(decoder, decoder.read(expression.sreg_dev), _device(decoder))
    decoder.act({"dup": body})


def fwd(expression: Any, decoder: Decoder) -> None:
    """``fwd``."""
    body: dict[str, Any] = {"dev": use(decoder, decoder.read(expression.sreg_dev), _device(decoder))}
    if expression.sreg_addr is not None:
        body["family"] = _FAMILY_NAMES[expression.nfproto]
        target = _address(body["family"])
        body["addr"] = use(decoder, decoder.read(expression.sreg_addr), target)
    decoder.act({"fwd": body})


# -- sets and objects


def objref(expression: Any, decoder: Decoder) -> None:
    """A named object, or the one that a map gives."""
    if expression.imm_name is not None:
        decoder.act({_OBJECT_NAMES[expression.imm_type]: expression.imm_name})
        return
    view = decoder.view(expression.set)
    if view is None:
        raise LookupError("the kind of object in %s" % expression.set)
    key = name(decoder, decoder.key(expression.set_sreg, view.key_length, True))
    body = {"map": {"key": key.json, "data": decoder.set_json(expression.set, key, None)}}
    decoder.act({_OBJECT_NAMES[view.object_type]: body})


def dynset(expression: Any, decoder: Decoder) -> None:
    """A set or map that packets change."""
    view = decoder.view(expression.set)
    length = view.key_length if view is not None else None
    node = decoder.key(expression.sreg_key, length, True, expression.sreg_data)
    element = _typed(decoder, node, view.key_values() if view is not None else [])
    if expression.timeout:
        element = {"elem": {"val": element, "timeout": expression.timeout // 1000}}
    attached = [expression.expr] if expression.expr is not None else expression.expressions or []
    statements = [fresh(one) for one in attached]
    if view is not None and view.anonymous and statements:
        body = {"key": element, "stmt": statements[0], "size": view.size, "name": expression.set}
        decoder.act({"meter": body})
        return
    kind = "set" if expression.sreg_data is None else "map"
    body = {"op": _OPERATION_NAMES[expression.op], "elem": element}
    if expression.sreg_data is not None:
        width = view.data_length if view is not None else None
        given = decoder.key(expression.sreg_data, width, True)
        body["data"] = _typed(decoder, given, view.data_values() if view is not None else [])
    body[kind] = "@" + expression.set
    if statements:
        body["stmt"] = statements
    decoder.act({kind: body})


def _typed(decoder: Decoder, node: Node, types: list[Value]) -> Any:
    """A key or a value of a set; constants need its type, a value for each part of it."""
    parts = node.parts if isinstance(node, Joined) else [node]
    if len(parts) != len(types) or not any(isinstance(one, Constant) for one in parts):
        return name(decoder, node).json
    shown = [use(decoder, one, part) for one, part in zip(parts, types)]
    return {"concat": shown} if isinstance(node, Joined) else shown[0]
