# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set or map of the kernel by its name, and its types as the compiler takes them."""

from __future__ import annotations

from ..document.elements import Part
from ..errors import HostError, nearest
from ..netlink.socket import NetlinkSocket
from ..nftables import uapi
from ..nftables.datatypes import BY_NUMBER
from ..nftables.selectors.base import Concatenation, Selector, Typed
from ..nftables.sets import VERDICT_TYPE, SetContent
from . import kernel
from .asking import find_set, find_table
from .desired import FAMILIES, FAMILY_NAMES
from .kernel import KernelSet, KernelTable
from .userdata import number_of

_KEYBYTEORDER = 0  # NFTNL_UDATA_SET_KEYBYTEORDER
_MERGE_ELEMENTS = 2  # NFTNL_UDATA_SET_MERGE_ELEMENTS
_TYPE_BITS = 6  # a part of a concatenation in nft's type numbers (TYPE_BITS)

MAPS = uapi.NFT_SET_MAP | uapi.NFT_SET_OBJECT
"""The flags of which a map has one."""


def find_named(socket: NetlinkSocket, family: str, table_name: str, set_name: str) -> tuple[int, KernelSet]:
    """The number of the table's family, and the set without its elements.

    ``family`` is "" for the one table of that name. Raises HostError with the nearest name.
    """
    number = FAMILIES[family] if family else _only_family(socket, table_name)
    header = find_table(socket, number, table_name) if number is not None else None
    if number is None or header is None:
        raise _no_table(kernel.tables(socket), family, table_name)
    if header.owner:
        raise HostError(
            "table %s %s belongs to a process that alone may change it" % (FAMILY_NAMES[number], table_name),
            place="table",
            found="netlink port %d" % header.owner,
            cure="have that process change it",
        )
    held = find_set(socket, number, table_name, set_name)
    if held is None or held.flags & uapi.NFT_SET_ANONYMOUS:
        named = [
            name
            for name, one in kernel.sets(socket, number, table_name).items()
            if not one.flags & uapi.NFT_SET_ANONYMOUS
        ]
        raise HostError(
            "table %s %s has no set or map %s" % (FAMILY_NAMES[number], table_name, set_name),
            place="set",
            found=set_name,
            allowed=", ".join(named),
            cure=nearest(set_name, named) or "declare it first",
        )
    return number, held


def names(netns: str | None, family: str, table_name: str) -> list[str]:
    """The sets and maps of a table; of one that is not there none. ``family`` as above."""
    with NetlinkSocket(netns) as socket:
        number = FAMILIES[family] if family else _only_family(socket, table_name)
        found = kernel.sets(socket, number, table_name) if number is not None else {}
    return [name for name, one in found.items() if not one.flags & uapi.NFT_SET_ANONYMOUS]


def _only_family(socket: NetlinkSocket, table_name: str) -> int | None:
    numbers = [one.family for one in kernel.tables(socket) if one.name == table_name]
    if len(numbers) > 1:
        raise HostError(
            "there are several tables %s" % table_name,
            place="family",
            allowed=", ".join(FAMILY_NAMES.get(one, str(one)) for one in numbers),
            cure="name the family",
        )
    return numbers[0] if numbers else None


def _no_table(tables: list[KernelTable], family: str, name: str) -> HostError:
    shown = ["%s %s" % (FAMILY_NAMES.get(one.family, one.family), one.name) for one in tables]
    elsewhere = [one.family for one in tables if one.name == name]
    cure = nearest(name, [one.name for one in tables]) or "declare it first"
    if elsewhere:
        cure = "there is one of family %s: name that family" % FAMILY_NAMES.get(elsewhere[0], "?")
    wanted = "%s %s" % (family, name) if family else name
    return HostError("there is no table %s" % wanted, "table", name, ", ".join(shown), cure)


def key_of(held: KernelSet) -> Selector:
    """The place of a dumped set's key, from nft's type numbers and the key's length. Raises HostError."""
    order = {1: "host", 2: "big"}.get(number_of(held.userdata, _KEYBYTEORDER), "")
    return _place(held.name, held.key_type, held.key_length, held.fields, order)


def _place(name: str, number: int, length: int, fields: tuple[int, ...], order: str = "") -> Selector:
    numbers = []
    while number:
        numbers.append(number & ((1 << _TYPE_BITS) - 1))
        number >>= _TYPE_BITS
    numbers.reverse()
    parts: list[Selector] = []
    for index, one in enumerate(numbers):
        known = BY_NUMBER.get(one)
        if known is None:
            raise HostError("set %s has a type that is not known here" % name, "set", one)
        if len(numbers) == 1:
            # nft notes an order for every set; it counts for types that have none of their own
            parts.append(Typed(known.name, known.bits or length * 8, "" if known.bits else order))
            continue
        size = fields[index] * 8 if index < len(fields) else 0
        if not known.bits and not size:
            raise HostError(
                "set %s has a key whose parts the kernel does not tell apart" % name,
                "set",
                known.name,
                cure="change it as a whole, with the document or with nft",
            )
        parts.append(Typed(known.name, known.bits or size))
    if not parts:
        raise HostError("set %s says nothing about its type" % name, "set", cure="declare it with a type")
    return parts[0] if len(parts) == 1 else Concatenation(parts)


def content_of(held: KernelSet, keys_only: bool = False) -> SetContent:
    """A dumped set as something that elements can be compiled for; of a map with its values or without."""
    content = SetContent(held.name, 0, key_of(held), held.flags & ~MAPS)
    content.auto_merge = bool(number_of(held.userdata, _MERGE_ELEMENTS))
    content.timeout = held.timeout
    if keys_only:
        return content
    if held.flags & uapi.NFT_SET_OBJECT:
        content.map_to("object", held.object_type)
    elif held.data_type == VERDICT_TYPE:
        content.map_to("verdict")
    elif held.data_type is not None:
        target = _place(held.name, held.data_type, held.data_length, ())
        content.map_to(target)
        if held.data_length == 2 * content.data_length:
            content.data_interval = True
            content.data_length = held.data_length
    return content


def parts_of(selector: Selector) -> list[Part]:
    """The parts of a key or a value, for reading what a person writes."""
    parts = selector.parts if isinstance(selector, Concatenation) else [selector]
    return [Part(part.datatype, part.bits) for part in parts]
