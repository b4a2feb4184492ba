# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packet bytes: header fields by name, and raw ``base, offset, len``."""

from __future__ import annotations

from .. import uapi
from ..datatypes import DataType
from ..expressions.loads import Payload as PayloadExpression
from .base import Selector, append_mask
from .program import Program, wire_register

BASES = {
    "ll": uapi.NFT_PAYLOAD_LL_HEADER,
    "nh": uapi.NFT_PAYLOAD_NETWORK_HEADER,
    "th": uapi.NFT_PAYLOAD_TRANSPORT_HEADER,
    "ih": uapi.NFT_PAYLOAD_INNER_HEADER,
    "tun": uapi.NFT_PAYLOAD_TUN_HEADER,
}
"""Where raw bytes count from; "tun" is a tunnel's own header, for what looks into one."""

HEADER_BASES = {**BASES, "ih": uapi.NFT_PAYLOAD_TUN_HEADER}
"""The same for named headers: those behind a transport header are tunnels' own."""


class Payload(Selector):
    """``bits`` bits of the packet at ``offset`` bits from the ``base`` header."""

    byteorder = "big"
    numbered = True

    def __init__(
        self,
        base: int,
        offset: int,
        bits: int,
        datatype: DataType,
        header: str | None = None,
        field: str | None = None,
    ) -> None:
        self.base = base
        self.offset = offset
        self.bits = bits
        self.datatype = datatype
        self.header = header
        self.field = field
        start, end = offset // 8 * 8, (offset + bits + 7) // 8 * 8
        self._width = end - start
        if offset % 8 or bits % 8:
            self.shift = end - offset - bits
            self.mask = ((1 << bits) - 1) << self.shift

    @property
    def width(self) -> int:
        """Bits of the whole bytes that cover the field."""
        return self._width

    @property
    def aligned(self) -> bool:
        """Whether the field is whole bytes."""
        return self.mask is None

    def load_raw(self, program: Program, register: int, length: int | None = None) -> None:
        """Load the covering bytes (or the first ``length`` of them) without masking."""
        program.add(
            PayloadExpression(
                dreg=wire_register(register),
                base=self.base,
                offset=self.offset // 8,
                len=self._width // 8 if length is None else length,
            )
        )

    def load(self, program: Program, register: int) -> None:
        """Load the field; its neighbours' bits are masked out."""
        self.load_raw(program, register)
        if self.mask is not None:
            append_mask(program, register, self._width, "big", self.mask, 0)
