# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements of concatenated intervals: boxes with one interval for each part of the key."""

from __future__ import annotations

from ..netlink.attributes import attribute, table
from ..nftables import uapi
from ..nftables.expressions.codecs import DATA

_HEAD = 4  # the header of NFTA_DATA_VALUE


class Box:
    """An element's keys, ``first`` to ``last``; ``low`` and ``high`` are these as a number for each part."""

    __slots__ = ("first", "high", "last", "low")

    def __init__(self, first: bytes, last: bytes, fields: tuple[int, ...]) -> None:
        self.first = first
        self.last = last
        self.low = _numbers(first, fields)
        self.high = _numbers(last, fields)

    @classmethod
    def of(cls, payload: bytes, fields: tuple[int, ...]) -> Box:
        """The box of an element's payload; ``fields`` are the byte lengths of the key's parts."""
        found = table(payload)
        first = found[uapi.NFTA_SET_ELEM_KEY]
        return cls(first[_HEAD:], found.get(uapi.NFTA_SET_ELEM_KEY_END, first)[_HEAD:], fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and (self.first, self.last) == (other.first, other.last)

    def __hash__(self) -> int:
        return hash((self.first, self.last))

    @property
    def single(self) -> bool:
        """Whether it has one key only."""
        return self.first == self.last

    def covers(self, other: Box) -> bool:
        """Whether every key of the other is in this one."""
        return all(
            low <= one and other_high <= high
            for low, one, other_high, high in zip(self.low, other.low, other.high, self.high)
        )

    def meets(self, other: Box) -> bool:
        """Whether they have a key in common."""
        return all(
            low <= other_high and one <= high
            for low, one, other_high, high in zip(self.low, other.low, other.high, self.high)
        )

    def has_an_end_of(self, other: Box) -> bool:
        """Whether the other's first or last key is in this one."""
        return any(
            all(low <= one <= high for low, one, high in zip(self.low, end, self.high))
            for end in (other.low, other.high)
        )

    def ends(self) -> list[bytes]:
        """Payloads that ask for the elements with its first and with its last key."""
        return [_key(uapi.NFTA_SET_ELEM_KEY, one) for one in dict.fromkeys((self.first, self.last))]

    def payload(self) -> bytes:
        """Its keys as an element's payload."""
        return _key(uapi.NFTA_SET_ELEM_KEY, self.first) + _key(uapi.NFTA_SET_ELEM_KEY_END, self.last)


def _key(kind: int, data: bytes) -> bytes:
    return attribute(kind, DATA.pack(data))


def _numbers(key: bytes, fields: tuple[int, ...]) -> tuple[int, ...]:
    found = []
    start = 0
    for size in fields:
        found.append(int.from_bytes(key[start : start + size], "big"))
        start += (size + 3) & ~3
    return tuple(found)
