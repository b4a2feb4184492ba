# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements by the hundred thousand: what is nothing but a key, and points two by two.

A list is looked at as a whole, since looking at each element would take longer than
all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from operator import lt

from ..netlink.attributes import TYPE_MASK
from ..netlink.lists import has_at, header
from ..nftables import uapi
from ..nftables.sets.keys import END, KEY_HEAD, OPENED


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
    """The ``points`` of an interval set in the order of their keys, each start with the end behind it.

    ``floor`` is the end at zero, ``last`` the start of an interval that goes on to the
    last key; "" where there is none. ``bare``: no interval says anything beside its bounds.
    """

    __slots__ = ("bare", "ends", "floor", "last", "points", "starts")

    def __init__(self, points: list[bytes]) -> None:
        first = int(bool(points) and is_end(points[0]))
        stop = len(points) - (len(points) - first) % 2
        self.points = points
        self.floor, self.last = b"".join(points[:first]), b"".join(points[stop:])
        self.starts, self.ends = points[first:stop:2], points[first + 1 : stop : 2]
        self.bare = (
            only_keys(self.starts)
            and only_keys(self.ends, END)
            and (not self.floor or only_keys([self.floor], END))
            and (not self.last or only_keys([self.last], OPENED))
        )

    @classmethod
    def of(cls, points: list[bytes]) -> Pairs | None:
        """Points as they are dumped or compiled; None where they do not stand two by two."""
        points = ascending(points)
        if points and points[0][:KEY_HEAD] != points[-1][:KEY_HEAD]:
            return None  # a catch-all
        found = cls(points)
        return found if found._well_formed() else None

    def _well_formed(self) -> bool:
        """Whether each start is one, with an end behind it."""
        marked = self.bare or (
            all(map(is_end, self.ends)) and not any(map(is_end, self.starts)) and not is_end(self.last)
        )
        return marked and all(map(lt, self.starts, self.ends))

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
