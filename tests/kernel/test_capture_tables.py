# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of every make captured: by nft, by iptables, by the engine from generated documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from rempart.document import validation
from rempart.document.times import milliseconds
from rempart.errors import HostError
from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset import kernel as state
from rempart.ruleset.capture import Captured, capture, of_picture

from tests.support import documents
from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content, raw, watched

FIREWALL = """
table inet edge {
	comment "at the edge"
	set banned { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
	counter web { packets 7 bytes 700 }
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iifname "lo" accept
		ip saddr @banned counter packets 3 bytes 180 drop
		tcp dport { 22, 80-90 } ct state new counter packets 5 bytes 300 accept comment "services"
		meta nfproto ipv4 reject with icmp host-prohibited
	}
	chain other { comment "alone"; }
}
table ip edge {
	chain post { type nat hook postrouting priority srcnat; policy accept; oifname "ppp*" masquerade; }
}
"""


def captured(where: Namespace, *tables: tuple[str, str], counts: bool = False) -> Captured:
    with NetlinkSocket(where.name) as kernel:
        return capture(kernel, tables, counts)


def rules(found: Captured, table: int = 0, chain: int = 0) -> list[dict[str, Any]]:
    return list(found.document["tables"][table]["chains"][chain]["rules"])


def test_a_firewall_reads_as_a_person_would_write_it(netns: Namespace) -> None:
    netns.nft(FIREWALL)
    found = captured(netns)
    assert found.notes == []
    assert found.document == {
        "tables": [
            {
                "name": "edge",
                "family": "inet",
                "comment": "at the edge",
                "sets": [
                    {
                        "name": "banned",
                        "type": "ipv4_addr",
                        "flags": ["dynamic", "timeout"],
                        "timeout": 3600,
                        "elements": "keep",
                    }
                ],
                "counters": [{"name": "web"}],
                "chains": [
                    {
                        "name": "input",
                        "type": "filter",
                        "hook": "input",
                        "priority": "filter",
                        "policy": "drop",
                        "rules": [
                            {"ct_state": ["established", "related"], "verdict": "accept"},
                            {"iifname": "lo", "verdict": "accept"},
                            {"saddr": "@banned", "counter": True, "verdict": "drop"},
                            {
                                "protocol": "tcp",
                                "dport": [22, "80-90"],
                                "ct_state": "new",
                                "counter": True,
                                "verdict": "accept",
                                "comment": "services",
                            },
                            {"reject": "icmp host-prohibited"},
                        ],
                    },
                    {"name": "other", "comment": "alone"},
                ],
            },
            {
                "name": "edge",
                "family": "ip",
                "chains": [
                    {
                        "name": "post",
                        "type": "nat",
                        "hook": "postrouting",
                        "priority": "srcnat",
                        "policy": "accept",
                        "rules": [{"oifname": "ppp*", "masquerade": True}],
                    }
                ],
            },
        ]
    }


def test_counts_and_what_packets_added_come_only_when_asked_for(
    make_netns: Callable[[], Namespace],
) -> None:
    home, elsewhere = make_netns(), make_netns()
    home.nft(FIREWALL)
    home.nft("add element inet edge banned { 192.0.2.1 timeout 30m }")
    with_counts = captured(home, counts=True)
    table = with_counts.document["tables"][0]
    (element,) = table["sets"][0]["elements"]
    assert 0 < milliseconds(element.pop("expires")) <= 1_800_000
    assert element == {"elem": "192.0.2.1", "timeout": 1800}
    assert table["counters"] == [{"name": "web", "packets": 7, "bytes": 700}]
    assert [rule.get("counter") for rule in rules(with_counts)][2:4] == [
        {"packets": 3, "bytes": 180},
        {"packets": 5, "bytes": 300},
    ]
    apply(with_counts.document, elsewhere)
    listed = elsewhere.run("nft", "list", "ruleset").stdout
    assert "packets 3 bytes 180" in listed and "packets 5 bytes 300" in listed and "packets 7" in listed
    assert "192.0.2.1" in listed
    apply(captured(home).document, home)
    assert "192.0.2.1" in home.run("nft", "list", "ruleset").stdout


def test_tables_are_chosen_by_name_and_family(netns: Namespace) -> None:
    netns.nft(FIREWALL)
    assert [one["family"] for one in captured(netns, ("", "edge")).document["tables"]] == ["inet", "ip"]
    assert [one["family"] for one in captured(netns, ("ip", "edge")).document["tables"]] == ["ip"]
    with pytest.raises(HostError) as caught:
        captured(netns, ("ip6", "edge"))
    assert "inet:edge" in caught.value.problems[0].allowed


def test_what_iptables_made_is_carried_as_it_is_and_said(make_netns: Callable[[], Namespace]) -> None:
    home, elsewhere = make_netns(), make_netns()
    commands = (
        "-N KNOCK",
        "-A INPUT -p tcp --dport 22 -j ACCEPT",
        "-A INPUT -m conntrack --ctstate NEW -m limit --limit 5/min -j LOG",
        "-A INPUT -m comment --comment he_said -j KNOCK",
        "-A FORWARD -s 10.0.0.0/8 -j DROP",
        "-P INPUT DROP",
    )
    for command in commands:
        home.run("iptables-nft", *command.split())
    found = captured(home)
    assert [str(note) for note in found.notes] == [
        "table ip filter: 2 rules that have no statements are kept as the kernel's bytes"
    ]
    assert validation.check(found.document) == []
    chains = {chain["name"]: chain for chain in found.document["tables"][0]["chains"]}
    assert chains["INPUT"]["policy"] == "drop"
    assert chains["INPUT"]["rules"][0] == {
        "protocol": "tcp",
        "dport": 22,
        "counter": True,
        "verdict": "accept",
    }
    assert chains["FORWARD"]["rules"] == [{"saddr": "10.0.0.0/8", "counter": True, "verdict": "drop"}]
    with watched() as traffic:
        assert not apply(found.document, home, full=True).changed
    assert traffic.batches == []
    apply(found.document, elsewhere)
    assert elsewhere.run("iptables-nft", "-S").stdout == home.run("iptables-nft", "-S").stdout
    assert content(elsewhere) == content(home)


EXTENSIONS = (
    "-p tcp -m multiport --dports 22,80 -j ACCEPT",
    "-p icmp --icmp-type 8 -m limit --limit 1/s -j ACCEPT",
    "! -p udp -m limit --limit 2/s -j LOG",
    "-p udp -m multiport ! --ports 1:5 -j DROP",
    "-p tcp --tcp-option 5 -j DROP",
    "-p sctp --chunk-types any DATA -j DROP",
    "-p tcp -m ecn --ecn-tcp-cwr",
    "-p tcp -m connlimit --connlimit-above 5 -j REJECT --reject-with tcp-reset",
    "-p tcp -m hashlimit --hashlimit-upto 5/s --hashlimit-name h --dport 22 -j ACCEPT",
    "-t mangle -A PREROUTING -p tcp -j TPROXY --on-port 5",
    "-t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
    "-t nat -A PREROUTING -p tcp -j DNAT --to 192.0.2.1:5",
    "-t nat -A PREROUTING -p udp -j REDIRECT --to-ports 5",
)


def test_extensions_of_iptables_are_made_again_with_their_protocol(
    make_netns: Callable[[], Namespace],
) -> None:
    home, elsewhere = make_netns(), make_netns()
    for text in EXTENSIONS:
        home.run("iptables-nft", *(text if "-A" in text else "-A INPUT " + text).split())
    found = captured(home)
    assert not apply(found.document, home, full=True).changed
    apply(found.document, elsewhere)
    for table in ("filter", "mangle", "nat"):
        listed = elsewhere.run("iptables-nft", "-t", table, "-S").stdout
        assert listed == home.run("iptables-nft", "-t", table, "-S").stdout
    assert content(elsewhere) == content(home)


def test_extensions_of_ip6tables_and_ebtables_too(make_netns: Callable[[], Namespace]) -> None:
    home, elsewhere = make_netns(), make_netns()
    home.run(
        "ip6tables-nft", *["-A", "INPUT", "-p", "tcp", "-m", "multiport", "--dports", "22,80", "-j", "ACCEPT"]
    )
    for program, text in (
        ("ip6tables-nft", "-A INPUT -p tcp -m multiport --dports 22,80 -j ACCEPT"),
        ("ip6tables-nft", "-A INPUT -p icmpv6 -m limit --limit 1/s -j LOG"),
        ("ebtables-nft", "-A FORWARD -p ipv4 --ip-src 192.0.2.1 --limit 3/s -j ACCEPT"),
        ("ebtables-nft", "-A FORWARD -p arp -j mark --mark-set 5"),
    ):
        home.run(program, *text.split())
    found = captured(home)
    assert not apply(found.document, home, full=True).changed
    apply(found.document, elsewhere)
    for program in ("ip6tables-nft-save", "ebtables-nft-save"):
        assert _rules(elsewhere, program) == _rules(home, program)
    assert content(elsewhere) == content(home)


def _rules(where: Namespace, program: str) -> list[str]:
    return [line for line in where.run(program).stdout.splitlines() if not line.startswith("#")]


def test_what_a_document_cannot_say_is_said(netns: Namespace) -> None:
    netns.nft("table inet t {\n\tchain c { type filter hook input priority 0; accept; }\n}")
    netns.run("iptables-nft", "-N", "1st")
    netns.run("iptables-nft", "-A", "INPUT", "-j", "DROP", "-m", "comment", "--comment", 'a "quoted" word')
    found = captured(netns)
    assert [one["name"] for one in found.document["tables"]] == ["t"]
    assert len(found.notes) == 1 and "left out" in str(found.notes[0]) and "1st" in str(found.notes[0])


def test_a_damaged_raw_statement_is_refused_with_its_place(netns: Namespace) -> None:
    before = raw(netns)
    for text in ("", "no base64!", "AAAA", 7, None):
        document = {
            "tables": [
                {
                    "name": "t",
                    "chains": [{"name": "c", "rules": [{"expr": [{"raw": {"expressions": text}}]}]}],
                }
            ]
        }
        with pytest.raises(Exception) as caught:
            apply(document, netns)
        assert "tables[0].chains[0].rules[0].expr[0].raw" in str(caught.value)
    assert raw(netns) == before


def test_rules_of_one_shape_are_read_as_they_would_be_one_by_one(netns: Namespace) -> None:
    lines = []
    for number in range(200):
        lines += [
            "ip saddr 10.0.%d.%d tcp dport %d counter accept" % (number, 255 - number, number * 300),
            "ip saddr 10.%d.0.0/16 drop" % number,
            "ip daddr 10.0.%d.0/20 drop" % (number // 16 * 16),
            'ip6 saddr 2001:db8:%x::/48 iifname "v%d" accept' % (number, number),
            "meta mark 0x%x ct mark %d return" % (number, number * 1000),
            "ip saddr & 255.255.255.0 == 10.0.%d.%d accept" % (number, number % 2),
            "ip saddr 10.0.0.%d udp sport { %d, 53 } drop" % (number, number + 1000),
        ]
    # values of a known shape that a document writes otherwise, or not flat at all
    lines += ['iifname "v1" accept', 'iifname "ppp*" accept', 'iifname "a b" accept', 'iifname "x.1" accept']
    netns.nft("table inet t {\n\tchain c {\n\t\t%s\n\t}\n}" % "\n\t\t".join(lines))
    found = captured(netns)
    assert rules(found)[7 * 9 : 7 * 9 + 3] == [
        {"saddr": "10.0.9.246", "protocol": "tcp", "dport": 2700, "counter": True, "verdict": "accept"},
        {"saddr": "10.9.0.0/16", "verdict": "drop"},
        {"daddr": "10.0.0.0/20", "verdict": "drop"},
    ]
    with NetlinkSocket(netns.name) as kernel:
        one_by_one = []
        picture = state.read(kernel, [(1, "t")])
        table = picture.tables[1, "t"]
        every = table.chains["c"].rules

        for rule in every:
            table.chains["c"].rules = [rule]
            one_by_one += rules(of_picture(picture, [(1, "t")]))
    assert rules(found) == one_by_one
    assert not apply(found.document, netns, full=True).changed


def test_a_comment_stays_with_its_rule(netns: Namespace) -> None:
    lines = ["tcp dport 22 accept comment first", "tcp dport 23 accept", "tcp dport 24 accept comment third"]
    netns.nft("table inet t {\n\tchain c {\n\t\t%s\n\t}\n}" % "\n\t\t".join(lines))
    assert [rule.get("comment") for rule in rules(captured(netns))] == ["first", None, "third"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=documents.documents(apart=False))
def test_a_generated_document_comes_back(document: dict[str, Any]) -> None:
    with Namespace() as home, Namespace() as elsewhere:
        apply(document, home)
        found = captured(home)
        assert all("kept as the kernel's bytes" in str(note) for note in found.notes)
        assert validation.check(found.document) == []
        assert not apply(found.document, home, full=True).changed
        apply(json.loads(json.dumps(found.document)), elsewhere)
        assert content(elsewhere) == content(home)
