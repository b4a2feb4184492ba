# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Address translation as both ends see it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.packets import Seen, udp
from tests.support.routed import ANY, CLIENT, LAN, OUTSIDE, SERVER, VERSIONS, Routed, counters, forget, rules
from tests.support.traffic import echo_server, tcp_connect, tcp_exchange, udp_send


@pytest.fixture(autouse=True)
def forgotten(hosts: Routed) -> None:
    """No connection is known: its translation would go on."""
    forget(hosts.router)


SOURCE = {"type": "nat", "hook": "postrouting", "priority": "srcnat"}
TARGET = {"type": "nat", "hook": "prerouting", "priority": "dstnat"}
NEIGHBOUR = {4: "10.0.1.9", 6: "2001:db8:1::9"}
OTHER = {4: "10.0.2.77", 6: "2001:db8:2::77"}


def with_port(address: str, port: int) -> str:
    return ("[%s]:%d" if ":" in address else "%s:%d") % (address, port)


def first_at_server(hosts: Routed, packet: bytes) -> Seen:
    (found,) = hosts.forwarded([packet])
    return Seen(found)


@VERSIONS
@pytest.mark.parametrize("family", ["inet", "own"])
def test_masquerade(hosts: Routed, version: int, family: str) -> None:
    family = {4: "ip", 6: "ip6"}[version] if family == "own" else family
    rules(hosts.router, {"oifname": "ppp+", "masquerade": True}, **SOURCE, family=family)
    with echo_server(hosts.server, ANY[version]) as echo:
        answer, (here, _) = tcp_exchange(hosts.client, SERVER[version], echo.port, b"x" * 3000)
        assert (answer, here) == (b"x" * 3000, CLIENT[version])
        assert udp_send(hosts.client, SERVER[version], echo.port) == b"rempart"
        assert {(peer[0], peer[1]) for peer in echo.peers} == {
            ("tcp", OUTSIDE[version]),
            ("udp", OUTSIDE[version]),
        }


@VERSIONS
def test_masquerade_into_a_range_of_ports(hosts: Routed, version: int) -> None:
    rules(hosts.router, {"protocol": "udp", "masquerade": {"to": "5000-5003"}}, **SOURCE)
    ports = set()
    for sport in (4001, 4002, 4003):
        seen = first_at_server(hosts, udp(CLIENT[version], SERVER[version], sport))
        assert seen.saddr == OUTSIDE[version]
        ports.add(seen.sport)
    assert len(ports) == 3 and ports <= {5000, 5001, 5002, 5003}


@VERSIONS
@pytest.mark.parametrize(
    ("port", "expected"), [(None, 4000), (6000, 6000)], ids=["address", "address and port"]
)
def test_snat(hosts: Routed, version: int, port: Any, expected: int) -> None:
    to = with_port(OTHER[version], port) if port else OTHER[version]
    rules(hosts.router, {"saddr": CLIENT[version], "protocol": "udp", "snat": to}, **SOURCE)
    seen = first_at_server(hosts, udp(CLIENT[version], SERVER[version]))
    assert (seen.saddr, seen.sport) == (OTHER[version], expected)
    seen = first_at_server(hosts, udp(NEIGHBOUR[version], SERVER[version]))
    assert seen.saddr == NEIGHBOUR[version]


@VERSIONS
def test_snat_within_a_range_of_addresses(hosts: Routed, version: int) -> None:
    start = OTHER[version][:-1]
    rules(
        hosts.router,
        {"protocol": "udp", "snat": {"addr": "%s0-%s3" % (start, start), "flags": "persistent"}},
        **SOURCE,
    )
    for sport in range(4000, 4005):
        seen = first_at_server(hosts, udp(CLIENT[version], SERVER[version], sport))
        assert seen.saddr in ["%s%d" % (start, last) for last in range(4)]


@VERSIONS
def test_dnat_to_another_host_and_port(hosts: Routed, version: int) -> None:
    with echo_server(hosts.server, ANY[version]) as echo:
        to = with_port(SERVER[version], echo.port)
        forward = {
            "ct_status": "dnat",
            "ct_original": {"daddr": LAN[version], "dport": 80},
            "protocol": "tcp",
        }
        rules(
            hosts.router,
            {"iifname": "lan0", "protocol": ["tcp", "udp"], "dport": 80, "dnat": to},
            **TARGET,
            chains=[{"name": "forward", "hook": "forward", "rules": [{**forward, "counter": True}]}],
        )
        answer, (here, port) = tcp_exchange(hosts.client, LAN[version], 80, b"hello")
        assert answer == b"hello"
        assert echo.peers == [("tcp", here, port)]
        assert udp_send(hosts.client, LAN[version], 80) == b"rempart"
        assert tcp_connect(hosts.client, LAN[version], 81) == "refused"
    assert counters(hosts.router, "forward")[0][0] >= 6


@VERSIONS
def test_dnat_of_the_port_alone(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        {"nfproto": {4: "ipv4", 6: "ipv6"}[version], "protocol": "udp", "dport": 80, "dnat": ":8080"},
        **TARGET,
    )
    seen = first_at_server(hosts, udp(CLIENT[version], SERVER[version], dport=80))
    assert (seen.daddr, seen.dport, seen.saddr) == (SERVER[version], 8080, CLIENT[version])
    assert first_at_server(hosts, udp(CLIENT[version], SERVER[version], dport=79)).dport == 79


@VERSIONS
def test_dnat_by_a_map(hosts: Routed, version: int) -> None:
    start = OTHER[version][:-1]
    data = {80: with_port(start + "1", 8080), 443: with_port(start + "2", 8443)}
    for one in (start + "1", start + "2"):
        hosts.router.run("ip", "neighbour", "replace", one, "lladdr", "02:00:00:00:00:77", "dev", "ppp0")
    rules(hosts.router, {"protocol": "udp", "dnat": {"map": {"key": "dport", "data": data}}}, **TARGET)
    arrived = {}
    for port in (80, 443, 22):
        seen = first_at_server(hosts, udp(CLIENT[version], SERVER[version], dport=port))
        arrived[port] = (seen.daddr, seen.dport)
    assert arrived == {80: (start + "1", 8080), 443: (start + "2", 8443), 22: (SERVER[version], 22)}


@VERSIONS
def test_dnat_by_a_declared_map_to_addresses_and_ports(hosts: Routed, version: int) -> None:
    kind = {4: "ipv4_addr", 6: "ipv6_addr"}[version]
    elements = {8080: "%s . 7" % SERVER[version], "8081-8090": "%s . 8" % SERVER[version]}
    rules(
        hosts.router,
        {"protocol": "udp", "dnat": {"map": {"key": "dport", "data": "@servers"}}},
        **TARGET,
        maps=[
            {
                "name": "servers",
                "type": "inet_service",
                "map": "%s . inet_service" % kind,
                "elements": elements,
            }
        ],
    )
    for port, expected in ((8080, 7), (8081, 8), (8090, 8)):
        seen = first_at_server(hosts, udp(CLIENT[version], LAN[version], 4000, port))
        assert (seen.saddr, seen.daddr, seen.dport) == (CLIENT[version], SERVER[version], expected)
    assert hosts.forwarded([udp(CLIENT[version], LAN[version], 4000, 8091)], timeout=0.1) == []


@VERSIONS
def test_redirect_to_this_host(hosts: Routed, version: int) -> None:
    with echo_server(hosts.router, ANY[version]) as echo:
        rules(hosts.router, {"protocol": "tcp", "dport": 80, "redirect": echo.port}, **TARGET)
        # for the server, as the client sees it
        answer, (here, port) = tcp_exchange(hosts.client, SERVER[version], 80, b"page")
        assert answer == b"page"
        assert echo.peers == [("tcp", here, port)]


@VERSIONS
def test_redirect_of_what_the_host_sends_itself(hosts: Routed, version: int) -> None:
    with echo_server(hosts.router, ANY[version]) as echo:
        rules(
            hosts.router,
            {"protocol": ["tcp", "udp"], "dport": 80, "redirect": echo.port},
            type="nat",
            hook="output",
            priority="dstnat",
        )
        assert tcp_connect(hosts.router, SERVER[version], 80) == "connected"
        # What a UDP server answers here comes from another address than it was asked at.
        udp_send(hosts.router, SERVER[version], 80, timeout=0.05)
        assert [peer[:2] for peer in echo.peers] == [("tcp", OUTSIDE[version]), ("udp", OUTSIDE[version])]


@VERSIONS
def test_both_ends_translated_at_once(hosts: Routed, version: int) -> None:
    with echo_server(hosts.server, ANY[version]) as echo:
        to = with_port(SERVER[version], echo.port)
        inside = [{"oifname": "ppp0", "ct_status": "dnat", "masquerade": True}]
        rules(
            hosts.router,
            {"protocol": "tcp", "daddr": LAN[version], "dport": 80, "dnat": to},
            **TARGET,
            chains=[{"name": "back", **SOURCE, "rules": inside}],
        )
        assert tcp_exchange(hosts.client, LAN[version], 80, b"hello")[0] == b"hello"
        assert [peer[1] for peer in echo.peers] == [OUTSIDE[version]]
        assert tcp_exchange(hosts.client, SERVER[version], echo.port, b"direct")[0] == b"direct"
        assert echo.peers[-1][1] == CLIENT[version]
