# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections and marks: what tracking says of real packets, what is saved in a connection and restored."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.support.packets import icmp, tcp, udp
from tests.support.routed import (
    ANY,
    CLIENT,
    FORGED,
    LAN,
    SERVER,
    VERSIONS,
    Routed,
    counters,
    forget,
    judged,
    reaching,
    rules,
)
from tests.support.traffic import echo_server, tcp_connect, tcp_exchange, udp_send


@pytest.fixture(autouse=True)
def forgotten(hosts: Routed) -> None:
    """No connection is known."""
    forget(hosts.router)


STATES = ("new", "established", "related", "invalid", "untracked")


def packets(where: Routed, chain: str = "c") -> list[int]:
    return [one[0] for one in counters(where.router, chain)]


def counting(*matches: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{**one, **more, "counter": True} for one in matches]


@VERSIONS
def test_states_of_a_conversation(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        *counting(*({"ct_state": state} for state in STATES), protocol="udp"),
        *counting({"ct_state": "related"}, protocol={4: "icmp", 6: "icmpv6"}[version]),
        hook="forward",
    )
    with echo_server(hosts.server, ANY[version]) as echo:
        talk = (hosts.client, SERVER[version], echo.port)
        assert udp_send(*talk, source=(CLIENT[version], 4001)) == b"rempart"
        assert packets(hosts) == [1, 1, 0, 0, 0, 0]
        assert udp_send(*talk, source=(CLIENT[version], 4001)) == b"rempart"
        assert packets(hosts) == [1, 3, 0, 0, 0, 0]
        # Nobody there: the server's error belongs to the datagram.
        assert udp_send(hosts.client, SERVER[version], echo.port + 1) == "refused"
        assert packets(hosts) == [2, 3, 0, 0, 0, 1]


@VERSIONS
def test_invalid(hosts: Routed, version: int) -> None:
    here, there = CLIENT[version], LAN[version]
    wrong = udp(here, there)
    wrong = wrong[:-1] + bytes([wrong[-1] ^ 1])  # a wrong checksum
    answer = icmp(here, there, {4: 0, 6: 129}[version])  # to no question
    strange = [tcp(here, there, flags=flags) for flags in ("syn,fin", "", "rst")]
    good = [udp(here, there), tcp(here, there), icmp(here, there, {4: 8, 6: 128}[version])]
    bad = [wrong, answer, *strange]
    found = judged(hosts, {"ct_state": "invalid"}, good, bad)
    assert [one[0] for one in found] == [0, len(bad)]
    found = judged(hosts, {"ct_state": "!invalid"}, good, bad)
    assert [one[0] for one in found] == [len(good), 0]


@VERSIONS
def test_a_stateful_firewall(hosts: Routed, version: int) -> None:
    """The article's: out, whatever it is; in, only what belongs to it."""
    rules(
        hosts.router,
        {"ct_state": ["established", "related"], "verdict": "accept"},
        {"iifname": "lan0", "oifname": "ppp+", "ct_state": "new", "verdict": "accept"},
        hook="forward",
        policy="drop",
    )
    with (
        echo_server(hosts.server, ANY[version]) as outside,
        echo_server(hosts.client, ANY[version]) as inside,
    ):
        assert tcp_connect(hosts.server, CLIENT[version], inside.port, 0.3) == "timeout"
        assert udp_send(hosts.server, CLIENT[version], inside.port, timeout=0.3) == "timeout"
        assert tcp_exchange(hosts.client, SERVER[version], outside.port, b"x" * 5000)[0] == b"x" * 5000
        assert udp_send(hosts.client, SERVER[version], outside.port) == b"rempart"
        assert udp_send(hosts.client, SERVER[version], outside.port + 1) == "refused"


@VERSIONS
def test_direction_status_and_original_tuple(hosts: Routed, version: int) -> None:
    with echo_server(hosts.server, ANY[version]) as echo:
        forth = {"saddr": CLIENT[version], "daddr": SERVER[version], "protocol": "udp", "dport": echo.port}
        rules(
            hosts.router,
            *counting(
                {"ct_direction": "original"},
                {"ct_direction": "reply"},
                {"ct_status": "seen-reply"},
                {"ct_original": forth},
                {"ct_original": {"saddr": SERVER[version]}},
                {"ct_reply": {"saddr": SERVER[version], "sport": echo.port}},
                {"ct_reply": {"saddr": CLIENT[version]}},
                protocol="udp",
            ),
            hook="forward",
        )
        udp_send(hosts.client, SERVER[version], echo.port)
    assert packets(hosts) == [1, 1, 1, 2, 0, 2, 0]


def test_zones_keep_connections_apart(hosts: Routed) -> None:
    zoned = {"ether_saddr": FORGED, "dport": 7, "protocol": "udp", "set": {"ct_zone": 3}}
    rules(
        hosts.router,
        *counting({"ct_zone": 3}, {"ct_zone": 0}, {"ct_state": "new"}, protocol="udp"),
        chains=[{"name": "zones", "hook": "prerouting", "priority": "raw", "rules": [zoned]}],
    )
    hosts.send([udp(CLIENT[4], LAN[4], dport=port) for port in (7, 8)])
    assert [one[0] for one in reaching(hosts.router, 2)] == [1, 1, 2]
    listed = hosts.router.run("conntrack", "-L", "-p", "udp").stdout.splitlines()
    assert ["zone=3" in line for line in sorted(listed)] == ["dport=7" in line for line in sorted(listed)]


@VERSIONS
def test_notrack(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        *counting({"ct_state": "untracked"}, {"ct_state": "new"}, {}, protocol="udp"),
        chains=[
            {
                "name": "raw",
                "hook": "prerouting",
                "priority": "raw",
                "rules": [{"protocol": "udp", "dport": 7, "notrack": True}],
            }
        ],
    )
    hosts.send([udp(CLIENT[version], LAN[version], dport=port) for port in (7, 8, 7)])
    assert [one[0] for one in reaching(hosts.router, 3)] == [2, 1, 3]
    kind = {4: "ipv4", 6: "ipv6"}[version]
    listed = hosts.router.run("conntrack", "-L", "-f", kind, "-p", "udp").stdout.splitlines()
    assert len(listed) == 1 and "dport=8" in listed[0]


def test_related_through_a_helper(hosts: Routed) -> None:
    """A server's data connection to a port that the client named over the FTP control connection."""
    rules(
        hosts.router,
        *counting({"ct_helper": "ftp"}, protocol="tcp"),
        {"ct_state": ["established", "related"], "verdict": "accept"},
        {"iifname": "lan0", "verdict": "accept"},
        hook="forward",
        policy="drop",
        ct_helpers=[{"name": "ftp", "type": "ftp", "protocol": "tcp"}],
        chains=[
            {
                "name": "helpers",
                "hook": "prerouting",
                "rules": [{"protocol": "tcp", "dport": 21, "ct_state": "new", "set": {"ct_helper": "ftp"}}],
            }
        ],
    )
    with echo_server(hosts.server, port=21, protocols=("tcp",)), echo_server(hosts.client) as data:
        assert tcp_connect(hosts.server, CLIENT[4], data.port, 0.3) == "timeout"
        with hosts.client.socket(socket.AF_INET, socket.SOCK_STREAM) as control:
            control.settimeout(1)
            control.connect((SERVER[4], 21))
            for command in (b"USER me\r\n", b"PORT 10,0,1,1,%d,%d\r\n" % divmod(data.port, 256)):
                control.sendall(command)
                assert control.recv(100) == command
            # of the expected connection: its master's helper
            assert packets(hosts) == [0]
            assert tcp_connect(hosts.server, CLIENT[4], data.port) == "connected"
    assert packets(hosts)[0] >= 3


MARKS: list[tuple[list[Any], int]] = [
    ([0x1234], 0x1234),
    (["0xffffffff"], 0xFFFFFFFF),
    ([0xF0F0, {"and": 0xFF00}], 0xF000),
    ([0xF0F0, {"or": 0x000F}], 0xF0FF),
    ([0xF0F0, {"xor": 0xFF}], 0xF00F),
    ([0xF0F0, {"and": 0xFF00, "or": 0x0110, "xor": 0x1001}], (0xF0F0 & 0xFF00 | 0x0110) ^ 0x1001),
    ([0xF0F0, {"and": 0xFF, "xor": 0xFFFF}], (0xF0F0 & 0xFF) ^ 0xFFFF),
    ([1, 2, {"or": 4}], 6),
]


@pytest.mark.parametrize("key", ["mark", "ct_mark"])
@pytest.mark.parametrize(("changes", "expected"), MARKS, ids=str)
def test_marks_are_set_and_matched(hosts: Routed, key: str, changes: list[Any], expected: int) -> None:
    writing = [{"protocol": "udp", "set": {key: change}} for change in changes]
    chain = {"name": "write", "hook": "prerouting", "priority": "mangle", "rules": writing}
    sent = [udp(CLIENT[version], LAN[version]) for version in (4, 6)]
    for match, count in (
        (expected, 2),
        (expected ^ 1, 0),
        ("!%d" % expected, 0),
        ("0x%x/0xff" % (expected & 0xFF), 2),
        ("0x%x/0xff" % (~expected & 0xFF), 0),
        ("!0x%x/0xff" % (expected & 0xFF), 0),
    ):
        assert judged(hosts, {key: match}, sent, chains=[chain])[0][0] == count, match
    assert judged(hosts, {key: [expected, 77]}, sent, chains=[chain])[0][0] == 2
    assert judged(hosts, {key: "%d-%d" % (max(expected - 1, 0), expected)}, sent, chains=[chain])[0][0] == 2


@VERSIONS
def test_a_mark_is_saved_in_the_connection_and_restored(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        *counting(
            {"mark": 7, "ct_direction": "original"},
            {"mark": 7, "ct_direction": "reply"},
            {"ct_mark": 7},
            {"mark": 0},
            protocol="udp",
        ),
        hook="forward",
        chains=[
            {
                "name": "marks",
                "hook": "prerouting",
                "priority": "mangle",
                "rules": [
                    {"set": {"mark": "ct_mark"}},
                    {"protocol": "udp", "mark": 0, "set": {"mark": 7}, "counter": True},
                    {"set": {"ct_mark": "mark"}},
                ],
            }
        ],
    )
    with echo_server(hosts.server, ANY[version]) as echo:
        for _ in range(3):
            source = (CLIENT[version], 4002)
            assert udp_send(hosts.client, SERVER[version], echo.port, source=source) == b"rempart"
    assert packets(hosts) == [3, 3, 6, 0]
    assert packets(hosts, "marks") == [1]


@VERSIONS
def test_a_mark_chooses_the_route(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "dport": 7, "set": {"mark": 9}},
        hook="prerouting",
        priority="mangle",
    )
    rule = ("ip", "-%d" % version, "rule")
    what = ("fwmark", "9", "prohibit")
    hosts.router.run(*rule, "add", *what)
    try:
        sent = [udp(CLIENT[version], SERVER[version], dport=port) for port in (7, 8)]
        assert [one[-13:-11] for one in hosts.forwarded(sent, 2, 0.3)] == [b"\0\x08"]
    finally:
        hosts.router.run(*rule, "del", *what)
