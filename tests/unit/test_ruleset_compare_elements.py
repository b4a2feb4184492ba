# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements that come and go: lists looked at as wholes give what looking at each element gives."""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rempart.netlink.attributes import attribute
from rempart.nftables import uapi
from rempart.nftables.declared import compile_set
from rempart.ruleset.compare_elements import lasting, plan_bare, plan_elements, segments
from rempart.ruleset.pairs import Pairs, is_end, only_keys
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
def test_intervals_come_and_go_as_wholes(merge: bool, touching: bool, backwards: bool) -> None:
    chance = random.Random("%s %s %s" % (merge, touching, backwards))
    for _ in range(120):
        before = some(chance, touching)
        held, wanted = points(before, merge), points(changed(chance, before), merge)
        if backwards:
            held = held[::-1]
        plan = SetPlan("s", "keep", None, None)
        plan_elements(plan, held, wanted, True)
        gone, come = segments(held), segments(wanted)
        leaving = [one for key in gone.keys() - come.keys() for one in gone[key]]
        arriving = [one for key in come.keys() - gone.keys() for one in come[key]]
        if plan.emptied:
            # the end at zero goes with all else, and may come again
            both = set(plan.remove) & set(plan.add)
            assert len(both) <= 1 and all(map(is_end, both))
            leaving, arriving = leaving + list(both), arriving + list(both)
        assert sorted(plan.remove) == sorted(leaving)
        assert sorted(plan.add) == sorted(arriving)
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


KINDS: dict[str, dict[str, Any]] = {
    "addresses": {"type": "ipv4_addr"},
    "intervals": {"type": "ipv4_addr", "flags": ["interval"]},
    "intervals of IPv6": {"type": "ipv6_addr", "flags": ["interval"]},
    "ports": {"type": "inet_service"},
    "intervals of ports": {"type": "inet_service", "flags": ["interval"]},
    "merged ports": {"type": "inet_service", "flags": ["interval"], "auto-merge": True},
    "marks": {"type": "mark", "flags": ["interval"]},
    "concatenations": {"type": ["ipv4_addr", "inet_service"]},
    "boxes": {"type": ["ipv4_addr", "inet_service"], "flags": ["interval"]},
    "timed": {"type": "inet_service", "flags": ["interval", "timeout"]},
}


def key(kind: str, number: int) -> Any:
    """A key; the last ones of a type are reached from below zero."""
    name = KINDS[kind]["type"]
    if name == "inet_service":
        return number % 65536
    if name == "mark":
        return number % (1 << 32)
    if name == "ipv6_addr":
        return "ffff:ffff:ffff:ffff:ffff:ffff:ffff:%x" % (65535 + number) if number < 0 else "::%x" % number
    address = "255.255.255.%d" % (255 + number) if number < 0 else "10.0.0.%d" % number
    return {"concat": [address, 7]} if isinstance(name, list) else address


@st.composite
def lists(draw: st.DrawFn, kind: str) -> list[Any]:
    """Elements that do not overlap, some of which say something."""
    found = []
    plain = draw(st.booleans())
    for number in sorted(draw(st.sets(st.integers(-4, 12)))):
        element = key(kind, number)
        if not plain and draw(st.booleans()):
            element = {"elem": {"val": element, "comment": "x"}}
            if kind == "timed":
                element["elem"]["timeout"] = draw(st.sampled_from([5, 6]))
        found.append(element)
    if draw(st.integers(0, 5)) == 0:
        found.append("*")
    return found


def held(payloads: list[bytes], order: int, rest: int) -> list[bytes]:
    """Payloads as the kernel dumps them: backwards perhaps, and with what is left of times."""
    running = attribute(uapi.NFTA_SET_ELEM_EXPIRATION, rest.to_bytes(8, "big"))
    mark = attribute(uapi.NFTA_SET_ELEM_TIMEOUT, b"")[2:4]
    found = []
    for one in payloads:
        at = one.find(b"\x0c\0" + mark)
        found.append(one[: at + 12] + running + one[at + 12 :] if at >= 0 else one)
    return found[::order]


Change = tuple[str, list[bytes], list[bytes]]


@st.composite
def compiled(draw: st.DrawFn) -> tuple[Change, bool]:
    """A kind of set, what the kernel holds and what it shall hold; whether that is keys alone."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    both = draw(lists(kind)), draw(lists(kind))
    old, new = (compile_set({"name": "s", **KINDS[kind], "elem": one}, "inet").elements for one in both)
    old = held(old, draw(st.sampled_from([1, -1])), draw(st.integers(1, 4999)))
    said = any(one == "*" or (isinstance(one, dict) and "elem" in one) for one in both[0] + both[1])
    return (kind, old, new), kind != "boxes" and not said


changes = compiled().map(lambda found: found[0])


def planned(kind: str, old: list[bytes], new: list[bytes]) -> SetPlan:
    plan = SetPlan("s", "keep", None, None)
    plan_elements(plan, old, new, is_points(kind))
    return plan


def is_points(kind: str) -> bool:
    return "interval" in KINDS[kind].get("flags", ()) and kind != "boxes"


def really(payloads: list[bytes], others: list[bytes]) -> set[bytes]:
    """What goes and does not come again, or the other way round."""
    return set(payloads) - set(others)


@given(changes)
@example(("ports", [], []))
def test_points_two_by_two_as_in_order(change: Change) -> None:
    kind, old, new = change
    plan = planned(*change)
    with mock.patch.object(Pairs, "of", return_value=None):
        other = planned(*change)
    assert really(plan.remove, plan.add) == really(other.remove, other.add)
    assert really(plan.add, plan.remove) == really(other.add, other.remove)
    assert plan.emptied == (len(plan.remove) == len(old))
    if not (is_points(kind) and not new):
        result = {lasting(one) for one in (set(old) - set(plan.remove)) | set(plan.add)}
        assert result == {lasting(one) for one in new}


@given(changes)
def test_what_comes_is_in_order(change: Change) -> None:
    """The kernel takes long for points that come in any other order."""
    kind, _unused, new = change
    place = {payload: index for index, payload in enumerate(new)}
    added = [place[payload] for payload in planned(*change).add]
    if is_points(kind) and Pairs.of(new) is not None:
        assert added == sorted(added)


@given(compiled())
def test_bare_elements_as_others(found: tuple[Change, bool]) -> None:
    change, bare = found
    kind, old, new = change
    plan = SetPlan("s", "keep", None, None)
    assert plan_bare(plan, old, new, is_points(kind)) == (bare or not old + new)
    if bare:
        other = planned(*change)
        assert really(plan.remove, plan.add) == really(other.remove, other.add)
        assert really(plan.add, plan.remove) == really(other.add, other.remove)
        assert plan.emptied == (len(plan.remove) == len(old))
    else:
        assert not plan.changed


def test_times_that_run_are_no_difference() -> None:
    """Though every element of the kernel's differs in its bytes from those given."""
    elements = [{"elem": {"val": number, "timeout": 60}} for number in (5, 6, 9)]
    wanted = compile_set({"name": "s", **KINDS["timed"], "elem": elements}, "inet").elements
    old = held(wanted, -1, 7)
    assert not set(old) & {one for one in wanted if not is_end(one)}
    assert not planned("timed", old, wanted).changed
    plan = planned("timed", old, wanted[:-2])
    assert (plan.remove, plan.add) == (old[:2][::-1], [])


@pytest.mark.parametrize("plan", [plan_elements, plan_bare])
def test_an_interval_up_to_the_last_key_stays(plan: Any) -> None:
    old, new = (
        compile_set({"name": "s", **KINDS["intervals of ports"], "elem": elements}, "inet").elements
        for elements in ([5, 7, 65535], [9, 65535])
    )
    done = SetPlan("s", "keep", None, None)
    plan(done, old[::-1], new, True)
    assert (set(done.remove), set(done.add)) == (set(old[1:5]), set(new[1:3]))
    assert not done.emptied


@pytest.mark.parametrize("order", [1, -1])
def test_what_does_not_stand_two_by_two(order: int) -> None:
    def two_by_two(*elements: Any) -> bool:
        declared = {"name": "s", **KINDS["intervals of ports"], "elem": list(elements)}
        return Pairs.of(compile_set(declared, "inet").elements[::order]) is not None

    assert two_by_two() and two_by_two(5) and two_by_two(0, 65535) and two_by_two(*range(9))
    assert not two_by_two("*", 5) and not two_by_two("*", *range(9)) and not two_by_two("*", 0, 65535)
    first, second = points({(3, 4)}, False)[1:], points({(7, 9)}, False)[1:]
    floor = points({(3, 4)}, False)[:1]
    assert Pairs.of([*floor, *first, *second][::order])
    wrong = (
        [*floor, *first, *second[::-1]],
        [*floor, first[0], second[0]],
        [*first, *floor, *second],
        [second[0], first[1], first[0], second[1]],
    )
    assert all(Pairs.of(some[::order]) is None for some in wrong)


def test_only_keys() -> None:
    plain, named = (
        compile_set({"name": "s", "type": "ipv4_addr", "elem": elements}, "inet").elements
        for elements in (
            ["10.0.0.1", "10.0.0.2"],
            [{"elem": {"val": "10.0.0.%d" % number, "comment": "x"}} for number in (1, 2)],
        )
    )
    assert only_keys([]) and only_keys(plain)
    assert not only_keys(named) and not only_keys(plain + named)
    # alike in size, but one stands for all that is not in the set
    catchall = compile_set({"name": "s", "type": "ipv4_addr", "elem": ["*"]}, "inet").elements[0]
    assert not only_keys([*plain, catchall + bytes(4)])
    assert not only_keys([catchall, catchall])


def test_one_change_among_many_looks_at_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """What both lists begin and end with is compared as a whole."""
    looked: list[int] = []
    of = Pairs.of

    def noted(found: list[bytes]) -> Pairs | None:
        looked.append(len(found))
        return of(found)

    monkeypatch.setattr(Pairs, "of", noted)
    intervals = {(number * 3, number * 3) for number in range(1, 5000)}
    old, new = points(intervals, True), points(intervals - {(6000, 6000)}, True)
    plan = SetPlan("s", "keep", None, None)
    plan_elements(plan, old[::-1], new, True)
    assert (len(plan.remove), len(plan.add)) == (2, 0)
    assert looked == [2, 0]
