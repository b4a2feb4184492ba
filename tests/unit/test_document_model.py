# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model of a document: defaults, priorities, the graph of jumps, host names."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.document import hosts
from rempart.document.model import Table, load
from rempart.document.placement import updates
from rempart.document.priorities import priority_of
from rempart.errors import DocumentError


def table(chains: list[dict[str, Any]], **options: Any) -> Table:
    return load({"tables": [{"name": "edge", "chains": chains, **options}]})[0]


def messages(chains: list[dict[str, Any]], **options: Any) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        table(chains, **options)
    return [str(problem) for problem in caught.value.problems]


def test_a_base_chain_has_defaults_and_a_user_chain_has_nothing() -> None:
    base, user = table([{"name": "input", "hook": "input"}, {"name": "services"}]).chains
    assert (base.type, base.hook, base.priority, base.policy, base.devices) == (
        "filter",
        "input",
        0,
        "accept",
        (),
    )
    assert base.is_base
    assert (user.type, user.hook, user.priority, user.policy) == ("", "", 0, "")
    assert not user.is_base
    assert user.place == "tables[0].chains[1]"


def test_rules_stay_the_objects_they_were() -> None:
    rule = {"verdict": "accept"}
    assert table([{"name": "a", "rules": [rule]}]).chains[0].rules[0] is rule


def test_a_table_keeps_comment_and_flags() -> None:
    one = table([], comment="home", flags=["dormant"], family="ip6")
    assert (one.family, one.name, one.comment, one.flags, one.sets) == (
        "ip6",
        "edge",
        "home",
        ("dormant",),
        [],
    )


@pytest.mark.parametrize(
    ("value", "family", "number"),
    [
        ("filter", "inet", 0),
        ("filter", "bridge", -200),
        ("dstnat", "bridge", -300),
        ("out", "bridge", 100),
        ("srcnat", "bridge", 300),
        ("raw", "ip", -300),
        ("mangle", "ip6", -150),
        ("dstnat", "inet", -100),
        ("security", "inet", 50),
        ("srcnat", "inet", 100),
        ("filter + 10", "inet", 10),
        ("filter - 5", "bridge", -205),
        ("mangle+1", "inet", -149),
        ("-7", "inet", -7),
        (-7, "netdev", -7),
    ],
)
def test_priorities_have_names_by_family(value: object, family: str, number: int) -> None:
    assert priority_of(value, family) == number


@pytest.mark.parametrize(
    "value", ["", "filter +", "filter + x", "+ 5", "out", True, 1.5, None, "filter - - 1"]
)
def test_other_priorities_are_refused(value: object) -> None:
    with pytest.raises(DocumentError):
        priority_of(value, "inet")


def test_devices_are_names_in_their_order() -> None:
    chain = table([{"name": "in", "hook": "ingress", "devices": ["eth1", "eth0"]}], family="netdev").chains[0]
    assert chain.devices == ("eth1", "eth0")
    assert table([{"name": "in", "hook": "ingress", "device": "eth0"}]).chains[0].devices == ("eth0",)


def test_sixteen_chains_in_a_row_are_the_most() -> None:
    def row(count: int) -> list[dict[str, Any]]:
        users = [{"name": "c%d" % n, "rules": [{"goto": "c%d" % (n + 1)}]} for n in range(1, count - 1)]
        return [
            {"name": "c0", "hook": "input", "rules": [{"jump": "c1"}]},
            *users,
            {"name": "c%d" % (count - 1)},
        ]

    table(row(16))
    (message,) = messages(row(17))
    assert "17 chains deep" in message


def test_two_ways_to_one_chain_are_no_loop() -> None:
    table(
        [
            {"name": "input", "hook": "input", "rules": [{"jump": "a"}, {"jump": "b"}]},
            {"name": "a", "rules": [{"jump": "b"}]},
            {"name": "b"},
        ]
    )


def test_every_loop_is_named_once() -> None:
    found = messages(
        [
            {"name": "a", "rules": [{"jump": "b"}, {"jump": "a"}]},
            {"name": "b", "rules": [{"goto": "a"}, {"goto": "a"}]},
            {"name": "c", "rules": [{"jump": "a"}]},
        ]
    )
    assert len(found) == 2
    assert "a -> b -> a" in found[0]
    assert "a -> a" in found[1]


def test_jumps_in_verdict_maps_are_jumps() -> None:
    entries = [[22, {"jump": {"target": "b"}}], [80, {"goto": {"target": "nowhere"}}]]
    vmap = {"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": {"set": entries}}}
    (message,) = messages([{"name": "a", "rules": [{"expr": [vmap]}]}, {"name": "b"}])
    assert "'nowhere'" in message


def test_a_user_chain_may_hold_what_each_of_its_base_chains_allows() -> None:
    shared = {"name": "shared", "rules": [{"verdict": "reject"}]}
    jump = [{"jump": "shared"}]
    table(
        [
            {"name": "i", "hook": "input", "rules": jump},
            {"name": "f", "hook": "forward", "rules": jump},
            shared,
        ]
    )
    (message,) = messages(
        [
            {"name": "i", "hook": "input", "rules": jump},
            {"name": "p", "hook": "postrouting", "rules": jump},
            shared,
        ]
    )
    assert "tables[0].chains[2].rules[0].verdict" in message
    assert "reached from chain p" in message


def test_a_statement_of_expr_is_held_to_its_place_as_well() -> None:
    (message,) = messages([{"name": "i", "hook": "input", "rules": [{"expr": [{"masquerade": None}]}]}])
    assert message.startswith("tables[0].chains[0].rules[0].expr[0].masquerade: no masquerade")


def test_an_unreached_user_chain_may_hold_anything() -> None:
    table([{"name": "spare", "rules": [{"masquerade": True}]}])


def test_all_problems_of_a_document_come_at_once() -> None:
    with pytest.raises(DocumentError) as caught:
        load(
            {
                "tables": [{"name": "a", "family": "x"}, {"chains": [{"name": "b", "policy": "drop"}]}],
                "more": 1,
            }
        )
    assert [problem.place for problem in caught.value.problems] == [
        "more",
        "tables[0].family",
        "tables[1]",
        "tables[1].chains[0].policy",
    ]


def names_in(*rules: Any) -> dict[str, str]:
    return hosts.names([table([{"name": "a", "rules": list(rules)}])])


def test_host_names_are_found_with_their_first_place() -> None:
    found = names_in(
        {"saddr": "192.0.2.1", "daddr": "10.0.0.0/8"},
        {"saddr": "web", "daddr": "!mail.example.org"},
        {"saddr": ["192.0.2.1-192.0.2.9", "web", "ftp1"], "daddr": "@hosts"},
        {"daddr": {"not": ["db-1.example.org", "2001:db8::1"]}},
        "no rule",
        {"saddr": 5, "daddr": []},
    )
    chain = "tables[0].chains[0]"
    assert found == {
        "web": chain + ".rules[1].saddr",
        "mail.example.org": chain + ".rules[1].daddr",
        "ftp1": chain + ".rules[2].saddr[2]",
        "db-1.example.org": chain + ".rules[3].daddr.not[0]",
    }


def test_host_names_in_rules_inside_rules_are_found_in_their_order() -> None:
    found = names_in(
        {"saddr": "192.0.2.1", "verdict": "drop"},
        {"goto": [{"daddr": "inner", "verdict": "drop"}, {"saddr": "192.0.2.2"}]},
        {"daddr": "inner"},
        {"daddr": "outer"},
        {"expr": [{"jump": {"rules": [{"saddr": "deep"}]}}]},
    )
    chain = "tables[0].chains[0]"
    assert found == {
        "inner": chain + ".rules[1].goto[0].daddr",
        "outer": chain + ".rules[3].daddr",
        "deep": chain + ".rules[4].expr[0].jump.rules[0].saddr",
    }


def test_sets_are_found_that_rules_inside_rules_change() -> None:
    change = {"update": {"key": "saddr", "set": "@seen", "timeout": "5m"}}
    rules = [{"verdict": "accept"}, {"jump": [{"counter": True}, change]}, {"add": {"set": "@seen"}}]
    chain = "tables[0].chains[0]"
    assert updates(table([{"name": "a", "rules": rules}])) == {
        "seen": (chain + ".rules[1].jump[1].update", True)
    }


def test_addresses_are_sorted_by_number_ipv4_first_and_unique() -> None:
    def lookup(name: str) -> list[str]:
        return ["2001:db8::1", "192.0.2.10", "192.0.2.9", "192.0.2.10"]

    assert hosts.resolve({"web": ""}, lookup) == {"web": ["192.0.2.9", "192.0.2.10", "2001:db8::1"]}


def test_every_name_that_does_not_resolve_is_reported() -> None:
    def lookup(name: str) -> list[str]:
        raise OSError("no")

    with pytest.raises(DocumentError) as caught:
        hosts.resolve({"a": "here", "b": "there"}, lookup)
    assert [(problem.place, problem.found) for problem in caught.value.problems] == [
        ("here", "a"),
        ("there", "b"),
    ]
