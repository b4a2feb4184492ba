# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines and XML of what no traffic on this machine makes; all else is compared with conntrack(8) itself.

What is expected here follows libnetfilter_conntrack 1.0.9: __snprintf_conntrack_default(),
__snprintf_expect_default() and their XML counterparts.
"""

from __future__ import annotations

from typing import Any

import pytest
from rempart.conntrack import line, xml

UDP = {
    "family": "ip",
    "protocol": "udp",
    "protonum": 17,
    "original": {"saddr": "10.0.0.1", "daddr": "10.0.0.2", "sport": 1, "dport": 2},
    "reply": {"saddr": "10.0.0.2", "daddr": "10.0.0.1", "sport": 2, "dport": 1},
}
FORTH = "src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 "
BACK = "src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "udp      17 " + FORTH + BACK),
        ({"status": []}, "udp      17 " + FORTH + "[UNREPLIED] " + BACK),
        ({"status": ["seen_reply"]}, "udp      17 " + FORTH + BACK),
        ({"status": ["seen_reply", "assured", "offload"]}, "udp      17 " + FORTH + BACK + " [OFFLOAD]"),
        (
            {"status": ["seen_reply", "assured", "offload", "hw_offload"]},
            "udp      17 " + FORTH + BACK + " [HW_OFFLOAD]",
        ),
        (
            {"mark": 1, "secctx": "a:b", "zone": 3, "helper": "tftp", "use": 2},
            "udp      17 " + FORTH + BACK + " mark=1 secctx=a:b zone=3 helper=tftp use=2",
        ),
        (
            {"timeout": 0, "protonum": 33, "protocol": "dccp", "state": "OPEN"},
            "dccp     33 0 OPEN " + FORTH + BACK,
        ),
        ({"protonum": 6, "protocol": "tcp", "state": "77"}, "tcp      6 NONE " + FORTH + BACK),
        ({"start": 5_000_000_000, "stop": 8_999_999_999}, "udp      17 " + FORTH + BACK + " delta-time=3"),
        ({"start": 5_000_000_000}, "udp      17 " + FORTH + BACK + " delta-time=95"),
        # A clock that was set back: seconds that C prints without a sign.
        ({"start": 200_000_000_000}, "udp      17 " + FORTH + BACK + " delta-time=18446744073709551516"),
    ],
)
def test_lines(more: dict[str, Any], said: str) -> None:
    assert line.connection({**UDP, **more}, now=100.9) == said


def test_events_are_told_before_the_family() -> None:
    lines = [line.connection(UDP, event, extended=True) for event in ("new", "update", "destroy")]
    assert [one[:29] for one in lines] == [
        "    [NEW] ipv4     2 udp     ",
        " [UPDATE] ipv4     2 udp     ",
        "[DESTROY] ipv4     2 udp     ",
    ]


def test_who_caused_it() -> None:
    assert line.userspace(0) == ""
    assert line.userspace(77) == " [USERSPACE] portid=77"
    assert line.userspace(77, "conntrack") == " [USERSPACE] portid=77 progname=conntrack"
    assert line.stamp(1700000000.0000625) == "[1700000000.000062]\t"


EXPECTED = {
    "family": "ip",
    "protocol": "udp",
    "protonum": 17,
    "timeout": 9,
    "expected": {"saddr": "10.0.0.1", "daddr": "10.0.0.2", "sport": 0, "dport": 2},
    "mask": {"saddr": "0.0.0.0", "daddr": "255.255.255.255", "sport": 0, "dport": 65535},
    "master": {"saddr": "10.0.0.1", "daddr": "10.0.0.2", "protonum": 6, "sport": 7, "dport": 8},
    "flags": ["permanent", "inactive", "userspace"],
    "zone": 4,
    "class": 1,
    "helper": "sip",
}


def test_an_expectation_with_everything() -> None:
    assert line.expectation(EXPECTED) == (
        "9 proto=17 src=10.0.0.1 dst=10.0.0.2 sport=0 dport=2 "
        "mask-src=0.0.0.0 mask-dst=255.255.255.255 sport=0 dport=65535 "
        "master-src=10.0.0.1 master-dst=10.0.0.2 sport=7 dport=8 "
        "zone=4 PERMANENT,INACTIVE,USERSPACE class=1 helper=sip"
    )
    assert xml.expectation(EXPECTED, "destroy").endswith(
        "<meta><helper-name>sip</helper-name><timeout>9</timeout><class>1</class><zone>4</zone>"
        "<permanent/><inactive/><userspace/></meta></flow>"
    )


def test_names_cannot_break_the_document() -> None:
    flow = xml.connection({**UDP, "labels": [1], "helper": "a<b"}, label_names={1: "x&y>"})
    # There, the element that is no direction's stands only with one of five attributes.
    assert "independent" not in flow
    assert "<helper>a&lt;b</helper>" in flow
    flow = xml.connection({**UDP, "mark": 0, "labels": [1]}, label_names={1: "x&y>"})
    assert "<mark>0</mark><labels><label>x&amp;y&gt;</label></labels></meta></flow>" in flow


def test_the_state_is_the_true_one() -> None:
    """Where conntrack(8) prints TCP's of the same number."""
    flow = xml.connection({**UDP, "protonum": 132, "protocol": "sctp", "state": "ESTABLISHED"})
    assert "<state>ESTABLISHED</state>" in flow
