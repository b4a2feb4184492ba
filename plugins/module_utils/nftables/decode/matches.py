# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparisons and lookups: match statements and verdict maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import uapi
from ..expressions import Verdict
from ..expressions.registers import Cmp
from ..selectors.base import unpack_number
from . import constants
from .naming import bit_field, field_value, name, raw_value
from .nodes import Constant, Joined, Looked, Masked, Node, Packet, Swapped, Value
from .protocols import Statement, is_protocol_key

if TYPE_CHECKING:
    from .rule import Decoder

OPERATORS = {
    uapi.NFT_CMP_EQ: "==",
    uapi.NFT_CMP_NEQ: "!=",
    uapi.NFT_CMP_LT: "<",
    uapi.NFT_CMP_LTE: "<=",
    uapi.NFT_CMP_GT: ">",
    uapi.NFT_CMP_GTE: ">=",
}
_PROTOCOL_KEYS = ("iiftype", "nfproto", "protocol", "l4proto")


def match(left: Any, op: str, right: Any) -> dict[str, Any]:
    """A match statement."""
    return {"match": {"op": op, "left": left, "right": right}}


def compare(expression: Any, decoder: Decoder) -> None:
    """``cmp``; two of them that bound a register from both sides are a range."""
    if isinstance(expression.data, Verdict):
        raise ValueError("a verdict compared")
    op = OPERATORS[expression.op]
    following = decoder.following()
    if (
        op == ">="
        and isinstance(following, Cmp)
        and following.op == uapi.NFT_CMP_LTE
        and following.sreg == expression.sreg
        and isinstance(following.data, bytes)
        and len(following.data) == len(expression.data)
    ):
        node = decoder.key(expression.sreg, None)
        add_range(decoder, node, "==", expression.data, following.data)
        decoder.skip()
        return
    node = decoder.key(expression.sreg, len(expression.data), True)
    add_comparison(decoder, node, op, expression.data)


def compare_range(expression: Any, decoder: Decoder) -> None:
    """``range``: outside of two bounds (or inside them)."""
    if isinstance(expression.from_data, Verdict) or isinstance(expression.to_data, Verdict):
        raise ValueError("a verdict compared")
    op = {uapi.NFT_RANGE_EQ: "==", uapi.NFT_RANGE_NEQ: "!="}[expression.op]
    node = decoder.key(expression.sreg, None)
    add_range(decoder, node, op, expression.from_data, expression.to_data)


def add_range(decoder: Decoder, node: Node, op: str, low: bytes, high: bytes) -> None:
    """A match on a range."""
    value = name(decoder, node)
    right = constants.bounds(value.datatype, value.number(low), value.number(high))
    decoder.add(match(value.json, op, right))


def add_comparison(decoder: Decoder, node: Node, op: str, data: bytes) -> None:
    """A match on one value, a prefix or flags."""
    if op in ("==", "!="):
        if isinstance(node, Packet):
            _compare_packet(decoder, node, op, data)
            return
        if isinstance(node, Masked) and not any(node.flip) and len(node.keep) == len(data):
            if _compare_masked(decoder, node, op, data):
                return
        elif isinstance(node, Joined):
            _compare_joined(decoder, node, op, data)
            return
    value = name(decoder, node)
    statement = decoder.add(match(value.json, op, _right(value, data)))
    if op == "==" and value.meta in _PROTOCOL_KEYS and not isinstance(node, Swapped):
        number = value.number(data)
        protocols = decoder.protocols.within(value.tunnel)
        protocols.learn_meta(value.meta, number)
        protocols.keep_meta(value.meta, number, statement)


def _right(value: Value, data: bytes) -> Any:
    if constants.is_text(value.datatype):
        return constants.text(data)
    missing = value.width - len(data) * 8
    if missing > 0:
        return constants.prefix(value.datatype, int.from_bytes(data, "big") << missing, len(data) * 8)
    return constants.flags(value.datatype, value.number(data))


def _compare_packet(decoder: Decoder, node: Packet, op: str, data: bytes) -> None:
    """Adjacent fields may be compared at once; the listing has them one by one."""
    bits = len(data) * 8
    number = int.from_bytes(data, "big")
    protocols = decoder.protocols.within(node.tunnel)
    parts = protocols.split(node.base, node.offset, bits)
    if not parts or (op == "!=" and len(parts) > 1):
        value = raw_value(node.base, node.offset, node.bits, node.tunnel)
        decoder.add(match(value.json, op, _right(value, data)))
        return
    for header, field, used in parts:
        bits -= used
        part = number >> bits & ((1 << used) - 1)
        value = field_value(header, field, node.tunnel)
        if used < field.bits:
            right: Any = constants.prefix(field.datatype, part << (field.bits - used), used)
        else:
            right = constants.exact(field.datatype, part)
        statement = Statement(match(value.json, op, right))
        whole = op == "==" and used == field.bits
        if whole:
            protocols.learn_field(header, field, part)
        protocols.use(node.base, header, field)
        decoder.append(statement)
        if whole and is_protocol_key(header, field):
            protocols.keep_field(header, field, part, node.base, statement)


def _compare_masked(decoder: Decoder, node: Masked, op: str, data: bytes) -> bool:
    """Flags, prefixes, bit fields; False for a mask that must be shown as one."""
    left = node.left
    if all(one == 0xFF for one in node.keep):
        add_comparison(decoder, left, op, data)
        return True
    cut = bit_field(decoder, node)
    if cut is not None:
        decoder.add(match(cut.json, op, constants.exact(cut.datatype, cut.number(data))))
        return True
    value = name(decoder, left)
    mask, number = value.number(node.keep), value.number(data)
    datatype = value.datatype
    if datatype.bitmask:
        flags = constants.scalar(datatype, mask)
        if not number:
            decoder.add(match(value.json, "in" if op == "!=" else "!", flags))
        else:
            decoder.add(match({"&": [value.json, flags]}, op, constants.scalar(datatype, number)))
        return True
    length = constants.mask_length(mask, value.width)
    if length is None:
        return False
    if datatype.name in constants.PREFIXED:
        if decoder.protocols.written_out and isinstance(left, Packet) and length % 8 == 0:
            return False  # nft lists a prefix here too, but makes one of the bytes alone
        decoder.add(match(value.json, op, constants.prefix(datatype, number, length)))
        return True
    if constants.is_text(datatype) and length % 8 == 0:
        decoder.add(match(value.json, op, constants.text(data[: length // 8])))
        return True
    return False


def _compare_joined(decoder: Decoder, node: Joined, op: str, data: bytes) -> None:
    value = name(decoder, node)
    shown = []
    at = 0
    for part in value.parts:
        size = part.width // 8
        shown.append(_right(part, data[at : at + size]))
        at += (size + 3) & ~3
    decoder.add(match(value.json, op, {"concat": shown}))


def lookup(expression: Any, decoder: Decoder) -> None:
    """``lookup``: membership, a verdict map, or a value for a register."""
    view = decoder.view(expression.set)
    node = decoder.key(expression.sreg, view.key_length if view is not None else None, True)
    if expression.dreg is not None and expression.dreg != uapi.NFT_REG_VERDICT:
        decoder.write(expression.dreg, Looked(node, expression.set))
        return
    value = name(decoder, node)
    elements = decoder.set_json(expression.set, value, None)
    if expression.dreg is not None:
        decoder.add({"vmap": {"key": value.json, "data": elements}})
        return
    inverted = (expression.flags or 0) & uapi.NFT_LOOKUP_F_INV
    decoder.add(match(value.json, "!=" if inverted else "==", elements))
    if view is not None and view.anonymous and not inverted and view.elements:
        _learn_icmp_type(decoder, value, view)


def _learn_icmp_type(decoder: Decoder, value: Value, view: Any) -> None:
    """A set of ICMP types tells which fields there are; its first one stands for all."""
    protocols = decoder.protocols.within(value.tunnel)
    if value.header in ("icmp", "icmpv6") and value.field == "type" and not protocols.icmp_type:
        from ...netlink.attributes import table
        from ..expressions.codecs import DATA

        data = DATA.unpack(table(view.elements[0])[uapi.NFTA_SET_ELEM_KEY])
        if isinstance(data, bytes) and len(data) == 1:
            protocols.icmp_type = unpack_number(data, "big")


def constant_of(node: Node) -> bytes:
    """The bytes of a constant; ValueError for anything else."""
    if not isinstance(node, Constant):
        raise ValueError("not a constant")
    return node.data
