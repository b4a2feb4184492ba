# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements of one set, changed without knowing the rest of its table.

For the ad-hoc case: ban this address for an hour. The set is read, its elements
compared, and what differs sent as one transaction of the generation that was read.
"""

from __future__ import annotations

import sys
from typing import Any, Callable

from ..errors import DocumentError, HostError, nearest
from ..netlink.attributes import attribute, table
from ..netlink.socket import LostRace, NetlinkSocket, Refused
from ..nftables import uapi
from ..nftables.datatypes import BY_NUMBER
from ..nftables.expressions.codecs import DATA
from ..nftables.selectors.base import Concatenation, Selector, Typed
from ..nftables.sets import VERDICT_TYPE, SetContent, fill
from . import compare_sets, kernel
from .batch import write
from .desired import FAMILIES
from .kernel import KernelSet, KernelTable
from .refusal import explain
from .steps import Plan, SetPlan, TablePlan
from .userdata import number_of

STATES = ("present", "absent", "exact")

_ATTEMPTS = 20
_ASK_AT_MOST = 200  # elements asked for one by one rather than by reading the set
_KEYBYTEORDER = 0  # NFTNL_UDATA_SET_KEYBYTEORDER
_MERGE_ELEMENTS = 2  # NFTNL_UDATA_SET_MERGE_ELEMENTS
_TYPE_BITS = 6  # a part of a concatenation in nft's type numbers (TYPE_BITS)
_END = uapi.NFT_SET_ELEM_INTERVAL_END
_END_FLAG = attribute(uapi.NFTA_SET_ELEM_FLAGS, _END.to_bytes(4, "big"))
_KEY_KIND = uapi.NFTA_SET_ELEM_KEY.to_bytes(2, sys.byteorder)


def key_of(held: KernelSet) -> Selector:
    """The place of a dumped set's key, from nft's type numbers and the key's length."""
    order = {1: "host", 2: "big"}.get(number_of(held.userdata, _KEYBYTEORDER), "")
    return _place(held.key_type, held.key_length, held.fields, order)


def _place(number: int, length: int, fields: tuple[int, ...], order: str = "") -> Selector:
    numbers = []
    while number:
        numbers.append(number & ((1 << _TYPE_BITS) - 1))
        number >>= _TYPE_BITS
    numbers.reverse()
    parts: list[Selector] = []
    for index, one in enumerate(numbers):
        known = BY_NUMBER.get(one)
        if known is None:
            raise HostError("the set has a type that is not known here", found=one)
        size = fields[index] if index < len(fields) else (known.bits + 7) // 8
        if len(numbers) == 1:
            size = length
        parts.append(Typed(known.name, known.bits or size * 8, order if len(numbers) == 1 else ""))
    if not parts:
        raise HostError("the set says nothing about its type", cure="declare it with rempart or nft")
    return parts[0] if len(parts) == 1 else Concatenation(parts)


def content_of(held: KernelSet) -> SetContent:
    """A dumped set as something that elements can be compiled for."""
    content = SetContent(held.name, 0, key_of(held), held.flags & ~(uapi.NFT_SET_MAP | uapi.NFT_SET_OBJECT))
    content.auto_merge = bool(number_of(held.userdata, _MERGE_ELEMENTS))
    if held.flags & uapi.NFT_SET_OBJECT:
        content.map_to("object", held.object_type)
    elif held.data_type == VERDICT_TYPE:
        content.map_to("verdict")
    elif held.data_type is not None:
        content.map_to(_place(held.data_type, held.data_length, ()))
    return content


def change_elements(
    netns: str | None,
    family: str,
    table_name: str,
    set_name: str,
    lower: Callable[[KernelSet], list[Any]],
    state: str = "present",
    refresh: bool = False,
    check: bool = False,
) -> Plan:
    """Make elements present or absent in a set, or its only ones (``exact``).

    ``lower`` gives the elements as libnftables JSON once the set is known.
    ``refresh`` starts the timeouts of present elements anew. Returns the plan that
    was (with ``check``: would be) carried out. Raises DocumentError for elements
    that do not fit, HostError where the set is not there, KernelError.
    """
    number = FAMILIES[family]
    with NetlinkSocket(netns) as socket:
        for _ in range(_ATTEMPTS):
            generation = kernel.generation(socket)
            held = _find(socket, number, family, table_name, set_name)
            wanted = lower(held)
            _read(socket, number, table_name, held, wanted, state)
            plan = _plan(generation, number, family, table_name, held, wanted, state, refresh)
            if not plan.changed or check:
                return plan
            try:
                socket.transact(plan.batch, generation=generation)
            except LostRace:
                continue
            except Refused as error:
                raise explain(error, plan) from None
            return plan
    raise HostError("the ruleset changed during each of %d attempts" % _ATTEMPTS, cure="try again")


def _read(
    socket: NetlinkSocket, number: int, table_name: str, held: KernelSet, wanted: list[Any], state: str
) -> None:
    """Read the elements that matter: those asked for where their keys can be asked for, else all."""
    if state == "exact" or held.flags & uapi.NFT_SET_INTERVAL or len(wanted) > _ASK_AT_MOST:
        held.elements = kernel.elements(socket, number, table_name, held.name)
        return
    content = content_of(held)
    fill(content, wanted, merge=False)
    held.elements = []
    for payload in content.elements:
        held.elements += kernel.find_elements(socket, number, table_name, held.name, payload)


def _find(socket: NetlinkSocket, number: int, family: str, table_name: str, set_name: str) -> KernelSet:
    tables = [one.name for one in kernel.tables(socket) if one.family == number]
    if table_name not in tables:
        raise HostError(
            "there is no table %s %s" % (family, table_name),
            found=table_name,
            allowed=", ".join(tables),
            cure=nearest(table_name, tables) or "declare it first",
        )
    sets = kernel.sets(socket, number, table_name)
    if set_name not in sets:
        named = [name for name, one in sets.items() if not one.flags & uapi.NFT_SET_ANONYMOUS]
        raise HostError(
            "table %s %s has no set %s" % (family, table_name, set_name),
            found=set_name,
            allowed=", ".join(named),
            cure=nearest(set_name, named) or "declare it first",
        )
    return sets[set_name]


def _plan(
    generation: int,
    number: int,
    family: str,
    table_name: str,
    held: KernelSet,
    elements: list[Any],
    state: str,
    refresh: bool,
) -> Plan:
    content = content_of(held)
    fill(content, elements, merge=content.auto_merge or state == "absent")
    change = SetPlan(held.name, "keep", held, None)
    points = content.interval and not held.fields
    if points:
        _change_intervals(change, content, state)
    else:
        _change_values(change, content.elements, state, refresh)
    owner = TablePlan(family, number, table_name, KernelTable(number, table_name, 0, 0, 0, 0, b""), None)
    owner.sets = [change]
    plan = Plan([owner], generation)
    write(plan)
    return plan


def _key(payload: bytes) -> tuple[bytes | None, ...]:
    found = table(payload)
    return found.get(uapi.NFTA_SET_ELEM_KEY), found.get(uapi.NFTA_SET_ELEM_KEY_END)


def _change_values(change: SetPlan, wanted: list[bytes], state: str, refresh: bool) -> None:
    """Single values and concatenations: the key tells what is the same element."""
    assert change.kernel is not None
    held = {_key(payload): payload for payload in change.kernel.elements or ()}
    given = {_key(payload): payload for payload in wanted}
    if state == "absent":
        change.remove = [held[key] for key in given if key in held]
        return
    for key, payload in given.items():
        old = held.get(key)
        if old is None:
            change.add.append(payload)
        elif compare_sets.lasting(old) != compare_sets.lasting(payload) or (
            refresh and uapi.NFTA_SET_ELEM_EXPIRATION in table(old)
        ):
            change.remove.append(old)
            change.add.append(payload)
    if state == "exact":
        change.remove += [payload for key, payload in held.items() if key not in given]


def _change_intervals(change: SetPlan, content: SetContent, state: str) -> None:
    """Intervals: what is covered already needs no element, and a hole splits an interval.

    Only where the set merges its elements may an interval be split or joined.
    """
    assert change.kernel is not None
    held = list(change.kernel.elements or ())
    if state == "exact":
        compare_sets.plan_elements(change, held, content.elements, True)
        return
    old, new = compare_sets.segments(held), compare_sets.segments(content.elements)
    spans = {key: _span(payloads, content) for key, payloads in old.items()}
    for payloads in new.values():
        span = _span(payloads, content)
        if span is None:
            continue
        touched = [
            one for one, other in spans.items() if other and other[0] <= span[1] and span[0] <= other[1]
        ]
        if state == "present":
            if any(_covers(spans[one], span) for one in touched):
                continue
            if touched and not content.auto_merge:
                raise _overlap(content, span)
            if touched:
                low = min(span[0], *(spans[one][0] for one in touched))  # type: ignore[index]
                high = max(span[1], *(spans[one][1] for one in touched))  # type: ignore[index]
                payloads = _interval(content, low, high)
            change.add += payloads
        else:
            for one in touched:
                whole = spans[one]
                assert whole is not None
                if not _covers(span, whole):
                    if not content.auto_merge:
                        raise _overlap(content, span)
                    if whole[0] < span[0]:
                        change.add += _interval(content, whole[0], span[0] - 1)
                    if whole[1] > span[1]:
                        change.add += _interval(content, span[1] + 1, whole[1])
        if state == "absent" or touched:
            for one in touched:
                change.remove += old[one]
                del spans[one]
    _floor(change, content, spans, old)


def _floor(change: SetPlan, content: SetContent, spans: dict[Any, Any], old: dict[Any, list[bytes]]) -> None:
    """The end at zero that nft keeps below the first interval: there unless an interval starts at zero."""
    size = content.key.width // 8
    floor = next((payloads for key, payloads in old.items() if spans.get(key, 0) is None), None)
    starts_low = any(span is not None and span[0] == 0 for span in spans.values()) or any(
        not any(_bare(payload)[:size]) and not _ends(payload) for payload in change.add
    )
    if starts_low and floor is not None:
        change.remove += floor
    elif not starts_low and floor is None and change.add:
        change.add += _end(bytes(size))


def _interval(content: SetContent, low: int, high: int) -> list[bytes]:
    """The points of one interval without data."""
    size = content.key.width // 8
    points = [attribute(uapi.NFTA_SET_ELEM_KEY, DATA.pack(low.to_bytes(size, "big")))]
    if high < (1 << content.key.width) - 1:
        points += _end((high + 1).to_bytes(size, "big"))
    return points


def _end(key: bytes) -> list[bytes]:
    return [attribute(uapi.NFTA_SET_ELEM_KEY, DATA.pack(key)) + _END_FLAG]


def _bare(payload: bytes) -> bytes:
    """The key's value with its padding; the kernel dumps the key first."""
    return payload[8:] if payload[2:4] == _KEY_KIND else b""


def _ends(payload: bytes) -> bool:
    if payload.endswith(_END_FLAG):
        return True
    return len(payload) > 32 and bool(
        int.from_bytes(table(payload).get(uapi.NFTA_SET_ELEM_FLAGS, b""), "big") & _END
    )


def _span(payloads: list[bytes], content: SetContent) -> tuple[int, int] | None:
    """(low, high) of a segment; None of the floor and the catch-all."""
    first = payloads[0]
    if not _bare(first) or _ends(first):
        return None
    size = content.key.width // 8
    low = int.from_bytes(_bare(first)[:size], "big")
    if len(payloads) == 1:
        return low, (1 << content.key.width) - 1
    return low, int.from_bytes(_bare(payloads[1])[:size], "big") - 1


def _covers(outer: tuple[int, int] | None, inner: tuple[int, int] | None) -> bool:
    return outer is not None and inner is not None and outer[0] <= inner[0] and inner[1] <= outer[1]


def _overlap(content: SetContent, span: tuple[int, int]) -> DocumentError:
    text = content.key.datatype.text_of
    return DocumentError(
        "set %s has an interval that overlaps this one in part" % content.name,
        found="%s-%s" % (text(span[0]), text(span[1])) if span[0] != span[1] else text(span[0]),
        cure="give the set auto-merge, or name the interval that it holds",
    )
