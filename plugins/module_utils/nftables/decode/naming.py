# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes given their JSON: header fields by name, masks as operators, maps with their elements."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable

from .. import uapi
from ..datatypes import TYPES, DataType
from ..headers import EXTHDRS, HEADERS, IP_OPTIONS, SCTP_CHUNKS, TCP_OPTIONS, Field, Header
from ..selectors.base import unpack_number
from . import constants
from .nodes import (
    INTEGER,
    Address,
    Combined,
    Constant,
    Hashed,
    Joined,
    Looked,
    Masked,
    Node,
    Packet,
    Plain,
    Searched,
    Shifted,
    Swapped,
    Value,
    Widened,
)
from .protocols import BASE_NAMES, NETWORK, TRANSPORT

if TYPE_CHECKING:
    from .rule import Decoder

#: by NFT_EXTHDR_OP_*: JSON name, headers, the header that the kernel makes sure of
_SEARCHED: dict[int, tuple[str, dict[str, Header], str]] = {
    uapi.NFT_EXTHDR_OP_IPV6: ("exthdr", EXTHDRS, "ip6"),
    uapi.NFT_EXTHDR_OP_TCPOPT: ("tcp option", TCP_OPTIONS, "tcp"),
    uapi.NFT_EXTHDR_OP_IPV4: ("ip option", IP_OPTIONS, "ip"),
    uapi.NFT_EXTHDR_OP_SCTP: ("sctp chunk", SCTP_CHUNKS, ""),
    uapi.NFT_EXTHDR_OP_DCCP: ("dccp option", {}, ""),
}
_ADDRESSES = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}


def name(decoder: Decoder, node: Node, target: Value | None = None) -> Value:
    """The node's JSON and type; ``target`` is what a map's values are used for."""
    if isinstance(node, Looked):
        return _looked(decoder, node, target)
    return _NAMES[type(node)](decoder, node)


def constant(target: Value, node: Node) -> Any:
    """A constant's JSON as a value for ``target``."""
    if not isinstance(node, Constant):
        raise TypeError("not a constant")
    if constants.is_text(target.datatype):
        return constants.text(node.data + b"\0")
    return constants.flags(target.datatype, target.number(node.data))


def use(decoder: Decoder, node: Node, target: Value) -> Any:
    """The JSON of what is put into ``target``."""
    if isinstance(node, Constant):
        return constant(target, node)
    return name(decoder, node, target).json


def field_value(header: Header, field: Field, tunnel: str = "") -> Value:
    """A header field."""
    value = Value(
        {"payload": {**_within(tunnel), "protocol": header.name, "field": field.name}},
        field.datatype,
        field.bits,
        "big",
    )
    value.tunnel = tunnel
    value.header = header.name
    value.field = field.name
    return value


def _within(tunnel: str) -> dict[str, Any]:
    return {"tunnel": tunnel} if tunnel else {}


def raw_value(base: int, offset: int, bits: int, tunnel: str = "") -> Value:
    """Packet bytes that no known header names; ports stand at the same place in every transport header."""
    if base == TRANSPORT:
        ports = HEADERS["th"].field_at(offset, bits)
        if ports is not None:
            json = {"payload": {**_within(tunnel), "protocol": "th", "field": ports.name}}
            return Value(json, INTEGER, bits, "big")
    json = {"payload": {**_within(tunnel), "base": BASE_NAMES[base], "offset": offset, "len": bits}}
    return Value(json, INTEGER, bits, "big")


def _packet(decoder: Decoder, node: Packet) -> Value:
    protocols = decoder.protocols.within(node.tunnel)
    found = protocols.find(node.base, node.offset, node.bits)
    if found is None:
        return raw_value(node.base, node.offset, node.bits, node.tunnel)
    protocols.use(node.base, *found)
    return field_value(*found, node.tunnel)


def _plain(decoder: Decoder, node: Plain) -> Value:
    value = Value(node.json, node.datatype, node.width, node.byteorder)
    if "meta" in node.json:
        value.meta = node.json["meta"]["key"]
        value.tunnel = node.json["meta"].get("tunnel", "")
    return value


def _address(decoder: Decoder, node: Address) -> Value:
    datatype = TYPES[_ADDRESSES.get(decoder.protocols.known.get(NETWORK, ""), "integer")]
    return Value(node.json, datatype, datatype.bits, "big")


def _searched(decoder: Decoder, node: Searched) -> Value:
    decoder.protocols.drop_header(_SEARCHED[node.op][2])
    return searched_field(node, node.offset, node.bits)


def searched_field(node: Searched, offset: int, bits: int) -> Value:
    """A field of an extension header, option or chunk, or whether it is there."""
    word, headers, _unused = _SEARCHED[node.op]
    if node.op == uapi.NFT_EXTHDR_OP_DCCP:
        return Value({word: {"type": node.kind}}, TYPES["boolean"], 8, "big")
    matching = [one for one in headers.values() if one.number == node.kind]
    if node.present and matching:
        return Value({word: {"name": matching[0].name}}, TYPES["boolean"], 8, "big")
    for header in matching:
        field = header.field_at(offset, bits)
        if field is not None:
            return Value({word: {"name": header.name, "field": field.name}}, field.datatype, bits, "big")
    if node.op != uapi.NFT_EXTHDR_OP_TCPOPT:
        raise ValueError("no such field")
    datatype = TYPES["boolean"] if node.present else INTEGER
    return Value({word: {"base": node.kind, "offset": offset, "len": bits}}, datatype, bits, "big")


def searched_header(node: Searched) -> dict[str, Any]:
    """The JSON of a whole option; LookupError where it has no name."""
    word, headers, _unused = _SEARCHED[node.op]
    for header in headers.values():
        if header.number == node.kind:
            return {word: {"name": header.name}}
    raise LookupError("%s %d" % (word, node.kind))


def _hashed(decoder: Decoder, node: Hashed) -> Value:
    source = name(decoder, node.source)
    return Value({"jhash": {**node.json, "expr": source.json}}, INTEGER, 32, "host")


def _joined(decoder: Decoder, node: Joined) -> Value:
    parts = [name(decoder, one) for one in node.parts]
    value = Value({"concat": [one.json for one in parts]}, INTEGER, node.bits, "big")
    value.parts = parts
    return value


def _swapped(decoder: Decoder, node: Swapped) -> Value:
    value = name(decoder, node.left)
    value.byteorder = "host" if value.byteorder == "big" else "big"
    return value


def _shifted(decoder: Decoder, node: Shifted) -> Value:
    left = name(decoder, node.left)
    if node.symbol == ">>" and left.shift and left.shift == node.count:
        left.shift = 0
        return left
    value = Value({node.symbol: [left.json, node.count]}, left.datatype, left.bits, left.byteorder)
    value.width = left.width
    return value


def _widened(decoder: Decoder, node: Widened) -> Value:
    left = name(decoder, node.left)
    if left.shift or (left.width > 8 and left.byteorder != "host"):
        raise ValueError("no number at the right end of the register")
    return Value(left.json, INTEGER, node.bits, "host")


def _combined(decoder: Decoder, node: Combined) -> Value:
    left, right = name(decoder, node.left), name(decoder, node.right)
    value = Value({node.symbol: [left.json, right.json]}, left.datatype, left.bits, left.byteorder)
    value.width = left.width
    return value


def _masked(decoder: Decoder, node: Masked) -> Value:
    found = bit_field(decoder, node)
    if found is not None:
        return found
    left = name(decoder, node.left)
    full = (1 << len(node.keep) * 8) - 1
    keep, flip = unpack_number(node.keep, left.byteorder), unpack_number(node.flip, left.byteorder)
    json = operators(left.json, left.datatype, keep, flip, full)
    value = Value(json, left.datatype, left.bits, left.byteorder)
    value.width = left.width
    return value


def operators(json: Any, datatype: DataType, keep: int, flip: int, full: int) -> Any:
    """``(json & keep) ^ flip`` written with ``&``, ``^`` and ``|``, each where it is needed."""
    either = flip & ~keep
    flip &= keep
    keep |= either
    for symbol, number, needed in (("&", keep, keep != full), ("^", flip, flip), ("|", either, either)):
        if needed:
            json = {symbol: [json, constants.flags(datatype, number)]}
    return json


def run_of_bits(mask: int) -> tuple[int, int]:
    """(lowest bit, length) of a mask that is one run of ones; (0, 0) for any other."""
    if not mask:
        return 0, 0
    low = (mask & -mask).bit_length() - 1
    ones = mask >> low
    return (0, 0) if ones & (ones + 1) else (low, ones.bit_length())


def bit_field(decoder: Decoder, node: Masked) -> Value | None:
    """The field that the mask cuts out of packet bytes; None where it is none."""
    left = node.left
    if not isinstance(left, (Packet, Searched)) or any(node.flip):
        return None
    low, length = run_of_bits(int.from_bytes(node.keep, "big"))
    if not length or length == left.bits:
        return None
    offset = left.offset + left.bits - low - length
    if isinstance(left, Packet):
        protocols = decoder.protocols.within(left.tunnel)
        found = protocols.find(left.base, offset, length)
        if found is None:
            return None
        protocols.use(left.base, *found)
        value = field_value(*found, left.tunnel)
    else:
        headers = _SEARCHED[left.op][1].values() if left.op in _SEARCHED else ()
        if not any(one.number == left.kind and one.field_at(offset, length) for one in headers):
            return None
        decoder.protocols.drop_header(_SEARCHED[left.op][2])
        value = searched_field(left, offset, length)
    value.shift = low
    value.width = left.bits
    return value


def _looked(decoder: Decoder, node: Looked, target: Value | None) -> Value:
    key = name(decoder, node.key)
    json = {"map": {"key": key.json, "data": decoder.set_json(node.name, key, target)}}
    if target is None:
        return Value(json, INTEGER, 32, "big")
    return Value(json, target.datatype, target.bits, target.byteorder)


def _constant(decoder: Decoder, node: Constant) -> Value:
    number = int.from_bytes(node.data, sys.byteorder)
    return Value(number, INTEGER, node.bits, "host")


_NAMES: dict[type, Callable[[Any, Any], Value]] = {
    Packet: _packet,
    Plain: _plain,
    Address: _address,
    Searched: _searched,
    Hashed: _hashed,
    Joined: _joined,
    Swapped: _swapped,
    Combined: _combined,
    Shifted: _shifted,
    Widened: _widened,
    Masked: _masked,
    Constant: _constant,
}
