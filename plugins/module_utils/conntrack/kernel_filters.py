# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which part of a filter the kernel evaluates, in a dump and in a deletion.

What the kernel can be asked, and since when (Linux' net/netfilter/nf_conntrack_netlink.c):

``family``    a dump: always; a deletion: with CTA_FILTER
``mark``      with its mask, a dump: 3.6, a deletion: 3.17
``saddr``     and the other exact addresses, exact ports of tcp and udp, and the protocol, with the
              family (CTA_FILTER): a dump: 5.8, a deletion: 6.12
``status``    with a mask: 5.15
``zone``      6.8, but 0; it means a zone in one direction too, so that it never decides a deletion

Networks, ranges, lists and negations it does not know; the rest of a filter neither. Ports of other
protocols it takes without looking at them, and a zone within a tuple as well.

IPv6 addresses it takes for their contrary (6.18 and before). So neither a version nor a name of a
part is enough:

- A deletion by a filter is done by the kernel only where :mod:`.probing` has seen the kernel that
  runs delete by such a filter exactly what it says.
- A dump is asked for what the version promises, and for the rest what probing has seen to miss
  nothing. All of a filter is asked again of every message that the dump brings: the kernel's part
  only spares what it would bring in vain.
"""

from __future__ import annotations

import os
import re
import socket

from . import probing
from .conditions import Item
from .fields import V4
from .filters import Filter
from .trials import Trials

TUPLE = (
    "saddr",
    "daddr",
    "reply_saddr",
    "reply_daddr",
    "protocol",
    "sport",
    "dport",
    "reply_sport",
    "reply_dport",
)
_WITH_PORTS = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
_SAMPLE_PROTOCOL = int(socket.IPPROTO_TCP)

SINCE_TUPLE = (5, 8)
SINCE = {"mark": (3, 6), "status": (5, 15), "zone": (6, 8)}


class Part:
    """What the kernel is asked. ``whole`` is whether that is all that the filter says."""

    __slots__ = ("attributes", "family", "values", "whole")

    def __init__(self, family: int, values: dict[str, int], whole: bool, attributes: bytes) -> None:
        self.family = family
        self.values = values
        self.whole = whole
        self.attributes = attributes


def of_dump(filter: Filter) -> Part:
    """What a dump is to ask: the parts that this kernel narrows it by and misses nothing for."""
    values, whole = _askable(filter)
    kept: dict[str, int] = {}
    protocol = values.get("protocol", _SAMPLE_PROTOCOL)
    with Trials() as trials:
        for name in values:
            if name.endswith("_mask"):
                continue
            needed = {name, name + "_mask"} & set(values)
            if name.endswith("port"):
                needed.add("protocol")
            if _promised(name, filter.family) or trials.lists(frozenset(needed), filter.family, protocol):
                kept.update({one: values[one] for one in needed})
    attributes = probing.asking(filter.family, kept) if kept else b""
    return Part(filter.family, kept, whole and kept == values, attributes)


def _promised(name: str, family: int) -> bool:
    """Whether the kernel's version is one that lists by this part rightly."""
    if name.endswith("addr") and family != socket.AF_INET:
        return False
    return _version() >= SINCE.get(name, SINCE_TUPLE)


def _version() -> tuple[int, int]:
    """The running kernel's version, without what comes after its second number."""
    numbers = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(numbers.group(1)), int(numbers.group(2))) if numbers else (0, 0)


def of_deletion(filter: Filter) -> Part | None:
    """What deletes exactly the connections of a filter in one message; None where this kernel can't."""
    values, whole = _askable(filter)
    asked = frozenset(values) | (frozenset({"family"}) if filter.family else frozenset())
    if not whole or not asked:
        return None
    with Trials() as trials:
        protocol = values.get("protocol", _SAMPLE_PROTOCOL)
        if not trials.deletes(asked, filter.family, protocol):
            return None
    return Part(filter.family, values, True, probing.asking(filter.family, values))


def _askable(filter: Filter) -> tuple[dict[str, int], bool]:
    """The parts of a filter that have a form which the kernel knows, and whether these are all."""
    values: dict[str, int] = {}
    seen = {"family"}
    choices = filter.choices
    protocol = choices["protocol"].only if "protocol" in choices else None
    for name in TUPLE if filter.family else ():
        item = choices[name].only if name in choices else None
        if item is None or item.mask is not None or item.low != item.high:
            continue
        if name.endswith("port") and (protocol is None or protocol.low not in _WITH_PORTS):
            continue
        if name.endswith("addr") and (item.kind == V4) != (filter.family == socket.AF_INET):
            continue
        values[name] = item.low
        seen.add(name)
    mark = choices["mark"].only if "mark" in choices else None
    if mark is not None and (mark.mask is not None or mark.low == mark.high):
        values["mark"] = mark.low
        values["mark_mask"] = probing.WHOLE_MARK if mark.mask is None else mark.mask
        seen.add("mark")
    if "status" in choices:
        bits = _status(choices["status"].wanted, choices["status"].unwanted)
        if bits is not None:
            values["status"], values["status_mask"] = bits
            seen.add("status")
    zone = choices["zone"].only if "zone" in choices else None
    if zone is not None and zone.low == zone.high and zone.low:
        values["zone"] = zone.low
        seen.add("zone")
    return values, all(condition.key in seen for condition in filter.conditions)


def _status(wanted: list[Item], unwanted: list[Item]) -> tuple[int, int] | None:
    """One value and mask that say the same: all of some bits, and none of others."""
    if len(wanted) > 1:
        return None
    value = mask = 0
    for item in wanted:
        value, mask = item.low, item.mask or 0
    for item in unwanted:
        bit = item.mask or 0
        if bin(bit).count("1") != 1 or bit & mask:
            return None
        mask |= bit
        value |= bit & ~item.low
    return (value, mask) if mask else None
