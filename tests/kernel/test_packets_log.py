# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a listener to an nflog group gets from log rules."""

from __future__ import annotations

import socket

import pytest

from tests.support.nflog import log_group
from tests.support.packets import Seen, udp
from tests.support.routed import CLIENT, SERVER, Routed, reaching, rules


@pytest.mark.parametrize("version", [4, 6])
def test_prefix_packet_and_devices(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "dport": 7, "log": {"group": 5, "prefix": "seven: "}, "set": {"mark": 3}},
        {"protocol": "udp", "dport": [7, 8], "log": {"group": 5}},
        {"protocol": "udp", "counter": True},
        hook="forward",
    )
    with log_group(hosts.router, 5) as listener:
        sent = [udp(CLIENT[version], SERVER[version], dport=port, data=b"x%d" % port) for port in (7, 8, 9)]
        hosts.send(sent)
        found = listener.read(3)
    assert [(one.prefix, Seen(one.packet).payload) for one in found] == [
        ("seven: ", b"x7"),
        ("", b"x7"),
        ("", b"x8"),
    ]
    # log comes before set in a rule
    assert [one.mark for one in found] == [0, 3, 0]
    devices = {
        tuple(hosts.router.call(socket.if_indextoname, n) for n in (one.indev, one.outdev)) for one in found
    }
    assert devices == {("lan0", "ppp0")}
    assert reaching(hosts.router, 3)[-1][0] == 3


def test_groups_length_and_limit(hosts: Routed) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "log": {"group": 6, "snaplen": 24, "queue_threshold": 1, "prefix": "p" * 127}},
        {"protocol": "udp", "limit": "1/hour burst 2 packets", "log": {"group": 7, "prefix": "limited"}},
        {
            "protocol": "udp",
            "dport": 9,
            "counter": True,
            "log": {"group": 7, "prefix": "denied "},
            "verdict": "drop",
        },
        hook="forward",
    )
    sent = [udp(CLIENT[4], SERVER[4], dport=9)] * 4
    with log_group(hosts.router, 6) as six, log_group(hosts.router, 7) as seven:
        assert hosts.forwarded(sent, 1, 0.2) == []
        cut = six.read(4)
        limited = seven.read(6)
    assert [(one.prefix, one.packet[:9]) for one in cut] == [("p" * 127, one[:8] + b"\x3f") for one in sent]
    assert {len(one.packet) for one in cut} == {24}
    assert [one.prefix for one in limited] == [
        "limited",
        "denied ",
        "limited",
        "denied ",
        "denied ",
        "denied ",
    ]


def test_a_log_rule_lets_the_packet_go_on(hosts: Routed) -> None:
    """Without a listener too, and into the kernel's own log."""
    rules(
        hosts.router,
        {"protocol": "udp", "log": {"group": 8}},
        {"protocol": "udp", "log": {"prefix": "kernel ", "level": "debug", "flags": "all"}},
        hook="forward",
    )
    assert len(hosts.forwarded([udp(CLIENT[4], SERVER[4])])) == 1
