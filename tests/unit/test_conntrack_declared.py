# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The declaration of one connection: what names it, and every mistake told at once."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.conntrack.declared import load
from rempart.errors import DocumentError

WEB: dict[str, Any] = {
    "protocol": "tcp",
    "saddr": "10.0.0.1",
    "daddr": "10.9.0.1",
    "sport": "1024",
    "dport": "https",
}
PING = {"protocol": "icmp", "saddr": "10.0.0.1", "daddr": "10.9.0.1", "icmp_type": "echo-req", "icmp_id": 7}


def test_options_as_texts() -> None:
    found = load(
        {**WEB, "timeout": "1h30m", "mark": "0x10/0xf0", "zone": "3", "labels": "1,!2", "helper": ""}
    )
    assert (found.protonum, found.family, found.zone, found.timeout) == (6, "ip", 3, 5400)
    assert found.original == {"saddr": "10.0.0.1", "daddr": "10.9.0.1", "sport": 1024, "dport": 443}
    assert found.mark is not None and (found.mark.low, found.mark.mask) == (0x10, 0xF0)
    assert (found.labels, found.helper, found.tcp_state) == ((2, 4), "", None)


def test_addresses_are_written_one_way() -> None:
    found = load({**WEB, "saddr": "FD00:0:0::1", "daddr": "fd09::0001"})
    assert (found.family, found.original["saddr"], found.original["daddr"]) == ("ip6", "fd00::1", "fd09::1")


def test_what_is_not_given_is_not_declared() -> None:
    found = load({**WEB, **dict.fromkeys(("timeout", "mark", "helper", "labels", "status", "icmp_id"))})
    assert (found.timeout, found.mark, found.helper) == (None, None, None)
    assert found.labels == found.status == (0, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"protocol": "tcp"},
            ["saddr: it is missing", "daddr: it is missing", "sport: it is", "dport: it is"],
        ),
        ({**WEB, "protocol": None}, ["protocol: it is missing"]),
        ({**WEB, "protocol": "tpc"}, ["protocol: ", "tcp"]),
        ({**WEB, "saddr": "10.0.0.0/8"}, ["saddr: no address", "one IPv4 or IPv6 address"]),
        ({**WEB, "daddr": "fd00::1"}, ["daddr: an address of the other IP version"]),
        ({**WEB, "dport": "1-2"}, ["dport: more than one value"]),
        ({**WEB, "dport": "htps"}, ["dport: ", "https"]),
        ({**WEB, "icmp_id": 7}, ["icmp_id: not a part of this protocol's connections", "sport, dport"]),
        ({**PING, "sport": 7}, ["sport: not a part", "icmp_type, icmp_code, icmp_id"]),
        ({**PING, "protocol": "icmpv6"}, ["protocol: a protocol of the other IP version"]),
        ({**PING, "icmp_type": "ecko-request"}, ["icmp_type: "]),
        ({**WEB, "zone": 65536}, ["zone: too great"]),
        ({**WEB, "timeout": "soon"}, ["timeout: no time"]),
        ({**WEB, "timeout": 0}, ["timeout: a timeout out of range", "1 to 2147483 seconds"]),
        ({**WEB, "timeout": 2147484}, ["timeout: a timeout out of range"]),
        ({**WEB, "mark": "0x11/0xf0"}, ["mark: ", "0x10"]),
        ({**WEB, "mark": "1-2"}, ["mark: more than one value"]),
        ({**WEB, "labels": [128]}, ["labels[0]: no such connection label"]),
        ({**WEB, "labels": "5,!5"}, ["labels: wanted and not wanted"]),
        ({**WEB, "status": "asured"}, ["status: ", "did you mean 'assured'?"]),
        ({**WEB, "status": "snat"}, ["status: no bit of a status that can be set; found 'snat'"]),
        ({**WEB, "helper": "a" * 16}, ["helper: no name of a helper", "up to 15 bytes"]),
        ({**WEB, "tcp_state": "ESTABLISED"}, ["tcp_state: unknown state", "did you mean 'ESTABLISHED'?"]),
        ({**WEB, "protocol": "udp", "tcp_state": "NONE"}, ["tcp_state: a state of TCP for another"]),
        ({**WEB, "makr": 3}, ["makr: unknown key", "did you mean 'mark'?"]),
    ],
)
def test_mistakes(options: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(DocumentError) as caught:
        load(options)
    for part in said:
        assert part in str(caught.value)


def test_all_mistakes_at_once() -> None:
    wrong = {
        "protocol": "tcp",
        "saddr": "x",
        "daddr": "10.0.0.1",
        "sport": -1,
        "dport": 80,
        "mark": [],
        "zone": "a",
    }
    with pytest.raises(DocumentError) as caught:
        load(wrong)
    assert [one.place for one in caught.value.problems] == ["saddr", "sport", "zone", "mark"]


def test_nothing_is_set_of_what_shall_go() -> None:
    with pytest.raises(DocumentError) as caught:
        load({**WEB, "mark": 1, "timeout": 5}, "absent")
    assert [one.place for one in caught.value.problems] == ["timeout", "mark"]
    assert load(WEB, "absent").protonum == 6
