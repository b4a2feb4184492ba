# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ingress and egress of devices, bridges and ARP; and synproxy, which answers for a server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.namespaces import Namespace, veth
from tests.support.packets import Seen, udp
from tests.support.routed import ANY, CLIENT, FORGED, LAN, SERVER, VERSIONS, Routed, counters, reaching, rules
from tests.support.traffic import capture, echo_server, ping, tcp_connect, tcp_exchange, udp_send


@VERSIONS
@pytest.mark.parametrize("family", ["netdev", "inet"])
def test_ingress_comes_before_everything(hosts: Routed, version: int, family: str) -> None:
    rules(
        hosts.router,
        {"saddr": CLIENT[version], "protocol": "udp", "dport": 7, "counter": True, "verdict": "drop"},
        {"ether_saddr": FORGED, "ether_daddr": "!" + FORGED, "counter": True},
        family=family,
        hook="ingress",
        device="lan0",
    )
    sent = [udp(CLIENT[version], SERVER[version], dport=port) for port in (7, 8)]
    assert [Seen(one).dport for one in hosts.forwarded(sent, 2, 0.3)] == [8]
    assert [one[0] for one in counters(hosts.router, family=family)] == [1, 1]


@VERSIONS
def test_egress_is_the_last_word(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        {"daddr": SERVER[version], "protocol": "udp", "dport": 7, "counter": True, "verdict": "drop"},
        {"protocol": "udp", "dport": 8, "tos": "0x00 0x10"},
        family="netdev",
        hook="egress",
        device="ppp0",
    )
    sent = [udp(CLIENT[version], SERVER[version], dport=port) for port in (7, 8, 9)]
    arrived = [Seen(one) for one in hosts.forwarded(sent, 3, 0.3)]
    assert [(one.dport, one.tos) for one in arrived] == [(8, 0x10), (9, 0)]
    assert [one[0] for one in counters(hosts.router, family="netdev")] == [1]


def test_kind_of_frame(hosts: Routed) -> None:
    rules(
        hosts.router,
        {"ether_type": "ip", "ether_saddr": FORGED, "counter": True},
        {"ether_type": ["ip6", "arp"], "ether_saddr": FORGED, "counter": True},
        {"ether_type": "!ip", "ether_saddr": FORGED, "counter": True},
        {"ether_saddr": FORGED, "counter": True, "verdict": "drop"},
        family="netdev",
        hook="ingress",
        device="lan0",
    )
    hosts.send([udp(CLIENT[version], LAN[version]) for version in (4, 4, 6)])
    assert [one[0] for one in reaching(hosts.router, 3, "netdev")] == [2, 1, 1, 3]


def test_whom_a_frame_is_for(hosts: Routed) -> None:
    """All, several, this host: the kind does not follow from the address of the packet."""
    rules(
        hosts.router,
        *[
            {"ether_saddr": FORGED, "pkttype": kind, "counter": True}
            for kind in ("host", "broadcast", "multicast", ["broadcast", "multicast"], "!host")
        ],
        {"ether_saddr": FORGED, "counter": True, "verdict": "drop"},
        hook="prerouting",
    )
    packet = udp(CLIENT[4], LAN[4])
    hosts.send([packet])
    with hosts.client.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind(("veth0", 0))
        for destination in ("ff" * 6, "ff" * 6, "01005e000001"):
            wire.send(bytes.fromhex(destination + FORGED.replace(":", "") + "0800") + packet)
    assert [one[0] for one in reaching(hosts.router, 4)] == [1, 2, 1, 3, 3, 4]


@VERSIONS
@pytest.mark.parametrize(("size", "offered"), [("rt mtu", 1300), (900, 900), (2000, None)])
def test_segments_that_fit(hosts: Routed, version: int, size: Any, offered: int | None) -> None:
    """The size that a handshake offers is made smaller, and never larger."""
    headers = {4: 40, 6: 60}[version]
    if size == "rt mtu":
        hosts.router.run(
            "ip", "-%d" % version, "route", "add", SERVER[version], "dev", "ppp0", "mtu", str(1300 + headers)
        )
    rules(
        hosts.router,
        {"protocol": "tcp", "tcp_flags": "syn / syn,rst", "set": {"mss": size}, "counter": True},
        hook="forward",
    )
    with capture(hosts.server, "veth0") as taken:
        tcp_connect(hosts.client, SERVER[version], 9)
        (first,) = taken.packets(wanted=lambda packet: Seen(packet).flags == {"syn"})
    assert _offered(first) == (offered or min(size, 1500 - headers))


def _offered(packet: bytes) -> int:
    """The maximum segment size of a SYN packet (RFC 9293, section 3.2), which Linux puts first."""
    segment = packet[40 if packet[0] >> 4 == 6 else 20 :]
    assert segment[20:22] == bytes([2, 4])
    return int.from_bytes(segment[22:24], "big")


def test_arp(make_netns: Callable[[], Namespace]) -> None:
    one, other = make_netns(), make_netns()
    veth(one, other, ["192.0.2.1/24", "192.0.2.3/24"], "192.0.2.2/24")
    rules(other, {"saddr": "192.0.2.3", "counter": True, "verdict": "drop"}, family="arp")
    one.run("ip", "neighbour", "flush", "all")
    assert not _ping_from(one, "192.0.2.3")
    assert counters(other, family="arp")[0][0] >= 1
    one.run("ip", "neighbour", "flush", "all")
    assert _ping_from(one, "192.0.2.1")


def _ping_from(where: Namespace, source: str) -> bool:
    done = where.run("ping", "-n", "-q", "-c", "1", "-W", "0.3", "-I", source, "192.0.2.2", check=False)
    return " 1 received" in done.stdout


@VERSIONS
def test_bridge(make_netns: Callable[[], Namespace], version: int) -> None:
    one, bridge, other = make_netns(), make_netns(), make_netns()
    here, there = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}[version]
    length = {4: 24, 6: 64}[version]
    veth(one, bridge, "%s/%d" % (here, length), name_b="port1")
    veth(other, bridge, "%s/%d" % (there, length), name_b="port2")
    bridge.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
    for device in ("port1", "port2"):
        bridge.run("ip", "link", "set", device, "master", "br0")
    bridge.run("ip", "link", "set", "br0", "up")
    with echo_server(other, ANY[version]) as echo:
        assert udp_send(one, there, echo.port, timeout=2) == b"rempart"
        only: dict[str, Any] = {"saddr": here, "iifname": "port1", "protocol": "udp", "dport": echo.port}
        rules(bridge, {**only, "counter": True, "verdict": "drop"}, family="bridge", hook="forward")
        assert udp_send(one, there, echo.port, timeout=0.2) == "timeout"
        assert tcp_connect(one, there, echo.port) == "connected"
        assert counters(bridge, family="bridge")[0][0] == 1
        assert ping(one, there)


@VERSIONS
def test_synproxy_answers_for_the_server(hosts: Routed, version: int) -> None:
    tracked: list[dict[str, Any]] = [{"protocol": "tcp", "syn": True, "notrack": True}]
    hosts.router.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
    try:
        rules(
            hosts.router,
            {"protocol": "tcp", "ct_state": ["invalid", "untracked"], "synproxy": {"mss": 1460, "wscale": 7}},
            {"ct_state": "invalid", "verdict": "drop"},
            hook="forward",
            chains=[{"name": "raw", "hook": "prerouting", "priority": "raw", "rules": tracked}],
        )
        with echo_server(hosts.server, ANY[version], protocols=("tcp",)) as echo:
            assert (
                tcp_exchange(hosts.client, SERVER[version], echo.port, b"hello" * 1000)[0] == b"hello" * 1000
            )
            # Nobody listens there, and still the handshake is answered.
            with capture(hosts.client, "veth0") as taken:
                tcp_connect(hosts.client, SERVER[version], echo.port + 1)
                # The end of the connection before may still be on its way.
                (answer,) = taken.packets(wanted=lambda packet: Seen(packet).sport == echo.port + 1)
            assert Seen(answer).flags == {"syn", "ack"}
    finally:
        hosts.router.sysctl("net.netfilter.nf_conntrack_tcp_loose", 1)
