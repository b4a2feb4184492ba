# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements that do not go together, or not into their set: the error says which, as they were written."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.document.model import load
from rempart.errors import DocumentError
from rempart.ruleset.desired import compile_tables

PORT = {"payload": {"protocol": "tcp", "field": "dport"}}
MARK = {"meta": {"key": "mark"}}
SET = "tables[0].sets[0]"
MAP = "tables[0].maps[0]"
RULE = "tables[0].chains[0].rules[0]"


def a_set(*elements: Any, **more: Any) -> dict[str, Any]:
    return {"sets": [{"name": "s", "type": "ipv4_addr", "elements": list(elements), **more}]}


def a_map(elements: Any, **more: Any) -> dict[str, Any]:
    return {"maps": [{"name": "m", "type": "ipv4_addr", "map": "mark", "elements": elements, **more}]}


def a_rule(rule: dict[str, Any]) -> dict[str, Any]:
    return {"chains": [{"name": "c", "rules": [rule]}]}


def errors(**table: Any) -> list[tuple[str, str]]:
    with pytest.raises(DocumentError) as caught:
        compile_tables(load({"tables": [{"name": "t", **table}]}))
    return [(one.place, str(one)) for one in caught.value.problems]


def vmap(*pairs: Any) -> dict[str, Any]:
    return a_rule({"expr": [{"vmap": {"key": PORT, "data": {"set": list(pairs)}}}]})


ACCEPT, DROP = {"accept": None}, {"drop": None}
TIMED = {"elem": "10.0.0.1", "timeout": "2h"}
TWICE = "the same key as %s, with something else beside it"
OVERLAP = "this overlaps %s"

WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "timed and not",
        a_set(TIMED, "10.0.0.1", timeout="1h"),
        SET + ".elements[1]",
        TWICE % (SET + ".elements[0]"),
    ),
    (
        "two comments",
        a_set({"elem": "10.0.0.0/8", "comment": "a"}, {"elem": "10.0.0.0/8", "comment": "b"}),
        SET + ".elements[1]",
        TWICE % (SET + ".elements[0]"),
    ),
    (
        "merged",
        a_set("10.0.0.0/8", {"elem": "10.0.0.0/8", "comment": "b"}, auto_merge=True),
        SET + ".elements[1]",
        TWICE % (SET + ".elements[0]"),
    ),
    (
        "everything else",
        a_set({"elem": "*", "comment": "a"}, "10.0.0.1", "*"),
        SET + ".elements[2]",
        TWICE % (SET + ".elements[0]"),
    ),
    (
        "networks as they were written",
        a_set("10.1.0.0/255.255.0.0", "10.0.0.0/8"),
        SET + ".elements[1]",
        (OVERLAP % (SET + ".elements[0]")) + "; found '10.0.0.0/8'; leave one out, or add auto_merge: true",
    ),
    (
        "a map's networks",
        a_map({"10.0.0.0/8": 1, "10.1.0.0/16": 2}),
        MAP + ".elements.10.1.0.0/16",
        (OVERLAP % (MAP + ".elements.10.0.0.0/8")) + "; found '10.1.0.0/16'; leave one out, or have them end",
    ),
    (
        "too many",
        a_set("10.0.0.1", "10.0.0.2", size=1),
        SET + ".size",
        "more elements than its size: 2; found 1; make it 2",
    ),
    (
        "too many networks",
        a_set("10.0.0.0/9", "10.2.4.0/24", "11.0.0.0/8", auto_merge=True, size=1),
        SET + ".size",
        "size: 2",
    ),
    ("too many keys", a_map({"10.0.0.1": 1, "10.0.0.2": 2, "*": 3}, size=1), MAP + ".size", "size: 2"),
    (
        "a flat vmap",
        a_rule({"protocol": "tcp", "vmap": {"key": "dport", "data": {"22-90": "accept", "80": "drop"}}}),
        RULE + ".vmap.data",
        "this overlaps another element, 22-90; found '80'; leave one out, or have them end",
    ),
    (
        "a flat map",
        a_rule({"protocol": "tcp", "redirect": {"map": {"key": "dport", "data": {"22-90": 1, "80": 2}}}}),
        RULE + ".redirect.map.data",
        "this overlaps another element, 22-90; found '80'",
    ),
    (
        "one key twice",
        vmap([22, ACCEPT], [23, DROP], [22, DROP]),
        RULE + ".expr[0].vmap.data.set[2]",
        TWICE % "another element, 22",
    ),
    (
        "two keys twice",
        a_rule(
            {
                "expr": [
                    {
                        "vmap": {
                            "key": {"concat": [PORT, MARK]},
                            "data": {"set": [[{"concat": [22, 1]}, ACCEPT], [{"concat": [22, 1]}, DROP]]},
                        }
                    }
                ]
            }
        ),
        RULE + ".expr[0].vmap.data.set[1]",
        TWICE % "another element, 22 . 1",
    ),
    (
        "ranges",
        vmap([{"range": [22, 90]}, ACCEPT], [80, DROP]),
        RULE + ".expr[0].vmap.data.set[1]",
        OVERLAP % "another element, 22-90",
    ),
]


@pytest.mark.parametrize(
    ("table", "place", "message"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_the_error_names_both(table: dict[str, Any], place: str, message: str) -> None:
    ((found, text),) = errors(**table)
    assert found == place
    assert message in text


@pytest.mark.parametrize(
    "table",
    [
        a_set("10.0.0.1", "10.0.0.1", size=1),
        a_set(TIMED, dict(TIMED), timeout="1h"),
        a_set(TIMED, "10.0.0.1", timeout="2h"),
        a_set("10.0.0.0/24", "10.0.0.9/24", size=1),
        a_set("10.0.0.0/24", "10.0.1.0/24", auto_merge=True, size=1),
        a_set("10.0.0.0/24", "10.0.1.0/24", "*", size=2),
        vmap([22, ACCEPT], [22, ACCEPT]),
        vmap([{"range": [22, 79]}, ACCEPT], [80, DROP]),
    ],
)
def test_the_same_said_twice_is_said_once(table: dict[str, Any]) -> None:
    compile_tables(load({"tables": [{"name": "t", **table}]}))


def test_mistakes_of_several_declared_things_come_at_once() -> None:
    found = errors(
        maps=[
            {"name": "a", "type": "ipv4_addr", "map": "verdict", "elements": {"10.0.0.1": "jump nowhere"}},
            {"name": "b", "type": "ipv4_addr", "map": "mark", "elements": {"10.0.0.1": "blue"}},
        ],
        counters=[{"name": "x", "packets": -1}],
        chains=[{"name": "c", "rules": [{"jump": "away"}]}],
    )
    assert sorted(place for place, _ in found) == [
        "tables[0].chains[0].rules[0].jump",
        "tables[0].counters[0].packets",
        "tables[0].maps[0].elements",
        "tables[0].maps[1].elements.10.0.0.1",
    ]
