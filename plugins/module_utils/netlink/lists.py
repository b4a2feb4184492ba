# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Long lists of attributes, such as a large set's elements, packed and split many at a time.

A call for each attribute costs more than all else that is done with it. Most lists
are regular: two sizes take turns, or there is one. What is regular is split at a
fixed stride once every header in it was looked at.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain

from .attributes import NESTED, walk

_HEADER = struct.Struct("=HH")
_SHORT = 256  # bytes; shorter lists are not worth a look at their regularity


def payloads(data: bytes) -> list[bytes]:
    """The payloads of all attributes in ``data``, whatever their types.

    Raises ValueError where a length points outside the data.
    """
    regular, size = _regular(data)
    return regular + [payload for _unused, payload in walk(data, size)]


def nests(kind: int, inner: Sequence[bytes], most: int) -> Iterator[bytes]:
    """Nests of one kind around payloads that are attributes, joined to pieces of up to ``most`` bytes.

    Raises ValueError where a payload alone is more.
    """
    lengths = list(map(len, inner))
    different = set(lengths)
    if different and max(different) + 4 > most:
        raise ValueError("an attribute of %d bytes in a piece of %d" % (max(different) + 4, most))
    headers = {length: _HEADER.pack(length + 4, kind | NESTED) for length in different}
    ends = list(accumulate(map((4).__add__, lengths)))
    start = done = 0
    while start < len(ends):
        stop = bisect_right(ends, done + most, start)
        parts = zip(map(headers.__getitem__, lengths[start:stop]), inner[start:stop])
        yield b"".join(chain.from_iterable(parts))
        start, done = stop, ends[stop - 1]


def header(data: bytes) -> tuple[int, int]:
    """The length, with the header's four bytes, and the type of the attribute at the beginning."""
    length, kind = _HEADER.unpack_from(data)
    return length, kind


def has_at(data: bytes, stride: int, place: int, wanted: bytes) -> bool:
    """Whether of ``data``, taken as so many bytes and so many bytes again, each has ``wanted`` at a place.

    What is left at the end is not looked at.
    """
    count = len(data) // stride
    size = count * stride
    return all(data[at:size:stride].count(byte) == count for at, byte in enumerate(wanted, place))


def _regular(data: bytes) -> tuple[list[bytes], int]:
    """The payloads at the beginning of a list whose sizes take turns, and how many bytes these were."""
    if len(data) < _SHORT:
        return [], 0
    first = header(data)[0]
    there = (first + 3) & ~3
    if first < 4 or there + 4 > len(data):
        return [], 0
    second, _unused = _HEADER.unpack_from(data, there)
    stride = there + ((second + 3) & ~3)
    if second < 4 or stride > len(data):
        return [], 0
    count = len(data) // stride
    size = count * stride
    regular = has_at(data, stride, 0, data[:4]) and has_at(data, stride, there, data[there : there + 4])
    if not regular:
        return [], 0
    turns = _turns(first, second).iter_unpack(memoryview(data)[:size])
    return list(chain.from_iterable(turns)), size


@lru_cache(maxsize=64)
def _turns(first: int, second: int) -> struct.Struct:
    """Two attributes with headers and padding to skip."""
    return struct.Struct("".join("4x%ds%dx" % (length - 4, -length & 3) for length in (first, second)))
