# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a filter: what is wrong is told at its place, all at once, and what is right says what it means."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from rempart.conntrack import fields
from rempart.conntrack.conditions import ANY, Item
from rempart.conntrack.filters import KEYS, Filter
from rempart.errors import DocumentError


def problems(asked: Any, place: str = "") -> dict[str, str]:
    """The problems of a filter as their places and texts."""
    with pytest.raises(DocumentError) as error:
        Filter(asked, place)
    return {one.place: str(one) for one in error.value.problems}


@pytest.mark.parametrize(
    ("asked", "place", "words"),
    [
        ({"dprt": 3}, "dprt", "did you mean 'dport'?"),
        ({"family": "ipv4"}, "family", "did you mean 'ip'?"),
        ({"family": ["ip"]}, "family", "allowed: ip, ip6"),
        ({"protocol": "tcpp"}, "protocol", "did you mean 'tcp'?"),
        ({"protocol": 256}, "protocol", "does not fit"),
        ({"protocol": True}, "protocol", "not a value"),
        ({"saddr": "10.0.0.256"}, "saddr", "no address"),
        ({"saddr": ["10.0.0.1", "ten"]}, "saddr[1]", "no address; found 'ten'"),
        ({"saddr": 10}, "saddr", "no address"),
        ({"saddr": "10.0.0.0/33"}, "saddr", "0 to 32 after the slash"),
        ({"saddr": "10.0.0.0/x"}, "saddr", "no address"),
        ({"saddr": "10.0.0.0/ffff::"}, "saddr", "a mask of the other IP version"),
        ({"saddr": "10.0.0.9-10.0.0.1"}, "saddr", "write the lower end first"),
        ({"saddr": "10.0.0.9-::1"}, "saddr", "a range from one IP version to the other"),
        ({"saddr": ""}, "saddr", "no address"),
        ({"saddr": "!!10.0.0.1"}, "saddr", "no address"),
        ({"dport": "httpp"}, "dport", "did you mean 'http'?"),
        ({"dport": 65536}, "dport", "does not fit"),
        ({"dport": "90-80"}, "dport", "write the lower end first"),
        ({"dport": "-"}, "dport", "unknown service"),
        ({"icmp_type": "echo-requst"}, "icmp_type", "did you mean 'echo-request'?"),
        ({"icmp_type": "echo", "protocol": "icmp"}, "icmp_type", "ambiguous abbreviation"),
        ({"icmp_id": 65536}, "icmp_id", "too great a number for the id"),
        ({"mark": "0x100000000"}, "mark", "too great a number for the mark"),
        ({"mark": "1/x"}, "mark", "no mark and mask"),
        ({"mark": "5/2"}, "mark", "the bits of the mark within the mask are 0x0"),
        ({"mark": -1}, "mark", "no mark"),
        ({"zone": "five"}, "zone", "no zone"),
        ({"zone": 65536}, "zone", "too great a number for the zone"),
        ({"labels": 128}, "labels", "no such connection label"),
        ({"labels": "no-such-label"}, "labels", "unknown connection label"),
        ({"secctx": 5}, "secctx", "no text"),
        ({"helper": ""}, "helper", "no text"),
        ({"status": "asured"}, "status", "did you mean 'assured'?"),
        ({"status": 4}, "status", "no status"),
        ({"status": "seen_reply+unreplied"}, "status", "at once"),
        ({"status": "unreplied+seen_reply"}, "status", "at once"),
        ({"state": "ESTABLISH"}, "state", "did you mean 'ESTABLISHED'?"),
        ({"state": 3}, "state", "unknown state"),
        ({"state": "COOKIE_WAIT", "protocol": "tcp"}, "state", "unknown state"),
        ({"timeout": "soon"}, "timeout", "no time"),
        ({"timeout": "<0"}, "timeout", "nothing can meet"),
        ({"timeout": "500ms"}, "timeout", "whole seconds"),
        ({"timeout": "1h-1m"}, "timeout", "write the lower end first"),
        ({"timeout": 1.5}, "timeout", "no time"),
        ({"packets": "10X"}, "packets", "no number"),
        ({"bytes": True}, "bytes", "no number"),
        ({"nat": "maybe"}, "nat", "allowed: true, false, or an IPv4"),
        ({"snat": 5}, "snat", "true, false"),
        ({"ids": []}, "ids", "leave the key out to mean any"),
        ({"saddr": []}, "saddr", "leave the key out to mean any"),
        ({"helper": []}, "helper", "leave the key out to mean any"),
        ({"ids": "x"}, "ids", "no id"),
        # What no connection can meet:
        ({"family": "ip6", "saddr": "10.0.0.1"}, "saddr", "other IP version"),
        ({"family": "ip", "snat": "2001:db8::1"}, "snat", "other IP version"),
        ({"saddr": "10.0.0.1", "daddr": "2001:db8::1"}, "daddr", "other IP version"),
        ({"saddr": "10.0.0.1", "daddr": "!2001:db8::1"}, "daddr", "other IP version"),
        ({"protocol": "icmp", "saddr": "2001:db8::1"}, "saddr", "other IP version"),
        ({"protocol": "icmp", "family": "ip6"}, "protocol", "icmpv6 to ip6"),
        ({"protocol": "icmp", "dport": 80}, "dport", "protocol icmp has no ports"),
        ({"protocol": ["icmp", "esp"], "port": 80}, "port", "protocol icmp, esp has no ports"),
        ({"protocol": "tcp", "icmp_id": 80}, "icmp_id", "protocol tcp is no ICMP"),
        ({"dport": 80, "icmp_id": 80}, "icmp_id", "both ports and an ICMP"),
        ({"protocol": "udp", "state": "ESTABLISHED"}, "state", "allowed: tcp, dccp, sctp"),
        ({"state": "ESTABLISHED", "icmp_id": 1}, "state", "ICMP has no states"),
        ({"mark": ["5", "!5"]}, "mark", "no connection can match"),
        ({"mark": ["5", "!0/0"]}, "mark", "no connection can match"),
        ({"saddr": ["10.0.0.1", "!10.0.0.0/8"]}, "saddr", "no connection can match"),
        ({"dport": ["22", "!1-100"]}, "dport", "no connection can match"),
        ({"status": ["assured", "!assured"]}, "status", "no connection can match"),
        ({"helper": ["ftp", "!ftp"]}, "helper", "no connection can match"),
        ({"zone": 5, "orig_zone": 5}, "orig_zone", "a connection has one zone"),
        ({"nat": False, "snat": True}, "snat", "not translated at all"),
        ({"nat": False, "dnat": "10.0.0.1"}, "dnat", "not translated at all"),
        ({"nat": True, "snat": False, "dnat": False}, "nat", "translated at neither end"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told(asked: dict[str, Any], place: str, words: str) -> None:
    found = problems(asked)
    assert list(found) == [place]
    assert words in found[place]


_NUMBERS = [
    *("protocol", "sport", "dport", "reply_sport", "reply_dport", "port"),
    *("icmp_type", "icmp_code", "icmp_id", "mark", "zone", "orig_zone", "reply_zone", "labels"),
    *("timeout", "age", "packets", "bytes", "ids"),
    *("packets_original", "packets_reply", "bytes_original", "bytes_reply"),
]


@pytest.mark.parametrize("key", _NUMBERS)
def test_no_number_is_negative_and_no_range_without_a_beginning(key: str) -> None:
    """A text that says -1 means no range from 0 to 1: a kill by it would hit what nobody named."""
    texts = ["-1", "-5", "--1", "-", "- 1", "1--2", "0x-1", "-0x1", "-1-5", "1-2-3", "!-1", "22,-1", ""]
    if key not in fields.PORTS:
        texts += ["5-", "1024 -"]
    for value in [*texts, -1, ["-1"], [22, "-5"]]:
        assert all(place.split("[")[0] == key for place in problems({key: value})), value
    (choice,) = Filter({"dport": "1024-"}).choices["dport"].wanted
    assert (choice.low, choice.high) == (1024, 65535)


def test_all_problems_come_at_once_and_at_their_places() -> None:
    found = problems(
        {"saddr": ["10.0.0.1", "x", ["y"]], "dprt": 1, "mark": "5/2", "protocol": "icmp", "sport": 5},
        "connections[2].filter",
    )
    assert list(found) == [
        "connections[2].filter." + one for one in ("dprt", "saddr[1]", "saddr[2][0]", "mark", "sport")
    ]


def test_no_mapping_is_no_filter() -> None:
    assert "a mapping of keys" in problems(["saddr"])[""]


@pytest.mark.parametrize("key", KEYS)
def test_every_key_refuses_what_it_does_not_know(key: str) -> None:
    """Of every key a mapping, an object and a text of nonsense are told at it, and nothing crashes."""
    numbers = [] if key in ("helper", "secctx") else ["٣", "9" * 50, ",", "0x"]
    for value in ({}, {"a": 1}, object(), "\0", "\ud800", "!", b"5", 2**200, -(2**200), *numbers):
        found = problems({key: value})
        assert all(place.split("[")[0] == key for place in found)


def test_null_is_not_as_good_as_absent() -> None:
    assert list(problems(dict.fromkeys(KEYS))) == list(KEYS)
    assert "leave the key out" in problems({"saddr": None, "dport": 22})["saddr"]
    assert Filter().empty
    assert not Filter({"mark": 0}).empty


def test_every_key_makes_a_filter_that_is_not_empty() -> None:
    values = {"family": "ip", "saddr": "10.0.0.1", "nat": False, "status": "assured", "state": "NONE"}
    texts = {"helper": "ftp", "secctx": "a", "protocol": "tcp"}
    for key in KEYS:
        value = {**values, **texts}.get(key, "10.0.0.1" if key.endswith(("addr", "address", "nat")) else 1)
        filter = Filter({key: value})
        assert [one.key for one in filter.conditions] == [key]
        assert filter.describe().startswith(key + " ")


def test_the_same_is_said_in_several_ways() -> None:
    for key, ways in {
        "dport": ([22, 80], ["22", "http"], "22,80", "ssh, HTTP", [[22], "80"]),
        "saddr": ("10.0.0.0/8", "10.1.2.3/8", "10.0.0.0/255.0.0.0", ["10.0.0.0-10.255.255.255"]),
        "mark": (16, "16", "0x10", "0x10/0xffffffff"),
        "protocol": (6, "tcp", "TCP", "6"),
        "timeout": ("<1h", "<3600", "<60m", "0-3599", "<=59m59s"),
        "bytes": (">1M", ">1000000", ">1000k", ">=1000001"),
        "status": ("seen_reply", "SEEN_REPLY", "seen-reply"),
    }.items():
        for way in ways:
            assert Filter({key: way}).choices[key].wanted == Filter({key: ways[0]}).choices[key].wanted, way


def test_negation_takes_a_whole_text_or_one_value() -> None:
    for way in ("!22,80", "!22, !80", ["!22", "!80"], ["!22,80"], "!=22,!=80"):
        choice = Filter({"dport": way}).choices["dport"]
        assert (choice.wanted, choice.unwanted) == ([], [Item(22), Item(80)])
    choice = Filter({"dport": ["1-100", "!22"]}).choices["dport"]
    assert (choice.wanted, choice.unwanted) == ([Item(1, 100)], [Item(22)])
    choice = Filter({"dport": "1-100,!22"}).choices["dport"]
    assert (choice.wanted, choice.unwanted) == ([Item(1, 100)], [Item(22)])


def test_the_family_is_what_the_rest_implies() -> None:
    for asked, family in (
        ({}, 0),
        ({"family": "ip6"}, socket.AF_INET6),
        ({"saddr": "10.0.0.1"}, socket.AF_INET),
        ({"saddr": ["10.0.0.1", "2001:db8::1"]}, 0),
        ({"saddr": ["10.0.0.1", "2001:db8::1"], "daddr": "2001:db8::2"}, socket.AF_INET6),
        ({"saddr": "!10.0.0.1"}, 0),
        ({"protocol": "icmp"}, socket.AF_INET),
        ({"protocol": ["icmpv6"]}, socket.AF_INET6),
        ({"protocol": ["icmp", "icmpv6"]}, 0),
        ({"nat": "10.0.0.1"}, socket.AF_INET),
        ({"nat": True}, 0),
    ):
        assert Filter(asked).family == family, asked


def test_icmp_names_are_those_of_the_ip_version() -> None:
    assert Filter({"icmp_type": "echo-request", "protocol": "icmp"}).choices["icmp_type"].wanted == [
        Item(8, kind=4)
    ]
    assert Filter({"icmp_type": "echo-req", "family": "ip6"}).choices["icmp_type"].wanted == [
        Item(128, kind=6)
    ]
    both = Filter({"icmp_type": "echo-request"}).choices["icmp_type"].wanted
    assert both == [Item(8, kind=4), Item(128, kind=6)]


def test_a_state_is_of_each_protocol_that_has_it() -> None:
    assert {one.kind for one in Filter({"state": "established"}).choices["state"].wanted} == {6, 132}
    (one,) = Filter({"state": "established", "protocol": ["sctp", "udp"]}).choices["state"].wanted
    assert (one.kind, one.low) == (132, 4)
    (one,) = Filter({"mark": 5}).choices["mark"].wanted
    assert one.kind == ANY


def test_a_filter_is_described_in_its_own_words() -> None:
    asked = {
        "dport": ["ssh", "!1024-"],
        "saddr": "10.0.0.0/8,192.0.2.1",
        "protocol": "tcp",
        "helper": "!ftp",
        "nat": True,
    }
    assert Filter(asked).describe() == (
        "protocol tcp, saddr 10.0.0.0/8 or 192.0.2.1, dport ssh but not 1024-, nat true, helper not ftp"
    )
    assert Filter().describe() == "every connection"
    assert repr(Filter({"mark": 0})) == "<Filter: mark 0>"
