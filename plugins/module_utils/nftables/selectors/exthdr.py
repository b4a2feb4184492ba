# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Extension headers, options and chunks: what must be searched for in the packet."""

from __future__ import annotations

from .. import uapi
from ..datatypes import TYPES, DataType
from ..expressions.loads import Exthdr as ExthdrExpression
from .base import Selector, append_mask
from .program import Program, wire_register


class Exthdr(Selector):
    """A field of the searched-for header, or (``present``) whether there is one.

    ``op`` is NFT_EXTHDR_OP_*; ``kind`` the header, option or chunk number.
    """

    byteorder = "big"

    def __init__(
        self, op: int, kind: int, offset: int, bits: int, datatype: DataType, present: bool = False
    ) -> None:
        self.op = op
        self.kind = kind
        self.offset = offset
        self.present = present
        self.bits = bits
        self.datatype = TYPES["boolean"] if present else datatype
        start, end = offset // 8 * 8, (offset + bits + 7) // 8 * 8
        self._width = end - start
        if not present and (offset % 8 or bits % 8):
            self.shift = end - offset - bits
            self.mask = ((1 << bits) - 1) << self.shift

    @property
    def width(self) -> int:
        """Bits of the whole bytes that cover the field; one byte for presence."""
        return 8 if self.present else self._width

    def load_raw(self, program: Program, register: int) -> None:
        """Load the covering bytes without masking."""
        program.add(
            ExthdrExpression(
                dreg=wire_register(register),
                type=self.kind,
                offset=self.offset // 8,
                len=self._width // 8,
                flags=uapi.NFT_EXTHDR_F_PRESENT if self.present else 0,
                op=self.op,
            )
        )

    def load(self, program: Program, register: int) -> None:
        """Load the field; its neighbours' bits are masked out."""
        self.load_raw(program, register)
        if self.mask is not None:
            append_mask(program, register, self._width, "big", self.mask, 0)

    def store(self, program: Program, register: int) -> None:
        """Write the field (TCP options)."""
        program.add(
            ExthdrExpression(
                sreg=wire_register(register),
                type=self.kind,
                offset=self.offset // 8,
                len=self._width // 8,
                flags=0,
                op=self.op,
            )
        )
