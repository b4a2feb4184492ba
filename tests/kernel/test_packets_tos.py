# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The type-of-service byte as a receiver gets it: all eight bits, and a right IPv4 header checksum."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.ruleset.describe import kernel_statements

from tests.support.namespaces import Namespace
from tests.support.packets import udp
from tests.support.routed import CLIENT, SERVER, VERSIONS, Routed, counters, rules
from tests.support.rulesets import table_of
from tests.support.traffic import capture, ipv4_checksum_ok, tos, udp_send

MANGLE = {"hook": "forward", "priority": "mangle"}

# Every bit kept and changed, alone and together.
BYTES = [0x00, 0x01, 0x02, 0x03, 0x10, 0x55, 0xAA, 0xB8, 0xFC, 0xFF]


def rest(packet: bytes) -> tuple[int, bytes, int, bytes]:
    """All but the byte in question and what a router changes: time to live, checksum."""
    if packet[0] >> 4 == 6:
        return packet[0] >> 4, bytes([packet[1] & 0x0F]) + packet[2:7], 0, packet[8:]
    return packet[0], packet[2:8], packet[9], packet[12:]


def arrived(hosts: Routed, version: int, sent: list[int]) -> list[int]:
    """The bytes that the server's wire carries for packets sent with these; all else must be as sent."""
    packets = [
        udp(CLIENT[version], SERVER[version], tos=one, data=b"%d" % number, identification=number)
        for number, one in enumerate(sent)
    ]
    found = hosts.forwarded(packets, len(packets))
    assert len(found) == len(packets)
    assert [rest(one) for one in found] == [rest(one) for one in packets]
    assert version == 6 or all(ipv4_checksum_ok(one) for one in found)
    return [tos(one) for one in found]


MASKS: list[tuple[Any, int, int]] = [
    ("0x01 0x10", 0x01, 0x10),
    ("0x00 0x00", 0x00, 0x00),
    ("0xff 0x01", 0xFF, 0x01),
    ("0x00 0xff", 0x00, 0xFF),
    ("0xff 0xff", 0xFF, 0xFF),
    ({"and": 0xAA, "xor": 0x0F}, 0xAA, 0x0F),
    ({"and": 0xFE}, 0xFE, 0x00),
    ({"xor": 0x80}, 0xFF, 0x80),
    # ipchains' AND masks and XOR values for the four names
    ("minimum-delay", 0x01, 0x10),
    ("maximum-throughput", 0x01, 0x08),
    ("maximum-reliability", 0x01, 0x04),
    ("minimum-cost", 0x01, 0x02),
]


@VERSIONS
@pytest.mark.parametrize("family", ["inet", "own"])
@pytest.mark.parametrize(("value", "mask", "xor"), MASKS, ids=str)
def test_tos_keeps_the_bits_of_and_and_turns_those_of_xor(
    hosts: Routed, version: int, family: str, value: Any, mask: int, xor: int
) -> None:
    family = {4: "ip", 6: "ip6"}[version] if family == "own" else family
    rules(hosts.router, {"protocol": "udp", "tos": value}, **MANGLE, family=family)
    assert arrived(hosts, version, BYTES) == [one & mask ^ xor for one in BYTES]


def test_tos_for_every_byte(hosts: Routed) -> None:
    rules(hosts.router, {"tos": "0x5a 0xc3"}, **MANGLE)
    for start in range(0, 256, 64):
        sent = list(range(start, start + 64))
        for version in (4, 6):
            assert arrived(hosts, version, sent) == [one & 0x5A ^ 0xC3 for one in sent]


@pytest.mark.parametrize("family", ["ip", "ip6"])
@pytest.mark.parametrize("mask", [0x00, 0x01, 0xFF])
def test_nft_lists_a_change_of_the_byte_and_it_is_read_back(hosts: Routed, family: str, mask: int) -> None:
    for xor in (0x00, 0x01, 0x10, 0xAA, 0xFF):
        change = {"and": mask, "xor": xor}
        rules(hosts.router, {"protocol": "udp", "tos": change}, **MANGLE, family=family)
        assert len(hosts.router.nft_json("chain", family, "t", "c")) == 2
        table = table_of(hosts.router, family)
        (rule,) = table.chains["c"].rules
        assert kernel_statements(table, rule)[-1] == {"tos": change}


#: by what a mark is set to: operators over the field, and what comes of DSCP 46
NUMBERS: list[tuple[Any, int]] = [
    (lambda dscp: dscp, 46),
    (lambda dscp: {"<<": [dscp, 26]}, 46 << 26),
    (lambda dscp: {"|": [{"<<": [{"&": [dscp, 15]}, 8]}, 16]}, 14 << 8 | 16),
    (lambda dscp: {"|": [dscp, 256]}, 256 | 46),
    (lambda dscp: {"^": [{"meta": {"key": "mark"}}, dscp]}, 46),
]


@VERSIONS
@pytest.mark.parametrize(("value", "mark"), NUMBERS)
def test_a_field_counts_as_a_number_in_a_mark(hosts: Routed, version: int, value: Any, mark: int) -> None:
    dscp = {"payload": {"protocol": {4: "ip", 6: "ip6"}[version], "field": "dscp"}}
    mangle = {"mangle": {"key": {"meta": {"key": "mark"}}, "value": value(dscp)}}
    rules(
        hosts.router, {"expr": [mangle]}, {"mark": mark, "verdict": "accept"}, {"verdict": "drop"}, **MANGLE
    )
    packets = [udp(CLIENT[version], SERVER[version], tos=one << 2) for one in (46, 45)]
    assert [tos(one) >> 2 for one in hosts.forwarded(packets, 2)] == [46]


@VERSIONS
def test_tos_only_where_the_rule_matches(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "dport": 10, "tos": "minimum-delay"},
        {"protocol": "udp", "saddr": CLIENT[version], "ecn": "ce", "tos": "0x00 0x42"},
        **MANGLE,
    )
    assert arrived(hosts, version, [0x10, 0x02, 0x03, 0xFF]) == [0x10, 0x02, 0x42, 0x42]


@VERSIONS
@pytest.mark.parametrize(
    ("name", "value"), [("cs1", 8), ("af41", 34), ("ef", 46), ("le", 1), (63, 63), (0, 0)]
)
def test_dscp_set_leaves_ecn_alone(hosts: Routed, version: int, name: Any, value: int) -> None:
    rules(hosts.router, {"protocol": "udp", "set": {"dscp": name}}, **MANGLE)
    assert arrived(hosts, version, BYTES) == [value << 2 | one & 3 for one in BYTES]


@VERSIONS
@pytest.mark.parametrize(("name", "value"), [("not-ect", 0), ("ect1", 1), ("ect0", 2), ("ce", 3)])
def test_ecn_set_leaves_dscp_alone(hosts: Routed, version: int, name: str, value: int) -> None:
    only = {4: "ipv4", 6: "ipv6"}[version]
    rules(hosts.router, {"nfproto": only, "protocol": "udp", "set": {"ecn": name}}, **MANGLE)
    assert arrived(hosts, version, BYTES) == [one & 0xFC | value for one in BYTES]


@VERSIONS
def test_what_one_chain_writes_the_next_one_reads(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "dscp": "ef", "ecn": "ect0", "counter": True},
        hook="postrouting",
        chains=[{"name": "write", "hook": "prerouting", "rules": [{"protocol": "udp", "tos": "0x00 0xba"}]}],
    )
    assert arrived(hosts, version, [0x00, 0xFF]) == [0xBA, 0xBA]
    assert sum(one[0] for one in counters(hosts.router)) == 2


@VERSIONS
def test_a_host_marks_what_it_sends_itself(hosts: Routed, version: int) -> None:
    """As the HOWTO's tables do, on output, where the kernel computes the checksum of its own packets."""
    rules(
        hosts.router,
        {"protocol": "udp", "dport": [22, 23], "tos": "minimum-delay"},
        {"protocol": "udp", "dport": 20, "tos": "maximum-throughput"},
        type="route",
        hook="output",
        priority="mangle",
    )
    for port, expected in ((22, 0x10), (20, 0x08), (25, 0x40)):
        assert _sent_by(hosts.router, hosts, version, port, 0x40) == expected


def _sent_by(sender: Namespace, hosts: Routed, version: int, port: int, byte: int) -> int:
    with capture(hosts.server, "veth0") as taken:
        udp_send(sender, SERVER[version], port, timeout=0.01, tos=byte)
        (packet,) = taken.packets(1, 1, lambda one: one[-7:] == b"rempart")
    assert version == 6 or ipv4_checksum_ok(packet)
    return tos(packet)
