# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tunnel objects: put, read back, changed in place of one another, and seen in the packets they wrap.

nft 1.0.6 knows no tunnels, and stops at a table that has one: the kernel alone is the judge.
"""

from __future__ import annotations

import copy
import json
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset.capture import capture
from rempart.ruleset.inventory import tables

from tests.support.namespaces import Namespace, namespaces, veth
from tests.support.rulesets import apply, content, handles
from tests.support.traffic import capture as packets_of

TUNNELS: list[dict[str, Any]] = [
    {"name": "bare", "id": 0, "daddr": "192.0.2.2"},
    {"name": "ported", "id": 10, "saddr": "192.0.2.1", "daddr": "192.0.2.2", "sport": 10, "dport": 4789},
    {
        "name": "marked",
        "id": 0xFFFFFFFF,
        "daddr": "192.0.2.2",
        "tos": 16,
        "ttl": 0,
        "comment": "to the branch",
    },
    {"name": "six", "id": 11, "saddr": "2001:db8::1", "daddr": "2001:db8::2"},
    {"name": "labelled", "id": 11, "daddr": "2001:db8::2", "flowlabel": 0xABCDE, "flags": ["dont-fragment"]},
    {
        "name": "flagged",
        "id": 1,
        "daddr": "192.0.2.2",
        "flags": ["zero-csum-tx", "dont-fragment", "seq-number"],
    },
    {"name": "vxlan", "id": 2, "daddr": "192.0.2.2", "vxlan": {"gbp": 200}},
    {"name": "mirror1", "id": 3, "daddr": "192.0.2.2", "erspan": {"version": 1, "index": 0xFFFFF}},
    {
        "name": "mirror2",
        "id": 3,
        "daddr": "192.0.2.2",
        "erspan": {"version": 2, "direction": "egress", "id": 63},
    },
    {
        "name": "mirror3",
        "id": 3,
        "daddr": "192.0.2.2",
        "erspan": {"version": 2, "direction": "ingress", "id": 0},
    },
    {
        "name": "options",
        "id": 4,
        "daddr": "192.0.2.2",
        "geneve": [
            {"class": 1, "opt-type": 1, "data": "0x12345678"},
            {"class": 65535, "opt-type": 255, "data": "0x" + "0a" * 124},
            {"class": 0, "opt-type": 0, "data": "0x" + "00" * 112},
        ],
    },
]


def document(tunnels: list[dict[str, Any]] = TUNNELS) -> dict[str, Any]:
    rules = [
        {"saddr": "198.51.100.1", "counter": True, "set": {"tunnel": "ported"}},
        {"set": {"tunnel": {"map": {"key": "saddr", "data": "@by_source"}}}},
        {"set": {"tunnel": {"map": {"key": "daddr", "data": {"198.51.100.9": "six"}}}}},
    ]
    chain = {"name": "c", "hook": "ingress", "device": "lo", "rules": rules}
    one = {"name": "by_source", "type": "ipv4_addr", "map": "tunnel"}
    by_source = {**one, "elements": {"198.51.100.2": "vxlan", "198.51.100.3": "options"}}
    return {
        "tables": [
            {"name": "t", "family": "netdev", "tunnels": tunnels, "maps": [by_source], "chains": [chain]}
        ]
    }


def captured(where: Namespace) -> dict[str, Any]:
    with NetlinkSocket(where.name) as kernel:
        found = capture(kernel)
    assert found.notes == []
    return found.document


def test_each_is_put_and_read_back_as_it_was_written(make_netns: Callable[[], Namespace]) -> None:
    home, elsewhere = make_netns(), make_netns()
    assert apply(document(), home).changed
    assert not apply(document(), home, full=True).changed
    found = captured(home)
    assert found["tables"][0]["tunnels"] == TUNNELS
    assert [one["set"]["tunnel"] for one in found["tables"][0]["chains"][0]["rules"]] == [
        one["set"]["tunnel"] for one in document()["tables"][0]["chains"][0]["rules"]
    ]
    assert not apply(found, home, full=True).changed
    apply(json.loads(json.dumps(found)), elsewhere)
    assert content(elsewhere) == content(home)


@pytest.mark.parametrize(
    "change",
    [
        {"ttl": 9},
        {"tos": 4},
        {"sport": 0},
        {"id": 12},
        {"saddr": "192.0.2.9"},
        {"daddr": "192.0.2.9"},
        {"saddr": "2001:db8::9", "daddr": "2001:db8::a"},
        {"flags": ["zero-csum-tx"]},
        {"vxlan": {"gbp": 1}},
        {"erspan": {"version": 1, "index": 1}},
        {"geneve": [{"class": 1, "opt-type": 2, "data": "0x00000000"}]},
        {"comment": "another"},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_changed_one_is_made_anew_under_the_rules_that_name_it(
    netns: Namespace, change: dict[str, Any]
) -> None:
    apply(document(), netns)
    before = handles(netns, "c", "netdev")
    changed = copy.deepcopy(TUNNELS)
    changed[1].update(change)
    outcome = apply(document(changed), netns)
    assert outcome.changed
    assert not apply(document(changed), netns, full=True).changed
    (found,) = [one for one in captured(netns)["tables"][0]["tunnels"] if one["name"] == "ported"]
    assert found == {key: value for key, value in changed[1].items() if value != 0}
    after = handles(netns, "c", "netdev")
    # what names another one stays, with its counter
    assert after[1:] == before[1:]


def test_one_that_is_gone_from_the_document_goes(netns: Namespace) -> None:
    apply(document(), netns)
    without = [one for one in TUNNELS if one["name"] not in ("bare", "six")]
    wanted = document(without)
    del wanted["tables"][0]["chains"][0]["rules"][2]
    apply(wanted, netns)
    assert captured(netns)["tables"][0]["tunnels"] == without


def test_the_inventory_names_it_as_libnftables_does(netns: Namespace) -> None:
    apply(document(), netns)
    (found,) = tables(netns.name)
    by_name = {one["tunnel"]["name"]: one["tunnel"] for one in found["objects"]}
    assert by_name["ported"].items() >= {
        "id": 10,
        "src-ipv4": "192.0.2.1",
        "dst-ipv4": "192.0.2.2",
        "sport": 10,
        "dport": 4789,
    }.items()  # fmt: skip
    assert (by_name["mirror2"]["type"], by_name["mirror2"]["tunnel"]) == (
        "erspan",
        {"version": 2, "dir": "egress", "hwid": 63},
    )


def test_packets_leave_in_the_outer_header_of_the_tunnel() -> None:
    with namespaces(3) as (near, gate, far):
        here, there = veth(near, gate, "198.51.100.1/24")
        _out, end = veth(gate, far, "192.0.2.1/24", "192.0.2.2/24")
        near.run("ip", "neighbour", "add", "198.51.100.9", "lladdr", "02:00:00:00:00:09", "dev", here)
        gate.run("ip", "link", "add", "vx", "type", "vxlan", "external", "dstport", "4789")
        gate.run("ip", "link", "set", "vx", "up")
        tunnel = {"id": 77, "saddr": "192.0.2.1", "daddr": "192.0.2.2", "tos": 16, "flags": ["dont-fragment"]}
        first = {"name": "first", **tunnel, "ttl": 33}
        second = {"name": "second", **tunnel, "id": 78, "ttl": 34}
        forward = {"expr": [{"fwd": {"dev": "vx"}}]}
        rules = [
            {"protocol": "udp", "dport": 1001, "set": {"tunnel": "first"}},
            {"protocol": "udp", "dport": 1002, "set": {"tunnel": "second"}},
            forward,
        ]
        chain = {"name": "c", "hook": "ingress", "device": there, "rules": rules}
        apply(
            {"tables": [{"name": "t", "family": "netdev", "tunnels": [first, second], "chains": [chain]}]},
            gate,
        )
        seen = []
        with near.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, packets_of(far, end) as taken:
            for port in (1001, 1002):
                sender.sendto(b"inside", ("198.51.100.9", port))
                (packet,) = taken.packets(1, 5, lambda one: one[9] == socket.IPPROTO_UDP)
                seen.append(described(packet))
    assert seen == [(33, 16, 0x4000, 4789, 77, 1001), (34, 16, 0x4000, 4789, 78, 1002)]


def described(packet: bytes) -> tuple[int, ...]:
    """Outer ttl, tos, fragment bits and port, the VXLAN network (RFC 7348), and the inner port."""
    fragments, outer = struct.unpack_from(">H", packet, 6)[0], 20
    port = struct.unpack_from(">H", packet, outer + 2)[0]
    network = struct.unpack_from(">I", packet, outer + 8 + 4)[0] >> 8
    inner = outer + 8 + 8 + 14 + 20
    return packet[8], packet[1], fragments, port, network, struct.unpack_from(">H", packet, inner + 2)[0]
