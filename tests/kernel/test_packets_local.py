# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owners of sockets, the devices packets come and go by, and rules for both directions."""

from __future__ import annotations

import contextlib
import ctypes
import socket
from typing import Any

import pytest

from tests.support.namespaces import veth
from tests.support.routed import ANY, CLIENT, LAN, OUTSIDE, SERVER, VERSIONS, Routed, counters, rules
from tests.support.traffic import echo_server, family_of, tcp_connect, udp_send

_libc = ctypes.CDLL(None)


def send_as(hosts: Routed, uid: int, gid: int, version: int) -> None:
    """A datagram from a socket that this user and group opened on the router."""

    def inside() -> None:
        # The identity of this thread alone, which ends here (setfsuid(2)).
        _libc.setfsgid(gid)
        _libc.setfsuid(uid)
        with (
            socket.socket(family_of(SERVER[version]), socket.SOCK_DGRAM) as one,
            contextlib.suppress(PermissionError),  # dropped on output
        ):
            one.sendto(b"x", (SERVER[version], 9))

    hosts.router.call(inside)


OWNERS: list[tuple[dict[str, Any], list[bool]]] = [
    ({"skuid": 1234}, [True, False, False]),
    ({"skuid": "root"}, [False, True, False]),
    ({"skuid": "!root"}, [True, False, True]),
    ({"skuid": [0, "1200-1240"]}, [True, True, False]),
    ({"skgid": 4321}, [True, False, True]),
    ({"skgid": "!4321"}, [False, True, False]),
    ({"skuid": "1235:", "skgid": 4321}, [False, False, True]),
]
SENDERS = [(1234, 4321), (0, 0), (5678, 4321)]


@VERSIONS
@pytest.mark.parametrize(("rule", "expected"), OWNERS, ids=str)
def test_whose_socket_a_packet_comes_from(
    hosts: Routed, version: int, rule: dict[str, Any], expected: list[bool]
) -> None:
    rules(hosts.router, {"protocol": "udp", **rule, "counter": True, "verdict": "drop"}, hook="output")
    found = []
    for uid, gid in SENDERS:
        before = counters(hosts.router)[0][0]
        send_as(hosts, uid, gid, version)
        found.append(counters(hosts.router)[0][0] > before)
    assert found == expected


DEVICES: list[tuple[dict[str, Any], list[bool]]] = [
    ({"oifname": "ppp0"}, [True, False]),
    ({"oifname": "ppp+"}, [True, False]),
    ({"oifname": "ppp*"}, [True, False]),
    ({"oifname": "!ppp+"}, [False, True]),
    ({"oifname": "pp"}, [False, False]),
    ({"oifname": ["lan+", "eth7"]}, [False, True]),
    ({"oifname": {"not": ["ppp+", "lan1"]}}, [False, True]),
    ({"iifname": "lan0", "oifname": "ppp+"}, [True, False]),
    ({"iifname": "ppp+"}, [False, True]),
    ({"iifname": "!ppp+", "oifname": "!lan+"}, [True, False]),
]


@pytest.mark.parametrize(("rule", "expected"), DEVICES, ids=str)
def test_which_way_a_forwarded_packet_goes(hosts: Routed, rule: dict[str, Any], expected: list[bool]) -> None:
    rules(hosts.router, {"protocol": "udp", **rule, "counter": True, "verdict": "drop"}, hook="forward")
    found = []
    for sender, target in ((hosts.client, SERVER), (hosts.server, CLIENT)):
        before = counters(hosts.router)[0][0]
        for version in (4, 6):
            # the answer to what is not dropped is ICMP
            udp_send(sender, target[version], 9, timeout=0.05)
        after = counters(hosts.router)[0][0]
        assert after - before in (0, 2)
        found.append(after > before)
    assert found == expected


def test_a_device_that_comes_later_is_matched_by_name(hosts: Routed) -> None:
    rules(
        hosts.router,
        {"oifname": "ppp9", "protocol": "udp", "counter": True, "verdict": "drop"},
        {"oifname": "ppp+", "protocol": "udp", "counter": True},
        hook="output",
    )
    veth(hosts.router, hosts.server, "10.0.9.1/24", "10.0.9.2/24", name_a="ppp9")
    try:
        udp_send(hosts.router, "10.0.9.2", 9, timeout=0.01)
        assert [one[0] for one in counters(hosts.router)] == [1, 0]
    finally:
        hosts.router.run("ip", "link", "delete", "ppp9")


@VERSIONS
def test_bidirectional_lets_the_answers_by(hosts: Routed, version: int) -> None:
    with echo_server(hosts.server, ANY[version]) as echo, echo_server(hosts.client, ANY[version]) as other:
        rule = {
            "saddr": CLIENT[version],
            "daddr": SERVER[version],
            "protocol": ["tcp", "udp"],
            "dport": echo.port,
            "counter": True,
            "verdict": "accept",
        }
        rules(hosts.router, rule, hook="forward", policy="drop")
        assert udp_send(hosts.client, SERVER[version], echo.port, timeout=0.2) == "timeout"
        assert [peer[0] for peer in echo.peers] == ["udp"]
        rules(hosts.router, {**rule, "bidirectional": True}, hook="forward", policy="drop")
        assert udp_send(hosts.client, SERVER[version], echo.port) == b"rempart"
        assert [one[0] for one in counters(hosts.router)] == [1, 1]
        assert tcp_connect(hosts.client, SERVER[version], echo.port) == "connected"
        # nothing else the other way
        assert udp_send(hosts.server, CLIENT[version], other.port, timeout=0.2) == "timeout"


@VERSIONS
def test_saddr_and_daddr_of_what_the_host_sends(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "saddr": OUTSIDE[version], "daddr": SERVER[version], "counter": True},
        {"protocol": "udp", "saddr": LAN[version], "counter": True},
        hook="output",
    )
    udp_send(hosts.router, SERVER[version], 9, timeout=0.05)
    assert [one[0] for one in counters(hosts.router)] == [1, 0]
    udp_send(hosts.router, CLIENT[version], 9, timeout=0.05)
    assert [one[0] for one in counters(hosts.router)] == [1, 1]
