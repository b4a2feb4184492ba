# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declared sets, maps, objects and flowtables. tests/kernel/test_document_declared.py asks nft about them."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.document.flat import lower
from rempart.document.model import Table, load
from rempart.document.typeof import expression_of
from rempart.document.validation import check
from rempart.errors import DocumentError

from tests.support.declared import ROWS, declared_table


def table(partial: bool = False, **keys: Any) -> Table:
    document = {"tables": [{"name": "edge", **keys}]}
    assert check(document) == []
    return load(document, partial)[0]


def messages(partial: bool = False, **keys: Any) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        table(partial, **keys)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "%s %s" % (row["family"], row["document"]["name"]))
def test_a_declaration_becomes_the_json_nft_prints(row: dict[str, Any]) -> None:
    found = declared_table(row["family"])
    made = [one.json for one in (*found.sets, *found.objects) if one.json["name"] == row["document"]["name"]]
    assert made == [row["json"]]


def test_the_rows_have_every_kind_that_any_kernel_has() -> None:
    # secmarks and flowtables are not in every kernel, tunnels not in every nft
    assert {row["key"] for row in ROWS} == {
        "sets",
        "maps",
        "counters",
        "quotas",
        "limits",
        "ct_helpers",
        "ct_timeouts",
        "ct_expectations",
        "synproxies",
    }


def test_a_secmark_is_its_context() -> None:
    (one,) = table(secmarks=[{"name": "ssh", "context": "u:object_r:ssh_t:s0"}]).objects
    assert (one.type, one.json) == ("secmark", {"name": "ssh", "context": "u:object_r:ssh_t:s0"})


def test_a_flowtable_has_defaults() -> None:
    bare, full = table(
        flowtables=[
            {"name": "a", "device": "eth0"},
            {
                "name": "b",
                "hook": "ingress",
                "priority": "filter - 5",
                "devices": ["eth0", "eth1"],
                "flags": ["offload"],
                "counter": True,
            },
        ]
    ).flowtables
    assert (bare.hook, bare.priority, bare.devices, bare.flags) == ("ingress", 0, ("eth0",), ())
    assert (full.priority, full.devices, full.flags) == (-5, ("eth0", "eth1"), ("offload", "counter"))
    assert full.place == "tables[0].flowtables[1]"


def test_sets_know_their_types_and_whether_their_elements_are_kept() -> None:
    one, other, third = table(
        sets=[{"name": "a", "typeof": "ip saddr . tcp dport", "elements": "keep"}],
        maps=[
            {"name": "b", "type": "mark", "map": "ipv4_addr . inet_service"},
            {"name": "c", "type": "mark", "map": "verdict"},
        ],
    ).sets
    assert (one.key, one.data, one.keep, one.is_map) == (("ipv4_addr", "inet_service"), (), True, False)
    assert (other.key, other.data, other.keep) == (("mark",), ("ipv4_addr", "inet_service"), False)
    assert (third.data, third.is_map, third.place) == (("verdict",), True, "tables[0].maps[1]")


def test_plain_addresses_go_through_as_they_are() -> None:
    elements = ["10.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255) for n in range(100_000)]
    (one,) = table(sets=[{"name": "a", "type": "ipv4_addr", "elements": elements}]).sets
    assert one.json["elem"] is elements


def test_of_many_wrong_elements_the_first_are_told_one_by_one() -> None:
    found = messages(sets=[{"name": "a", "type": "ipv4_addr", "elements": ["x"] * 100}])
    assert len(found) == 11
    assert found[-1] == "tables[0].sets[0].elements: 90 more elements are wrong"


@pytest.mark.parametrize(
    ("elements", "flags"),
    [
        (["10.0.0.1"], None),
        (["10.0.0.0/8"], ["interval"]),
        (["10.0.0.1/32"], None),
        (["10.0.0.1-10.0.0.2"], ["interval"]),
        ([{"elem": "10.0.0.1", "timeout": 5}], ["timeout"]),
        (["*"], None),
        (["10.0.0.0/8", {"elem": "11.0.0.1", "timeout": "1m"}], ["interval", "timeout"]),
        ([{"prefix": {"addr": "10.0.0.0", "len": 8}}], ["interval"]),
        ([{"elem": {"val": "10.0.0.1", "timeout": 5, "comment": "x"}}], ["timeout"]),
    ],
)
def test_flags_that_elements_need_are_added(elements: list[Any], flags: list[str] | None) -> None:
    (one,) = table(sets=[{"name": "a", "type": "ipv4_addr", "elements": elements}]).sets
    assert one.json.get("flags") == flags


FILLED: list[tuple[dict[str, Any], list[str]]] = [
    ({"add": {"set": "a", "key": "saddr"}}, ["dynamic"]),
    ({"update": {"set": "@a", "key": "saddr", "timeout": "1h"}}, ["dynamic", "timeout"]),
    ({"delete": {"set": "a", "key": "saddr"}}, ["dynamic"]),
    ({"expr": [{"set": {"op": "add", "elem": {"meta": {"key": "mark"}}, "set": "@a"}}]}, ["dynamic"]),
    (
        {
            "expr": [
                {
                    "set": {
                        "op": "update",
                        "elem": {"elem": {"val": {"meta": {"key": "mark"}}, "timeout": 5}},
                        "set": "@a",
                    }
                }
            ]
        },
        ["dynamic", "timeout"],
    ),
]


@pytest.mark.parametrize(("rule", "flags"), FILLED)
def test_a_set_that_rules_change_is_dynamic_and_has_a_size(rule: dict[str, Any], flags: list[str]) -> None:
    chains = [{"name": "input", "hook": "input", "rules": [rule]}]
    sets = [{"name": "a", "type": "ipv4_addr"}, {"name": "b", "type": "ipv4_addr"}]
    one, other = table(sets=sets, chains=chains).sets
    assert (one.json["flags"], one.json["size"]) == (flags, 65535)
    assert other.json == {"name": "b", "type": "ipv4_addr"}
    (one,) = table(sets=[{"name": "a", "type": "ipv4_addr", "size": 9}], chains=chains).sets
    assert one.json["size"] == 9


def chains(*rules: dict[str, Any], **named: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made = [{"name": "input", "hook": "input", "rules": list(rules)}]
    return made + [{"name": name, "rules": some} for name, some in named.items()]


MARK = {"meta": {"key": "mark"}}
BY_MARK = {"key": "mark", "data": "@m"}
VERDICTS = {"name": "m", "type": "mark", "map": "verdict", "elements": {1: "jump a"}}


@pytest.mark.parametrize(
    "back",
    [
        {"vmap": {"key": "mark", "data": {1: "jump a"}}},
        {"vmap": {"key": "mark", "data": [{"key": 1, "value": {"goto": "a"}}]}},
        {"vmap": BY_MARK},
        {"expr": [{"vmap": {"key": MARK, "data": "@m"}}]},
        {"expr": [{"vmap": {"key": MARK, "data": {"set": [[1, {"jump": {"target": "a"}}]]}}}]},
    ],
)  # fmt: skip
def test_jumps_of_verdict_maps_count_for_loops(back: dict[str, Any]) -> None:
    (message,) = messages(maps=[VERDICTS], chains=chains({"jump": "a"}, a=[{"jump": "b"}], b=[back]))
    assert "a loop of jumps: a -> b -> a" in message


def test_jumps_of_verdict_maps_lead_to_where_statements_are_misplaced() -> None:
    (message,) = messages(maps=[VERDICTS], chains=chains({"vmap": BY_MARK}, a=[{"masquerade": True}]))
    assert "tables[0].chains[1].rules[0].masquerade" in message
    assert table(maps=[VERDICTS], chains=chains(a=[{"masquerade": True}]))


def test_a_part_of_a_table_may_refer_to_what_it_does_not_name() -> None:
    rules = [
        {"jump": "elsewhere"},
        {"nfproto": "ipv4", "saddr": "@elsewhere"},
        {"counter": "elsewhere"},
        {"expr": [{"counter": "elsewhere"}]},
        {"vmap": {"key": "mark", "data": {1: "jump elsewhere"}}},
    ]
    found = table(partial=True, chains=chains(*rules))
    assert all(lower(rule, "inet", {}, found.declared()) for rule in rules)
    assert any("a jump to a chain that is not there" in one for one in messages(chains=chains(*rules)))
    whole = table(chains=[{"name": "elsewhere"}]).declared()
    for rule in rules[1:4]:
        with pytest.raises(DocumentError, match="of this name"):
            lower(rule, "inet", {}, whole)


def test_the_type_of_a_declared_set_says_which_family_a_rule_is_of() -> None:
    declared = table(
        sets=[{"name": "four", "type": "ipv4_addr"}, {"name": "six", "type": "ipv6_addr"}]
    ).declared()
    (row,) = lower({"saddr": "@six"}, "inet", {}, declared)
    assert row[0]["match"]["left"] == {"payload": {"protocol": "ip6", "field": "saddr"}}
    (row,) = lower({"saddr": "@four", "daddr": ["10.0.0.1", "2001:db8::1"]}, "inet", {}, declared)
    assert [one["match"]["right"] for one in row] == ["@four", "10.0.0.1"]
    with pytest.raises(DocumentError, match="add nfproto"):
        lower({"saddr": "@four"}, "inet")


def test_a_map_is_filled_with_values_or_with_other_keys() -> None:
    declared = table(
        maps=[{"name": "m", "type": "ipv4_addr", "map": "mark", "flags": ["dynamic"], "size": 9}]
    ).declared()
    update = {"map": "m", "key": "saddr", "data": "0x10"}
    (row,) = lower({"update": update}, "inet", {}, declared)
    saddr = {"payload": {"protocol": "ip", "field": "saddr"}}
    assert row == [{"map": {"op": "update", "elem": saddr, "map": "@m", "data": 16}}]
    (row,) = lower({"update": {**update, "data": {"key": "ct_mark"}}}, "inet", {}, declared)
    assert row[0]["map"]["data"] == {"ct": {"key": "mark"}}


def test_flow_names_a_flowtable() -> None:
    declared = table(flowtables=[{"name": "fast", "device": "eth0"}]).declared()
    for value in ("fast", "@fast"):
        assert lower({"flow": value}, "inet", {}, declared) == [
            [{"flow": {"op": "add", "flowtable": "@fast"}}]
        ]


@pytest.mark.parametrize(
    ("text", "json"),
    [
        ("ip saddr", {"payload": {"protocol": "ip", "field": "saddr"}}),
        ("meta mark", {"meta": {"key": "mark"}}),
        ("iifname", {"meta": {"key": "iifname"}}),
        ("ct original ip saddr", {"ct": {"key": "ip saddr", "dir": "original"}}),
        ("ct mark", {"ct": {"key": "mark"}}),
        ("tcp option maxseg size", {"tcp option": {"name": "maxseg", "field": "size"}}),
        ("frag id", {"exthdr": {"name": "frag", "field": "id"}}),
        ("rt ip nexthop", {"rt": {"key": "nexthop", "family": "ip"}}),
        ("rt mtu", {"rt": {"key": "mtu"}}),
        ("socket cgroupv2 level 1", {"socket": {"key": "cgroupv2", "level": 1}}),
        ("osf name", {"osf": {"key": "name"}}),
        ("@nh,96,32", {"payload": {"base": "nh", "offset": 96, "len": 32}}),
        (["ip saddr", {"meta": {"key": "mark"}}], None),
    ],
)
def test_typeof_is_nft_text(text: Any, json: Any) -> None:
    saddr = {"payload": {"protocol": "ip", "field": "saddr"}}
    expected = json or {"concat": [saddr, MARK]}
    assert expression_of(text) == expected


@pytest.mark.parametrize(
    "text", ["", "ip", "ip nothing", "ct", "ct original", "meta nothing", "nothing", "@nh", "ip saddr . ",
             "socket cgroupv2", "tcp option nothing", "tcp option maxseg"]
)  # fmt: skip
def test_typeof_refuses_what_is_no_expression(text: str) -> None:
    with pytest.raises(DocumentError):
        expression_of(text)
