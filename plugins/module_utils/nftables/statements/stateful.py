# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements with a state or a name: counter, quota, limit, ct count, last, and named objects."""

from __future__ import annotations

from typing import Any, Callable

from ...errors import DocumentError
from .. import uapi
from ..expressions import Expression
from ..expressions.state import Objref
from ..selectors.program import Program, wire_register
from ..stateful import STATEFUL
from .context import Context, Step
from .match import load_key_into
from .values import Mapped, build_map

OBJECT_TYPES = {
    "counter": uapi.NFT_OBJECT_COUNTER,
    "quota": uapi.NFT_OBJECT_QUOTA,
    "ct helper": uapi.NFT_OBJECT_CT_HELPER,
    "limit": uapi.NFT_OBJECT_LIMIT,
    "tunnel": uapi.NFT_OBJECT_TUNNEL,
    "ct timeout": uapi.NFT_OBJECT_CT_TIMEOUT,
    "secmark": uapi.NFT_OBJECT_SECMARK,
    "ct expectation": uapi.NFT_OBJECT_CT_EXPECT,
    "synproxy": uapi.NFT_OBJECT_SYNPROXY,
}


class Plain(Step):
    """A statement that is one expression without registers."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression

    def emit(self, program: Program) -> None:
        """Append it."""
        program.add(self.expression)


class ObjectFromMap(Step):
    """A named object that a map gives."""

    def __init__(self, lookup: Mapped) -> None:
        self.lookup = lookup

    def emit(self, program: Program) -> None:
        """Load the key; ``objref`` looks it up itself."""
        register = program.take(self.lookup.units)
        load_key_into(program, self.lookup.key, register, self.lookup.interval)
        program.add(Objref(set_sreg=wire_register(register), set=self.lookup.name, set_id=self.lookup.set_id))


def compile_object(kind: str, value: Any, context: Context) -> bool:
    """Append a reference to a named object if ``value`` is a name or a map; whether it was one."""
    if isinstance(value, str):
        context.steps.append(Plain(Objref(imm_name=value, imm_type=OBJECT_TYPES[kind])))
        return True
    if isinstance(value, dict) and set(value) == {"map"}:
        context.steps.append(ObjectFromMap(build_map(value["map"], "object", context, OBJECT_TYPES[kind])))
        return True
    return False


def named_only(kind: str) -> Callable[[Any, Context], None]:
    """The compiler of a statement that only names an object (ct helper, ct timeout, …)."""

    def compile_named(value: Any, context: Context) -> None:
        if not compile_object(kind, value, context):
            raise DocumentError("not an object's name", found=value, allowed="a name, or a map of names")

    return compile_named


def stateful(kind: str) -> Callable[[Any, Context], None]:
    """The compiler of a stateful statement: anonymous, or a named object where there are such."""

    def compile_stateful(value: Any, context: Context) -> None:
        if kind in OBJECT_TYPES and compile_object(kind, value, context):
            return
        context.steps.append(Plain(STATEFUL[kind](value)))

    return compile_stateful
