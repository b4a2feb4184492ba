# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements that let packets change sets and maps."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .. import uapi
from ..expressions.registers import Immediate
from ..expressions.state import Dynset
from ..parameters import checked, choice, whole
from ..selectors import build, is_selector
from ..selectors.base import Concatenation, Selector, at_the_right
from ..selectors.constants import packed
from ..selectors.program import Program, wire_register
from ..sets import SetContent
from ..stateful import STATEFUL
from .context import Context, Step
from .sets import check_change, same_type
from .values import Value

_WHOLE = 4  # 32-bit registers in one of the four that older kernels know

_METER_SIZE = 0xFFFF  # elements that nft gives a meter which does not say

OPERATIONS = {
    "add": uapi.NFT_DYNSET_OP_ADD,
    "update": uapi.NFT_DYNSET_OP_UPDATE,
    "delete": uapi.NFT_DYNSET_OP_DELETE,
}


class Given(Selector):
    """A constant where packets give a key elsewhere, of the type of the set's key."""

    def __init__(self, key: Selector, value: Any) -> None:
        self.datatype = key.datatype
        self.bits = key.bits
        self.byteorder = key.byteorder
        self._width = key.width
        self._data = packed(key, value)

    @property
    def width(self) -> int:
        """Bits of the set's key."""
        return self._width

    def load(self, program: Program, register: int) -> None:
        """``immediate``."""
        program.add(Immediate(dreg=wire_register(register), data=self._data))


def _with_constants(value: Any, target: Selector, context: Context) -> Selector:
    """What a JSON expression loads; constants in it are of the target's type. Raises DocumentError."""
    if isinstance(value, (str, int)):
        return Given(target, value)
    parts = value.get("concat") if isinstance(value, dict) else None
    if (
        isinstance(parts, list)
        and isinstance(target, Concatenation)
        and len(parts) == len(target.parts)
        and not all(map(is_selector, parts))
    ):
        return Concatenation(
            [
                build(one, context) if is_selector(one) else Given(place, one)
                for one, place in zip(parts, target.parts)
            ]
        )
    return build(value, context)


class SetUpdate(Step):
    """Adds, updates or deletes the key in a named set or map."""

    def __init__(self, dynset: Dynset, key: Any, data: Value | None) -> None:
        self.dynset = dynset
        self.key = key
        self.data = data

    def emit(self, program: Program) -> None:
        """Load the key (and the data), then ``dynset``."""
        from .match import load_key

        key = load_key(program, self.key, False)
        self.dynset.sreg_key = wire_register(key)
        if self.data is not None:
            # nft leaves a whole register to the key of a map, however small
            if self.key.units < _WHOLE and isinstance(self.key, Concatenation):
                program.take(_WHOLE - self.key.units)
            register = program.take(self.data.units)
            self.data.load(program, register)
            self.dynset.sreg_data = wire_register(register)
        program.add(self.dynset)


def compile_set(value: Any, context: Context) -> None:
    """Append ``{"set": value}``."""
    mapping = checked(value, ("op", "elem", "set", "stmt"))
    context.steps.append(SetUpdate(*_update(mapping, "set", context), None))


def compile_meter(value: Any, context: Context) -> None:
    """Append ``{"meter": value}``: an update of a set of that name.

    Unless the table declares one, the rule brings the set along: it is an anonymous
    one for all its name, which comes and goes with the rule.
    """
    mapping = checked(value, ("name", "key", "stmt", "size"))
    name = mapping.get("name")
    if not isinstance(name, str) or not name:
        raise DocumentError("a meter without a name", place="name", found=name)
    update = {"op": "update", "elem": mapping.get("key"), "set": "@" + name, "stmt": [mapping.get("stmt")]}
    dynset, key = _update(update, "set", context)
    if not dynset.timeout:
        # a packet of a known key sets its timeout back; without one there is nothing to update
        dynset.op = uapi.NFT_DYNSET_OP_ADD
    if name not in context.sets:
        content = SetContent(
            name, len(context.anonymous) + 1, key, uapi.NFT_SET_ANONYMOUS | uapi.NFT_SET_EVAL
        )
        if dynset.timeout:
            content.flags |= uapi.NFT_SET_TIMEOUT
        content.size = whole(mapping.get("size", _METER_SIZE), "size")
        context.anonymous.append(content)
        dynset.set_id = content.set_id
    context.steps.append(SetUpdate(dynset, key, None))


def compile_map(value: Any, context: Context) -> None:
    """Append ``{"map": value}`` as a statement."""
    from .values import Loaded

    mapping = checked(value, ("op", "elem", "data", "map", "stmt"))
    dynset, key = _update(mapping, "map", context)
    declared = context.sets.get(dynset.set)
    target = declared.data if declared is not None else None
    if declared is not None and target is None:
        raise DocumentError(
            "packets cannot add to this map", place="map", found="@" + dynset.set, allowed="a map to values"
        )
    if target is not None:
        data: Value = _data(mapping.get("data"), target, context)
    elif not is_selector(mapping.get("data")):
        raise DocumentError(
            "a value without a type",
            place="data",
            found=mapping.get("data"),
            cure="declare map %s in this document" % dynset.set,
        )
    else:
        selector = build(mapping.get("data"), context)
        data = Loaded(selector, selector.byteorder)
    context.steps.append(SetUpdate(dynset, key, data))


def _data(value: Any, target: Selector, context: Context) -> Value:
    """What an element of a declared map shall give: a constant or something loaded, of the map's type."""
    from .values import Loaded, build_value

    if is_selector(value):
        try:
            selector = _with_constants(value, target, context)
        except DocumentError as error:
            raise error.at("data") from None
        if not same_type(selector, target):
            raise DocumentError(
                "not of the type of the map's values, which is %s" % target.datatype.name,
                place="data",
                found=selector.datatype.name,
            )
        if isinstance(selector, Concatenation):
            return Loaded(selector, target.byteorder)
    try:
        return build_value(value, target, context)
    except DocumentError as error:
        raise error.at("data") from None


def _update(mapping: dict[str, Any], kind: str, context: Context) -> tuple[Dynset, Any]:
    name = mapping.get(kind)
    if not isinstance(name, str) or not name.startswith("@"):
        raise DocumentError("not a reference to a set", place=kind, found=name, allowed='"@name"')
    element = mapping.get("elem")
    timeout = None
    if isinstance(element, dict) and "elem" in element:
        inner = checked(element["elem"], ("val", "timeout", "comment", "expires"))
        if "timeout" in inner:
            from ..datatypes import milliseconds_of

            timeout = milliseconds_of(str(inner["timeout"]))
            if timeout is None:
                raise DocumentError(
                    "not a time",
                    place="elem.timeout",
                    found=inner["timeout"],
                    allowed="seconds, or like 1h30m",
                )
        element = inner.get("val")
    known = context.sets.get(name[1:])
    try:
        selector = build(element, context) if known is None else _with_constants(element, known.key, context)
    except DocumentError as error:
        raise error.at("elem") from None
    key = at_the_right(selector)
    if known is not None:
        try:
            check_change(known, selector, kind == "map")
        except DocumentError as error:
            raise error.at(kind) from None
    expressions = []
    for index, one in enumerate(mapping.get("stmt", [])):
        if not isinstance(one, dict) or len(one) != 1:
            raise DocumentError("not a statement", place="stmt[%d]" % index, found=one)
        ((statement, inner),) = one.items()
        expressions.append(choice(statement, STATEFUL, "stmt[%d]" % index)(inner))
    if known is not None and known.expressions and expressions:
        # The kernel gives every element what the set says, and does not tell of it twice.
        if sorted(one.encode()[4:] for one in expressions) != sorted(known.expressions):
            raise DocumentError(
                "the set says itself what its elements count, and differently",
                place="stmt",
                found=mapping["stmt"],
                cure="leave it out here or at the set, or have them say the same",
            )
        expressions = []
    dynset = Dynset(
        op=choice(mapping.get("op"), OPERATIONS, "op"),
        set=name[1:],
        timeout=timeout or 0,
        expr=expressions[0] if len(expressions) == 1 else None,
        expressions=expressions if len(expressions) > 1 else None,
        flags=uapi.NFT_DYNSET_F_EXPR if len(expressions) > 1 else 0,
    )
    return dynset, key
