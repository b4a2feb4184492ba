# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets of addresses, networks and ranges that say nothing else, packed all at once.

Blocklists are large: what is done here for a hundred thousand takes the time that the
general way takes for some thousands. Whatever is written otherwise is that way's, and
so is every error message.
"""

from __future__ import annotations

import socket
import struct
from itertools import accumulate, chain, compress, islice, repeat
from operator import lt
from typing import Any

from ..selectors.base import Selector
from .content import SetContent
from .keys import END, OPENED, key_attribute

_FAMILIES = {"ipv4_addr": socket.AF_INET, "ipv6_addr": socket.AF_INET6}


def plain_addresses(content: SetContent, items: Any, merge: bool) -> list[bytes] | None:
    """The element payloads of a set, as ``fill`` makes them; None where an element is not plain.

    None as well where intervals overlap that may not be merged.
    """
    family = _FAMILIES.get(content.key.datatype.name)
    if family is None or content.key.shift:
        return None
    try:
        packed = list(map(socket.inet_pton, repeat(family), items))
    except (OSError, TypeError, ValueError):
        packed = None
    size = content.key.width // 8
    if not content.interval:
        if packed is None:
            return None
        head = _head(content.key)
        return [head + key for key in dict.fromkeys(packed)]
    if packed is not None:
        lows = sorted(set(_numbers(packed, size)))
        return _points(content.key, lows, [low + 1 for low in lows], merge)
    try:
        spans = sorted({_span(one, family, size * 8) for one in items})
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    return _points(content.key, [low for low, _unused in spans], [stop for _unused, stop in spans], merge)


def _span(item: Any, family: int, width: int) -> tuple[int, int]:
    """The first number of an address, a prefix or a range, and the first behind it.

    One of the errors that ``plain_addresses`` catches where it is none of these, or not a plain one.
    """
    if isinstance(item, str):
        low = int.from_bytes(socket.inet_pton(family, item), "big")
        return low, low + 1
    ((kind, inner),) = item.items()
    if kind == "range":
        low, high = (int.from_bytes(socket.inet_pton(family, one), "big") for one in inner)
        if low > high:
            raise ValueError(item)
        return low, high + 1
    length = inner["len"] if kind == "prefix" and inner.keys() == {"addr", "len"} else None
    if length.__class__ is not int or not 0 <= length <= width:
        raise ValueError(item)
    host = width - length
    low = int.from_bytes(socket.inet_pton(family, inner["addr"]), "big") >> host << host
    return low, low + (1 << host)


def _points(key: Selector, lows: list[int], stops: list[int], merge: bool) -> list[bytes] | None:
    """The points of intervals in order, each from its low to before its stop; None where they clash."""
    farthest = list(accumulate(stops, max))
    gaps = list(map(lt, farthest, islice(lows, 1, None)))
    if merge and not all(gaps):
        lows = [*lows[:1], *compress(islice(lows, 1, None), gaps)]
        stops = [*compress(farthest, gaps), farthest[-1]]
    elif not merge and any(map(lt, islice(lows, 1, None), farthest)):
        return None
    if not lows:
        return []
    head, size = _head(key), key.width // 8
    floor = [head + bytes(size) + END] if lows[0] else []
    last = []
    if stops[-1] >> key.width:
        last = [head + lows.pop().to_bytes(size, "big") + OPENED]
        stops.pop()
    # a start and an end with holes, as often as needed; then each byte of the keys into its hole
    start, end = head + bytes(size), head + bytes(size) + END
    stride = len(start) + len(end)
    buffer = bytearray((start + end) * len(lows))
    for numbers, hole in ((lows, len(head)), (stops, len(start) + len(head))):
        keys = _bytes(numbers, size)
        for place in range(size):
            buffer[hole + place :: stride] = keys[place::size]
    pairs = struct.iter_unpack("%ds%ds" % (len(start), len(end)), buffer)
    return [*floor, *chain.from_iterable(pairs), *last]


def _head(key: Selector) -> bytes:
    """The bytes of an element before its key's value, for keys of whole 32-bit words."""
    size = key.width // 8
    return key_attribute(bytes(size))[:-size]


def _numbers(packed: list[bytes], size: int) -> list[int] | tuple[int, ...]:
    if size == 4:
        return struct.unpack(">%dI" % len(packed), b"".join(packed))
    return [int.from_bytes(one, "big") for one in packed]


def _bytes(numbers: list[int], size: int) -> bytes:
    if size == 4:
        return struct.pack(">%dI" % len(numbers), *numbers)
    return b"".join([one.to_bytes(size, "big") for one in numbers])
