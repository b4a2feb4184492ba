# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements to flat rules: what a person would have written, and never anything else than was said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.document.flat import lower
from rempart.document.lifting import lift
from rempart.document.model import FAMILIES

from tests.support import documents
from tests.support.declared import declared_table

DATA = Path(__file__).parent.parent / "data"
ROWS: list[dict[str, Any]] = json.loads((DATA / "flat_rules.json").read_text())
DECLARED = {family: declared_table(family).declared() for family in FAMILIES}

Statements = list[dict[str, Any]]

#: what only two rules together say in flat keys
NOT_ALONE = ({"family": "ip6", "rule": {"fragment": False, "verdict": "accept"}},)


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "%s %s" % (row["family"], json.dumps(row["rule"])))
def test_what_a_flat_rule_became_is_lifted_back_to_flat_keys(row: dict[str, Any]) -> None:
    family = row["family"]
    alone = {"family": family, "rule": row["rule"]} not in NOT_ALONE
    for statements in row["statements"]:
        rule = lift(statements, family, declared=DECLARED[family])
        assert ("expr" not in rule) == (alone and "expr" not in row["rule"])
        assert lower(rule, family, {}, DECLARED[family]) == [statements]


@pytest.mark.parametrize(
    ("family", "statements", "rule"),
    [
        (
            "inet",
            [match(payload("tcp", "dport"), {"set": [22, 80]}), {"accept": None}],
            {"protocol": "tcp", "dport": [22, 80], "verdict": "accept"},
        ),
        ("inet", [match(payload("ip", "saddr"), "10.0.0.1", "!=")], {"saddr": "!10.0.0.1"}),
        (
            "inet",
            [
                match(
                    payload("ip6", "daddr"),
                    {"set": [{"prefix": {"addr": "2001:db8::", "len": 32}}, "::1"]},
                    "!=",
                )
            ],
            {"daddr": {"not": ["2001:db8::/32", "::1"]}},
        ),
        (
            "inet",
            [match(payload("udp", "sport"), {"range": [1024, 5999]})],
            {"protocol": "udp", "sport": "1024-5999"},
        ),
        (
            "inet",
            [match({"ct": {"key": "state"}}, ["established", "related"], "in"), {"accept": None}],
            {"ct_state": ["established", "related"], "verdict": "accept"},
        ),
        ("inet", [match({"&": [{"meta": {"key": "mark"}}, 255]}, 16)], {"mark": "0x10/0xff"}),
        (
            "inet",
            [match({"&": [payload("tcp", "flags"), ["fin", "syn", "rst", "ack"]]}, "syn"), {"drop": None}],
            {"protocol": "tcp", "syn": True, "verdict": "drop"},
        ),
        ("ip", [{"reject": {"type": "icmp", "expr": "port-unreachable"}}], {"verdict": "reject"}),
        ("inet", [{"reject": {"type": "icmpx", "expr": "port-unreachable"}}], {"verdict": "reject"}),
        ("ip", [{"reject": {"type": "icmp", "expr": "host-prohibited"}}], {"reject": "icmp host-prohibited"}),
        (
            "inet",
            [{"limit": {"rate": 10, "burst": 20, "per": "minute", "inv": True}}, {"log": {"prefix": "a: "}}],
            {"limit": "over 10/minute burst 20 packets", "log": "a: "},
        ),
        (
            "inet",
            [{"counter": {"packets": 0, "bytes": 0}}, {"drop": None}],
            {"counter": True, "verdict": "drop"},
        ),
        (
            "inet",
            [{"counter": {"packets": 3, "bytes": 180}}],
            {"counter": {"packets": 3, "bytes": 180}},
        ),
        (
            "ip6",
            [match(payload("tcp", "dport"), 80), {"dnat": {"addr": "2001:db8::1", "port": 8080}}],
            {"protocol": "tcp", "dport": 80, "dnat": "[2001:db8::1]:8080"},
        ),
        ("inet", [{"masquerade": {"flags": "random"}}], {"masquerade": {"flags": "random"}}),
        (
            "inet",
            [
                {
                    "mangle": {
                        "key": {"meta": {"key": "mark"}},
                        "value": {"|": [{"&": [{"meta": {"key": "mark"}}, 0xFF]}, 1]},
                    }
                }
            ],
            {"set": {"mark": {"and": 0xFF, "or": 1}}},
        ),
        ("inet", [match(payload("ip", "dscp"), "ef")], {"nfproto": "ipv4", "dscp": "ef"}),
        ("inet", [match(payload("ip", "saddr"), "@blocked")], {"nfproto": "ipv4", "saddr": "@blocked"}),
        (
            "bridge",
            [match({"meta": {"key": "protocol"}}, "ip6"), {"accept": None}],
            {"nfproto": "ipv6", "verdict": "accept"},
        ),
        (
            "inet",
            [
                {
                    "vmap": {
                        "key": {"ct": {"key": "state"}},
                        "data": {"set": [["new", {"jump": {"target": "in"}}], ["invalid", {"drop": None}]]},
                    }
                }
            ],
            {"vmap": {"key": "ct_state", "data": {"new": "jump in", "invalid": "drop"}}},
        ),
    ],
)
def test_a_rule_is_lifted_to_what_a_person_would_write(
    family: str, statements: Statements, rule: dict[str, Any]
) -> None:
    lifted = lift(statements, family)
    assert lifted == rule
    assert list(lifted) == list(rule)


@pytest.mark.parametrize(
    ("why", "statements"),
    [
        (
            "flat keys test the state after the port",
            [match({"ct": {"key": "state"}}, "new", "in"), match(payload("tcp", "dport"), 22)],
        ),
        ("a counter before the match", [{"counter": None}, match({"meta": {"key": "iifname"}}, "lo")]),
        (
            "one key twice",
            [match(payload("tcp", "dport"), 22, "!="), match(payload("tcp", "dport"), 23, "!=")],
        ),
        (
            "addresses of both networks",
            [match(payload("ip", "saddr"), "10.0.0.1"), match(payload("ip6", "daddr"), "::1")],
        ),
        ("an operator that no key has", [match({"meta": {"key": "mark"}}, 5, ">")]),
        ("a set of one element is no scalar", [match(payload("tcp", "dport"), {"set": [22]})]),
        ("what a flat value would take apart", [match({"meta": {"key": "iifname"}}, "a,b")]),
        ("a statement without a key", [{"queue": {"num": 1}}]),
        ("an unknown statement", [{"unknown": {"expression": "x", "bytes": ""}}]),
        ("a state that is exactly this", [match({"ct": {"key": "state"}}, "new", "!=")]),
    ],
)
def test_what_flat_keys_do_not_say_stays_statements(why: str, statements: Statements) -> None:
    assert lift(statements, "inet", "so") == {"expr": statements, "comment": "so"}


def test_the_judge_decides() -> None:
    statements = [match({"meta": {"key": "iifname"}}, "lo"), {"accept": None}]
    seen: list[dict[str, Any]] = []
    assert lift(statements, "inet", None, lambda rule: bool(seen.append(rule))) == {"expr": statements}
    assert seen == [{"iifname": "lo", "verdict": "accept"}]
    assert lift(statements, "inet", "c", lambda rule: True) == {**seen[0], "comment": "c"}


def test_a_mark_set_to_itself_is_flat() -> None:
    (statements,) = lower({"set": {"mark": {"or": 0}}}, "inet")
    assert lift(statements, "inet") == {"set": {"mark": {"or": 0}}}


@settings(max_examples=200, deadline=None)
@given(data=st.data(), family=st.sampled_from(sorted(documents.BASES)))
def test_lifting_says_the_same_of_generated_rules(data: st.DataObject, family: str) -> None:
    kind, hook, _ = data.draw(st.sampled_from(documents.BASES[family]))
    rule = data.draw(documents.rules(family, kind, hook, 0, ["other"], apart=False, referring=False))
    for statements in lower(rule, family):
        lifted = lift(statements, family)
        assert lower(lifted, family) == [statements]
        assert "expr" not in lifted or "expr" in rule or _only_together(rule)


def _only_together(rule: dict[str, Any]) -> bool:
    """Whether one of the rules that it stands for has no flat form of its own."""
    return rule.get("fragment") is False


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["match", "op", "left", "right", "set", "range", "&", "payload", "meta", "key", "map", "elem"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(
    statements=st.lists(
        st.dictionaries(
            st.sampled_from(["match", "counter", "limit", "mangle", "dnat", "set", "vmap", "log", "x"]),
            _json,
            min_size=1,
            max_size=1,
        ),
        max_size=4,
    )
)
def test_any_json_is_lifted_or_left(statements: Statements) -> None:
    rule = lift(statements, "inet")
    assert rule == {"expr": statements} or lower(rule, "inet") == [statements]
