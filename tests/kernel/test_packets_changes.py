# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Header fields that a rule changes, as a receiver gets them: nothing else changed, the checksums right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.packets import tcp, udp
from tests.support.routed import CLIENT, SERVER, VERSIONS, Routed, rules

MANGLE = {"hook": "forward", "priority": "mangle"}


def field(protocol: str, name: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": name}}


def forwarded(hosts: Routed, changed: dict[str, Any], value: Any, packet: bytes) -> bytes:
    """The packet as the server gets it from a router that changes the field."""
    rules(hosts.router, {"expr": [{"mangle": {"key": changed, "value": value}}]}, **MANGLE)
    (found,) = hosts.forwarded([packet])
    return found


@VERSIONS
@pytest.mark.parametrize("value", [53, {"|": [field("udp", "dport"), 36]}])
def test_a_port_of_udp(hosts: Routed, version: int, value: Any) -> None:
    ends = CLIENT[version], SERVER[version]
    found = forwarded(hosts, field("udp", "dport"), value, udp(*ends, dport=17))
    assert found == udp(*ends, dport=53, ttl=63)


def test_a_datagram_without_a_checksum_gets_none(hosts: Routed) -> None:
    """RFC 768: a receiver drops what has a wrong one."""

    def bare(packet: bytes) -> bytes:
        return packet[:26] + bytes(2) + packet[28:]

    ends = CLIENT[4], SERVER[4]
    found = forwarded(hosts, field("udp", "dport"), 53, bare(udp(*ends, dport=17)))
    assert found == bare(udp(*ends, dport=53, ttl=63))


def test_the_checksum_of_udp_is_taken_away(hosts: Routed) -> None:
    packet = udp(CLIENT[4], SERVER[4])
    found = forwarded(hosts, field("udp", "checksum"), 0, packet)
    assert found[20:] == packet[20:26] + bytes(2) + packet[28:]


@VERSIONS
@pytest.mark.parametrize(
    ("value", "flags"),
    [
        ({"|": [field("tcp", "flags"), "syn"]}, "syn,ack,psh"),
        ({"&": [field("tcp", "flags"), ["ack", "syn"]]}, "ack"),
        ({"^": [field("tcp", "flags"), 3]}, "fin,syn,ack,psh"),
        ("rst", "rst"),
    ],
)
def test_flags_of_tcp(hosts: Routed, version: int, value: Any, flags: str) -> None:
    ends = CLIENT[version], SERVER[version]
    found = forwarded(hosts, field("tcp", "flags"), value, tcp(*ends, flags="ack,psh"))
    assert found == tcp(*ends, flags=flags, ttl=63)


def test_some_bits_of_a_whole_byte(hosts: Routed) -> None:
    ends = CLIENT[4], SERVER[4]
    value = {"|": [field("ip", "ttl"), 128]}
    assert forwarded(hosts, field("ip", "ttl"), value, udp(*ends, ttl=9)) == udp(*ends, ttl=136)
