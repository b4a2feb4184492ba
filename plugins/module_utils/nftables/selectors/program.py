# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The expression list of one rule as it grows: registers taken, expressions appended.

Sixteen 32-bit registers, numbered 0 to 15 here. On the wire a register at a
multiple of four is one of the four old 128-bit registers (linux/netfilter/nf_tables.h,
``enum nft_registers``); the kernel dumps it so.
"""

from __future__ import annotations

from .. import uapi
from ..expressions import Expression

#: a plain value takes a whole 128-bit register, whatever its size, as nft does it
_PLAIN_UNITS = 4
_UNITS = 16


def wire_register(index: int) -> int:
    """The kernel's number of the 32-bit register ``index``."""
    if index % 4 == 0:
        return uapi.NFT_REG_1 + index // 4
    return uapi.NFT_REG32_00 + index


def register_index(number: int) -> int:
    """The 32-bit register that the kernel's ``number`` names; ValueError for others."""
    if uapi.NFT_REG_1 <= number <= uapi.NFT_REG_4:
        return (number - uapi.NFT_REG_1) * 4
    if uapi.NFT_REG32_00 <= number <= uapi.NFT_REG32_15:
        return number - uapi.NFT_REG32_00
    raise ValueError("register %d is not a data register" % number)


class Program:
    """Expressions in order, and which registers the current statement has taken."""

    __slots__ = ("expressions", "low")

    def __init__(self) -> None:
        self.expressions: list[Expression] = []
        self.low = 0

    def add(self, expression: Expression) -> None:
        """Append one expression."""
        self.expressions.append(expression)

    def take(self, units: int = _PLAIN_UNITS) -> int:
        """The index of the first of ``units`` free 32-bit registers; ValueError when none is left."""
        register = self.low
        if register + units > _UNITS:
            raise ValueError("the statement needs more than 16 registers (64 bytes)")
        self.low += units
        return register

    def release_all(self) -> None:
        """Free every register: the statement is over."""
        self.low = 0
