# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements with a state or a name: counter, quota, limit, ct count, last, and named objects."""

from __future__ import annotations

from typing import Any, Callable

from ...errors import DocumentError, nearest
from .. import uapi
from ..expressions import Expression
from ..expressions.state import Connlimit, Counter, Last, Limit, Objref, Quota
from ..selectors.program import Program, wire_register
from .context import Context, Step
from .values import Mapped, build_map

#: bytes in each unit that nft writes
BYTE_UNITS = {"bytes": 1, "kbytes": 1 << 10, "mbytes": 1 << 20}
#: seconds in each period of a limit
PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
#: nft's burst where none is given, for packets and for bytes
DEFAULT_BURST = {"packets": 5, "bytes": 0}

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
        self.lookup.key.load(program, register)
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


def checked(value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """``value`` as a mapping with no other keys; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DocumentError("not a mapping", found=value, allowed="a mapping with %s" % ", ".join(keys))
    for key in value:
        if key not in keys:
            raise DocumentError(
                "unknown key", place=key, found=value[key], allowed=", ".join(keys), cure=nearest(key, keys)
            )
    return value


def whole(value: Any, place: str, top: int = 0xFFFFFFFF, low: int = 0) -> int:
    """``value`` if it is an integer from ``low`` to ``top``."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= top:
        raise DocumentError(
            "not a number that fits", place=place, found=value, allowed="%d to %d" % (low, top)
        )
    return value


def choice(value: Any, table: Any, place: str) -> Any:
    """``table[value]``, or an error that names the choices."""
    if not isinstance(value, str) or value not in table:
        raise DocumentError(
            "unknown name",
            place=place,
            found=value,
            allowed=", ".join(table),
            cure=nearest(str(value), table),
        )
    return table[value]


_U64 = (1 << 64) - 1


def counter_expression(value: Any) -> Counter:
    """An anonymous counter with its start values."""
    mapping = checked(value, ("packets", "bytes"))
    return Counter(
        packets=whole(mapping.get("packets", 0), "packets", _U64),
        bytes=whole(mapping.get("bytes", 0), "bytes", _U64),
    )


def quota_expression(value: Any) -> Quota:
    """An anonymous quota."""
    mapping = checked(value, ("val", "val_unit", "used", "used_unit", "inv"))
    unit = choice(mapping.get("val_unit", "bytes"), BYTE_UNITS, "val_unit")
    used_unit = choice(mapping.get("used_unit", "bytes"), BYTE_UNITS, "used_unit")
    return Quota(
        bytes=whole(mapping.get("val"), "val", _U64) * unit,
        consumed=whole(mapping.get("used", 0), "used", _U64) * used_unit,
        flags=uapi.NFT_QUOTA_F_INV if mapping.get("inv") else 0,
    )


def limit_expression(value: Any) -> Limit:
    """An anonymous limit."""
    mapping = checked(value, ("rate", "rate_unit", "per", "burst", "burst_unit", "inv"))
    unit = mapping.get("rate_unit", "packets")
    by_bytes = unit != "packets"
    if by_bytes:
        choice(unit, BYTE_UNITS, "rate_unit")
    rate = whole(mapping.get("rate"), "rate", _U64, 1) * BYTE_UNITS.get(unit, 1)
    burst_unit = mapping.get("burst_unit", "bytes" if by_bytes else "packets")
    burst = mapping.get("burst")
    if burst is None:
        burst = DEFAULT_BURST["bytes" if by_bytes else "packets"]
    else:
        burst = whole(burst, "burst")
        if by_bytes:
            burst *= choice(burst_unit, BYTE_UNITS, "burst_unit")
    return Limit(
        rate=rate,
        unit=choice(mapping.get("per", "second"), PERIODS, "per"),
        burst=burst,
        type=uapi.NFT_LIMIT_PKT_BYTES if by_bytes else uapi.NFT_LIMIT_PKTS,
        flags=uapi.NFT_LIMIT_F_INV if mapping.get("inv") else 0,
    )


def connlimit_expression(value: Any) -> Connlimit:
    """A count of connections."""
    mapping = checked(value, ("val", "inv"))
    return Connlimit(
        count=whole(mapping.get("val"), "val"), flags=uapi.NFT_CONNLIMIT_F_INV if mapping.get("inv") else None
    )


def last_expression(value: Any) -> Last:
    """A mark of when a packet last came by."""
    checked(value, ("used", "set"))
    return Last()


#: stateful expressions, which set elements may carry too
STATEFUL: dict[str, Callable[[Any], Expression]] = {
    "counter": counter_expression,
    "quota": quota_expression,
    "limit": limit_expression,
    "ct count": connlimit_expression,
    "last": last_expression,
}


def stateful(kind: str) -> Callable[[Any, Context], None]:
    """The compiler of a stateful statement: anonymous, or a named object where there are such."""

    def compile_stateful(value: Any, context: Context) -> None:
        if kind in OBJECT_TYPES and compile_object(kind, value, context):
            return
        context.steps.append(Plain(STATEFUL[kind](value)))

    return compile_stateful
