# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network address translation: snat, dnat, masquerade, redirect."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .. import uapi
from ..expressions import actions as kernel
from ..parameters import checked, choice
from ..selectors.base import Concatenation
from ..selectors.constants import prefix_numbers, range_numbers
from ..selectors.program import Program, wire_register
from .actions import ADDRESS, NFPROTO, PORT, Registers, address_family_of
from .context import Context
from .values import Constant, Value, build_map, build_value

#: NF_NAT_RANGE_* (linux/netfilter/nf_nat.h)
MAP_IPS = 0x01
PROTO_SPECIFIED = 0x02
NETMAP = 0x40
FLAGS = {"random": 0x04, "persistent": 0x08, "fully-random": 0x10, "netmap": NETMAP}
TYPES = {"snat": uapi.NFT_NAT_SNAT, "dnat": uapi.NFT_NAT_DNAT}


def _flags(mapping: dict[str, Any]) -> int:
    flags = 0
    value = mapping.get("flags", [])
    for one in value if isinstance(value, list) else [value]:
        flags |= choice(one, FLAGS, "flags")
    return flags


def compile_nat(kind: str, value: Any, context: Context) -> None:
    """Append ``{"snat": value}`` or ``{"dnat": value}``."""
    mapping = checked(value, ("addr", "family", "port", "flags", "type_flags"))
    if "addr" not in mapping and "port" not in mapping:
        raise DocumentError("neither address nor port to translate to", found=value, allowed="addr, port")
    flags = _flags(mapping)
    family = address_family_of(mapping, context)
    if family is None and context.family in NFPROTO:
        family = context.family
    if family is None and "addr" in mapping:
        raise DocumentError(
            "the address family is not known", place="family", allowed="ip, ip6", cure="add family: ip or ip6"
        )
    if family is None and context.family not in _FAMILIES:
        raise DocumentError("no %s in a table of family %s" % (kind, context.family), found=value)
    type_flags = mapping.get("type_flags", [])
    type_flags = type_flags if isinstance(type_flags, list) else [type_flags]
    expression = kernel.Nat(type=TYPES[kind], family=NFPROTO[family] if family else _FAMILIES[context.family])
    operands: list[tuple[str, Value]] = []
    concatenated = False
    if "addr" in mapping:
        address = mapping["addr"]
        if _is_map(address):
            concatenated = _maps_to_port(address["map"], context, "concat" in type_flags)
            if concatenated:
                target = Concatenation([ADDRESS[family or "ip"], PORT])
                operands.append(("reg_addr_min", build_map(address["map"], target, context)))
            else:
                operands.append(("reg_addr_min", build_map(address["map"], ADDRESS[family or "ip"], context)))
        else:
            operands += _bounds("reg_addr", address, ADDRESS[family or "ip"], context)
        if "prefix" in type_flags:
            flags |= NETMAP
    if "port" in mapping:
        operands += _bounds("reg_proto", mapping["port"], PORT, context)
        flags |= PROTO_SPECIFIED
    if "addr" in mapping:
        flags |= MAP_IPS
    behind = ""
    if concatenated:
        behind = "reg_proto_min"
        flags |= PROTO_SPECIFIED
    elif _is_map(mapping.get("addr")) and (
        "prefix" in type_flags or "interval" in type_flags or _maps_to_range(mapping["addr"]["map"], context)
    ):
        behind = "reg_addr_max"
    expression.flags = flags or None
    context.steps.append(NatStep(expression, operands, ADDRESS[family or "ip"].units, behind))


_FAMILIES = {"ip": 2, "ip6": 10, "inet": 1}


class NatStep(Registers):
    """A translation, with every attribute that the kernel fills in where it is left out.

    One lookup may give address and port, or both ends of a range.
    """

    def __init__(
        self,
        expression: kernel.Nat | kernel.Masq | kernel.Redir,
        operands: list[tuple[str, Value]],
        units: int = 0,
        behind: str = "",
    ) -> None:
        super().__init__(expression, operands)
        self.units = units
        self.behind = behind

    def emit(self, program: Program) -> None:
        """Load the operands; a missing upper bound is the lower one."""
        for name, value in self.operands:
            register = program.take(value.units)
            value.load(program, register)
            setattr(self.expression, name, wire_register(register))
            if name == "reg_addr_min" and self.behind:
                setattr(self.expression, self.behind, wire_register(register + self.units))
        for kind in ("reg_addr", "reg_proto"):
            if getattr(self.expression, kind + "_max", 0) is None:
                setattr(self.expression, kind + "_max", getattr(self.expression, kind + "_min", None))
        program.add(self.expression)


def _is_map(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"map"}


def _maps_to_port(value: Any, context: Context, said: bool) -> bool:
    """Whether a map's data are addresses with ports."""
    if said:
        return True
    data = value.get("data") if isinstance(value, dict) else None
    if isinstance(data, str):
        declared = context.sets.get(data[1:])
        return declared is not None and isinstance(declared.data, Concatenation)
    pairs = data.get("set") if isinstance(data, dict) else data
    if not isinstance(pairs, list) or not pairs or not isinstance(pairs[0], list):
        return False
    return isinstance(pairs[0][-1], dict) and "concat" in pairs[0][-1]


def _maps_to_range(value: Any, context: Context) -> bool:
    """Whether a declared map's data are ranges, which nft lists no other way than addresses."""
    data = value.get("data") if isinstance(value, dict) else None
    declared = context.sets.get(data[1:]) if isinstance(data, str) else None
    return declared is not None and declared.data_interval


def _bounds(name: str, value: Any, target: Any, context: Context) -> list[tuple[str, Value]]:
    if isinstance(value, dict) and "range" in value:
        low, high = range_numbers(target, value["range"])
        return [(name + "_min", Constant(target.pack(low))), (name + "_max", Constant(target.pack(high)))]
    if isinstance(value, dict) and "prefix" in value:
        low, length = prefix_numbers(target, value["prefix"])
        high = low | ((1 << (target.bits - length)) - 1)
        return [(name + "_min", Constant(target.pack(low))), (name + "_max", Constant(target.pack(high)))]
    return [(name + "_min", build_value(value, target, context))]


def compile_masquerade(value: Any, context: Context) -> None:
    """Append ``{"masquerade": value}``."""
    mapping = checked(value, ("port", "flags"))
    flags = _flags(mapping)
    operands = []
    if "port" in mapping:
        operands = _bounds("reg_proto", mapping["port"], PORT, context)
        flags |= PROTO_SPECIFIED
    context.steps.append(NatStep(kernel.Masq(flags=flags or None), operands))


def compile_redirect(value: Any, context: Context) -> None:
    """Append ``{"redirect": value}``."""
    mapping = checked(value, ("port", "flags"))
    flags = _flags(mapping)
    operands = []
    if "port" in mapping:
        operands = _bounds("reg_proto", mapping["port"], PORT, context)
        flags |= PROTO_SPECIFIED
    context.steps.append(NatStep(kernel.Redir(flags=flags or None), operands))
