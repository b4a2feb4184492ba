# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel holds, as libnftables JSON names it: tables with everything in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..links import interfaces
from ..netlink.socket import NetlinkSocket
from ..nftables import uapi
from ..nftables.datatypes import BY_NUMBER
from ..nftables.declared.objects import decode_object
from ..nftables.decode import SetView, decode_elements, decode_rule
from ..nftables.decode.stateful import fresh
from ..nftables.expressions import TABLE, decode_one
from ..nftables.render import render_rule
from ..nftables.sets.typeof import KEY, VALUE, noted_expression
from ..nftables.statements.stateful import OBJECT_TYPES
from . import kernel as state
from .describe import kernel_chain_json, kernel_statements
from .desired import FAMILY_NAMES, HOOK_NAMES
from .kernel import KernelChain, KernelObject, KernelSet, KernelTable, Picture
from .table_names import Names, find
from .userdata import comment_of, number_of

Place = tuple[int, str]
"""A table's family number and name."""

_TABLE_FLAGS = {
    uapi.NFT_TABLE_F_DORMANT: "dormant",
    uapi.NFT_TABLE_F_OWNER: "owner",
    uapi.NFT_TABLE_F_PERSIST: "persist",
}
_SET_FLAGS = {
    uapi.NFT_SET_CONSTANT: "constant",
    uapi.NFT_SET_INTERVAL: "interval",
    uapi.NFT_SET_TIMEOUT: "timeout",
    uapi.NFT_SET_EVAL: "dynamic",
}
_FLOWTABLE_FLAGS = {uapi.NFT_FLOWTABLE_HW_OFFLOAD: "offload"}
_OBJECT_NAMES = {number: name for name, number in OBJECT_TYPES.items()}
_TYPE_BITS = 6  # bits of nft's type number for each part of a concatenation (TYPE_BITS)

# user data of sets (libnftnl/udata.h)
_SET_MERGE = 2  # NFTNL_UDATA_SET_MERGE_ELEMENTS
_SET_COMMENT = 7  # NFTNL_UDATA_SET_COMMENT


def tables(netns: str | None, wanted: Sequence[Names] = (), zero: bool = False) -> list[dict[str, Any]]:
    """The tables that ``wanted`` names (all, if it names none), as one consistent picture.

    ``zero`` sets the rules' counters to zero in the step that reads them. A chain's
    ``references`` counts what jumps to it: rules, and elements of verdict maps. A rule
    has its statements as ``expr`` and its nft text as ``rule``. Raises HostError for a
    table that does not exist, KernelError.
    """
    with interfaces.of(netns):
        return listed(*read(netns, wanted, zero))


def read(netns: str | None, wanted: Sequence[Names] = (), zero: bool = False) -> tuple[Picture, list[Place]]:
    """The same as the kernel has it, and the places of the tables in the order to list them in.

    To be listed where ``interfaces.of`` says the namespace.
    """
    with NetlinkSocket(netns) as kernel:
        places = find(kernel, wanted)
        picture = state.read(kernel, places)
        if zero:
            for place in picture.tables:
                _zero(kernel, picture.tables[place])
        return picture, places


def listed(picture: Picture, places: Sequence[Place]) -> list[dict[str, Any]]:
    """The tables of a picture as :func:`tables` has them."""
    return [_table(picture.tables[place]) for place in places if place in picture.tables]


def names(netns: str | None) -> list[Names]:
    """Family and name of every table, in the kernel's order."""
    with NetlinkSocket(netns) as kernel:
        return [(FAMILY_NAMES.get(one.family, str(one.family)), one.name) for one in state.tables(kernel)]


def _zero(kernel: NetlinkSocket, table: KernelTable) -> None:
    """Put the counted rules in the place of those read before; what came since needs its sets read."""
    counted = state.read_and_zero(kernel, table.family, table.name)
    known = {rule.handle for chain in table.chains.values() for rule in chain.rules}
    if any(rule.handle not in known for rules in counted.values() for rule in rules):
        place = (table.family, table.name)
        again = state.read(kernel, [place]).tables.get(place)
        if again is not None:
            table.chains, table.sets = again.chains, again.sets
    for name, chain in table.chains.items():
        references = chain.use - len(chain.rules)
        chain.rules = counted.get(name, [])
        chain.use = references + len(chain.rules)


def _table(table: KernelTable) -> dict[str, Any]:
    family = FAMILY_NAMES[table.family]
    shown: dict[str, Any] = {"family": family, "name": table.name, "handle": table.handle}
    _add(shown, "flags", _flags(table.flags, _TABLE_FLAGS))
    _add(shown, "comment", comment_of(table.userdata))
    shown["chains"] = [_chain(table, chain, family) for chain in table.named_chains()]
    named = [one for one in table.sets.values() if not one.flags & uapi.NFT_SET_ANONYMOUS]
    shown["sets"] = [_set(one) for one in named if not _is_map(one)]
    shown["maps"] = [_set(one) for one in named if _is_map(one)]
    shown["objects"] = []
    shown["objects"] = [_object(one) for one in table.objects.values()]
    shown["flowtables"] = []
    for each in table.flowtables.values():
        body = {
            "name": each.name,
            "handle": each.handle,
            "hook": HOOK_NAMES["netdev"].get(each.hook.number, str(each.hook.number)),
            "prio": each.hook.priority,
            "dev": list(each.hook.devices),
        }
        _add(body, "flags", _flags(each.flags, _FLOWTABLE_FLAGS))
        _add(body, "counter", bool(each.flags & uapi.NFT_FLOWTABLE_COUNTER))
        shown["flowtables"].append(body)
    return shown


def _chain(table: KernelTable, chain: KernelChain, family: str) -> dict[str, Any]:
    shown = {**kernel_chain_json(table, chain), "handle": chain.handle}
    if chain.hook is None:
        shown["references"] = max(chain.use - len(chain.rules), 0)
    shown["rules"] = []
    for rule in chain.rules:
        comment = comment_of(rule.userdata)
        statements = kernel_statements(table, rule)
        one: dict[str, Any] = {"handle": rule.handle, "expr": statements}
        _add(one, "comment", comment)
        one["rule"] = render_rule(statements, comment, family)
        shown["rules"].append(one)
    return shown


def _object(one: KernelObject) -> dict[str, Any]:
    word = _OBJECT_NAMES.get(one.kind, "object-%d" % one.kind)
    body = decode_object(one.kind, one.data)
    if "unknown" in body and word in TABLE:
        # these have the attributes of the statement of their name
        body = decode_rule([TABLE[word].decode(one.data)], "inet", lambda name: None)[0].get(word) or body
    shown = {"name": one.name, "handle": one.handle, **body}
    _add(shown, "comment", comment_of(one.userdata))
    return {word: shown}


def _is_map(one: KernelSet) -> bool:
    return bool(one.flags & (uapi.NFT_SET_MAP | uapi.NFT_SET_OBJECT))


def _set(one: KernelSet) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": one.name, "handle": one.handle, "type": _type(one.key_type)}
    noted = noted_expression(one.userdata, KEY)
    if noted is not None:
        shown["typeof"] = noted
    if one.flags & uapi.NFT_SET_OBJECT:
        shown["map"] = _OBJECT_NAMES.get(one.object_type, str(one.object_type))
    elif one.flags & uapi.NFT_SET_MAP:
        shown["map"] = _data_type(one)
    _add(shown, "flags", _flags(one.flags, _SET_FLAGS))
    _add(shown, "policy", "memory" if one.policy == uapi.NFT_SET_POL_MEMORY else None)
    _add(shown, "size", one.size)
    _add(shown, "timeout", one.timeout // 1000)
    _add(shown, "gc-interval", one.gc_interval // 1000)
    _add(shown, "stmt", [fresh(decode_one(payload)) for payload in one.expressions])
    _add(shown, "auto-merge", bool(number_of(one.userdata, _SET_MERGE)))
    _add(shown, "comment", comment_of(one.userdata, _SET_COMMENT))
    _add(shown, "elem", decode_elements(SetView.of(one)))
    return shown


def _data_type(one: KernelSet) -> Any:
    """What a map gives: ``verdict``, a type, or ``interval`` and a type where each value is a range of it."""
    if one.data_type == uapi.NFT_DATA_VERDICT:
        return "verdict"
    noted = noted_expression(one.userdata, VALUE)
    if noted is not None:
        return {"typeof": noted}
    found = _type(one.data_type or 0)
    known = BY_NUMBER.get(one.data_type or 0)
    if known is not None and known.bits and one.data_length * 8 == 2 * known.bits:
        return "interval %s" % found
    return found


def _type(number: int) -> Any:
    """A type's name by nft's number of it; a list of the names of a concatenation's parts."""
    parts = []
    while number:
        part = number & ((1 << _TYPE_BITS) - 1)
        parts.append(BY_NUMBER[part].name if part in BY_NUMBER else "integer")
        number >>= _TYPE_BITS
    parts.reverse()
    return parts if len(parts) > 1 else parts[0] if parts else "integer"


def _flags(flags: int, known: dict[int, str]) -> list[str]:
    return [name for bit, name in known.items() if flags & bit]


def _add(shown: dict[str, Any], key: str, value: Any) -> None:
    if value:
        shown[key] = value
