# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that statements put somewhere: constants, other selectors, map lookups."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from ..expressions.registers import Immediate, Lookup
from ..selectors import build, build_for, is_selector
from ..selectors.base import Concatenation, Selector, append_number, at_the_right
from ..selectors.constants import packed
from ..selectors.program import Program, wire_register
from .context import Context
from .sets import anonymous_map, declared_map


class Value:
    """Something that can be brought into a register."""

    def load(self, program: Program, register: int) -> None:
        """Append what brings the value into ``register``."""
        raise NotImplementedError

    @property
    def units(self) -> int:
        """32-bit registers to reserve for it."""
        return 4


class Constant(Value):
    """Bytes known beforehand."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def load(self, program: Program, register: int) -> None:
        """``immediate``."""
        program.add(Immediate(dreg=wire_register(register), data=self.data))


class ConstantParts(Value):
    """Constants side by side, as a concatenation has its parts."""

    def __init__(self, target: Concatenation, data: list[bytes]) -> None:
        self.target = target
        self.data = data

    @property
    def units(self) -> int:
        """The registers of all parts."""
        return self.target.units

    def load(self, program: Program, register: int) -> None:
        """One ``immediate`` for each part."""
        for part, data in zip(self.target.parts, self.data):
            program.add(Immediate(dreg=wire_register(register), data=data))
            register += part.units


class Loaded(Value):
    """Another selector's value, brought into the target's byte order."""

    def __init__(self, selector: Selector, byteorder: str) -> None:
        self.selector = selector
        self.byteorder = byteorder

    @property
    def units(self) -> int:
        """A concatenation takes what it needs, anything else a whole register."""
        return self.selector.units if isinstance(self.selector, Concatenation) else 4

    def load(self, program: Program, register: int) -> None:
        """Load, move bit fields to the right end, swap bytes where orders differ."""
        selector = self.selector
        selector.load(program, register)
        if not isinstance(selector, Concatenation):
            append_number(program, register, selector, self.byteorder)


class Mapped(Value):
    """What a map gives for a selector's value."""

    def __init__(self, key: Selector, name: str, set_id: int | None, interval: bool, units: int) -> None:
        self.key = key
        self.name = name
        self.set_id = set_id
        self.interval = interval
        self._units = units

    @property
    def units(self) -> int:
        """The larger of key and data."""
        return max(self._units, self.key.units if isinstance(self.key, Concatenation) else 4)

    def load(self, program: Program, register: int) -> None:
        """Load the key where the data shall be, and look it up."""
        from .match import load_key_into

        load_key_into(program, self.key, register, self.interval)
        number = wire_register(register)
        program.add(Lookup(set=self.name, sreg=number, dreg=number, set_id=self.set_id))


def build_value(value: Any, target: Selector, context: Context) -> Value:
    """The value of a JSON expression for a place of the target's type. Raises DocumentError."""
    if isinstance(value, dict) and "map" in value:
        return build_map(value["map"], target, context)
    if is_selector(value):
        return Loaded(build_for(value, target, context), target.byteorder)
    if isinstance(target, Concatenation):
        return _constant_parts(value, target)
    return Constant(packed(target, value))


def _constant_parts(value: Any, target: Concatenation) -> ConstantParts:
    items = value.get("concat") if isinstance(value, dict) else None
    if not isinstance(items, list) or len(items) != len(target.parts):
        raise DocumentError(
            "not a concatenation of %d parts" % len(target.parts), found=value, allowed='{"concat": [...]}'
        )
    return ConstantParts(target, [packed(part, one) for part, one in zip(target.parts, items)])


def build_map(value: Any, target: Selector | str, context: Context, object_type: int | None = None) -> Mapped:
    """The lookup of ``{"map": {"key": …, "data": …}}``."""
    if not isinstance(value, dict) or set(value) != {"key", "data"}:
        raise DocumentError("not a map", place="map", found=value, allowed='a mapping with "key" and "data"')
    try:
        key = build(value["key"], context)
    except DocumentError as error:
        raise error.at("map.key") from None
    data = value["data"]
    units = target.units if isinstance(target, Concatenation) else 4
    if isinstance(data, str) and data.startswith("@"):
        try:
            declared = declared_map(context, data[1:], key, target, object_type)
        except DocumentError as error:
            raise error.at("map.data") from None
        return Mapped(at_the_right(key), data[1:], None, bool(declared and declared.interval), units)
    pairs = data.get("set") if isinstance(data, dict) else data
    try:
        content = anonymous_map(context, key, pairs, target, object_type)
    except DocumentError as error:
        raise error.at("map.data") from None
    return Mapped(key, content.name, content.set_id, content.interval, units)
