# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements by the hundred thousand: what is nothing but a key, and points two by two.

A list is looked at as a whole, since looking at each element would take longer than
all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from operator import lt, methodcaller

from ..netlink.attributes import TYPE_MASK
from ..netlink.lists import has_at, header
from ..nftables import uapi
from ..nftables.sets.keys import END, KEY_HEAD, OPENED

_ends = methodcaller("endswith", END)


def is_end(payload: bytes) -> bool:
    """Whether an element is only the point behind an interval."""
    return payload.endswith(END)


def only_keys(payloads: list[bytes], behind: bytes = b"") -> bool:
    """Whether elements are nothing but keys of one size, each with the same bytes behind it."""
    sizes = set(map(len, payloads))
    if len(sizes) > 1:
        return False
    if not payloads:
        return True
    size = sizes.pop() - len(behind)
    if size <= KEY_HEAD:
        return False
    length, kind = header(payloads[0])
    if (length + 3) & ~3 != size or kind & TYPE_MASK != uapi.NFTA_SET_ELEM_KEY:
        return False
    joined = b"".join(payloads)
    stride = size + len(behind)
    return has_at(joined, stride, 0, payloads[0][:KEY_HEAD]) and has_at(joined, stride, size, behind)


class Pairs:
    """The points of an interval set in the order of their keys, each start with the end behind it.

    ``floor`` is the end at zero, ``last`` the start of an interval that goes on to the
    last key; "" where there is none.
    """

    __slots__ = ("ends", "floor", "last", "starts")

    def __init__(self, starts: list[bytes], ends: list[bytes], floor: bytes, last: bytes) -> None:
        self.starts = starts
        self.ends = ends
        self.floor = floor
        self.last = last

    @classmethod
    def of(cls, points: list[bytes]) -> Pairs | None:
        """Points as they are dumped or compiled; None where they do not stand two by two."""
        if not points:
            return cls([], [], b"", b"")
        points = ascending(points)
        if points[0][:KEY_HEAD] != points[-1][:KEY_HEAD]:
            return None  # a catch-all
        first = int(is_end(points[0]))
        floor = points[0] if first else b""
        last = b"" if (len(points) - first) % 2 == 0 else points[-1]
        stop = len(points) - (1 if last else 0)
        starts, ends = points[first:stop:2], points[first + 1 : stop : 2]
        if not all(map(_ends, ends)) or any(map(_ends, starts)) or not all(map(lt, starts, ends)):
            return None
        return cls(starts, ends, floor, last) if not last.endswith(END) else None

    @property
    def bare(self) -> bool:
        """Whether no interval says anything beside its bounds."""
        return (
            only_keys(self.starts)
            and only_keys(self.ends, END)
            and (not self.floor or only_keys([self.floor], END))
            and (not self.last or only_keys([self.last], OPENED))
        )

    def points(self) -> list[bytes]:
        """All points in the order of their keys."""
        alone = [[one] if one else [] for one in (self.floor, self.last)]
        return [*alone[0], *chain.from_iterable(zip(self.starts, self.ends)), *alone[1]]

    def by_start(self) -> dict[bytes, bytes]:
        """Each start's end; the floor and the last one have none, which is "" here."""
        found = {self.floor: b""} if self.floor else {}
        found.update(zip(self.starts, self.ends))
        if self.last:
            found[self.last] = b""
        return found


def flat(pairs: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """The points of pairs as :meth:`Pairs.by_start` has them."""
    return [point for point in chain.from_iterable(pairs) if point]


def ascending(points: list[bytes]) -> list[bytes]:
    """Points that are in order of their keys with the lowest first, as the kernel dumps them or compiled."""
    return points[::-1] if points and points[0] > points[-1] else points
