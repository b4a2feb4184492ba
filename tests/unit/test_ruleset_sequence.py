# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The longest common subsequence, against trying everything."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.ruleset import sequence

items = st.lists(st.sampled_from("abcde"), max_size=9)


def brute_force(old: list[str], new: list[str]) -> int:
    """The length of the longest sequence that is to be had from both by leaving items out."""
    for length in range(min(len(old), len(new)), 0, -1):
        there = set(combinations(new, length))
        if any(one in there for one in combinations(old, length)):
            return length
    return 0


def is_common(pairs: list[tuple[int, int]], old: list[str], new: list[str]) -> bool:
    ascending = all(a[0] < b[0] and a[1] < b[1] for a, b in zip(pairs, pairs[1:]))
    return ascending and all(old[index] == new[number] for index, number in pairs)


@settings(max_examples=300, deadline=None, database=None)
@given(items, items)
def test_as_many_items_as_can_be(old: list[str], new: list[str]) -> None:
    pairs = sequence.common(old, new)
    assert is_common(pairs, old, new)
    assert len(pairs) == brute_force(old, new)


@settings(max_examples=200, deadline=None, database=None)
@given(items, items)
def test_very_many_repetitions_give_a_common_sequence_too(old: list[str], new: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence, "_PAIRS", -1)
        pairs = sequence.common(old, new)
    assert is_common(pairs, old, new)
    if len(set(old)) == len(old) and len(set(new)) == len(new):
        assert len(pairs) == brute_force(old, new)


def test_the_same_stays_whole_however_much_it_repeats() -> None:
    many = ["same"] * 3000
    assert sequence.common(many, many) == [(index, index) for index in range(3000)]
    assert len(sequence.common(many, many[:2000])) == 2000


def test_one_item_moved_keeps_all_others() -> None:
    old = list(range(2000))
    new = [*old[1:], 0]
    assert len(sequence.common(old, new)) == 1999
    assert sequence.common(old, []) == sequence.common([], old) == []
