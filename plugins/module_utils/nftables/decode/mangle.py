# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements that set a header field, a meta or ct property, or a TCP option's field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import uapi
from ..headers import Field, Header
from ..selectors.payload import Payload
from ..statements.mangle import UDP, UDP_ALWAYS, Checksum, checksum_of
from . import constants
from .loads import ct_node, meta_node
from .naming import (
    field_value,
    name,
    operators,
    raw_value,
    run_of_bits,
    searched_field,
    searched_header,
    use,
)
from .nodes import Constant, Masked, Node, Packet, Searched
from .protocols import NETWORK

if TYPE_CHECKING:
    from .rule import Decoder


def mangle(key: Any, value: Any) -> dict[str, Any]:
    """A mangle statement."""
    return {"mangle": {"key": key, "value": value}}


def set_meta(expression: Any, decoder: Decoder) -> None:
    """``meta set``."""
    target = name(decoder, meta_node(expression.key))
    decoder.act(mangle(target.json, use(decoder, decoder.read(expression.sreg), target)))


def set_ct(expression: Any, decoder: Decoder) -> None:
    """``ct set``; events are a list of flags."""
    target = name(decoder, ct_node(expression.key, expression.direction))
    node = decoder.read(expression.sreg)
    if isinstance(node, Constant) and target.datatype.bitmask:
        value = constants.scalar(target.datatype, target.number(node.data))
    else:
        value = use(decoder, node, target)
    decoder.act(mangle(target.json, value))


def set_exthdr(expression: Any, decoder: Decoder) -> None:
    """A TCP option's field set, or the option overwritten with NOPs."""
    node = Searched(expression.op or 0, expression.type, expression.offset * 8, expression.len * 8, False)
    if expression.sreg is None:
        decoder.act({"reset": searched_header(node)})
        return
    source = decoder.read(expression.sreg)
    target = searched_field(node, node.offset, node.bits)
    decoder.act(mangle(target.json, use(decoder, source, target)))


def set_payload(expression: Any, decoder: Decoder) -> None:
    """``payload write``: a whole field, some bits of it, the TOS byte, or bytes without a name."""
    base, offset, bits = expression.base, expression.offset * 8, expression.len * 8
    node = decoder.read(expression.sreg)
    low, length = _changed_bits(base, offset, bits, node)
    found = decoder.protocols.find(base, offset + bits - low - length, length) if length else None
    if (
        found is not None
        and isinstance(node, Masked)
        and _is_written_so(expression, offset + bits - low - length, *found)
    ):
        decoder.protocols.use(base, *found)
        number = int.from_bytes(node.flip, "big") >> low
        decoder.act(mangle(field_value(*found).json, constants.flags(found[1].datatype, number)))
        return
    tos = _changed_tos(decoder, expression, node)
    if tos is not None:
        decoder.act({"tos": tos})
        return
    changed = _changed_field(decoder, expression, node)
    if changed is not None:
        decoder.act(changed)
        return
    found = decoder.protocols.find(base, offset, bits)
    if found is not None and _is_written_so(expression, offset, *found):
        decoder.protocols.use(base, *found)
        target = field_value(*found)
    else:
        target = raw_value(base, offset, bits)
    decoder.act(mangle(target.json, use(decoder, node, target)))


def _is_written_so(expression: Any, offset: int, header: Header, field: Field) -> bool:
    """Whether a write to this field, ``offset`` bits behind the base, is made in just this way.

    A field's name stands for the bytes that are written and the checksum that is
    mended. The kernel mends checksums over pairs of bytes.
    """
    place = Payload(expression.base, offset, field.bits, field.datatype, header.name, field.name)
    due = checksum_of(place)
    start, size = offset // 8, place.width // 8
    if due.kind == uapi.NFT_PAYLOAD_CSUM_INET and size % 2:
        start, size = start - start % 2, size + 1
    mended = Checksum(expression.csum_type or 0, expression.csum_offset or 0, expression.csum_flags or 0)
    forms = (UDP, UDP_ALWAYS) if due == UDP else (due,)
    return (expression.offset, expression.len) == (start, size) and mended in forms


def _same_place(node: Node, base: int, offset: int, bits: int) -> bool:
    return (
        isinstance(node, Masked)
        and isinstance(node.left, Packet)
        and (node.left.base, node.left.offset, node.left.bits) == (base, offset, bits)
    )


def _changed_bits(base: int, offset: int, bits: int, node: Node) -> tuple[int, int]:
    """(lowest bit, length) of the one run that a read-modify-write replaces; (0, 0) for anything else."""
    if not isinstance(node, Masked) or not _same_place(node, base, offset, bits):
        return 0, 0
    replaced = int.from_bytes(node.keep, "big") ^ ((1 << bits) - 1)
    low, length = run_of_bits(replaced)
    return (0, 0) if int.from_bytes(node.flip, "big") & ~replaced else (low, length)


def _changed_field(decoder: Decoder, expression: Any, node: Node) -> dict[str, Any] | None:
    """The operators over the one field, less than the bytes that are written, whose bits are changed."""
    base, offset, bits = expression.base, expression.offset * 8, expression.len * 8
    if not isinstance(node, Masked) or not _same_place(node, base, offset, bits):
        return None
    keep, flip = int.from_bytes(node.keep, "big"), int.from_bytes(node.flip, "big")
    changed = keep ^ ((1 << bits) - 1) | flip
    header, start = decoder.protocols.header_at(base, offset + bits - changed.bit_length())
    if not changed or header is None:
        return None
    for field in header.fields.values():
        low = offset + bits - (start + field.offset + field.bits)
        mask = (1 << field.bits) - 1
        if (
            field.bits < bits
            and low >= 0
            and not changed & ~(mask << low)
            and decoder.protocols.fits(field)
            and _is_written_so(expression, start + field.offset, header, field)
        ):
            decoder.protocols.use(base, header, field)
            key = field_value(header, field).json
            kept, flipped = keep >> low & mask, flip >> low & mask
            return mangle(key, operators(key, field.datatype, kept, flipped, mask))
    return None


def _in_one(node: Node) -> Node:
    """Two masks in a row as the one that they come to."""
    if not isinstance(node, Masked) or not isinstance(node.left, Masked):
        return node
    first = node.left
    keep = bytes(one & two for one, two in zip(first.keep, node.keep))
    flip = bytes(one & two ^ three for one, two, three in zip(first.flip, node.keep, node.flip))
    return Masked(first.left, keep, flip)


def _changed_tos(decoder: Decoder, expression: Any, node: Node) -> dict[str, int] | None:
    """The AND mask and XOR value of a change to the TOS or traffic class byte, as ``tos`` writes it."""
    node = _in_one(node)
    if not isinstance(node, Masked) or not _same_place(node, NETWORK, 0, 16):
        return None
    if expression.base != NETWORK or expression.offset:
        return None
    keep, flip = int.from_bytes(node.keep, "big"), int.from_bytes(node.flip, "big")
    network = decoder.protocols.known.get(NETWORK)
    if network == "ip" and (expression.csum_type, expression.csum_offset) == (uapi.NFT_PAYLOAD_CSUM_INET, 10):
        shift = 0
    elif network == "ip6" and not expression.csum_type:
        shift = 4
    else:
        return None
    byte = 0xFF << shift
    if keep | byte != 0xFFFF or flip & ~byte:
        return None
    return {"and": keep >> shift & 0xFF, "xor": flip >> shift}
