# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions that load something or compute on registers: each gives the node for its register."""

from __future__ import annotations

import sys
from typing import Any, Callable

from .. import uapi
from ..datatypes import TYPES
from ..expressions import Verdict
from ..headers.tunnel import BY_NUMBER
from ..selectors import COMBINATIONS, conntrack, environment
from ..selectors import meta as meta_keys
from .nodes import (
    Address,
    Combined,
    Constant,
    Hashed,
    Masked,
    Node,
    Packet,
    Plain,
    Searched,
    Shifted,
    Swapped,
    Widened,
)

_OLD_ADDRESSES = {uapi.NFT_CT_SRC: "saddr", uapi.NFT_CT_DST: "daddr"}
_XFRM_DIRECTIONS = {number: name for name, number in environment.XFRM_DIRECTIONS.items()}
_SHIFTS = {uapi.NFT_BITWISE_LSHIFT: "<<", uapi.NFT_BITWISE_RSHIFT: ">>"}
_COMBINED = {number: symbol for symbol, number in COMBINATIONS.items()}
_REGISTERS = 64  # bytes of all data registers together
_OSF_VERSION = 1  # NFT_OSF_F_VERSION


def plain(json: Any, row: tuple[int, str, int, str]) -> Plain:
    """The node of one key of a table of keys."""
    _unused, datatype, bits, byteorder = row
    return Plain(json, TYPES[datatype], bits, byteorder)


def meta(expression: Any, decoder: Any) -> Node:
    """``meta load``."""
    return meta_node(expression.key)


def meta_node(key: int) -> Plain:
    """A meta key by its number; LookupError where it is not known."""
    name = meta_keys.NAMES[key]
    selector = meta_keys.Meta(name)
    return Plain({"meta": {"key": name}}, selector.datatype, selector.bits, selector.byteorder)


def ct(expression: Any, decoder: Any) -> Node:
    """``ct load``."""
    return ct_node(expression.key, expression.direction)


def ct_node(key: int, direction: int | None) -> Node:
    """A ct key by its number; LookupError where it is not known."""
    name = _OLD_ADDRESSES.get(key) or conntrack.NAMES[key]
    body: dict[str, Any] = {"key": name}
    if direction is not None:
        body["dir"] = conntrack.DIRECTION_NAMES[direction]
    if key in _OLD_ADDRESSES:
        return Address({"ct": body})
    return plain({"ct": body}, conntrack.KEYS[name])


def payload(expression: Any, decoder: Any, tunnel: str = "") -> Node:
    """``payload load``, of the packet inside a tunnel where one is named."""
    if expression.len > _REGISTERS:
        raise ValueError("more bytes than there are registers")
    return Packet(expression.base, expression.offset * 8, expression.len * 8, tunnel)


def inner(expression: Any, decoder: Any) -> Node:
    """``payload load`` or ``meta load`` of the packet inside a tunnel."""
    tunnel = BY_NUMBER[expression.type]
    if (expression.flags, expression.hdrsize) != (tunnel.flags, tunnel.header_size):
        raise ValueError("a tunnel of another make")
    load = expression.expr
    if load.name == "payload":
        return payload(load, decoder, tunnel.name)
    node = meta_node(load.key)
    node.json = {"meta": {**node.json["meta"], "tunnel": tunnel.name}}
    return node


def exthdr(expression: Any, decoder: Any) -> Node:
    """``exthdr load``, or whether there is one."""
    if expression.len > _REGISTERS:
        raise ValueError("more bytes than there are registers")
    present = bool((expression.flags or 0) & uapi.NFT_EXTHDR_F_PRESENT)
    return Searched(
        expression.op or 0,
        expression.type,
        expression.offset * 8,
        8 if present else expression.len * 8,
        present,
    )


def rt(expression: Any, decoder: Any) -> Node:
    """``rt load``."""
    key = environment.RT_NAMES[expression.key]
    family, _unused, name = key.rpartition(" ")
    body = {"key": name, "family": family} if family else {"key": name}
    return plain({"rt": body}, environment.RT_KEYS[key])


def socket(expression: Any, decoder: Any) -> Node:
    """``socket load``."""
    key = environment.SOCKET_NAMES[expression.key]
    body: dict[str, Any] = {"key": key}
    if key == "cgroupv2":
        body["level"] = expression.level or 0
    return plain({"socket": body}, environment.SOCKET_KEYS[key])


def fib(expression: Any, decoder: Any) -> Node:
    """``fib load``; one that asks only for presence is true or false."""
    result = environment.FIB_NAMES[expression.result]
    flags = [name for name, bit in environment.FIB_FLAGS.items() if expression.flags & bit]
    json = {"fib": {"result": result, "flags": flags}}
    if expression.flags & uapi.NFTA_FIB_F_PRESENT:
        return Plain(json, TYPES["boolean"], 32, "host")
    return plain(json, environment.FIB_RESULTS[result])


def osf(expression: Any, decoder: Any) -> Node:
    """``osf load``."""
    body = {"key": "version" if (expression.flags or 0) & _OSF_VERSION else "name"}
    if expression.ttl:
        body["ttl"] = environment.OSF_TTL_NAMES[expression.ttl]
    return Plain({"osf": body}, TYPES["string"], 128, "big")


def xfrm(expression: Any, decoder: Any) -> Node:
    """``xfrm load``."""
    key = environment.XFRM_NAMES[expression.key]
    family, _unused, name = key.rpartition(" ")
    body: dict[str, Any] = {"key": name, "dir": _XFRM_DIRECTIONS[expression.dir], "spnum": expression.spnum}
    if family:
        body["family"] = family
    return plain({"ipsec": body}, environment.XFRM_KEYS[key])


def tunnel(expression: Any, decoder: Any) -> Node:
    """``tunnel load``."""
    key = environment.TUNNEL_NAMES[expression.key]
    return plain({"tunnel": {"key": key}}, environment.TUNNEL_KEYS[key])


def numgen(expression: Any, decoder: Any) -> Node:
    """``numgen``."""
    body = {
        "mode": environment.NUMGEN_NAMES[expression.type],
        "mod": expression.modulus,
        "offset": expression.offset or 0,
    }
    return Plain({"numgen": body}, TYPES["integer"], 32, "host")


def hashed(expression: Any, decoder: Any) -> Node:
    """``jhash`` or ``symhash``."""
    body: dict[str, Any] = {"mod": expression.modulus}
    if expression.offset:
        body["offset"] = expression.offset
    if expression.type == uapi.NFT_HASH_SYM:
        return Plain({"symhash": body}, TYPES["integer"], 32, "host")
    if expression.seed is not None:
        body["seed"] = expression.seed
    return Hashed(decoder.key(expression.sreg, expression.len, True), body)


def immediate(expression: Any, decoder: Any) -> Node:
    """``immediate`` into a data register."""
    if isinstance(expression.data, Verdict):
        raise ValueError("a verdict in a data register")
    return Constant(expression.data)


def bitwise(expression: Any, decoder: Any) -> Node:
    """Masks, shifts, and two registers combined."""
    left = decoder.read(expression.sreg)
    operation = expression.op or uapi.NFT_BITWISE_MASK_XOR
    if operation in _COMBINED:
        return Combined(left, _COMBINED[operation], decoder.read(expression.sreg2))
    if 0 < left.bits < expression.len * 8:
        left = Widened(left, expression.len * 8)
    if operation in _SHIFTS:
        return Shifted(left, _SHIFTS[operation], int.from_bytes(expression.data, sys.byteorder))
    if operation != uapi.NFT_BITWISE_MASK_XOR:
        raise ValueError("bitwise operation %d" % operation)
    size = expression.len
    if len(expression.mask) != size or len(expression.xor) != size or left.bits not in (0, size * 8):
        raise ValueError("a mask of another size than the register")
    return Masked(left, expression.mask, expression.xor)


def byteorder(expression: Any, decoder: Any) -> Node:
    """The same value in the other byte order."""
    left: Node = decoder.read(expression.sreg)
    return left if expression.idle else Swapped(left)


#: by kernel name: the node that the expression puts into its ``dreg``
LOADS: dict[str, Callable[[Any, Any], Node]] = {
    "meta": meta,
    "ct": ct,
    "payload": payload,
    "inner": inner,
    "exthdr": exthdr,
    "rt": rt,
    "socket": socket,
    "fib": fib,
    "osf": osf,
    "xfrm": xfrm,
    "tunnel": tunnel,
    "numgen": numgen,
    "hash": hashed,
    "immediate": immediate,
    "bitwise": bitwise,
    "byteorder": byteorder,
}
