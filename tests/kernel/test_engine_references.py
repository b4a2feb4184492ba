# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules that refer to sets and maps of their table: which types go together, and changes by packets.

nft is the judge: of the types it takes and refuses the same pairs, and of what packets put into
maps, for which its JSON has no form, it makes the same bytes.
"""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from rempart.document.typeof import expression_of
from rempart.errors import DocumentError
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables.declared import compile_set
from rempart.nftables.statements import compile_rule
from rempart.ruleset.capture import capture

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content

KEYS = (
    "ip saddr",
    "ip6 saddr",
    "ether saddr",
    "tcp dport",
    "th sport",
    "udp length",
    "meta mark",
    "ct mark",
    "ct zone",
    "meta length",
    "ip ttl",
    "vlan id",
    "ip dscp",
    "ip6 dscp",
    "meta iifname",
    "meta iif",
    "meta skuid",
    "meta skgid",
    "meta l4proto",
    "ip protocol",
    "meta protocol",
    "icmp type",
    "icmpv6 type",
    "ct state",
    "ct original ip saddr",
    "ct helper",
    "tcp flags",
    "ip saddr . tcp dport",
    "ip saddr . meta mark",
    "ip saddr . udp length",
)
TYPES = (
    "type ipv4_addr",
    "type ipv6_addr",
    "type ether_addr",
    "type inet_service",
    "type mark",
    "type ifname",
    "type iface_index",
    "type uid",
    "type inet_proto",
    "type ether_type",
    "type icmp_type",
    "type ct_state",
    "type dscp",
    "type tcp_flag",
    "typeof ip ttl",
    "typeof vlan id",
    "typeof meta length",
    "type ipv4_addr . inet_service",
    "type ipv4_addr . mark",
    "typeof ip saddr . ip length",
)


def taken_by_nft(where: Namespace, rule: str) -> bool:
    text = "table inet t {\nchain c { %s; }\n}\n" % rule
    done = subprocess.run(where.argv("nft", "--check", "-f", "-"), input=text, capture_output=True, text=True)
    if done.returncode:
        assert "datatype mismatch" in done.stderr, done.stderr
    return not done.returncode


@pytest.mark.parametrize("declared", TYPES)
def test_a_set_goes_with_the_keys_that_nft_takes_for_it(declared: str, netns: Namespace) -> None:
    netns.nft("table inet t {\nset s { %s; }\n}\n" % declared)
    word, _, text = declared.partition(" ")
    body: Any = text.split(" . ") if word == "type" else expression_of(text)
    sets = {"s": compile_set({"name": "s", word: body}, "inet")}
    for key in KEYS:
        match = {"match": {"op": "==", "left": expression_of(key), "right": "@s"}}
        taken = taken_by_nft(netns, "%s @s" % key)
        try:
            compile_rule([match], "inet", sets)
        except DocumentError as error:
            assert not taken, (key, str(error))
            (problem,) = error.problems
            assert "the set's key does not fit" in problem.message and problem.found == "@s", key
            assert problem.place == "[0].match.right"
        else:
            assert taken, key


TABLE = """table inet t {
\tmap marks { type ipv4_addr : mark; size 100; flags dynamic; }
\tmap addresses { type ipv4_addr : ipv4_addr; size 100; flags dynamic,timeout; timeout 1m; }
\tmap ports { type ipv4_addr : inet_service; size 100; flags dynamic; }
\tmap servers { type ipv4_addr : ipv4_addr . inet_service; size 100; flags dynamic; }
\tmap names { type ipv4_addr : ifname; size 100; flags dynamic; }
\tmap pairs { type ipv4_addr . inet_service : mark; size 100; flags dynamic; }
\tmap targets { type inet_service : ipv4_addr; elements = { 80 : 10.0.0.1 } }
\tmap targets6 { type inet_service : ipv6_addr . inet_service; elements = { 80 : 2001:db8::1 . 8080 } }
\tchain c {
\t\ttype nat hook prerouting priority dstnat;
\t\t%s
\t}
}
"""
LINES: list[tuple[str, dict[str, Any]]] = [
    ("add @marks { ip saddr : 0x5 }", {"add": {"map": "marks", "key": "saddr", "data": 5}}),
    (
        "update @marks { ip saddr : meta mark }",
        {"update": {"map": "marks", "key": "saddr", "data": {"key": "mark"}}},
    ),
    (
        "add @marks { ip daddr : ct mark }",
        {"add": {"map": "marks", "key": "daddr", "data": {"key": "ct_mark"}}},
    ),
    (
        "add @addresses { ip saddr timeout 10s : 10.0.0.1 }",
        {"add": {"map": "addresses", "key": "saddr", "timeout": 10, "data": "10.0.0.1"}},
    ),
    (
        "update @addresses { ip saddr : ip daddr }",
        {"update": {"map": "addresses", "key": "saddr", "data": {"key": "daddr"}}},
    ),
    ("add @ports { ip saddr : 80 }", {"add": {"map": "ports", "key": "saddr", "data": 80}}),
    (
        "add @ports { ip saddr : tcp dport }",
        {"protocol": "tcp", "add": {"map": "ports", "key": "saddr", "data": {"key": "dport"}}},
    ),
    (
        "add @servers { ip saddr : 10.0.0.1 . 80 }",
        {"add": {"map": "servers", "key": "saddr", "data": "10.0.0.1 . 80"}},
    ),
    (
        "add @servers { ip saddr : ip daddr . tcp dport }",
        {"protocol": "tcp", "add": {"map": "servers", "key": "saddr", "data": {"key": ["daddr", "dport"]}}},
    ),
    ('add @names { ip saddr : "eth0" }', {"add": {"map": "names", "key": "saddr", "data": "eth0"}}),
    (
        "update @pairs { ip saddr . tcp dport : 0x7 }",
        {"protocol": "tcp", "update": {"map": "pairs", "key": ["saddr", "dport"], "data": 7}},
    ),
    (
        "dnat ip to tcp dport map @targets",
        {"protocol": "tcp", "dnat": {"map": {"key": "dport", "data": "@targets"}}},
    ),
    (
        "dnat ip6 to tcp dport map @targets6",
        {"protocol": "tcp", "dnat": {"map": {"key": "dport", "data": "@targets6"}}},
    ),
]


@pytest.mark.parametrize(("line", "rule"), LINES)
def test_what_nft_made_comes_back_as_flat_keys_and_goes_in_again(
    line: str, rule: dict[str, Any], netns: Namespace
) -> None:
    netns.nft(TABLE % line)
    with NetlinkSocket(netns.name) as socket:
        captured = capture(socket)
    assert captured.notes == []
    (chain,) = captured.document["tables"][0]["chains"]
    (found,) = chain["rules"]
    if "expr" in found:
        # nft asked for the network before the protocol, flat keys for the protocol first
        assert "raw" not in found["expr"][0] and "protocol" in rule
    else:
        assert found == rule
    before = content(netns)
    assert not apply(captured.document, netns, full=True).changed
    netns.nft("flush ruleset")
    assert apply(captured.document, netns).changed
    assert content(netns) == before


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"add": {"map": "marks", "key": "saddr", "data": "blue"}}, "add.data", "unknown name"),
    ({"add": {"map": "ports", "key": "saddr", "data": {"key": "mark"}}}, "add.data", "type of the map"),
    ({"add": {"map": "verdicts", "key": "saddr", "data": "accept"}}, "add.map", "packets cannot add"),
    ({"add": {"map": "marks", "key": "mark", "data": 5}}, "add.map", "does not fit"),
    (
        {"update": {"set": "counted", "key": "saddr", "limit": "10/second"}},
        "update",
        "says itself what its elements count",
    ),
]


@pytest.mark.parametrize(("rule", "place", "message"), WRONG)
def test_what_packets_cannot_add_is_an_error_of_the_document(
    rule: dict[str, Any], place: str, message: str, netns: Namespace
) -> None:
    maps = [
        {"name": name, "type": "ipv4_addr", "map": kind, "size": 100, "flags": ["dynamic"]}
        for name, kind in (("marks", "mark"), ("ports", "inet_service"), ("verdicts", "verdict"))
    ]
    sets = [{"name": "counted", "type": "ipv4_addr", "counter": True, "elements": "keep"}]
    table = {"name": "t", "sets": sets, "maps": maps, "chains": [{"name": "c", "rules": [rule]}]}
    with pytest.raises(DocumentError) as caught:
        apply({"tables": [table]}, netns)
    (problem,) = caught.value.problems
    assert problem.place == "tables[0].chains[0].rules[0]." + place
    assert message in problem.message


def test_all_that_does_not_fit_is_said_at_once(netns: Namespace) -> None:
    port = {"payload": {"protocol": "tcp", "field": "dport"}}
    source = {"payload": {"protocol": "ip", "field": "saddr"}}
    mark = {"meta": {"key": "mark"}}
    rules = [
        {"expr": [{"match": {"op": "==", "left": port, "right": "@addresses"}}]},
        {"expr": [{"match": {"op": "==", "left": source, "right": "@verdicts"}}]},
        {"expr": [{"vmap": {"key": mark, "data": "@verdicts"}}]},
        {"expr": [{"vmap": {"key": source, "data": "@addresses"}}]},
        {"expr": [{"mangle": {"key": mark, "value": {"map": {"key": source, "data": "@verdicts"}}}}]},
        {"expr": [{"set": {"op": "add", "elem": port, "set": "@addresses"}}]},
    ]
    table = {
        "name": "t",
        "sets": [{"name": "addresses", "type": "ipv4_addr"}],
        "maps": [{"name": "verdicts", "type": "ipv4_addr", "map": "verdict"}],
        "chains": [{"name": "c", "rules": rules}],
    }
    with pytest.raises(DocumentError) as caught:
        apply({"tables": [table]}, netns)
    found = [
        (one.place.partition("rules")[2], one.message.partition(":")[0]) for one in caught.value.problems
    ]
    assert found == [
        ("[0].expr[0].match.right", "the set's key does not fit"),
        ("[1].expr[0].match.right", "this is a map"),
        ("[2].expr[0].vmap.data", "the set's key does not fit"),
        ("[3].expr[0].vmap.data", "this is a set"),
        ("[4].expr[0].mangle.value.map.data", "the map's values do not fit"),
        ("[5].expr[0].set.set", "the set's key does not fit"),
    ]
