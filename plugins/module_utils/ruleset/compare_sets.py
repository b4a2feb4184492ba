# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declared sets and objects compared: what must be made anew, and which elements come and go."""

from __future__ import annotations

import sys
from bisect import bisect_left
from typing import Any

from ..netlink.attributes import attribute, walk
from ..nftables import uapi
from ..nftables.declared import ObjectContent
from ..nftables.declared.objects import object_identity
from ..nftables.expressions import decode_list
from ..nftables.sets import VERDICT_TYPE, SetContent
from .kernel import KernelObject, KernelSet
from .steps import SetPlan
from .userdata import comment_of, number_of

# user data of sets (libnftnl/udata.h)
_MERGE_ELEMENTS = 2  # NFTNL_UDATA_SET_MERGE_ELEMENTS
_COMMENT = 7  # NFTNL_UDATA_SET_COMMENT

_TRANSIENT = (
    uapi.NFTA_SET_ELEM_EXPIRATION,
    uapi.NFTA_SET_ELEM_EXPR,
    uapi.NFTA_SET_ELEM_EXPRESSIONS,
    uapi.NFTA_SET_ELEM_PAD,
)

_KEY_HEAD = 8  # the headers of NFTA_SET_ELEM_KEY and of NFTA_DATA_VALUE in it
_END = attribute(uapi.NFTA_SET_ELEM_FLAGS, uapi.NFT_SET_ELEM_INTERVAL_END.to_bytes(4, "big"))
_LASTING_SIZE = 16  # no room for a key and an expiration, which takes 12 bytes


def same_properties(kernel: KernelSet, desired: SetContent) -> bool:
    """Whether a set is what it shall be, apart from its elements: the kernel changes no such property."""
    return (
        kernel.flags & ~uapi.NFT_SET_EXPR == desired.flags
        and kernel.key_length == desired.key_length
        and kernel.key_type == desired.key_type
        and kernel.data_type == desired.data_type
        and (desired.data_type == VERDICT_TYPE or kernel.data_length == desired.data_length)
        and kernel.object_type == (desired.object_type or 0)
        and kernel.timeout == desired.timeout
        and kernel.gc_interval == desired.gc_interval
        and kernel.size == desired.size
        and kernel.policy == (desired.policy or uapi.NFT_SET_POL_PERFORMANCE)
        and [_blank(one) for one in kernel.expressions] == [_blank(one) for one in desired.expressions]
        and (comment_of(kernel.userdata, _COMMENT) or "") == desired.comment
        and bool(number_of(kernel.userdata, _MERGE_ELEMENTS)) == desired.auto_merge
    )


def same_object(kernel: KernelObject, desired: ObjectContent) -> bool:
    """Whether an object is what it shall be, apart from what packets counted."""
    return object_identity(kernel.kind, kernel.data) == desired.identity() and (
        comment_of(kernel.userdata) or ""
    ) == (desired.comment)


def _blank(expression: bytes) -> list[Any]:
    from . import canonical

    return [canonical.zeroed(one) for one in decode_list(attribute(uapi.NFTA_LIST_ELEM, expression))]


def plan_elements(plan: SetPlan, held: list[bytes], wanted: list[bytes], interval: bool) -> None:
    """Fill in which elements come and go.

    ``held`` and ``wanted`` are element payloads; ``interval`` sets hold points, which
    come and go in pairs. An element's remaining time and counters are its own.
    """
    old, new = set(held), set(wanted)
    if old == new or (interval and not wanted and all(is_end(payload) for payload in held)):
        # the kernel keeps the end at zero of a set that has become empty
        return
    if interval:
        held, wanted = _near_changes(held, wanted, old ^ new)
        gone, come = segments(held), segments(wanted)
        for key in gone.keys() - come.keys():
            plan.remove += gone[key]
        for key in come.keys() - gone.keys():
            plan.add += come[key]
        return
    leaving = {lasting(payload): payload for payload in old - new}
    arriving = {lasting(payload): payload for payload in new - old}
    plan.remove = [payload for key, payload in leaving.items() if key not in arriving]
    plan.add = [payload for key, payload in arriving.items() if key not in leaving]


def _near_changes(
    held: list[bytes], wanted: list[bytes], different: set[bytes]
) -> tuple[list[bytes], list[bytes]]:
    """Both lists of points without the intervals that no differing point touches.

    Whole lists where much differs, or where points do not stand in plain order.
    """
    if len(different) * 8 > len(held) + len(wanted):
        return held, wanted
    orders = []
    lists = []
    for points in (held, wanted):
        order = [payload[_KEY_HEAD:] for payload in points]
        if order and order[0] > order[-1]:
            points, order = points[::-1], order[::-1]
        if order != sorted(order):
            return held, wanted
        lists.append(points)
        orders.append(order)
    places = sorted({payload[_KEY_HEAD:] for payload in different})
    return tuple(_window(points, order, places) for points, order in zip(lists, orders))  # type: ignore[return-value]


def _window(points: list[bytes], order: list[bytes], places: list[bytes]) -> list[bytes]:
    """The whole intervals at and beside the places."""
    near: set[int] = set()
    for place in places:
        at = bisect_left(order, place)
        # the point before the place and the one behind it, the same ones in both lists
        there = at < len(order) and order[at] == place
        first, last = max(at - 1, 0), min(at + there, len(points) - 1)
        if first and is_end(points[first]):
            first -= 1
        if last + 1 < len(points) and not is_end(points[last]):
            last += 1
        near.update(range(first, last + 1))
    return [points[index] for index in sorted(near)]


def lasting(payload: bytes) -> bytes:
    """An element without what changes by itself."""
    if len(payload) <= _LASTING_SIZE:
        return payload
    attributes = walk(payload)
    if not any(kind in _TRANSIENT for kind, _unused in attributes):
        return payload
    return b"".join(attribute(kind, data) for kind, data in attributes if kind not in _TRANSIENT)


def is_end(payload: bytes) -> bool:
    """Whether an element is only the point behind an interval."""
    return payload.endswith(_END)


def segments(elements: list[bytes]) -> dict[tuple[bytes, ...], list[bytes]]:
    """Points as intervals: each first point with the end behind it; catch-all and floor alone."""
    points: list[tuple[bytes, bool, bytes]] = []
    found: dict[tuple[bytes, ...], list[bytes]] = {}
    head = elements[0][:_KEY_HEAD] if elements else b""
    plain = (int.from_bytes(head[:2], sys.byteorder) + 3) & ~3 if len(head) == _KEY_HEAD else 0
    for payload in elements:
        # nearly all points are a key alone, or a key with the end flag behind it
        size = len(payload)
        if payload[:_KEY_HEAD] == head and (
            size == plain or (size == plain + len(_END) and payload.endswith(_END))
        ):
            points.append((payload[_KEY_HEAD:plain], size == plain, payload))
            continue
        attributes = dict(walk(payload))
        flags = int.from_bytes(attributes.get(uapi.NFTA_SET_ELEM_FLAGS, b""), "big")
        key = attributes.get(uapi.NFTA_SET_ELEM_KEY)
        if key is None:
            found[(lasting(payload),)] = [payload]
        else:
            padded = key[4:] + b"\0" * (-len(key) % 4)
            points.append((padded, not flags & uapi.NFT_SET_ELEM_INTERVAL_END, payload))
    # at one key the end of one interval comes before the start of the next
    points.sort()
    start: bytes | None = None
    for _unused, begins, payload in points:
        if begins:
            if start is not None:
                found[(lasting(start),)] = [start]
            start = payload
        elif start is None:
            found[(lasting(payload),)] = [payload]
        else:
            found[(lasting(start), lasting(payload))] = [start, payload]
            start = None
    if start is not None:
        found[(lasting(start),)] = [start]
    return found
