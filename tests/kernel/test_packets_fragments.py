# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fragments: told apart before connection tracking puts packets together (priority -400), gone after it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.packets import fragments, udp
from tests.support.routed import CLIENT, LAN, SERVER, VERSIONS, Routed, judged, reaching, rules

BEFORE_DEFRAGMENTATION = {"hook": "prerouting", "priority": -450}

# that some rule asks for a connection's state switches tracking on, and with it defragmentation
TRACKING: dict[str, Any] = {
    "name": "tracking",
    "hook": "prerouting",
    "priority": "mangle",
    "rules": [{"ct_state": "invalid", "counter": True}],
}


def pieces(version: int, to: dict[int, str] = LAN) -> tuple[list[bytes], list[bytes]]:
    """First fragments, and all others, of two datagrams."""
    both = [
        fragments(udp(CLIENT[version], to[version], data=b"%d" % number * size, identification=number), 64)
        for number, size in ((1, 200), (2, 80))
    ]
    if version == 6:
        # fragments() gives one identification to all
        both[1] = [piece[:44] + b"\0\0\0\2" + piece[48:] for piece in both[1]]
    return [found[0] for found in both], [piece for found in both for piece in found[1:]]


def total(packets: list[bytes]) -> tuple[int, int]:
    return len(packets), sum(len(one) for one in packets)


@VERSIONS
@pytest.mark.parametrize("family", ["inet", "own"])
@pytest.mark.parametrize("tracking", [False, True])
def test_fragment_tells_the_further_ones_apart(
    hosts: Routed, version: int, family: str, tracking: bool
) -> None:
    family = {4: "ip", 6: "ip6"}[version] if family == "own" else family
    where = {**BEFORE_DEFRAGMENTATION, "family": family, "chains": [TRACKING] if tracking else []}
    first, further = pieces(version)
    whole = [udp(CLIENT[version], LAN[version])]
    assert judged(hosts, {"fragment": True}, whole, first, further, **where) == [
        (0, 0),
        (0, 0),
        total(further),
    ]
    assert judged(hosts, {"fragment": False}, whole, first, further, **where) == [
        total(whole),
        total(first),
        (0, 0),
    ]


@VERSIONS
def test_connection_tracking_leaves_no_fragments(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "fragment": True, "counter": True},
        {"protocol": "udp", "length": "200-300", "counter": True},
        hook="prerouting",
        priority=-300,
        chains=[TRACKING],
    )
    first, further = pieces(version)
    hosts.send([first[0], *further[:3]])
    assert [one[0] for one in reaching(hosts.router, 1)][-2:] == [0, 1]


@VERSIONS
def test_further_fragments_can_be_kept_away(hosts: Routed, version: int) -> None:
    rules(hosts.router, {"fragment": True, "verdict": "drop"}, hook="forward")
    first, further = pieces(version, SERVER)
    arrived = hosts.forwarded([*further, *first], len(first) + len(further), 0.3)
    assert [one[40:] for one in arrived] == [one[40:] for one in first]
    rules(hosts.router, {"fragment": False, "verdict": "drop"}, hook="forward")
    arrived = hosts.forwarded([*first, *further], len(first) + len(further), 0.3)
    assert [one[40:] for one in arrived] == [one[40:] for one in further]
