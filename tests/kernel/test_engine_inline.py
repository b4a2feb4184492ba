# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inline chains, ``jump { … }``: declared, compared and read back, those of other programs as well."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from rempart.errors import RempartError
from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset import jumps
from rempart.ruleset.capture import capture
from rempart.ruleset.inventory import tables

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content, raw, watched

PLAIN = {
    "tables": [{"name": "t", "chains": [{"name": "input", "hook": "input", "rules": [{"counter": True}]}]}]
}
INLINE = "add rule inet t input tcp dport 22 jump { ip saddr 10.0.0.1 accept; drop; }\n"

RULES: list[dict[str, Any]] = [
    {
        "protocol": "tcp",
        "dport": 22,
        "jump": [
            {"saddr": "10.0.0.1", "verdict": "accept", "comment": "x"},
            {"daddr": ["192.0.2.1", "192.0.2.2"], "jump": "user"},
            {"saddr": "@blocked", "counter": True, "verdict": "drop"},
            {"set": {"priority": "1:10"}},
        ],
    },
    {
        "protocol": "udp",
        "dport": [53, 5353],
        "counter": True,
        "goto": [{"verdict": "accept"}],
        "comment": "outer",
    },
]
DOCUMENT: dict[str, Any] = {
    "tables": [
        {
            "name": "t",
            "family": "inet",
            "sets": [{"name": "blocked", "type": "ipv4_addr", "elements": ["198.51.100.1"]}],
            "chains": [
                {"name": "user", "rules": [{"counter": True}]},
                {
                    "name": "input",
                    "type": "filter",
                    "hook": "input",
                    "priority": "filter",
                    "policy": "accept",
                    "rules": RULES,
                },
            ],
        }
    ]
}
TEXT = """
table inet t {
	set blocked { type ipv4_addr; elements = { 198.51.100.1 }; }
	chain user { counter; }
	chain input {
		type filter hook input priority filter; policy accept;
		tcp dport 22 jump {
			ip saddr 10.0.0.1 accept comment "x"
			ip daddr { 192.0.2.1, 192.0.2.2 } jump user
			ip saddr @blocked counter drop
			meta priority set 1:10
		}
		udp dport { 53, 5353 } counter goto { accept; } comment "outer"
	}
}
"""


def changed_rule(**keys: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document["tables"][0]["chains"][1]["rules"][0]["jump"][0].update(keys)
    return document


def test_a_rule_with_an_inline_chain_is_put_right(netns: Namespace) -> None:
    apply(PLAIN, netns)
    before = netns.nft_text()
    netns.nft(INLINE)
    assert "jump {" in netns.nft_text()
    assert apply(PLAIN, netns, check=True).changed
    outcome = apply(PLAIN, netns)
    (change,) = outcome.changes()
    assert (change["action"], change["kind"]) == ("remove", "rule")
    assert change["rule"] == "tcp dport 22 jump { ip saddr 10.0.0.1 accept; drop; }"
    assert netns.nft_text() == before
    assert not apply(PLAIN, netns, full=True).changed


def test_both_roads_lead_to_one_place(make_netns: Callable[[], Namespace]) -> None:
    ours, theirs = make_netns(), make_netns()
    apply(DOCUMENT, ours)
    theirs.nft(TEXT)
    assert ours.nft_text() == theirs.nft_text()
    for one in (ours, theirs):
        with watched() as traffic:
            assert not apply(DOCUMENT, one, full=True).changed
        assert traffic.batches == []


def test_the_text_of_a_rule_loads_again(make_netns: Callable[[], Namespace]) -> None:
    ours, theirs = make_netns(), make_netns()
    apply(DOCUMENT, ours)
    (table,) = tables(ours.name)
    assert [chain["name"] for chain in table["chains"]] == ["user", "input"]
    (one, other) = table["chains"][1]["rules"]
    theirs.nft(TEXT)
    theirs.nft("flush chain inet t input")
    for rule in (one, other):
        theirs.nft("add rule inet t input " + rule["rule"])
    assert theirs.nft_text() == ours.nft_text()


@pytest.mark.parametrize(
    "keys", [{"saddr": "10.0.0.2"}, {"comment": "y"}, {"verdict": "drop"}, {"log": True}]
)
def test_a_change_inside_replaces_the_one_rule(netns: Namespace, keys: dict[str, Any]) -> None:
    apply(DOCUMENT, netns)
    outcome = apply(changed_rule(**keys), netns)
    assert [(one["action"], one["kind"]) for one in outcome.changes()] == [
        ("remove", "rule"),
        ("add", "rule"),
    ]
    assert not apply(changed_rule(**keys), netns, full=True).changed


def test_rules_inside_may_be_statements_too(make_netns: Callable[[], Namespace]) -> None:
    flat, stated = make_netns(), make_netns()
    document = copy.deepcopy(DOCUMENT)
    accept = {
        "match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "10.0.0.1"}
    }
    document["tables"][0]["chains"][1]["rules"] = [
        {"expr": [{"goto": {"rules": [{"expr": [accept, {"accept": None}], "comment": "c"}]}}]},
    ]
    apply(document, stated)
    document["tables"][0]["chains"][1]["rules"] = [
        {"goto": [{"saddr": "10.0.0.1", "verdict": "accept", "comment": "c"}]}
    ]
    apply(document, flat)
    assert content(flat) == content(stated)


def test_captured_it_reads_as_it_was_written(make_netns: Callable[[], Namespace]) -> None:
    home, elsewhere = make_netns(), make_netns()
    home.nft(TEXT)
    with NetlinkSocket(home.name) as kernel:
        found = capture(kernel)
    assert found.notes == []
    assert found.document["tables"][0]["chains"] == DOCUMENT["tables"][0]["chains"]
    assert not apply(found.document, home, full=True).changed
    apply(json.loads(json.dumps(found.document)), elsewhere)
    assert elsewhere.nft_text() == home.nft_text()


def test_what_it_refers_to_can_be_made_anew(netns: Namespace) -> None:
    apply(DOCUMENT, netns)
    document = copy.deepcopy(DOCUMENT)
    document["tables"][0]["sets"][0]["flags"] = ["interval"]
    apply(document, netns)
    assert "flags interval" in netns.nft_text()
    assert not apply(document, netns, full=True).changed
    del document["tables"][0]["chains"][1]["rules"][0]["jump"][1]
    apply(document, netns)
    del document["tables"][0]["chains"][0]
    apply(document, netns)
    assert "chain user" not in netns.nft_text()


def test_a_chain_that_it_leads_to_cannot_go(netns: Namespace) -> None:
    apply(DOCUMENT, netns)
    with pytest.raises(RempartError) as caught:
        jumps.refuse_removal("inet", "t", "user", netns.name)
    assert "a rule of chain input leads to it" in str(caught.value)


def test_mistakes_inside_are_told_with_their_place(netns: Namespace) -> None:
    before = raw(netns)
    place = "tables[0].chains[1].rules[0]"
    for rule, expected in (
        ({"jump": [{"dport": 22}]}, place + ".jump[0].dport"),
        ({"jump": [{"goto": "nowhere"}]}, place + ".jump[0].goto"),
        ({"jump": [{"saddr": "@nothing"}]}, place + ".jump[0].saddr"),
        ({"jump": []}, place + ".jump"),
        ({"jump": [{"jump": [{"verdict": "accept"}]}]}, place + ".jump[0].jump"),
        ({"jump": [{"masquerade": True}]}, place + ".jump[0].masquerade"),
        (
            {"expr": [{"jump": {"rules": [{"expr": [{"acept": None}]}]}}]},
            place + ".expr[0].jump.rules[0].expr[0]",
        ),
        ({"expr": [{"jump": {"rules": [{"verdict": "accept"}]}}]}, place + ".expr[0].jump.rules[0]"),
    ):
        document = copy.deepcopy(DOCUMENT)
        document["tables"][0]["chains"][1]["rules"] = [rule]
        with pytest.raises(RempartError) as caught:
            apply(document, netns)
        assert caught.value.problems[0].place == expected, caught.value
    assert raw(netns) == before


def test_a_refusal_by_the_kernel_names_the_outer_rule(netns: Namespace) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["tables"][0]["chains"][1]["rules"][1]["goto"] = [
        {"expr": [{"dup": {"addr": "192.0.2.1"}}, {"flow": {"op": "add", "flowtable": "@none"}}]}
    ]
    document["tables"][0]["chains"][1]["rules"][1]["goto"] = [
        {"expr": [{"tproxy": {"port": 1}}], "comment": "no protocol"}
    ]
    with pytest.raises(RempartError) as caught:
        apply(document, netns)
    assert "rules[1]" in caught.value.problems[0].place
    assert netns.nft_text() == ""
