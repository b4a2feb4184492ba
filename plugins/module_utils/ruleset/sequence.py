# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The longest common subsequence of two sequences of rules: which rules may stay.

Hunt and Szymanski's method ("A Fast Algorithm for Computing Longest Common
Subsequences", CACM 1977): the pairs of equal items, in order, give a longest
increasing subsequence in (pairs × log n).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence

#: beyond so many equal pairs (many identical rules) equal items pair up in order of occurrence
_PAIRS = 2_000_000


def common(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Index pairs (old, new), both ascending, of items that are equal: as many as can be.

    With very many repetitions among the items the result may be shorter than the
    longest, never wrong.
    """
    places: dict[Hashable, list[int]] = {}
    for index, item in enumerate(old):
        places.setdefault(item, []).append(index)
    pairs = sum(len(places.get(item, ())) for item in new)
    if pairs > _PAIRS:
        return _increasing(_by_occurrence(places, new))
    return _increasing(
        [(index, number) for number, item in enumerate(new) for index in reversed(places.get(item, ()))]
    )


def _by_occurrence(places: dict[Hashable, list[int]], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    used: dict[Hashable, int] = {}
    pairs = []
    for number, item in enumerate(new):
        indices = places.get(item)
        if indices is None:
            continue
        count = used.get(item, 0)
        if count < len(indices):
            pairs.append((indices[count], number))
            used[item] = count + 1
    return pairs


def _increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs strictly ascending in their first; they come ordered by their second."""
    tails: list[int] = []  # of the runs of each length, the lowest last number
    ends: list[int] = []  # where in ``pairs`` that run ends
    before: list[int] = []  # of each pair the one before it in its run, -1 for none
    for index, (first, _second) in enumerate(pairs):
        at = bisect_left(tails, first)
        before.append(ends[at - 1] if at else -1)
        if at == len(tails):
            tails.append(first)
            ends.append(index)
        else:
            tails[at] = first
            ends[at] = index
    result = []
    index = ends[-1] if ends else -1
    while index >= 0:
        result.append(pairs[index])
        index = before[index]
    result.reverse()
    return result
