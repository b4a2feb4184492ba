# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists of tables of several variables, merged into one."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.document.merging import merge
from rempart.errors import DocumentError, moved


def chain(*rules: Any, **keys: Any) -> dict[str, Any]:
    return {"name": "input", "rules": list(rules), **keys}


def table(**keys: Any) -> dict[str, Any]:
    return {"name": "edge", **keys}


def test_rules_follow_each_other_and_keys_come_together() -> None:
    merged = merge(
        {
            "a": [table(chains=[chain({"iifname": "lo"}, hook="input")])],
            "b": [
                table(comment="mine", chains=[{"name": "other"}, chain({"counter": True}, policy="drop")]),
                {"name": "edge", "family": "ip"},
            ],
            "c": [{"name": "edge", "family": "ip", "chains": [{"name": "input"}]}],
        }
    )
    assert merged.tables == [
        table(
            comment="mine",
            chains=[
                chain({"iifname": "lo"}, {"counter": True}, hook="input", policy="drop"),
                {"name": "other"},
            ],
        ),
        {"name": "edge", "family": "ip", "chains": [{"name": "input"}]},
    ]
    for place, source in {
        "tables[0].chains[0].rules[0].iifname": "a[0].chains[0].rules[0].iifname",
        "tables[0].chains[0].rules[1].counter": "b[0].chains[1].rules[0].counter",
        "tables[0].chains[0].policy": "b[0].chains[1].policy",
        "tables[0].chains[0]": "a[0].chains[0]",
        "tables[0].chains[1].name": "b[0].chains[0].name",
        "tables[1].chains[0].name": "c[0].chains[0].name",
        "tables[1]": "b[1]",
    }.items():
        assert moved(place, merged.places) == source


def test_places_of_ten_and_more_rules() -> None:
    merged = merge({"a": [table(chains=[chain(*[{"mark": one} for one in range(11)])])]})
    assert moved("tables[0].chains[0].rules[10].mark", merged.places) == "a[0].chains[0].rules[10].mark"
    assert moved("tables[0].chains[0].rules[1].mark", merged.places) == "a[0].chains[0].rules[1].mark"


def test_elements_follow_each_other() -> None:
    marks = {"name": "marks", "type": "mark", "map": "mark"}
    merged = merge(
        {
            "a": [table(sets=[{"name": "s", "elements": [1]}], maps=[{**marks, "elements": {"1": 2}}])],
            "b": [table(sets=[{"name": "s", "elements": [2, 3]}], maps=[{**marks, "elements": {"3": 4}}])],
        }
    )
    assert merged.tables[0]["sets"] == [{"name": "s", "elements": [1, 2, 3]}]
    assert merged.tables[0]["maps"] == [{**marks, "elements": {"1": 2, "3": 4}}]


def test_what_is_given_stays_as_it_was() -> None:
    given = {"a": [table(chains=[chain({"counter": True})])], "b": [table(chains=[chain({"mark": 1})])]}
    before = repr(given)
    merge(given)
    assert repr(given) == before


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            table(flags=["dormant"]),
            table(flags=[]),
            "b[0].flags: differs from a[0].flags; found []; "
            "allowed: the same as there; say it in one of the two",
        ),
        (
            table(chains=[chain(priority="filter")]),
            table(chains=[chain(priority=10)]),
            "b[0].chains[0].priority: differs from a[0].chains[0].priority; found 10; "
            "allowed: 'filter', as there; say it in one of the two",
        ),
        (
            table(sets=[{"name": "s", "elements": "keep"}]),
            table(sets=[{"name": "s", "elements": [1]}]),
            "b[0].sets[0].elements: differs from a[0].sets[0].elements; found [1]; "
            "allowed: 'keep', as there; say it in one of the two",
        ),
        (
            table(maps=[{"name": "m", "elements": {"1": "accept"}}]),
            table(maps=[{"name": "m", "elements": {"1": "drop"}}]),
            "b[0].maps[0].elements.1: differs from a[0].maps[0].elements.1; found 'drop'; "
            "allowed: 'accept', as there; say it in one of the two",
        ),
        (
            table(counters=[{"name": "c", "packets": 1}]),
            table(counters=[{"name": "c", "packets": 2}]),
            "b[0].counters[0].packets: differs from a[0].counters[0].packets; found 2; "
            "allowed: 1, as there; say it in one of the two",
        ),
    ],
)
def test_conflicts_name_both(first: Any, second: Any, message: str) -> None:
    with pytest.raises(DocumentError) as raised:
        merge({"a": [first], "b": [second]})
    assert str(raised.value) == message


def test_all_that_is_wrong_comes_at_once() -> None:
    with pytest.raises(DocumentError) as raised:
        merge({"a": [table(comment="x")], "b": {"name": "edge"}, "c": [table(comment="y")], "d": None})
    places = [problem.place for problem in raised.value.problems]
    assert places == ["b", "c[0].comment", "d"]


def test_what_is_no_table_goes_through_for_the_documents_own_check() -> None:
    odd = [
        "text",
        {"family": "ip"},
        {"name": 5},
        {"name": "t", "chains": "c"},
        {"name": "t", "chains": ["x"]},
    ]
    with pytest.raises(DocumentError):
        merge({"a": odd})
    assert merge({"a": odd[:4]}).tables == odd[:4]
