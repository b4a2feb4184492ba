# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets and maps that packets are looked up in, and sets that packets fill."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.packets import Seen, icmp, tcp, udp
from tests.support.routed import CLIENT, LAN, SERVER, VERSIONS, Routed, counters, judged, reaching, rules

ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
NET = {4: "10.0.3.", 6: "2001:db8:3::"}


def to_port(*ports: int, make: Any = udp, **fields: Any) -> list[bytes]:
    return [make(CLIENT[version], LAN[version], dport=port, **fields) for version in (4, 6) for port in ports]


def elements(hosts: Routed, name: str) -> list[Any]:
    (found,) = (one["set"] for one in hosts.router.nft_json("set", "inet", "t", name) if "set" in one)
    return [one["elem"]["val"] if isinstance(one, dict) else one for one in found.get("elem", [])]


@VERSIONS
def test_addresses_of_a_named_set(hosts: Routed, version: int) -> None:
    net = NET[version]
    sets = [
        {
            "name": "some",
            "type": ADDRESS[version],
            "elements": [net + "1", net + "10-" + net + "13", net + ("32/30" if version == 4 else "20/126")],
        }
    ]
    inside = ["1", "10", "12", "13", *(["32", "35"] if version == 4 else ["20", "23"])]
    outside = ["2", "9", "14", *(["31", "36"] if version == 4 else ["1f", "24"])]
    hit, miss = ([udp(net + last, LAN[version]) for last in found] for found in (inside, outside))
    other = [udp(CLIENT[10 - version], LAN[10 - version])]
    for rule, expected in (({"saddr": "@some"}, [6, 0, 0]), ({"saddr": "!@some"}, [0, 5, 0])):
        assert [one[0] for one in judged(hosts, rule, hit, miss, other, sets=sets)] == expected


def test_services_interfaces_and_types_of_named_sets(hosts: Routed) -> None:
    sets = [
        {"name": "ports", "type": "inet_service", "elements": ["ssh", "1000-2000"]},
        {"name": "inside", "type": "ifname", "elements": ["lan*", "eth0"]},
        {"name": "outside", "type": "ifname", "elements": ["ppp0"]},
        {"name": "kinds", "type": "icmp_type", "elements": ["echo-request"]},
    ]

    def counted(rule: dict[str, Any], *batches: list[bytes]) -> list[int]:
        return [one[0] for one in judged(hosts, rule, *batches, sets=sets)]

    here, there = to_port(22, 1000, 2000, make=tcp), to_port(23, 999, 2001, make=tcp)
    assert counted({"protocol": "tcp", "dport": "@ports"}, here, there) == [6, 0]
    assert counted({"protocol": "tcp", "dport": "!@ports"}, here, there) == [0, 6]
    assert counted({"iifname": "@inside"}, here) == [6]
    assert counted({"iifname": "@outside"}, here) == [0]
    asked, told = ([icmp(CLIENT[4], LAN[4], kind)] for kind in (8, 0))
    assert counted({"icmp_type": "@kinds"}, asked, told) == [1, 0]


@VERSIONS
def test_several_keys_together(hosts: Routed, version: int) -> None:
    net = NET[version]
    rows = ["%s1 . 22" % net, "%s2 . 80-90" % net]
    sets = [{"name": "pairs", "type": "%s . inet_service" % ADDRESS[version], "elements": rows}]
    rule = {"protocol": "udp", "lookup": {"key": ["saddr", "dport"], "set": "@pairs"}}

    def packets(*pairs: tuple[str, int]) -> list[bytes]:
        return [udp(net + last, LAN[version], dport=port) for last, port in pairs]

    hit, miss = packets(("1", 22), ("2", 80), ("2", 90)), packets(("1", 80), ("2", 22), ("3", 22), ("2", 91))
    assert [one[0] for one in judged(hosts, rule, hit, miss, sets=sets)] == [3, 0]
    rule = {"protocol": "udp", "lookup": {"key": ["iifname", "dport"], "set": ["lan0 . 22", "ppp0 . 80"]}}
    assert [one[0] for one in judged(hosts, rule, to_port(22), to_port(80))] == [2, 0]


@VERSIONS
@pytest.mark.parametrize("form", ["named", "typeof", "own", "together"])
def test_bits_of_several_bytes(hosts: Routed, version: int, form: str) -> None:
    """IPv6 has the DSCP in two bytes, across which nft 1.0.6 loses it on the way to a set."""
    family = {4: "ip", 6: "ip6"}[version]
    kind = {"typeof": family + " dscp"} if form == "typeof" else {"type": "dscp"}
    sets = [{"name": "classes", **kind, "elements": ["cs1", "ef", 63]}]
    lookup: dict[str, Any] = {"key": "dscp", "set": "@classes"}
    if form == "own":
        lookup["set"] = ["cs1", "ef", 63]
    elif form == "together":
        lookup = {"key": ["dscp", "dport"], "set": ["cs1 . 9", "ef . 9", "63 . 9"]}
    rule = {"protocol": "udp", "lookup": lookup}
    hit, miss = (
        [udp(CLIENT[version], LAN[version], tos=one << 2) for one in classes]
        for classes in ((8, 46, 63), (0, 1, 2, 47, 62))
    )
    assert [one[0] for one in judged(hosts, rule, hit, miss, family=family, sets=sets)] == [3, 0]


@pytest.mark.parametrize("named", [False, True])
def test_verdicts_from_a_map(hosts: Routed, named: bool) -> None:
    data = {7: "accept", "8-10": "drop", 11: "jump u", 12: "continue", "*": "goto u"}
    maps = [{"name": "verdicts", "type": "inet_service", "map": "verdict", "elements": data}]
    rules(
        hosts.router,
        {"protocol": "udp", "vmap": {"key": "dport", "data": "@verdicts" if named else data}},
        {"protocol": "udp", "counter": True, "verdict": "accept"},
        hook="forward",
        policy="drop",
        maps=maps if named else [],
        chains=[{"name": "u", "rules": [{"protocol": "udp", "counter": True}]}],
    )
    sent = [udp(CLIENT[4], SERVER[4], dport=port) for port in range(6, 15)]
    assert [Seen(one).dport for one in hosts.forwarded(sent, 9, 0.3)] == [7, 11, 12]
    # by jump or goto: 6, 11, 13, 14; back from the jump, or never away: 11, 12
    assert (counters(hosts.router, "u")[0][0], counters(hosts.router)[0][0]) == (4, 2)


def test_marks_and_counters_from_a_map(hosts: Routed) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "set": {"mark": {"map": {"key": "dport", "data": {7: 70, 8: 80}}}}},
        {"mark": 70, "counter": True},
        {"mark": 80, "counter": True},
        {"protocol": "udp", "counter": {"map": {"key": "dport", "data": {7: "seven", 8: "eight"}}}},
        {"protocol": "udp", "counter": True},
        counters=[{"name": "seven"}, {"name": "eight", "packets": 5, "bytes": 100}],
    )
    seven, eight = (udp(CLIENT[4], LAN[4], dport=port) for port in (7, 8))
    hosts.send([seven, seven, eight, udp(CLIENT[4], LAN[4])])
    assert [one[0] for one in reaching(hosts.router, 4)][:2] == [2, 1]
    listed = [one["counter"] for one in hosts.router.nft_json("counters") if "counter" in one]
    found = {one["name"]: (one["packets"], one["bytes"]) for one in listed}
    assert found == {"seven": (2, 2 * len(seven)), "eight": (6, 100 + len(eight))}


@VERSIONS
def test_a_packet_puts_its_source_into_a_set_for_a_time(hosts: Routed, version: int) -> None:
    """Who knocks at one port is kept from all of them for a while."""
    rules(
        hosts.router,
        {"saddr": "@blocked", "counter": True, "verdict": "drop"},
        {"protocol": "udp", "dport": 7, "add": {"set": "blocked", "key": "saddr", "timeout": "2500ms"}},
        {"protocol": "udp", "counter": True},
        sets=[{"name": "blocked", "type": ADDRESS[version], "timeout": "1h", "elements": "keep"}],
        hook="forward",
    )
    ask = [udp(CLIENT[version], SERVER[version], dport=8)]
    assert len(hosts.forwarded(ask)) == 1
    assert elements(hosts, "blocked") == []
    assert len(hosts.forwarded([udp(CLIENT[version], SERVER[version], dport=7)])) == 1
    assert hosts.forwarded(ask, timeout=0.1) == []
    assert elements(hosts, "blocked") == [CLIENT[version]]
    assert len(hosts.forwarded([udp(NET[version] + "1", SERVER[version])])) == 1
    time.sleep(2.5)
    assert len(hosts.forwarded(ask)) == 1
    assert [one[0] for one in counters(hosts.router)] == [1, 4]


def test_add_leaves_the_time_and_update_begins_it_anew(hosts: Routed) -> None:
    for change, left in (("add", False), ("update", True)):
        rules(
            hosts.router,
            {"protocol": "udp", change: {"set": "seen", "key": "saddr"}},
            {"protocol": "udp", "counter": True},
            sets=[{"name": "seen", "type": "ipv4_addr", "timeout": "2s", "elements": "keep"}],
        )
        for number in (1, 2):
            hosts.send([udp(CLIENT[4], LAN[4])])
            reaching(hosts.router, number)
            time.sleep(1.2)
        assert (elements(hosts, "seen") == [CLIENT[4]]) == left


def test_delete_takes_an_element_out(hosts: Routed) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "dport": 7, "add": {"set": "seen", "key": "saddr"}},
        {"protocol": "udp", "dport": 8, "delete": {"set": "seen", "key": "saddr"}},
        {"protocol": "udp", "counter": True},
        sets=[{"name": "seen", "type": "ipv4_addr", "timeout": "1h", "elements": "keep"}],
    )
    hosts.send([udp(source, LAN[4], dport=7) for source in ("10.0.1.1", "10.0.1.2")])
    reaching(hosts.router, 2)
    assert sorted(elements(hosts, "seen")) == ["10.0.1.1", "10.0.1.2"]
    hosts.send([udp("10.0.1.1", LAN[4], dport=8)])
    reaching(hosts.router, 3)
    assert elements(hosts, "seen") == ["10.0.1.2"]


@VERSIONS
def test_each_source_has_its_own_limit(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        {
            "protocol": "udp",
            "update": {"set": "talkers", "key": "saddr", "limit": "over 1/hour burst 3 packets"},
            "counter": True,
            "verdict": "drop",
        },
        {"protocol": "udp", "counter": True},
        sets=[{"name": "talkers", "type": ADDRESS[version], "timeout": "1m", "elements": "keep"}],
    )
    sources = [NET[version] + str(last) for last in (1, 2, 3)]
    hosts.send([udp(source, LAN[version]) for source in sources for _ in range(5)])
    assert [one[0] for one in reaching(hosts.router, 9)] == [6, 9]


def test_each_source_has_so_many_connections(hosts: Routed) -> None:
    rules(
        hosts.router,
        {
            "protocol": "udp",
            "ct_state": "new",
            "add": {"set": "crowd", "key": "saddr", "ct_count": "over 2"},
            "counter": True,
            "verdict": "drop",
        },
        {"protocol": "udp", "counter": True},
        sets=[{"name": "crowd", "type": "ipv4_addr", "elements": "keep"}],
    )
    hosts.send(
        [udp(source, LAN[4], sport) for source in ("10.0.3.1", "10.0.3.2") for sport in range(4000, 4005)]
    )
    assert [one[0] for one in reaching(hosts.router, 4)] == [6, 4]


def test_quota_lets_so_many_bytes_by(hosts: Routed) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "quota": "over 1000 bytes", "counter": True, "verdict": "drop"},
        {"protocol": "udp", "counter": True},
    )
    hosts.send([udp(CLIENT[4], LAN[4], data=b"x" * 172)] * 8)
    assert [one[0] for one in reaching(hosts.router, 5)] == [3, 5]


@pytest.mark.parametrize("named", [False, True])
def test_ranges_of_numbers_beside_other_keys(hosts: Routed, named: bool) -> None:
    """Marks are in this machine's byte order, bounds are compared in the network's."""
    rows, marks = ["lan0 . 5-300", "ppp0 . 1-9"], (5, 256, 300, 4, 301, 1280)
    sets = [{"name": "pairs", "type": "ifname . mark", "elements": rows}]
    rules(
        hosts.router,
        {
            "protocol": "udp",
            "set": {"mark": {"map": {"key": "dport", "data": dict(zip(range(7, 13), marks))}}},
        },
        {"lookup": {"key": ["iifname", "mark"], "set": "@pairs" if named else rows}, "counter": True},
        {"protocol": "udp", "counter": True},
        sets=sets if named else [],
    )
    hosts.send([udp(CLIENT[4], LAN[4], dport=port) for port in range(7, 13)])
    assert [one[0] for one in reaching(hosts.router, 6)] == [3, 6]
