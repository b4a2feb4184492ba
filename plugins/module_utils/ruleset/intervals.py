# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Intervals of a set: which come and go so that something is in it, or is not.

The arithmetic alone, on numbers. What is covered already needs no interval. Where the
set merges its elements, those that say nothing beside their bounds are joined as nft
joins them, and a hole splits whatever it is made in; elsewhere an interval comes and
goes as a whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from ..nftables import uapi
from .element_attributes import Rest, combined, differs, is_timed, outlasts, says_how_long, value_of

_TIMES = (uapi.NFTA_SET_ELEM_TIMEOUT, uapi.NFTA_SET_ELEM_EXPIRATION)


class Interval:
    """All numbers from ``low`` to ``high``, both included, and what the element says beside them."""

    __slots__ = ("high", "low", "rest")

    def __init__(self, low: int, high: int, rest: Rest = ()) -> None:
        self.low = low
        self.high = high
        self.rest = rest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Interval) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return "Interval(%d, %d, %r)" % self._all()

    def _all(self) -> tuple[int, int, Rest]:
        return self.low, self.high, self.rest

    def covers(self, other: Interval) -> bool:
        """Whether every number of the other one is in this one."""
        return self.low <= other.low and other.high <= self.high


class Overlap(Exception):
    """An interval that cannot come or go, for ``held`` overlaps it, in part or with another value."""

    def __init__(self, given: Interval, held: Interval) -> None:
        super().__init__("%r overlaps %r" % (given, held))
        self.given = given
        self.held = held


class Holding:
    """The intervals of a set, or those near to what shall change.

    ``merge``: the set merges its elements. ``timeout``: its default, in milliseconds.
    After :meth:`put`, :meth:`take` and :meth:`replace`, :meth:`changes` tells what
    became of it.
    """

    def __init__(self, held: Iterable[Interval], merge: bool = False, timeout: int = 0) -> None:
        self.merge = merge
        self.timeout = timeout
        self._hold(held)
        self._gone: dict[Interval, None] = {}
        self._come: dict[Interval, None] = {}

    def _hold(self, held: Iterable[Interval]) -> None:
        self.intervals = sorted(held, key=lambda one: one.low)
        self._lows = [one.low for one in self.intervals]

    def changes(self) -> tuple[list[Interval], list[Interval]]:
        """What goes and what comes."""
        return list(self._gone), list(self._come)

    def near(self, low: int, high: int) -> list[Interval]:
        """The intervals with a number between these, in order."""
        first = bisect_right(self._lows, low) - 1
        if first < 0 or self.intervals[first].high < low:
            first += 1
        return self.intervals[first : bisect_right(self._lows, high)]

    def put(self, given: Interval, refresh: bool = False) -> None:
        """Have every number of an interval in the set. Raises Overlap.

        What is there stays as it is, unless it lies inside and ``given`` says something
        else of it; ``refresh`` begins the time of those anew. Where the set merges, a piece
        of a larger ``given`` without a timeout loses its own: all of it shall stay. A larger
        interval that goes before ``given`` shall is split, or overlaps where nothing merges.
        """
        near = self.near(given.low, given.high)
        for one in near:
            if value_of(one.rest) != value_of(given.rest) and (one.low, one.high) != (given.low, given.high):
                raise Overlap(given, one)
        if self._split(given, near):
            near = self.near(given.low, given.high)
        if self.merge and not says_how_long(given.rest):
            near = self._lasting(given, near)
        holes = _holes(given, near)
        if holes and near and not self.merge:
            raise Overlap(given, near[0])
        for one in near:
            if given.covers(one) and (
                differs(one.rest, given.rest, self.timeout) or (refresh and is_timed(one.rest))
            ):
                self._remove(one)
                self._insert(Interval(one.low, one.high, combined(one.rest, given.rest)))
        for low, high in holes:
            self._insert(self._joined(low, high) if self._joins(given) else Interval(low, high, given.rest))

    def _split(self, given: Interval, near: list[Interval]) -> bool:
        """Take out of larger intervals what shall stay longer; whether there was such a piece."""
        says = says_how_long(given.rest)
        found = [
            one
            for one in near
            if not given.covers(one)
            and (says or not one.covers(given))
            and outlasts(given.rest, one.rest, self.timeout)
        ]
        for one in found:
            if not self.merge:
                raise Overlap(given, one)
            self.take(Interval(max(one.low, given.low), min(one.high, given.high)))
        return bool(found)

    def _lasting(self, given: Interval, near: list[Interval]) -> list[Interval]:
        """Take the timeouts of what lies inside a larger interval; what is left near it."""
        for one in near:
            rest = tuple(attribute for attribute in one.rest if attribute[0] not in _TIMES)
            shorter = outlasts(given.rest, one.rest, self.timeout)
            if not shorter or not given.covers(one) or one.covers(given):
                continue
            self._remove(one)
            if rest:
                self._insert(Interval(one.low, one.high, rest))
        return self.near(given.low, given.high)

    def take(self, given: Interval) -> None:
        """Have no number of an interval in the set. Raises Overlap."""
        for one in self.near(given.low, given.high):
            if not given.covers(one) and not self.merge:
                raise Overlap(given, one)
            self._remove(one)
            if one.low < given.low:
                self._insert(Interval(one.low, given.low - 1, one.rest))
            if given.high < one.high:
                self._insert(Interval(given.high + 1, one.high, one.rest))

    def replace(self, given: Iterable[Interval], refresh: bool = False) -> None:
        """Have these intervals, which do not overlap, and no others in the set."""
        wanted = {(one.low, one.high): one for one in given}
        left = []
        for one in self.intervals:
            same = wanted.pop((one.low, one.high), None)
            if same is None:
                self._goes(one)
            elif differs(one.rest, same.rest, self.timeout) or (refresh and is_timed(one.rest)):
                self._goes(one)
                left.append(Interval(one.low, one.high, combined(one.rest, same.rest)))
                self._comes(left[-1])
            else:
                left.append(one)
        for one in wanted.values():
            left.append(one)
            self._comes(one)
        self._hold(left)

    def _joins(self, one: Interval) -> bool:
        """Whether nothing would be lost by joining it with another."""
        return self.merge and not self.timeout and not one.rest

    def _joined(self, low: int, high: int) -> Interval:
        """An interval with those that overlap or touch it, and those that touch these; they go."""
        while True:
            near = [one for one in self.near(low - 1, high + 1) if self._joins(one)]
            if not near:
                return Interval(low, high)
            low, high = min(low, near[0].low), max(high, near[-1].high)
            for one in near:
                self._remove(one)

    def _insert(self, one: Interval) -> None:
        index = bisect_left(self._lows, one.low)
        self.intervals.insert(index, one)
        self._lows.insert(index, one.low)
        self._comes(one)

    def _remove(self, one: Interval) -> None:
        index = bisect_left(self._lows, one.low)
        del self.intervals[index], self._lows[index]
        self._goes(one)

    def _comes(self, one: Interval) -> None:
        if one in self._gone:
            del self._gone[one]
        else:
            self._come[one] = None

    def _goes(self, one: Interval) -> None:
        if one in self._come:
            del self._come[one]
        else:
            self._gone[one] = None


def _holes(given: Interval, near: list[Interval]) -> list[tuple[int, int]]:
    """The parts of an interval that none of the others, in order, cover."""
    holes = []
    low = given.low
    for one in near:
        if low < one.low:
            holes.append((low, one.low - 1))
        low = max(low, one.high + 1)
    if low <= given.high:
        holes.append((low, given.high))
    return holes
