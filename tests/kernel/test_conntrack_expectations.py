# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expectations in the kernel: read, and deleted one by one, by helper and all at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from rempart.conntrack import expectations, tuples, uapi
from rempart.netlink.attributes import attribute
from rempart.netlink.messages import NLM_F_CREATE
from rempart.netlink.socket import NetlinkSocket

from tests.support import connections
from tests.support.namespaces import Namespace

NEW = uapi.NFNL_SUBSYS_CTNETLINK_EXP << 8 | uapi.IPCTNL_MSG_EXP_NEW
PAIRS = {"ip": ("10.7.0.%d", "10.8.0.1"), "ip6": ("fd07::%d", "fd08::1")}
ONES = {"ip": "255.255.255.255", "ip6": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}


@pytest.fixture
def kernel(netns: Namespace) -> Iterator[NetlinkSocket]:
    with NetlinkSocket(netns.name) as made:
        yield made


def expect(
    netns: Namespace,
    kernel: NetlinkSocket,
    number: int,
    family: str = "ip",
    helper: str = "ftp",
    zone: int = 0,
    port: int = 7000,
) -> None:
    """A connection with a helper, and an expectation beside it of the same addresses to ``port``."""
    source, target = PAIRS[family][0] % number, PAIRS[family][1]
    protonum, name = (17, "udp") if helper == "tftp" else (6, "tcp")
    master = {"saddr": source, "daddr": target, "sport": 1, "dport": 21}
    make = connections.udp if helper == "tftp" else connections.tcp
    entry = make(family=family, protocol=name, original=master, helper=helper)
    connections.inject(netns, [{**entry, "zone": zone} if zone else entry])
    full = {"saddr": ONES[family], "daddr": ONES[family], "sport": 0, "dport": 65535}
    parts = [
        tuples.encode(kind, one, tuples.FAMILIES[family], protonum, [])
        for kind, one in (
            (uapi.CTA_EXPECT_MASTER, master),
            (uapi.CTA_EXPECT_TUPLE, {**master, "sport": 0, "dport": port}),
            (uapi.CTA_EXPECT_MASK, full),
        )
    ]
    parts.append(attribute(uapi.CTA_EXPECT_TIMEOUT, (300).to_bytes(4, "big")))
    if zone:
        parts.append(attribute(uapi.CTA_EXPECT_ZONE, zone.to_bytes(2, "big")))
    kernel.request(NEW, tuples.FAMILIES[family], b"".join(parts), NLM_F_CREATE)


def listed(kernel: NetlinkSocket) -> list[dict[str, Any]]:
    return [expectations.decode(body) for body in expectations.read(kernel)]


def masters(kernel: NetlinkSocket) -> set[str]:
    return {one["master"]["saddr"] for one in listed(kernel)}


def one_of(kernel: NetlinkSocket, source: str) -> bytes:
    """The body of the expectation whose master comes from this address."""
    (found,) = [
        body for body in expectations.read(kernel) if expectations.decode(body)["master"]["saddr"] == source
    ]
    return found


def test_both_families_are_read_at_once(netns: Namespace, kernel: NetlinkSocket) -> None:
    assert listed(kernel) == []
    expect(netns, kernel, 1)
    expect(netns, kernel, 2, "ip6")
    by_family = {one["family"]: one for one in listed(kernel)}
    four = by_family["ip"]
    assert four.pop("id") > 0 and 295 <= four.pop("timeout") <= 300
    master = {"saddr": "10.7.0.1", "daddr": "10.8.0.1", "sport": 1, "dport": 21}
    assert four == {
        "family": "ip",
        "protocol": "tcp",
        "protonum": 6,
        "expected": {**master, "sport": 0, "dport": 7000},
        "mask": {"saddr": ONES["ip"], "daddr": ONES["ip"], "sport": 0, "dport": 65535},
        "master": {**master, "protonum": 6},
        "flags": [],
        "class": 0,
        "helper": "ftp",
    }
    assert by_family["ip6"]["expected"]["saddr"] == "fd07::2"


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_one_is_deleted_and_no_other(netns: Namespace, kernel: NetlinkSocket, family: str) -> None:
    for number in (1, 2, 3):
        expect(netns, kernel, number, family)
    source = PAIRS[family][0]
    body = one_of(kernel, source % 2)
    assert expectations.delete(kernel, body)
    assert masters(kernel) == {source % 1, source % 3}
    assert not expectations.delete(kernel, body)
    assert masters(kernel) == {source % 1, source % 3}


def test_one_that_was_made_again_is_another(netns: Namespace, kernel: NetlinkSocket) -> None:
    expect(netns, kernel, 1)
    body = bytearray(one_of(kernel, "10.7.0.1"))
    place = body.index(
        attribute(uapi.CTA_EXPECT_ID, expectations.decode(bytes(body))["id"].to_bytes(4, "big"))
    )
    body[place + 7] ^= 1
    assert not expectations.delete(kernel, bytes(body))
    assert masters(kernel) == {"10.7.0.1"}


def test_one_in_a_zone(netns: Namespace, kernel: NetlinkSocket) -> None:
    """Two of one tuple in two zones, of which the kernel tells neither."""
    for zone in (0, 5, 6):
        expect(netns, kernel, 1, zone=zone)
    bodies = list(expectations.read(kernel))
    assert len(bodies) == 3
    assert len({expectations.decode(body)["id"] for body in bodies}) == 3
    left = 3
    for body in bodies:
        assert expectations.delete(kernel, body)
        left -= 1
        assert len(listed(kernel)) == left
    assert not expectations.delete(kernel, bodies[1])


def test_those_of_a_helper(netns: Namespace, kernel: NetlinkSocket) -> None:
    expect(netns, kernel, 1)
    expect(netns, kernel, 2, "ip6")
    expect(netns, kernel, 3, helper="tftp")
    expectations.delete_of(kernel, "ftp")
    assert masters(kernel) == {"10.7.0.3"}
    expectations.delete_of(kernel, "no-such")
    with pytest.raises(ValueError, match="helper"):
        expectations.delete_of(kernel, "")
    assert masters(kernel) == {"10.7.0.3"}


def test_all_of_them(netns: Namespace, kernel: NetlinkSocket) -> None:
    expect(netns, kernel, 1)
    expect(netns, kernel, 2, "ip6")
    expect(netns, kernel, 3, zone=9)
    expectations.delete_all(kernel)
    assert listed(kernel) == []
    assert len(connections.listed(netns)) == 3


def test_what_is_no_expectation_deletes_nothing(netns: Namespace, kernel: NetlinkSocket) -> None:
    """A message without a tuple would empty the table."""
    expect(netns, kernel, 1)
    for body in (b"", bytes((socket.AF_INET, 0, 0, 0)), bytes(100)):
        with pytest.raises(ValueError):
            expectations.delete(kernel, body)
    assert masters(kernel) == {"10.7.0.1"}
