# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Matches on the packet inside a tunnel: the kernel's expressions, read back, and real packets."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
from rempart.errors import RempartError
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables.expressions import decode_list
from rempart.nftables.selectors.meta import NAMES
from rempart.ruleset.capture import capture
from rempart.ruleset.inventory import tables

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content, table_of

Statements = list[dict[str, Any]]

VXLAN = {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 4789}}
OUTER = [
    "[ meta load l4proto => reg 1 ]",
    "[ cmp eq reg 1 0x00000011 ]",
    "[ payload load 2b @ transport header + 2 => reg 1 ]",
    "[ cmp eq reg 1 0x0000b512 ]",
]


def field(tunnel: str, protocol: str, name: str, right: Any) -> dict[str, Any]:
    left = {"payload": {"tunnel": tunnel, "protocol": protocol, "field": name}}
    return {"match": {"op": "==", "left": left, "right": right}}


def look(tunnel: str, load: str) -> str:
    numbers = {"vxlan": "1 hdrsize 8 flags f", "gre": "3 hdrsize 4 flags c", "gretap": "4 hdrsize 4 flags e"}
    numbers["geneve"] = "2 hdrsize 8 flags f"
    return "[ inner type %s [ %s ] ]" % (numbers[tunnel], load)


# What nft 1.0.9 and later make of the same text (their tests/py/inet/*.t.payload say it)
CASES: list[tuple[str, Statements, list[str]]] = [
    (
        "vxlan vni 10",
        [VXLAN, field("vxlan", "vxlan", "vni", 10)],
        [
            *OUTER,
            look("vxlan", "payload load 3b @ unknown header + 4 => reg 1"),
            "[ cmp eq reg 1 0x000a0000 ]",
        ],
    ),
    (
        "vxlan ip saddr 10.141.11.0/24",
        [VXLAN, field("vxlan", "ip", "saddr", {"prefix": {"addr": "10.141.11.0", "len": 24}})],
        [
            *OUTER,
            look("vxlan", "meta load protocol => reg 1"),
            "[ cmp eq reg 1 0x00000008 ]",
            look("vxlan", "payload load 3b @ network header + 12 => reg 1"),
            "[ cmp eq reg 1 0x000b8d0a ]",
        ],
    ),
    (
        "vxlan udp sport 8888",
        [VXLAN, field("vxlan", "udp", "sport", 8888)],
        [
            *OUTER,
            look("vxlan", "meta load l4proto => reg 1"),
            "[ cmp eq reg 1 0x00000011 ]",
            look("vxlan", "payload load 2b @ transport header + 0 => reg 1"),
            "[ cmp eq reg 1 0x0000b822 ]",
        ],
    ),
    (
        "vxlan icmp type echo-reply",
        [VXLAN, field("vxlan", "icmp", "type", "echo-reply")],
        [
            *OUTER,
            look("vxlan", "payload load 2b @ link header + 12 => reg 1"),
            "[ cmp eq reg 1 0x00000008 ]",
            look("vxlan", "meta load l4proto => reg 1"),
            "[ cmp eq reg 1 0x00000001 ]",
            look("vxlan", "payload load 1b @ transport header + 0 => reg 1"),
            "[ cmp eq reg 1 0x00000000 ]",
        ],
    ),
    (
        "vxlan ether saddr 62:87:4d:d6:19:05",
        [VXLAN, field("vxlan", "ether", "saddr", "62:87:4d:d6:19:05")],
        [
            *OUTER,
            look("vxlan", "payload load 6b @ link header + 6 => reg 1"),
            "[ cmp eq reg 1 0xd64d8762 0x00000519 ]",
        ],
    ),
    (
        "vxlan vlan id 10",
        [VXLAN, field("vxlan", "vlan", "id", 10)],
        [
            *OUTER,
            look("vxlan", "payload load 2b @ link header + 12 => reg 1"),
            "[ cmp eq reg 1 0x00000081 ]",
            look("vxlan", "payload load 2b @ link header + 14 => reg 1"),
            "[ bitwise reg 1 = ( reg 1 & 0x0000ff0f ) ^ 0x00000000 ]",
            "[ cmp eq reg 1 0x00000a00 ]",
        ],
    ),
    (
        "vxlan ip dscp 0x02",
        [VXLAN, field("vxlan", "ip", "dscp", 2)],
        [
            *OUTER,
            look("vxlan", "meta load protocol => reg 1"),
            "[ cmp eq reg 1 0x00000008 ]",
            look("vxlan", "payload load 1b @ network header + 1 => reg 1"),
            "[ bitwise reg 1 = ( reg 1 & 0x000000fc ) ^ 0x00000000 ]",
            "[ cmp eq reg 1 0x00000008 ]",
        ],
    ),
    (
        "gre ip protocol icmp",
        [field("gre", "ip", "protocol", "icmp")],
        [
            "[ meta load l4proto => reg 1 ]",
            "[ cmp eq reg 1 0x0000002f ]",
            look("gre", "meta load protocol => reg 1"),
            "[ cmp eq reg 1 0x00000008 ]",
            look("gre", "payload load 1b @ network header + 9 => reg 1"),
            "[ cmp eq reg 1 0x00000001 ]",
        ],
    ),
    (
        "gre icmp type echo-reply",
        [field("gre", "icmp", "type", "echo-reply")],
        [
            "[ meta load l4proto => reg 1 ]",
            "[ cmp eq reg 1 0x0000002f ]",
            look("gre", "meta load protocol => reg 1"),
            "[ cmp eq reg 1 0x00000008 ]",
            look("gre", "meta load l4proto => reg 1"),
            "[ cmp eq reg 1 0x00000001 ]",
            look("gre", "payload load 1b @ transport header + 0 => reg 1"),
            "[ cmp eq reg 1 0x00000000 ]",
        ],
    ),
    (
        "gretap ether saddr 62:87:4d:d6:19:05",
        [field("gretap", "ether", "saddr", "62:87:4d:d6:19:05")],
        [
            "[ meta load l4proto => reg 1 ]",
            "[ cmp eq reg 1 0x0000002f ]",
            look("gretap", "payload load 6b @ link header + 6 => reg 1"),
            "[ cmp eq reg 1 0xd64d8762 0x00000519 ]",
        ],
    ),
    (
        "geneve vni 10",
        [VXLAN, field("geneve", "geneve", "vni", 10)],
        [
            *OUTER,
            look("geneve", "payload load 3b @ unknown header + 4 => reg 1"),
            "[ cmp eq reg 1 0x000a0000 ]",
        ],
    ),
]
MORE: list[tuple[str, Statements]] = [
    (
        "vxlan ip saddr . vxlan ip daddr { 192.0.2.1 . 192.0.2.2 }",
        [
            VXLAN,
            {
                "match": {
                    "op": "==",
                    "left": {
                        "concat": [
                            {"payload": {"tunnel": "vxlan", "protocol": "ip", "field": "saddr"}},
                            {"payload": {"tunnel": "vxlan", "protocol": "ip", "field": "daddr"}},
                        ]
                    },
                    "right": {"set": [{"concat": ["192.0.2.1", "192.0.2.2"]}]},
                }
            },
        ],
    ),
    (
        "vxlan ip saddr 192.0.2.1 vxlan tcp dport 22",
        [VXLAN, field("vxlan", "ip", "saddr", "192.0.2.1"), field("vxlan", "tcp", "dport", 22)],
    ),
    (
        "vxlan meta protocol ip",
        [
            VXLAN,
            {"match": {"op": "==", "left": {"meta": {"key": "protocol", "tunnel": "vxlan"}}, "right": "ip"}},
        ],
    ),
    (
        "vxlan @nh,64,8 0x6",
        [
            VXLAN,
            {
                "match": {
                    "op": "==",
                    "left": {"payload": {"tunnel": "vxlan", "base": "nh", "offset": 64, "len": 8}},
                    "right": 6,
                }
            },
        ],
    ),
]


def shown(one: Any) -> str:
    """An expression as nft --debug=netlink lists it; nft 1.0.6 lists none that looks into a tunnel."""
    if one.name == "inner":
        numbers = (one.type, one.hdrsize, one.flags, shown(one.expr))
        return "[ inner type %d hdrsize %d flags %x %s ]" % numbers
    if one.name == "meta":
        return "[ meta load %s => reg %d ]" % (NAMES[one.key], one.dreg)
    if one.name == "payload":
        base = ("link", "network", "transport", "inner", "unknown")[one.base]
        return "[ payload load %db @ %s header + %d => reg %d ]" % (one.len, base, one.offset, one.dreg)
    if one.name == "bitwise":
        masks = (words(one.mask), words(one.xor))
        return "[ bitwise reg %d = ( reg %d & %s ) ^ %s ]" % (one.dreg, one.sreg, *masks)
    if one.name == "cmp" and one.op == 0:
        return "[ cmp eq reg %d %s ]" % (one.sreg, words(one.data))
    return repr(one)


def words(data: bytes) -> str:
    """Bytes as 32-bit numbers of the host."""
    padded = data + bytes(-len(data) % 4)
    return " ".join("0x%08x" % number for number in struct.unpack("=%dI" % (len(padded) // 4), padded))


def document(*rules: Statements) -> dict[str, Any]:
    chain = {"name": "c", "hook": "input", "rules": [{"expr": [*one, {"counter": None}]} for one in rules]}
    return {"tables": [{"name": "t", "family": "inet", "chains": [chain]}]}


@pytest.mark.parametrize(("text", "statements", "expected"), CASES, ids=[one[0] for one in CASES])
def test_the_expressions_are_those_of_newer_nft(
    netns: Namespace, text: str, statements: Statements, expected: list[str]
) -> None:
    apply(document(statements), netns)
    (rule,) = table_of(netns).chains["c"].rules
    assert [shown(one) for one in decode_list(rule.expressions)][:-1] == expected
    assert not apply(document(statements), netns, full=True).changed


@pytest.mark.parametrize(
    ("text", "statements"), [one[:2] for one in CASES] + MORE, ids=[one[0] for one in CASES + MORE]
)
def test_what_the_kernel_holds_is_read_back(
    make_netns: Callable[[], Namespace], text: str, statements: Statements
) -> None:
    home, elsewhere = make_netns(), make_netns()
    apply(document(statements), home)
    (rule,) = tables(home.name)[0]["chains"][0]["rules"]
    assert rule["expr"][:-1] == statements
    assert rule["rule"].removeprefix("udp dport 4789 ") == text + " counter packets 0 bytes 0"
    with NetlinkSocket(home.name) as kernel:
        found = capture(kernel)
    assert found.notes == []
    assert not apply(found.document, home, full=True).changed
    apply(json.loads(json.dumps(found.document)), elsewhere)
    assert content(elsewhere) == content(home)


def test_packets_inside_are_told_apart(netns: Namespace) -> None:
    cases = [
        field("vxlan", "vxlan", "vni", 10),
        field("vxlan", "vxlan", "vni", 11),
        field("vxlan", "ip", "saddr", "198.51.100.7"),
        field("vxlan", "ip", "saddr", "198.51.100.8"),
        field("vxlan", "udp", "dport", 5353),
        field("vxlan", "udp", "dport", 53),
        field("vxlan", "ether", "saddr", "02:00:00:00:00:01"),
    ]
    apply(document(*[[VXLAN, one] for one in cases]), netns)
    with netns.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(vxlan(10, "198.51.100.7", 5353), ("127.0.0.1", 4789))
    rules = tables(netns.name)[0]["chains"][0]["rules"]
    assert [rule["expr"][-1]["counter"]["packets"] for rule in rules] == [1, 0, 1, 0, 1, 0, 1]


def vxlan(vni: int, source: str, port: int) -> bytes:
    """A VXLAN payload (RFC 7348): its header, then an Ethernet frame with a UDP datagram."""
    udp = struct.pack(">HHHH", 1024, port, 8, 0)
    head = (0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    ip = struct.pack(">BBHHHBBH", *head) + socket.inet_aton(source) + socket.inet_aton("198.51.100.1")
    frame = bytes.fromhex("0200000000020200000000010800") + ip + udp
    return struct.pack(">BxxxI", 0x08, vni << 8) + frame


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ([field("vxlan", "vxlan", "vni", 1)], "match the port of the tunnel first"),
        ([field("gre", "ether", "saddr", "02:00:00:00:00:01")], "use gretap"),
        ([VXLAN, field("vxlan", "geneve", "vni", 1)], "no header of this tunnel"),
        ([VXLAN, field("vxlna", "ip", "saddr", "192.0.2.1")], "did you mean 'vxlan'"),
        (
            [VXLAN, field("vxlan", "ip", "saddr", "192.0.2.1"), field("vxlan", "ip6", "hoplimit", 1)],
            "already",
        ),
        (
            [
                VXLAN,
                {
                    "mangle": {
                        "key": {"payload": {"tunnel": "vxlan", "protocol": "ip", "field": "ttl"}},
                        "value": 1,
                    }
                },
            ],
            "cannot be changed",
        ),
    ],
)
def test_what_cannot_be_is_told(netns: Namespace, statements: Statements, message: str) -> None:
    with pytest.raises(RempartError) as caught:
        apply(document(statements), netns)
    assert message in str(caught.value)
    assert netns.nft_text() == ""
