# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements that come and go: looking only near the changes finds what looking at everything finds."""

from __future__ import annotations

import random

import pytest
from rempart.nftables.declared import compile_set
from rempart.ruleset.compare_elements import plan_elements, segments
from rempart.ruleset.steps import SetPlan


def points(intervals: set[tuple[int, int]], merge: bool) -> list[bytes]:
    texts = [
        "10.0.%d.%d-10.0.%d.%d" % (low >> 8, low & 255, high >> 8, high & 255) for low, high in intervals
    ]
    elements = [{"range": text.split("-")} for text in texts]
    declared = {
        "name": "s",
        "type": "ipv4_addr",
        "flags": ["interval"],
        "auto-merge": merge,
        "elem": elements,
    }
    return compile_set(declared, "inet").elements


def some(chance: random.Random, touching: bool) -> set[tuple[int, int]]:
    """Intervals from 0 to about 3,000; with ``touching`` some begin where others end."""
    found = set()
    place = chance.choice((0, 0, 1))
    while place < 3000:
        high = place + chance.choice((0, 0, 0, 1, 7))
        found.add((place, high))
        place = high + chance.choice((1 if touching else 2, 2, 3, 9))
    return found


def changed(chance: random.Random, intervals: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Some go, some shrink, some gaps are filled in whole or in part."""
    result = set(intervals)
    for _ in range(chance.choice((1, 2, 6))):
        low, high = chance.choice(sorted(result))
        what = chance.random()
        if what < 0.6:
            result.discard((low, high))
        if 0.3 < what < 0.6:
            result.add((low, chance.randint(low, high)))
        if what >= 0.6:
            following = min((one for one in result if one[0] > high), default=None)
            if following is not None and following[0] > high + 1:
                first = chance.randint(high + 1, following[0] - 1)
                result.add((first, chance.randint(first, following[0] - 1)))
    return result


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("touching", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_near_the_changes_is_enough(merge: bool, touching: bool, backwards: bool) -> None:
    chance = random.Random("%s %s %s" % (merge, touching, backwards))
    for _ in range(120):
        before = some(chance, touching)
        held, wanted = points(before, merge), points(changed(chance, before), merge)
        if backwards:
            held = held[::-1]
        plan = SetPlan("s", "keep", None, None)
        plan_elements(plan, held, wanted, True)
        gone, come = segments(held), segments(wanted)
        assert sorted(plan.remove) == sorted(one for key in gone.keys() - come.keys() for one in gone[key])
        assert sorted(plan.add) == sorted(one for key in come.keys() - gone.keys() for one in come[key])
        # what is sent makes the one the other
        assert (set(held) - set(plan.remove)) | set(plan.add) == set(wanted)


def test_the_end_at_zero_of_an_empty_set_is_no_difference() -> None:
    """It is all that the kernel keeps when the last interval goes."""
    floor = points({(5, 6)}, False)[:1]
    plan = SetPlan("s", "keep", None, None)
    plan_elements(plan, floor, [], True)
    assert not plan.changed
    plan_elements(plan, points({(5, 6)}, False), [], True)
    assert plan.changed
