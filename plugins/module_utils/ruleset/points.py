# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Intervals as the kernel holds them: the points where membership changes.

Each interval is its first key, and the first key behind it with
NFT_SET_ELEM_INTERVAL_END unless it goes on to the last key. Below the first
interval nft puts such an end at zero, called the floor here.
"""

from __future__ import annotations

from ..netlink.attributes import table
from ..nftables import uapi
from ..nftables.sets.keys import END, KEY_HEAD, OPEN, key_attribute
from .element_attributes import packed, rest_of
from .intervals import Interval


class Points:
    """What the elements of an interval set come to.

    ``others`` are the payloads of elements without a key: the catch-all.
    """

    __slots__ = ("floor", "intervals", "others")

    def __init__(self) -> None:
        self.intervals: list[Interval] = []
        self.floor = False
        self.others: list[bytes] = []


def point(number: int, width: int) -> bytes:
    """The payload of an element with this key of ``width`` bits."""
    return key_attribute(number.to_bytes(width // 8, "big"))


def floor(width: int) -> bytes:
    """The payload of the end at zero."""
    return point(0, width) + END


def number_of(payload: bytes, width: int) -> int:
    """The key of an element, ``width`` bits; ValueError where it has none."""
    stop = 4 + width // 8
    key = table(payload).get(uapi.NFTA_SET_ELEM_KEY, b"")
    if len(key) < stop:
        raise ValueError("an element without a key of %d bits" % width)
    return int.from_bytes(key[4:stop], "big")


def to_points(one: Interval, width: int) -> list[bytes]:
    """The payloads of one interval of keys of ``width`` bits."""
    start = point(one.low, width)
    if one.high + 1 < 1 << width:
        return [start + packed(one.rest), point(one.high + 1, width) + END]
    rest = dict(one.rest)
    rest[uapi.NFTA_SET_ELEM_USERDATA] = rest.get(uapi.NFTA_SET_ELEM_USERDATA, b"") + OPEN
    return [start + packed(tuple(sorted(rest.items())))]


def of_points(payloads: list[bytes], width: int) -> Points:
    """Element payloads, in any order, as intervals in order.

    An end whose start is gone, as where its time is over, belongs to nothing.
    """
    found = Points()
    size = width // 8
    head = point(0, width)[:KEY_HEAD]
    plain = KEY_HEAD + ((size + 3) & ~3)
    ended = plain + len(END)
    # (key, whether it starts an interval, payload): at one key the end of an interval comes first
    marks: list[tuple[bytes, bool, bytes]] = []
    add = marks.append
    for payload in payloads:
        length = len(payload)
        # nearly all points are a key alone, or a key with the end flag behind it
        if payload[:KEY_HEAD] == head and (length == plain or (length == ended and payload.endswith(END))):
            add((payload[KEY_HEAD : KEY_HEAD + size], length == plain, payload))
            continue
        attributes = table(payload)
        key = attributes.get(uapi.NFTA_SET_ELEM_KEY)
        if key is None:
            found.others.append(payload)
            continue
        flags = int.from_bytes(attributes.get(uapi.NFTA_SET_ELEM_FLAGS, b""), "big")
        add((key[4 : 4 + size], not flags & uapi.NFT_SET_ELEM_INTERVAL_END, payload))
    marks.sort()
    start: tuple[int, bytes] | None = None
    for key, starts, payload in marks:
        number = int.from_bytes(key, "big")
        if start is not None:
            low, first = start
            found.intervals.append(Interval(low, number - 1, rest_of(first) if len(first) > plain else ()))
            start = None
        elif not starts and not number:
            found.floor = True
        if starts:
            start = (number, payload)
    if start is not None:
        low, first = start
        found.intervals.append(Interval(low, (1 << width) - 1, rest_of(first) if len(first) > plain else ()))
    return found
