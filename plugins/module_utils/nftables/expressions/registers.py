# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions that compute on registers and compare them."""

from __future__ import annotations

from ...netlink.attributes import BE32, TEXT
from .. import uapi
from .base import Attribute, Expression
from .codecs import DATA


class Immediate(Expression):
    """Puts data into a register; a verdict into register 0 ends the rule."""

    name = "immediate"
    attributes = (
        Attribute("dreg", uapi.NFTA_IMMEDIATE_DREG, BE32),
        Attribute("data", uapi.NFTA_IMMEDIATE_DATA, DATA),
    )


class Cmp(Expression):
    """Compares a register with data; the rule ends here where the comparison fails."""

    name = "cmp"
    attributes = (
        Attribute("sreg", uapi.NFTA_CMP_SREG, BE32),
        Attribute("op", uapi.NFTA_CMP_OP, BE32),
        Attribute("data", uapi.NFTA_CMP_DATA, DATA),
    )


class Range(Expression):
    """Compares a register with two inclusive bounds."""

    name = "range"
    attributes = (
        Attribute("sreg", uapi.NFTA_RANGE_SREG, BE32),
        Attribute("op", uapi.NFTA_RANGE_OP, BE32),
        Attribute("from_data", uapi.NFTA_RANGE_FROM_DATA, DATA),
        Attribute("to_data", uapi.NFTA_RANGE_TO_DATA, DATA),
    )


class Bitwise(Expression):
    """``(register & mask) ^ xor``, a shift, or (Linux 6.13) and/or/xor with a register."""

    name = "bitwise"
    attributes = (
        Attribute("sreg", uapi.NFTA_BITWISE_SREG, BE32),
        Attribute("dreg", uapi.NFTA_BITWISE_DREG, BE32),
        Attribute("len", uapi.NFTA_BITWISE_LEN, BE32),
        Attribute("op", uapi.NFTA_BITWISE_OP, BE32, default=0),
        Attribute("mask", uapi.NFTA_BITWISE_MASK, DATA),
        Attribute("xor", uapi.NFTA_BITWISE_XOR, DATA),
        Attribute("data", uapi.NFTA_BITWISE_DATA, DATA),
        Attribute("sreg2", uapi.NFTA_BITWISE_SREG2, BE32),
    )


class Byteorder(Expression):
    """Swaps bytes between host and network order, in units of ``size`` bytes."""

    name = "byteorder"
    attributes = (
        Attribute("sreg", uapi.NFTA_BYTEORDER_SREG, BE32),
        Attribute("dreg", uapi.NFTA_BYTEORDER_DREG, BE32),
        Attribute("op", uapi.NFTA_BYTEORDER_OP, BE32),
        Attribute("len", uapi.NFTA_BYTEORDER_LEN, BE32),
        Attribute("size", uapi.NFTA_BYTEORDER_SIZE, BE32),
    )

    @property
    def idle(self) -> bool:
        """Whether it swaps nothing, for less than one unit: nft_byteorder_eval() goes by len / size."""
        return bool(self.sreg == self.dreg and self.len < self.size)


class Lookup(Expression):
    """Looks a register up in a set, or in a map whose data goes into ``dreg``."""

    name = "lookup"
    attributes = (
        Attribute("set", uapi.NFTA_LOOKUP_SET, TEXT),
        Attribute("set_id", uapi.NFTA_LOOKUP_SET_ID, BE32, set_id=True),
        Attribute("sreg", uapi.NFTA_LOOKUP_SREG, BE32),
        Attribute("dreg", uapi.NFTA_LOOKUP_DREG, BE32),
        Attribute("flags", uapi.NFTA_LOOKUP_FLAGS, BE32, default=0),
    )


EXPRESSIONS = (Immediate, Cmp, Range, Bitwise, Byteorder, Lookup)
