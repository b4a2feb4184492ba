# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which intervals come and go, against the plainest of models: a number after the other, in a dictionary."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rempart.document.elements import Part, value_reader
from rempart.document.given_elements import Asked, lower_elements
from rempart.errors import DocumentError
from rempart.nftables import uapi
from rempart.nftables.datatypes import TYPES
from rempart.ruleset.boxes import Box
from rempart.ruleset.element_attributes import Rest, combined, differs, is_timed, rest_of
from rempart.ruleset.intervals import Holding, Interval, Overlap
from rempart.ruleset.points import floor, of_points, to_points

WIDTH = 8
TOP = (1 << WIDTH) - 1

HOUR: Rest = ((uapi.NFTA_SET_ELEM_TIMEOUT, (3600_000).to_bytes(8, "big")),)
RUNNING: Rest = (*HOUR, (uapi.NFTA_SET_ELEM_EXPIRATION, (1000).to_bytes(8, "big")))
DAY: Rest = ((uapi.NFTA_SET_ELEM_TIMEOUT, (86400_000).to_bytes(8, "big")),)
NEVER: Rest = ((uapi.NFTA_SET_ELEM_TIMEOUT, bytes(8)),)
FRIEND: Rest = ((uapi.NFTA_SET_ELEM_USERDATA, b"\x00\x02a\x00"),)
ACCEPT: Rest = ((uapi.NFTA_SET_ELEM_DATA, b"accept"),)
DROP: Rest = ((uapi.NFTA_SET_ELEM_DATA, b"drop"),)

numbers = st.integers(0, 30) | st.integers(TOP - 10, TOP)
spans = st.tuples(numbers, numbers).map(lambda two: (min(two), max(two)))
given_rests = st.sampled_from([(), (), HOUR, DAY, NEVER, FRIEND])
held_rests = st.sampled_from([(), (), RUNNING, FRIEND])


@st.composite
def holdings(draw: st.DrawFn) -> list[Interval]:
    """Intervals that do not overlap, some of which touch."""
    found: list[Interval] = []
    for low, high in draw(st.lists(spans, max_size=6)):
        if all(high < one.low or one.high < low for one in found):
            found.append(Interval(low, high, draw(held_rests)))
    return found


def cut(one: Interval, span: tuple[int, int], rest: Rest) -> bool:
    """Whether what is given shall stay longer than the interval that it is a piece of, or reaches into."""
    inside = span[0] <= one.low and one.high <= span[1]
    silent = rest in ((), FRIEND) and one.low <= span[0] and span[1] <= one.high
    apart = one.high < span[0] or span[1] < one.low
    return is_timed(one.rest) and rest != HOUR and not (inside or silent or apart)


def model(intervals: list[Interval]) -> dict[int, Rest]:
    """Every number that is in the set, with what is said of it."""
    found: dict[int, Rest] = {}
    for one in intervals:
        for number in range(one.low, one.high + 1):
            assert number not in found, "intervals overlap"
            found[number] = one.rest
    return found


def after(held: list[Interval], holding: Holding) -> list[Interval]:
    """The set once the changes are carried out, as the kernel would."""
    gone, come = holding.changes()
    left = [(one.low, one.high, one.rest) for one in held]
    for one in gone:
        left.remove((one.low, one.high, one.rest))
    result = [Interval(*one) for one in left] + come
    assert sorted((one.low, one.high) for one in result) == [(one.low, one.high) for one in holding.intervals]
    return result


@given(holdings(), spans, given_rests)
@example([Interval(0, 3), Interval(4, 9, FRIEND)], (2, 12), ())
def test_put_where_the_set_merges(held: list[Interval], span: tuple[int, int], rest: Rest) -> None:
    before = model(held)
    holding = Holding(held, merge=True)
    holding.put(Interval(*span, rest))
    result = after(held, holding)
    expected = dict(before)
    for one in held:
        whole = (one.low, one.high) == span
        if cut(one, span, rest):
            for number in range(max(one.low, span[0]), min(one.high, span[1]) + 1):
                del expected[number]
            continue
        if (
            span[0] <= one.low
            and one.high <= span[1]
            and not whole
            and rest in ((), FRIEND)
            and is_timed(one.rest)
        ):
            for number in range(one.low, one.high + 1):
                del expected[number]
            continue
        if span[0] <= one.low and one.high <= span[1] and differs(one.rest, rest, 0):
            expected.update({number: combined(one.rest, rest) for number in range(one.low, one.high + 1)})
    for number in range(span[0], span[1] + 1):
        expected.setdefault(number, rest)
    assert model(result) == expected
    again = Holding(result, merge=True)
    again.put(Interval(*span, rest))
    assert again.changes() == ([], [])


@given(holdings(), spans)
@example([Interval(0, 3), Interval(4, 9)], (2, 12))
def test_put_joins_what_says_nothing(held: list[Interval], span: tuple[int, int]) -> None:
    holding = Holding(held, merge=True)
    holding.put(Interval(*span))
    gone, come = holding.changes()
    for one in come:
        for other in holding.intervals:
            if other is not one and not other.rest and not one.rest:
                assert other.high + 1 < one.low or one.high + 1 < other.low
    # but a time ends that would take a piece out of what shall stay
    assert not any(one.rest and not is_timed(one.rest) for one in gone)


@given(holdings(), spans, given_rests)
def test_put_where_intervals_stay_whole(held: list[Interval], span: tuple[int, int], rest: Rest) -> None:
    before = model(held)
    inside = [number for number in range(span[0], span[1] + 1) if number in before]
    holding = Holding(held)
    if (inside and len(inside) < span[1] - span[0] + 1) or any(cut(one, span, rest) for one in held):
        with pytest.raises(Overlap):
            holding.put(Interval(*span, rest))
        assert holding.changes() == ([], [])
        return
    holding.put(Interval(*span, rest))
    result = after(held, holding)
    assert model(result).keys() == before.keys() | set(range(span[0], span[1] + 1))
    assert not inside or {(one.low, one.high) for one in result} == {(one.low, one.high) for one in held}


@given(holdings(), st.lists(spans, min_size=1, max_size=3))
@example([Interval(0, TOP)], [(0, 0)])
@example([Interval(0, TOP)], [(TOP, TOP)])
def test_take_splits(held: list[Interval], gone: list[tuple[int, int]]) -> None:
    holding = Holding(held, merge=True)
    for span in gone:
        holding.take(Interval(*span))
    left = {
        number: rest
        for number, rest in model(held).items()
        if not any(low <= number <= high for low, high in gone)
    }
    assert model(after(held, holding)) == left


@given(holdings(), spans)
def test_take_where_intervals_stay_whole(held: list[Interval], span: tuple[int, int]) -> None:
    taken = Interval(*span)
    met = [one for one in held if one.low <= span[1] and span[0] <= one.high]
    holding = Holding(held)
    if all(taken.covers(one) for one in met):
        holding.take(taken)
        assert set(holding.changes()[0]) == set(met)
        assert holding.changes()[1] == []
    else:
        with pytest.raises(Overlap):
            holding.take(taken)


@given(holdings(), holdings())
def test_replace(held: list[Interval], wanted: list[Interval]) -> None:
    holding = Holding(held)
    holding.replace(wanted)
    result = after(held, holding)
    assert {(one.low, one.high) for one in result} == {(one.low, one.high) for one in wanted}
    same = [one for one in held if one in wanted]
    assert not set(same) & set(holding.changes()[0])


@given(holdings(), spans, st.booleans())
def test_refresh_begins_running_times_anew(held: list[Interval], span: tuple[int, int], merge: bool) -> None:
    holding = Holding(held, merge)
    try:
        holding.put(Interval(*span), refresh=True)
    except Overlap:
        return
    anew = [one for one in held if is_timed(one.rest) and Interval(*span).covers(one)]
    gone, come = holding.changes()
    if merge:
        stay = [one for one in anew if not one.covers(Interval(*span))]
        assert set(stay) <= set(gone)
        anew = [one for one in anew if one not in stay]
        stay += [one for one in held if cut(one, span, ())]
        gone = [one for one in gone if one not in stay]
    assert {one for one in gone if one.rest} == set(anew)
    for one in anew:
        assert Interval(one.low, one.high, HOUR) in come


def test_values_of_maps_are_not_covered_by_others() -> None:
    held = [Interval(0, 9, ACCEPT)]
    for merge in (False, True):
        holding = Holding(held, merge)
        holding.put(Interval(3, 4, ACCEPT))
        assert holding.changes() == ([], [])
        with pytest.raises(Overlap):
            holding.put(Interval(3, 4, DROP))
        holding.put(Interval(0, 9, DROP))
        assert holding.changes() == (held, [Interval(0, 9, DROP)])


def test_what_is_not_given_is_not_compared() -> None:
    assert not differs(RUNNING, (), 0)
    assert not differs(FRIEND, (), 0)
    assert not differs(RUNNING, HOUR, 0)
    assert differs((), HOUR, 0)
    assert not differs((), HOUR, 3600_000)
    assert differs((), HOUR, 60_000)
    assert differs(RUNNING, FRIEND, 0)
    assert not differs((*RUNNING, *FRIEND), FRIEND, 0)
    assert combined((*RUNNING, *FRIEND), ()) == (*HOUR, *FRIEND)


@given(holdings(), st.booleans(), st.randoms())
def test_points_and_back(held: list[Interval], with_floor: bool, random: Any) -> None:
    payloads = [point for one in held for point in to_points(one, WIDTH)]
    if with_floor and not any(one.low == 0 for one in held):
        payloads.append(floor(WIDTH))
    else:
        with_floor = False
    random.shuffle(payloads)
    found = of_points(payloads, WIDTH)
    assert found.intervals == sorted(held, key=lambda one: one.low)
    assert (found.floor, found.others) == (with_floor, [])


def test_an_end_alone_is_none() -> None:
    start, end = to_points(Interval(3, 5, RUNNING), WIDTH)
    found = of_points([end, *to_points(Interval(9, 9), WIDTH)], WIDTH)
    assert found.intervals == [Interval(9, 9)] and not found.floor
    assert rest_of(start) == RUNNING


FIELDS = (1, 2)


def box(first: tuple[int, int], last: tuple[int, int]) -> Box:
    """A box of a byte and a port, each part padded to four bytes."""
    return Box(
        *(one.to_bytes(4, "little") + port.to_bytes(2, "big") + b"\0\0" for one, port in (first, last)),
        FIELDS,
    )


small = st.integers(0, 4)
boxes = st.tuples(st.tuples(small, small), st.tuples(small, small)).map(
    lambda two: box((min(two[0]), min(two[1])), (max(two[0]), max(two[1])))
)


def keys(one: Box) -> set[tuple[int, int]]:
    return {
        (first, second)
        for first in range(one.low[0], one.high[0] + 1)
        for second in range(one.low[1], one.high[1] + 1)
    }


@given(boxes, boxes)
def test_boxes(one: Box, other: Box) -> None:
    assert one.covers(other) == (keys(one) >= keys(other))
    assert one.meets(other) == bool(keys(one) & keys(other))
    assert one.has_an_end_of(other) == bool({other.low, other.high} & keys(one))
    assert one.single == (len(keys(one)) == 1)


def asked(*types: str, data: str = "", gone: bool = False, wide: bool = True, timed: bool = True) -> Asked:
    key = [Part(TYPES[one]) for one in types]
    reader = value_reader([Part(TYPES[data])]) if data else None
    return Asked("s", key, reader, gone, wide, timed)


@pytest.mark.parametrize(
    ("value", "json"),
    [
        ("192.0.2.1", ["192.0.2.1"]),
        ("192.0.2.1, 192.0.2.2", ["192.0.2.1", "192.0.2.2"]),
        (["192.0.2.1", {"elem": "192.0.2.2"}], ["192.0.2.1", "192.0.2.2"]),
        ('["192.0.2.1"]', ["192.0.2.1"]),
        ({"elem": "192.0.2.1", "comment": "x"}, [{"elem": {"val": "192.0.2.1", "comment": "x"}}]),
        ('{"value": "192.0.2.1", "comment": "x"}', [{"elem": {"val": "192.0.2.1", "comment": "x"}}]),
        ("", []),
        ([], []),
        ("192.0.2.0/30,*", [{"prefix": {"addr": "192.0.2.0", "len": 30}}, "*"]),
    ],
)
def test_forms_of_sets(value: Any, json: list[Any]) -> None:
    assert lower_elements(value, asked("ipv4_addr")) == json


@pytest.mark.parametrize(
    "value",
    [
        {22: "0x1"},
        {"22": 1},
        "22 : 1",
        ["22 : 1"],
        [[22, 1]],
        {"key": 22, "value": 1},
        [{"key": "ssh", "value": 1}],
        '{"22": 1}',
    ],
)
def test_forms_of_maps(value: Any) -> None:
    ((key, mark),) = lower_elements(value, asked("inet_service", data="mark"))
    assert (key, int(str(mark), 0)) == (22, 1)
    assert lower_elements(value, asked("inet_service", data="mark", gone=True)) == [22]


@pytest.mark.parametrize("value", [22, "22", [22], [{"key": 22}], [{"elem": 22, "comment": "x"}]])
def test_keys_are_enough_where_elements_shall_go(value: Any) -> None:
    assert lower_elements(value, asked("inet_service", data="mark", gone=True)) == [22]


@pytest.mark.parametrize(
    "value", ["192.0.2.1 . 22", [["192.0.2.1", 22]], "192.0.2.1 . 22 : 7", [["192.0.2.1 . 22", 7]]]
)
def test_keys_of_several_parts_where_elements_shall_go(value: Any) -> None:
    found = lower_elements(value, asked("ipv4_addr", "inet_service", data="mark", gone=True))
    assert found == [{"concat": ["192.0.2.1", 22]}]


def test_a_timeout_for_those_without() -> None:
    elements = ["192.0.2.1", {"elem": "192.0.2.2", "timeout": "1m"}, {"elem": "192.0.2.3", "comment": "x"}]
    assert lower_elements(elements, asked("ipv4_addr"), "1h") == [
        {"elem": {"val": "192.0.2.1", "timeout": 3600}},
        {"elem": {"val": "192.0.2.2", "timeout": 60}},
        {"elem": {"val": "192.0.2.3", "comment": "x", "timeout": 3600}},
    ]
    assert lower_elements({22: 1}, asked("inet_service", data="mark"), 5)[0][0] == {
        "elem": {"val": 22, "timeout": 5}
    }


@pytest.mark.parametrize(
    ("value", "options", "place", "cure"),
    [
        (["192.0.2.1", "192.0.2.256"], {}, "elements[1]", ""),
        (["192.0.2.1", "2001:db8::1"], {}, "elements[1]", "declare another set"),
        ("192.0.2.1,www.example.com", {}, "elements[1]", "write its addresses"),
        (["192.0.2.1", "192.0.2.0/24"], {"wide": False}, "elements[1]", "flags: [interval]"),
        ([1.5], {}, "elements[0]", ""),
        (True, {}, "elements", ""),
        (None, {}, "elements", ""),
        ("{192.0.2.1", {}, "elements", ""),
        ([{"elem": "192.0.2.1", "timeout": 5}], {"timed": False}, "elements[0].timeout", "flags: [timeout]"),
        ([{"elem": "192.0.2.1", "timeot": 5}], {}, "elements[0].timeot", ""),
    ],
)
def test_what_is_wrong_has_its_place(value: Any, options: dict[str, bool], place: str, cure: str) -> None:
    with pytest.raises(DocumentError) as caught:
        lower_elements(value, asked("ipv4_addr", **options))
    assert [one.place for one in caught.value.problems] == [place]
    assert cure in caught.value.problems[0].cure


@pytest.mark.parametrize(("timeout", "timed"), [("soon", True), ("1h", False), (0, True)])
def test_a_wrong_timeout_has_its_place(timeout: Any, timed: bool) -> None:
    with pytest.raises(DocumentError) as caught:
        lower_elements("192.0.2.1", asked("ipv4_addr", timed=timed), timeout)
    assert [one.place for one in caught.value.problems] == ["timeout"]
