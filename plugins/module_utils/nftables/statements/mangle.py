# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ``mangle`` statement (set a header field, meta or ct property) and ``tos``."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .. import uapi
from ..expressions.loads import Payload as PayloadExpression
from ..headers import HEADERS
from ..selectors import build
from ..selectors.base import Masked, append_mask
from ..selectors.conntrack import Ct
from ..selectors.exthdr import Exthdr
from ..selectors.meta import Meta
from ..selectors.payload import BASES, Payload
from ..selectors.program import Program, wire_register
from .context import Context, Step
from .values import Constant, Loaded, Value, build_value

#: fields that the checksum of TCP and UDP covers too (RFC 9293, RFC 768: the pseudo header)
_PSEUDO_HEADER = {
    "ip": ("saddr", "daddr", "protocol", "length"),
    "ip6": ("saddr", "daddr", "nexthdr", "length"),
}


class Store(Step):
    """Puts a value into a meta key, a ct key or a TCP option's field."""

    def __init__(self, target: Meta | Ct | Exthdr, value: Value) -> None:
        self.target = target
        self.value = value

    def emit(self, program: Program) -> None:
        """Load the value, store it."""
        register = program.take(self.value.units)
        self.value.load(program, register)
        self.target.store(program, register)


class Checksum:
    """Which checksum the kernel mends after a write: its type, place and flags."""

    __slots__ = ("flags", "kind", "offset")

    def __init__(self, kind: int, offset: int, flags: int) -> None:
        self.kind = kind
        self.offset = offset
        self.flags = flags

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checksum) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[int, int, int]:
        return self.kind, self.offset, self.flags


UDP = Checksum(uapi.NFT_PAYLOAD_CSUM_NONE, 0, uapi.NFT_PAYLOAD_L4CSUM_PSEUDOHDR)
"""The kernel finds the checksum of UDP itself, and leaves it out where the sender did."""

UDP_ALWAYS = Checksum(uapi.NFT_PAYLOAD_CSUM_INET, HEADERS["udp"].fields["checksum"].offset // 8, 0)
"""What nft had before 1.1.1: a datagram without a checksum gets a wrong one."""


def checksum_of(field: Payload) -> Checksum:
    """The checksum that a write to ``field`` must keep right."""
    header = HEADERS.get(field.header or "")
    if header is None:
        return Checksum(uapi.NFT_PAYLOAD_CSUM_NONE, 0, 0)
    if header.name == "udp":
        return UDP
    flags = uapi.NFT_PAYLOAD_L4CSUM_PSEUDOHDR if field.field in _PSEUDO_HEADER.get(header.name, ()) else 0
    if header.checksum:
        return Checksum(uapi.NFT_PAYLOAD_CSUM_INET, header.fields[header.checksum].offset // 8, flags)
    return Checksum(uapi.NFT_PAYLOAD_CSUM_NONE, 0, flags)


class Write(Step):
    """Writes whole bytes of the packet."""

    def __init__(self, field: Payload, value: Value) -> None:
        self.field = field
        self.value = value

    def emit(self, program: Program) -> None:
        """Load the value, write it."""
        register = program.take(self.value.units)
        self.value.load(program, register)
        field = self.field
        append_write(program, register, field.base, field.offset // 8, field.width // 8, checksum_of(field))


class Rewrite(Step):
    """Changes some bits of ``length`` bytes at ``offset``: ``(bytes & keep) ^ flip``.

    The kernel mends a checksum over pairs of bytes: offset and length must be even then.
    ``apart`` makes two expressions of ``&`` and ``^``.
    """

    def __init__(
        self,
        base: int,
        offset: int,
        length: int,
        keep: int,
        flip: int,
        checksum: Checksum,
        apart: bool = False,
    ) -> None:
        self.base = base
        self.offset = offset
        self.length = length
        self.keep = keep
        self.flip = flip
        self.checksum = checksum
        self.apart = apart

    def emit(self, program: Program) -> None:
        """Load, mask, write back."""
        register = program.take()
        program.add(
            PayloadExpression(
                dreg=wire_register(register), base=self.base, offset=self.offset, len=self.length
            )
        )
        width = self.length * 8
        if self.apart:
            append_mask(program, register, width, "big", self.keep, 0)
            append_mask(program, register, width, "big", (1 << width) - 1, self.flip)
        else:
            append_mask(program, register, width, "big", self.keep, self.flip)
        append_write(program, register, self.base, self.offset, self.length, self.checksum)


def append_write(
    program: Program, register: int, base: int, offset: int, length: int, checksum: Checksum
) -> None:
    """``payload write``."""
    program.add(
        PayloadExpression(
            sreg=wire_register(register),
            base=base,
            offset=offset,
            len=length,
            csum_type=checksum.kind,
            csum_offset=checksum.offset,
            csum_flags=checksum.flags,
        )
    )


def compile_mangle(value: Any, context: Context) -> None:
    """Append ``{"mangle": value}``."""
    if not isinstance(value, dict) or set(value) != {"key", "value"}:
        raise DocumentError("not a mangle statement", found=value, allowed='a mapping with "key" and "value"')
    try:
        target = build(value["key"], context)
    except DocumentError as error:
        raise error.at("key") from None
    if target.tunnel is not None:
        raise DocumentError("what is inside a tunnel cannot be changed", "key", value["key"])
    try:
        if isinstance(target, Payload):
            _compile_write(target, value["value"], context)
        elif isinstance(target, (Meta, Ct, Exthdr)):
            context.steps.append(Store(target, build_value(value["value"], target, context)))
        else:
            raise DocumentError("cannot be set", found=value["key"], allowed="payload, meta, ct, tcp option")
    except DocumentError as error:
        raise error.at("value") from None


def _compile_write(field: Payload, value: Any, context: Context) -> None:
    loaded = build_value(value, field, context)
    checksum = checksum_of(field)
    summed = checksum.kind == uapi.NFT_PAYLOAD_CSUM_INET
    if field.aligned and not (summed and field.width // 8 % 2):
        context.steps.append(Write(field, loaded))
        return
    offset, length = field.offset // 8, field.width // 8
    keep, flip = _kept_and_flipped(field, loaded)
    if keep is None:
        raise DocumentError(
            "a field that is not a whole number of byte pairs takes a constant, or operators over itself",
            found=value,
            cure="use one rule a value",
        )
    if summed and length % 2:
        length += 1
        if offset % 2:
            offset -= 1
        else:
            keep, flip = keep << 8 | 0xFF, flip << 8
    keep &= (1 << length * 8) - 1
    context.steps.append(Rewrite(field.base, offset, length, keep, flip, checksum))


def _kept_and_flipped(field: Payload, value: Value) -> tuple[int | None, int]:
    """The bits of the field's bytes that stay, and those that are then turned; None for another value."""
    others = ~(field.mask if field.mask is not None else (1 << field.width) - 1)
    if isinstance(value, Constant):
        return others, int.from_bytes(value.data, "big")
    selector = value.selector if isinstance(value, Loaded) else None
    if isinstance(selector, Masked) and isinstance(selector.left, Payload):
        left = selector.left
        if (left.base, left.offset, left.bits) == (field.base, field.offset, field.bits):
            return others | selector.keep << field.shift, selector.flip << field.shift
    return None, 0


def compile_tos(value: Any, context: Context) -> None:
    """Append ``{"tos": {"and": A, "xor": X}}``: the whole IPv4 TOS or IPv6 traffic class byte.

    The byte is the second of the IPv4 header; in IPv6 it is bits 4 to 11 (RFC 791, RFC 8200).
    """
    if not isinstance(value, dict) or set(value) != {"and", "xor"}:
        raise DocumentError("not a TOS change", found=value, allowed='a mapping with "and" and "xor"')
    for key in ("and", "xor"):
        number = value[key]
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 0xFF:
            raise DocumentError(
                "the mask does not fit eight bits", place=key, found=number, allowed="0 to 255"
            )
    base = BASES["nh"]
    if context.network == "ip":
        keep, flip = 0xFF00 | value["and"], value["xor"]
        checksum = Checksum(uapi.NFT_PAYLOAD_CSUM_INET, HEADERS["ip"].fields["checksum"].offset // 8, 0)
    elif context.network == "ip6":
        keep, flip = 0xF00F | value["and"] << 4, value["xor"] << 4
        checksum = Checksum(uapi.NFT_PAYLOAD_CSUM_NONE, 0, 0)
    else:
        raise DocumentError(
            "TOS stands at another place in IPv4 than in IPv6",
            cure="match meta nfproto ipv4 or ipv6 before it",
        )
    # nft 1.0.6 crashes when it lists one expression that replaces all eight bits.
    apart = value["and"] == 0 and value["xor"] != 0
    context.steps.append(Rewrite(base, 0, 2, keep, flip, checksum, apart))
