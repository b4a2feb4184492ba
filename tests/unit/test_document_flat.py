# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flat rules to statements. tests/kernel/test_document_flat.py asks nft whether the table tells the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rempart.document.flat import KEYS, lower
from rempart.document.model import FAMILIES
from rempart.errors import DocumentError
from rempart.nftables.datatypes import lookups

from tests.support.declared import declared_table

DATA = Path(__file__).parent.parent / "data"
ROWS: list[dict[str, Any]] = json.loads((DATA / "flat_rules.json").read_text())


DECLARED = {family: declared_table(family).declared() for family in FAMILIES}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "%s %s" % (row["family"], json.dumps(row["rule"])))
def test_a_flat_rule_becomes_the_statements_nft_prints(row: dict[str, Any]) -> None:
    assert lower(row["rule"], row["family"], {}, DECLARED[row["family"]]) == row["statements"]


def test_the_table_has_every_key() -> None:
    used = {key for row in ROWS for key in row["rule"]}
    # nft has no words for tos, and the kernel that judges may lack flowtables
    assert set(KEYS) - used == {"tos", "flow"}


def problems_of(rule: dict[str, Any], family: str = "inet", **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(DocumentError) as caught:
        lower(rule, family, **options)
    return [(problem.place, problem.message) for problem in caught.value.problems]


class Text(str):
    """A text that can be told from an equal one."""


class Number(int):
    """A number that can be told from an equal one."""


def leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [value]


@pytest.mark.parametrize(
    ("family", "rule", "traced"),
    [
        ("inet", {"saddr": Text("192.0.2.1")}, ["saddr"]),
        ("ip6", {"daddr": Text("2001:db8::1")}, ["daddr"]),
        ("inet", {"iifname": Text("eth0"), "oifname": Text("eth1")}, ["iifname", "oifname"]),
        ("inet", {"protocol": "tcp", "sport": Number(1), "dport": Number(2)}, ["sport", "dport"]),
        ("inet", {"mark": Number(7), "ct_mark": Number(8)}, ["mark", "ct_mark"]),
        (
            "inet",
            {"skuid": Number(7), "length": Number(8), "ct_zone": Number(9)},
            ["skuid", "length", "ct_zone"],
        ),
        ("inet", {"jump": Text("other")}, ["jump"]),
        ("inet", {"goto": Text("other")}, ["goto"]),
        ("inet", {"log": Text("prefix "), "ct_helper": Text("ftp")}, ["log", "ct_helper"]),
        ("inet", {"dnat": Text("192.0.2.1")}, ["dnat"]),
        ("inet", {"protocol": "tcp", "redirect": Number(8080)}, ["redirect"]),
        ("inet", {"saddr": Text("@hosts"), "nfproto": "ipv4"}, ["saddr"]),
    ],
)
def test_a_value_that_needs_no_translation_stays_the_same_object(
    family: str, rule: dict[str, Any], traced: list[str]
) -> None:
    found = {id(leaf) for leaf in leaves(lower(rule, family))}
    assert all(id(rule[key]) in found for key in traced)


def test_values_in_lists_and_mappings_stay_the_same_objects() -> None:
    rule: dict[str, Any] = {
        "saddr": [Text("192.0.2.1"), Text("192.0.2.2")],
        "protocol": "tcp",
        "dport": [Number(1), Number(2)],
        "log": {"prefix": Text("x"), "group": Number(3)},
        "set": {"mark": Number(4)},
    }
    found = {id(leaf) for leaf in leaves(lower(rule, "inet"))}
    expected = [*rule["saddr"], *rule["dport"], *rule["log"].values(), *rule["set"].values()]
    assert all(id(one) in found for one in expected)


def addresses_of(rows: list[list[dict[str, Any]]], field: str) -> list[Any]:
    return [
        statement["match"]["right"]
        for row in rows
        for statement in row
        if "match" in statement and statement["match"]["left"].get("payload", {}).get("field") == field
    ]


@pytest.mark.parametrize("name", ["wan0", "6in4-wan", "_x", "\u00e9th0"])
def test_an_interface_of_another_host_is_taken_for_known(name: str) -> None:
    for rule in ({"iif": name}, {"fib": "saddr . iif oif %s" % name}):
        assert problems_of(rule)[0][1] == "no such interface"
        with lookups.elsewhere():
            assert lower(rule, "inet")
    with lookups.elsewhere():
        assert problems_of({"iif": "7"}) == [("iif", "no such interface")]


WEB = {"web": ["192.0.2.1", "192.0.2.2", "2001:db8::1"], "db": ["198.51.100.1", "2001:db8::2", "2001:db8::3"]}


def test_host_names_become_every_combination_of_one_family() -> None:
    rows = lower({"saddr": "web", "daddr": "db", "verdict": "accept"}, "inet", WEB)
    pairs = list(zip(addresses_of(rows, "saddr"), addresses_of(rows, "daddr")))
    assert pairs == [
        ("192.0.2.1", "198.51.100.1"),
        ("192.0.2.2", "198.51.100.1"),
        ("2001:db8::1", "2001:db8::2"),
        ("2001:db8::1", "2001:db8::3"),
    ]


def test_a_table_of_one_family_takes_the_addresses_of_that_family() -> None:
    assert addresses_of(lower({"saddr": "web"}, "ip", WEB), "saddr") == ["192.0.2.1", "192.0.2.2"]
    assert addresses_of(lower({"saddr": "web"}, "ip6", WEB), "saddr") == ["2001:db8::1"]


def test_a_host_name_in_a_list_adds_its_addresses_to_the_set() -> None:
    rows = lower({"saddr": ["web", "203.0.113.1"]}, "ip", WEB)
    assert addresses_of(rows, "saddr") == [{"set": ["192.0.2.1", "192.0.2.2", "203.0.113.1"]}]


def test_a_negated_host_name_excludes_all_its_addresses_at_once() -> None:
    rows = lower({"saddr": "!web", "verdict": "drop"}, "inet", WEB)
    assert [row[0]["match"] for row in rows] == [
        {
            "op": "!=",
            "left": {"payload": {"protocol": "ip", "field": "saddr"}},
            "right": {"set": ["192.0.2.1", "192.0.2.2"]},
        },
        {"op": "!=", "left": {"payload": {"protocol": "ip6", "field": "saddr"}}, "right": "2001:db8::1"},
    ]


def test_a_host_name_without_an_address_of_the_tables_family_is_refused() -> None:
    only_ipv4 = {"web": ["192.0.2.1"]}
    assert problems_of({"saddr": "web"}, "ip6", addresses=only_ipv4) == [
        ("saddr", "the host name has no IPv6 address")
    ]


def test_bidirectional_swaps_ports_and_ethernet_addresses_but_no_interfaces() -> None:
    rule = {
        "iifname": "eth0",
        "ether_saddr": "00:00:00:00:00:01",
        "protocol": "tcp",
        "sport": 1,
        "dport": 2,
        "bidirectional": True,
    }
    there, back = lower(rule, "inet")
    assert there[0] == back[0]
    assert back[1]["match"]["left"]["payload"] == {"protocol": "ether", "field": "daddr"}
    assert [one["match"]["right"] for one in back[2:]] == [2, 1]
    assert [one["match"]["left"]["payload"]["field"] for one in back[2:]] == ["sport", "dport"]


def test_bidirectional_without_a_direction_is_one_rule() -> None:
    assert len(lower({"counter": True, "bidirectional": True}, "inet")) == 1
    assert len(lower({"saddr": "192.0.2.1", "daddr": "192.0.2.1", "bidirectional": True}, "inet")) == 1


def test_a_counter_stands_behind_the_match_on_the_family() -> None:
    for rule in (
        {"set": {"dscp": "ef"}},
        {"tos": "minimum-delay"},
        {"nfproto": "ipv4", "reject": "icmp net-prohibited"},
    ):
        for row in lower({"counter": True, "log": True, **rule}, "inet"):
            assert list(row[0]) == ["match"]
            assert row[0]["match"]["left"] == {"meta": {"key": "nfproto"}}


@pytest.mark.parametrize(
    ("value", "masks"),
    [
        ("minimum-delay", (0x01, 0x10)),
        ("maximum-throughput", (0x01, 0x08)),
        ("maximum-reliability", (0x01, 0x04)),
        ("minimum-cost", (0x01, 0x02)),
        ("0x01 0x10", (0x01, 0x10)),
        ({"and": 1, "xor": 0x10}, (0x01, 0x10)),
        ({"xor": "0x04"}, (0xFF, 0x04)),
        ({"and": 0}, (0, 0)),
    ],
)
def test_tos_is_an_and_mask_and_an_xor_value(value: object, masks: tuple[int, int]) -> None:
    expected = {"tos": {"and": masks[0], "xor": masks[1]}}
    assert lower({"tos": value}, "ip") == [[expected]]


def test_tos_in_a_table_of_both_families_is_one_rule_for_each() -> None:
    rows = lower({"tos": "minimum-cost", "protocol": "tcp", "dport": 119}, "inet")
    assert [row[0]["match"]["right"] for row in rows] == ["ipv4", "ipv6"]
    (row,) = lower({"tos": "minimum-cost", "daddr": "2001:db8::1"}, "inet")
    assert [list(one) for one in row] == [["match"], ["tos"]]


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ({"and": 0xFF}, 0x12345678, 0x78),
        ({"or": 0xF0}, 0x0F, 0xFF),
        ({"xor": 0xFF}, 0x0F, 0xF0),
        ({"and": 0xFF, "or": 0xF00, "xor": 0x101}, 0xABC, 0xFBC ^ 0x101),
    ],
)
def test_marks_are_changed_bit_by_bit(change: dict[str, int], before: int, after: int) -> None:
    (row,) = lower({"set": {"mark": change}}, "inet")

    def evaluate(expression: Any) -> int:
        if isinstance(expression, int):
            return expression
        if "meta" in expression:
            return before
        ((operator, (left, right)),) = expression.items()
        a, b = evaluate(left), evaluate(right)
        return {"&": a & b, "|": a | b, "^": a ^ b}[operator]

    assert evaluate(row[0]["mangle"]["value"]) == after


def test_statements_go_through_as_they_are() -> None:
    statements = [{"counter": None}, {"accept": None}]
    assert lower({"expr": statements, "comment": "x"}, "inet")[0] is statements


def test_every_problem_of_a_rule_is_reported_at_once() -> None:
    rule = {
        "saddr": "300.0.0.1",
        "protocol": "tcp",
        "dport": 70000,
        "iifname": "an-interface-name",
        "log": {"level": "loud"},
        "comment": "x" * 129,
        "verdct": "accept",
    }
    assert [place for place, _ in problems_of(rule)] == [
        "comment",
        "verdct",
        "saddr",
        "iifname",
        "dport",
        "log.level",
    ]


@pytest.mark.parametrize("limit", ["10/second", "2 mbytes/minute burst 1 kbytes"])
def test_a_limit_is_the_same_as_text_and_as_mapping(limit: str) -> None:
    mappings = {
        "10/second": {"rate": 10},
        "2 mbytes/minute burst 1 kbytes": {"rate": 2048, "burst": 1, "unit": "kbytes", "per": "minute"},
    }
    assert lower({"limit": limit}, "inet") == lower({"limit": mappings[limit]}, "inet")


def test_false_switches_a_statement_off() -> None:
    rule = {
        "counter": False,
        "log": False,
        "notrack": False,
        "masquerade": False,
        "redirect": False,
        "verdict": "accept",
    }
    assert lower(rule, "inet") == [[{"accept": None}]]
