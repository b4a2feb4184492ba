# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ``match`` statement: a selector compared with a constant, a range, flags or a set."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .. import uapi
from ..datatypes import interface_prefix
from ..expressions.registers import Cmp, Lookup, Range
from ..selectors import build
from ..selectors.base import (
    Concatenation,
    Selector,
    append_conversion,
    append_mask,
    at_the_right,
    pack_number,
)
from ..selectors.constants import is_wildcard, number_of, packed, prefix_numbers, range_numbers
from ..selectors.environment import Fib
from ..selectors.payload import Payload
from ..selectors.program import Program, wire_register
from .context import Context, Step
from .sets import anonymous_set, declared_set

OPERATORS = {
    "==": uapi.NFT_CMP_EQ,
    "in": uapi.NFT_CMP_EQ,
    "!": uapi.NFT_CMP_EQ,
    "!=": uapi.NFT_CMP_NEQ,
    "<": uapi.NFT_CMP_LT,
    "<=": uapi.NFT_CMP_LTE,
    ">": uapi.NFT_CMP_GT,
    ">=": uapi.NFT_CMP_GTE,
}
_ORDERED = ("<", "<=", ">", ">=")


class Relation(Step):
    """``selector op data``, where data are bytes as they stand in the register."""

    def __init__(self, selector: Selector, op: str, data: bytes, implied: bool = False) -> None:
        self.selector = selector
        self.op = op
        self.data = data
        self.implied = implied

    def emit(self, program: Program) -> None:
        """Load and compare."""
        selector = self.selector
        register = program.take(selector.units if isinstance(selector, Concatenation) else 4)
        selector.load(program, register)
        if self.op in _ORDERED:
            append_conversion(program, register, selector.byteorder, "big", selector.width)
        program.add(Cmp(sreg=wire_register(register), op=OPERATORS[self.op], data=self.data))


class PrefixRelation(Step):
    """A comparison with the first ``length`` bits of an address or a name."""

    def __init__(self, selector: Selector, op: str, data: bytes, length: int) -> None:
        self.selector = selector
        self.op = op
        self.data = data
        self.length = length

    def emit(self, program: Program) -> None:
        """Load only the bytes that count where they are whole ones; else mask."""
        selector = self.selector
        register = program.take()
        size = self.length // 8
        if self.length % 8 == 0 and self.length and isinstance(selector, Payload) and selector.aligned:
            selector.load_raw(program, register, size)
            data = _first(self.data, size)
        elif self.length % 8 == 0 and self.length and selector.byteorder == "big":
            selector.load(program, register)
            data = _first(self.data, size)
        else:
            selector.load(program, register)
            keep = ((1 << self.length) - 1) << (selector.width - self.length)
            append_mask(program, register, selector.width, selector.byteorder, keep, 0)
            data = self.data
        program.add(Cmp(sreg=wire_register(register), op=OPERATORS[self.op], data=data))


class RangeRelation(Step):
    """A comparison with two inclusive bounds, given in network order."""

    def __init__(self, selector: Selector, op: str, low: bytes, high: bytes) -> None:
        self.selector = selector
        self.op = op
        self.low = low
        self.high = high

    def emit(self, program: Program) -> None:
        """Two comparisons, or one ``range`` where it is negated."""
        selector = self.selector
        register = program.take()
        number = wire_register(register)
        selector.load(program, register)
        append_conversion(program, register, selector.byteorder, "big", selector.width)
        if self.op == "!=":
            program.add(Range(sreg=number, op=uapi.NFT_RANGE_NEQ, from_data=self.low, to_data=self.high))
            return
        program.add(Cmp(sreg=number, op=uapi.NFT_CMP_GTE, data=self.low))
        program.add(Cmp(sreg=number, op=uapi.NFT_CMP_LTE, data=self.high))


class FlagRelation(Step):
    """Any of the flags (or none of them, with ``!``)."""

    def __init__(self, selector: Selector, op: str, mask: int) -> None:
        self.selector = selector
        self.op = op
        self.mask = mask

    def emit(self, program: Program) -> None:
        """Mask and compare with zero."""
        selector = self.selector
        register = program.take()
        selector.load(program, register)
        append_mask(program, register, selector.width, selector.byteorder, self.mask << selector.shift, 0)
        op = uapi.NFT_CMP_EQ if self.op == "!" else uapi.NFT_CMP_NEQ
        program.add(Cmp(sreg=wire_register(register), op=op, data=b"\0" * (selector.width // 8)))


class Membership(Step):
    """A lookup in a set; ``set_id`` where it is an anonymous one of this rule."""

    def __init__(
        self, selector: Selector, name: str, set_id: int | None, inverted: bool, interval: bool = False
    ) -> None:
        self.selector = selector
        self.name = name
        self.set_id = set_id
        self.inverted = inverted
        self.interval = interval

    def emit(self, program: Program) -> None:
        """Load the key and look it up."""
        register = load_key(program, self.selector, self.interval)
        program.add(
            Lookup(
                set=self.name,
                sreg=wire_register(register),
                set_id=self.set_id,
                flags=uapi.NFT_LOOKUP_F_INV if self.inverted else 0,
            )
        )


def load_key(program: Program, selector: Selector, interval: bool) -> int:
    """Load a set's key; intervals are compared in network order."""
    register = program.take(selector.units if isinstance(selector, Concatenation) else 4)
    load_key_into(program, selector, register, interval)
    return register


def load_key_into(program: Program, selector: Selector, register: int, interval: bool) -> None:
    """The same, into a register that was taken already."""
    if isinstance(selector, Concatenation):
        selector.load_ordered(program, register, interval)
        return
    selector.load(program, register)
    if interval:
        append_conversion(program, register, selector.byteorder, "big", selector.width)


def compile_match(value: Any, context: Context) -> None:
    """Append the steps of ``{"match": value}``."""
    if not isinstance(value, dict) or not {"left", "right"} <= set(value) <= {"left", "right", "op"}:
        raise DocumentError("not a match", found=value, allowed='a mapping with "left", "right" and "op"')
    op = value.get("op", "in")
    if not isinstance(op, str) or op not in OPERATORS:
        raise DocumentError("unknown operator", place="op", found=op, allowed=", ".join(OPERATORS))
    try:
        selector = build(value["left"], context)
    except DocumentError as error:
        raise error.at("left") from None
    try:
        _compile_right(selector, op, value["right"], context)
    except DocumentError as error:
        raise error.at("right") from None


def _compile_right(selector: Selector, op: str, right: Any, context: Context) -> None:
    steps = context.steps
    if isinstance(selector, Fib) and isinstance(right, bool):
        selector = Fib(
            "oif" if selector.number == uapi.NFT_FIB_RESULT_OIF else "oifname", selector.flags, True
        )
    negated = op == "!="
    if isinstance(right, str) and right.startswith("@"):
        name = right[1:]
        declared = declared_set(context, name, selector)
        interval = bool(declared and declared.interval)
        steps.append(Membership(at_the_right(selector), name, None, negated, interval))
    elif isinstance(right, dict) and "set" in right:
        content = anonymous_set(context, selector, right["set"])
        steps.append(Membership(selector, content.name, content.set_id, negated, content.interval))
        if not negated and not content.interval:
            context.learn_any(selector, right["set"])
    elif isinstance(right, dict) and "prefix" in right:
        _compile_prefix(selector, op, right["prefix"], context)
    elif isinstance(right, dict) and "range" in right:
        low, high = range_numbers(selector, right["range"])
        width = selector.width
        steps.append(
            RangeRelation(
                selector,
                op,
                pack_number(low << selector.shift, width, "big"),
                pack_number(high << selector.shift, width, "big"),
            )
        )
    elif selector.datatype.bitmask and op in ("in", "!"):
        steps.append(FlagRelation(selector, op, number_of(selector, right)))
    elif is_wildcard(selector, right):
        raw = interface_prefix(right) or b""
        steps.append(PrefixRelation(selector, op, raw.ljust(16, b"\0"), len(raw) * 8))
    elif op in _ORDERED:
        number = number_of(selector, right)
        steps.append(Relation(selector, op, pack_number(number << selector.shift, selector.width, "big")))
    else:
        data = packed(selector, right)
        steps.append(Relation(selector, op, data))
        if op in ("==", "in"):
            context.learn(selector, number_of(selector, right))


def _compile_prefix(selector: Selector, op: str, prefix: Any, context: Context) -> None:
    number, length = prefix_numbers(selector, prefix)
    data = selector.pack(number)
    source = getattr(prefix["addr"], "source", None)
    if source is not None:
        from ..expressions import Slot

        data = Slot(data, source)
    context.steps.append(PrefixRelation(selector, op, data, length))


def _first(data: bytes, size: int) -> bytes:
    from ..expressions import Slot

    return Slot(data[:size], data.source) if isinstance(data, Slot) else data[:size]


def imply_any(context: Context, selector: Selector, numbers: list[int]) -> None:
    """A match that the rule presumes: the selector has one of these values."""
    if len(numbers) == 1:
        context.learn(selector, numbers[0])
        context.steps.append(Relation(selector, "==", selector.pack(numbers[0]), implied=True))
        return
    content = anonymous_set(context, selector, numbers)
    context.steps.append(Membership(selector, content.name, content.set_id, False))
