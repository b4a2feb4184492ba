# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rule can load into a register: the left sides of libnftables-json(5).

A selector knows its data type, width and byte order, appends the expressions
that load it, and tells which protocols it needs to be known first.
"""

from __future__ import annotations

from .. import uapi
from ..datatypes import TYPES, DataType
from ..expressions.registers import Bitwise, Byteorder
from ..headers.tunnel import Tunnel
from .program import Program, wire_register


class Selector:
    """Something loadable. ``bits`` wide; in the register it stands ``shift`` bits to the left.

    ``width`` is the loaded size in bits, a multiple of eight.
    """

    datatype: DataType
    bits: int
    byteorder: str
    shift = 0
    #: header fields that are not byte aligned mask their neighbours out
    mask: int | None = None
    #: whether nft makes a number of it before it moves a bit field of several bytes
    numbered = False
    #: the tunnel inside which the packet is that has it
    tunnel: Tunnel | None = None

    @property
    def width(self) -> int:
        """Bits that the load brings into the register."""
        return (self.bits + 7) & ~7

    @property
    def units(self) -> int:
        """32-bit registers that the value fills."""
        return (self.width + 31) // 32

    def load(self, program: Program, register: int) -> None:
        """Append the expressions that bring the value into ``register``."""
        raise NotImplementedError

    def pack(self, number: int) -> bytes:
        """A value of this selector as it stands in the register."""
        return pack_number(number << self.shift, self.width, self.byteorder)

    def all_bits(self) -> int:
        """The mask that covers every bit of the value, unshifted."""
        return (1 << self.bits) - 1


def pack_number(number: int, width: int, byteorder: str) -> bytes:
    """``number`` in ``width`` bits; "host" means this machine's order."""
    import sys

    return number.to_bytes(width // 8, "big" if byteorder == "big" else sys.byteorder)


def unpack_number(data: bytes, byteorder: str) -> int:
    """The inverse of :func:`pack_number`."""
    import sys

    return int.from_bytes(data, "big" if byteorder == "big" else sys.byteorder)


class Typed(Selector):
    """A place of a data type that is no selector: a set's key, an operand's type."""

    def __init__(self, datatype: str, bits: int = 0, byteorder: str = "") -> None:
        self.datatype = TYPES[datatype]
        self.bits = bits or self.datatype.bits
        self.byteorder = byteorder or self.datatype.byteorder


class _Operation(Selector):
    """What an operator makes of a selector: a value of its type, width and byte order."""

    def __init__(self, left: Selector) -> None:
        self.left = left
        self.datatype = left.datatype
        self.bits = left.bits
        self.byteorder = left.byteorder

    @property
    def width(self) -> int:
        """Bits of the operand."""
        return self.left.width


class Masked(_Operation):
    """``(left & mask) ^ xor``: what ``&``, ``|`` and ``^`` with constants come to."""

    def __init__(self, left: Selector, mask: int, xor: int) -> None:
        super().__init__(left)
        self.keep = mask
        self.flip = xor
        self.shift = left.shift

    def load(self, program: Program, register: int) -> None:
        """Load the operand without its own mask, then apply both masks at once."""
        left = self.left
        keep, flip = self.keep << self.shift, self.flip << self.shift
        if left.mask is not None:
            keep &= left.mask
            left.load_raw(program, register)  # type: ignore[attr-defined]
        else:
            left.load(program, register)
        append_mask(program, register, left.width, left.byteorder, keep, flip)


class Shifted(_Operation):
    """A selector shifted by a constant number of bits (``<<`` and ``>>``)."""

    def __init__(self, left: Selector, operation: int, count: int) -> None:
        super().__init__(left)
        self.operation = operation
        self.count = count

    def load(self, program: Program, register: int) -> None:
        """Load, then shift in place."""
        self.left.load(program, register)
        append_shift(program, register, self.left.width, self.operation, self.count)


class Widened(Selector):
    """A number brought to the width and byte order of ``target``, to be computed with there.

    nft has it so since 1.0.8, which came to allow ``meta mark set ip dscp << 26``.
    """

    def __init__(self, left: Selector, target: Selector) -> None:
        self.left = left
        self.datatype = left.datatype
        self.bits = target.width
        self.byteorder = target.byteorder

    def load(self, program: Program, register: int) -> None:
        """Load, and make it a number; the rest of the register is zeros, as the kernel pads it."""
        self.left.load(program, register)
        append_number(program, register, self.left, self.byteorder)


class Combined(_Operation):
    """Two selectors of one width combined bit by bit (Linux 6.13); ``operation`` is NFT_BITWISE_*."""

    def __init__(self, left: Selector, right: Selector, operation: int) -> None:
        super().__init__(left)
        self.right = right
        self.operation = operation

    def load(self, program: Program, register: int) -> None:
        """Load both, the second into a register of its own."""
        self.left.load(program, register)
        other = program.take()
        self.right.load(program, other)
        append_conversion(program, other, self.right.byteorder, self.byteorder, self.right.width)
        number = wire_register(register)
        program.add(
            Bitwise(
                sreg=number,
                dreg=number,
                len=self.width // 8,
                op=self.operation,
                sreg2=wire_register(other),
            )
        )


class Aligned(Shifted):
    """A bit field moved to the right end of its register.

    Packet bytes of more than one are a number first, as nft has it since 1.1.0: moved as they lie, their
    bits do not stay together. Of extension headers and options nft has never done so.
    """

    def __init__(self, left: Selector) -> None:
        super().__init__(left, uapi.NFT_BITWISE_RSHIFT, left.shift)
        if left.numbered and left.width > 8:
            self.byteorder = "host"

    def load(self, program: Program, register: int) -> None:
        """Load, swap where that is needed, and shift."""
        self.left.load(program, register)
        append_conversion(program, register, self.left.byteorder, self.byteorder, self.left.width)
        append_shift(program, register, self.left.width, self.operation, self.count)


def at_the_right(selector: Selector) -> Selector:
    """The selector with its value at the right end of its register, as named sets keep it."""
    return Aligned(selector) if selector.shift else selector


class Concatenation(Selector):
    """Several selectors side by side, each padded to 32 bits."""

    def __init__(self, parts: list[Selector]) -> None:
        self.parts = [at_the_right(part) for part in parts]
        self.byteorder = "big"
        self.bits = sum(part.units * 32 for part in self.parts)
        self.datatype = concatenated_type([part.datatype for part in parts])

    @property
    def units(self) -> int:
        """32-bit registers of all parts."""
        return sum(part.units for part in self.parts)

    def load(self, program: Program, register: int) -> None:
        """Load each part behind the one before."""
        self.load_ordered(program, register, False)

    def load_ordered(self, program: Program, register: int, interval: bool) -> None:
        """The same; for an ``interval`` each part in network order, in which the kernel compares bounds."""
        for part in self.parts:
            part.load(program, register)
            if interval:
                append_conversion(program, register, part.byteorder, "big", part.width)
            register += part.units


def concatenated_type(types: list[DataType]) -> DataType:
    """The type of a concatenation: nft numbers it six bits a part (TYPE_BITS)."""
    number = 0
    for one in types:
        number = number << 6 | one.number
    return DataType(" . ".join(one.name for one in types), number, 0)


def append_mask(program: Program, register: int, width: int, byteorder: str, keep: int, flip: int) -> None:
    """``register = (register & keep) ^ flip`` over ``width`` bits."""
    number = wire_register(register)
    program.add(
        Bitwise(
            sreg=number,
            dreg=number,
            len=width // 8,
            mask=pack_number(keep, width, byteorder),
            xor=pack_number(flip, width, byteorder),
        )
    )


def append_shift(program: Program, register: int, width: int, operation: int, count: int) -> None:
    """Shift the register in place; the count is a 32-bit number in host order."""
    number = wire_register(register)
    program.add(
        Bitwise(sreg=number, dreg=number, len=width // 8, op=operation, data=pack_number(count, 32, "host"))
    )


def append_byteorder(program: Program, register: int, width: int, operation: int) -> None:
    """Swap the register between host and network order (NFT_BYTEORDER_*)."""
    number = wire_register(register)
    length = width // 8
    size = length if length in (2, 4, 8) else 4
    program.add(Byteorder(sreg=number, dreg=number, op=operation, len=length, size=size))


def append_conversion(program: Program, register: int, source: str, target: str, width: int) -> None:
    """Swap bytes where ``source`` and ``target`` orders differ and the width has an order."""
    if source != target and width > 8:
        append_byteorder(
            program, register, width, uapi.NFT_BYTEORDER_HTON if target == "big" else uapi.NFT_BYTEORDER_NTOH
        )


def append_number(program: Program, register: int, selector: Selector, byteorder: str) -> None:
    """Move a bit field to the right end, which counts in this machine's order, and swap to ``byteorder``."""
    order, width = selector.byteorder, selector.width
    if selector.shift:
        append_conversion(program, register, order, "host", width)
        append_shift(program, register, width, uapi.NFT_BITWISE_RSHIFT, selector.shift)
        order = "host"
    append_conversion(program, register, order, byteorder, width)


INTEGER = TYPES["integer"]
