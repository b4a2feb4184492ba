# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which packets each flat key matches: real ones on a wire, counted by the kernel."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.support.packets import icmp, ip, tcp, udp
from tests.support.routed import CLIENT, FORGED, LAN, OUTSIDE, SERVER, Routed, judged, reaching, rules


def from4(*sources: str) -> list[bytes]:
    return [udp(source, LAN[4]) for source in sources]


def from6(*sources: str) -> list[bytes]:
    return [udp(source, LAN[6]) for source in sources]


def to_port(*ports: int, make: Any = udp) -> list[bytes]:
    return [make(CLIENT[version], LAN[version], dport=port) for version in (4, 6) for port in ports]


def from_port(*ports: int, make: Any = udp) -> list[bytes]:
    return [make(CLIENT[version], LAN[version], sport=port) for version in (4, 6) for port in ports]


def with_flags(*flags: str) -> list[bytes]:
    return [tcp(CLIENT[version], LAN[version], flags=one) for version in (4, 6) for one in flags]


def icmp4(*kinds: tuple[int, int]) -> list[bytes]:
    return [icmp(CLIENT[4], LAN[4], kind, code) for kind, code in kinds]


def icmp6(*kinds: tuple[int, int]) -> list[bytes]:
    return [icmp(CLIENT[6], LAN[6], kind, code) for kind, code in kinds]


def both(make: Any = udp, **fields: Any) -> list[bytes]:
    return [make(CLIENT[version], LAN[version], **fields) for version in (4, 6)]


def of_protocol(*numbers: int) -> list[bytes]:
    return [ip(CLIENT[version], LAN[version], number, b"\0" * 8) for version in (4, 6) for number in numbers]


def to4(*destinations: str) -> list[bytes]:
    return [udp(CLIENT[4], destination) for destination in destinations]


#: UDP behind a header of destination options (RFC 8200, section 4.6) with nothing but padding in it
BEHIND_OPTIONS = ip(CLIENT[6], LAN[6], 60, bytes([17, 0, 1, 4, 0, 0, 0, 0]) + udp(CLIENT[6], LAN[6])[40:])

A4, A6 = from4("10.0.1.1"), from6("2001:db8:1::1")

# rule, packets that it matches, packets that it doesn't
Row = tuple[dict[str, Any], list[bytes], list[bytes]]

ADDRESSES: list[Row] = [
    ({"saddr": "10.0.1.1"}, A4, [*from4("10.0.1.2", "10.0.1.0"), *A6]),
    ({"saddr": "!10.0.1.1"}, from4("10.0.1.2", "10.0.3.1"), [*A4, *A6]),
    ({"saddr": "10.0.1.0/28"}, from4("10.0.1.1", "10.0.1.15"), [*from4("10.0.1.16", "10.0.0.255"), *A6]),
    ({"saddr": "10.0.1.9/255.255.255.248"}, from4("10.0.1.8", "10.0.1.15"), from4("10.0.1.7", "10.0.1.16")),
    ({"saddr": "10.0.0.0/8"}, from4("10.0.1.1", "10.200.0.1"), from4("11.0.0.1")),
    ({"saddr": "!10.0.1.0/28"}, from4("10.0.1.16"), [*from4("10.0.1.1", "10.0.1.15"), *A6]),
    (
        {"saddr": "10.0.1.3-10.0.1.6"},
        from4("10.0.1.3", "10.0.1.5", "10.0.1.6"),
        from4("10.0.1.2", "10.0.1.7"),
    ),
    (
        {"saddr": "!10.0.1.3-10.0.1.6"},
        from4("10.0.1.2", "10.0.1.7"),
        from4("10.0.1.3", "10.0.1.6"),
    ),
    (
        {"saddr": ["10.0.1.1", "10.0.1.32/27", "10.0.1.90-10.0.1.92"]},
        from4("10.0.1.1", "10.0.1.63", "10.0.1.32", "10.0.1.91", "10.0.1.92"),
        from4("10.0.1.2", "10.0.1.31", "10.0.1.64", "10.0.1.93"),
    ),
    (
        {"saddr": "!10.0.1.1,10.0.1.3"},
        from4("10.0.1.2", "10.0.1.4"),
        [*from4("10.0.1.1", "10.0.1.3"), *A6],
    ),
    ({"saddr": {"not": ["10.0.1.1", "10.0.1.8/29"]}}, from4("10.0.1.2"), from4("10.0.1.1", "10.0.1.9")),
    ({"saddr": "0.0.0.0/0"}, from4("10.0.1.1", "192.0.2.1"), A6),
    (
        {"daddr": LAN[4]},
        A4,
        [udp(CLIENT[4], "10.0.2.254"), *A6],
    ),
    ({"daddr": "!10.0.2.0/24"}, A4, [udp(CLIENT[4], "10.0.2.254")]),
    (
        {"saddr": "10.0.1.0/24", "daddr": "!10.0.2.254"},
        A4,
        [udp(CLIENT[4], "10.0.2.254"), *from4("10.0.3.1")],
    ),
    ({"saddr": "2001:db8:1::1"}, A6, [*from6("2001:db8:1::2"), *A4]),
    ({"saddr": "!2001:db8:1::1"}, from6("2001:db8:1::2"), [*A6, *A4]),
    (
        {"saddr": "2001:db8:1::/64"},
        from6("2001:db8:1::1", "2001:db8:1:0:ffff::"),
        from6("2001:db8:1:1::1", "2001:db8::1"),
    ),
    ({"saddr": "2001:db8:1::10/125"}, from6("2001:db8:1::17"), from6("2001:db8:1::18", "2001:db8:1::f")),
    (
        {"saddr": "2001:db8:1::fe-2001:db8:1::1:1"},
        from6("2001:db8:1::fe", "2001:db8:1::100", "2001:db8:1::1:1"),
        from6("2001:db8:1::fd", "2001:db8:1::1:2"),
    ),
    (
        {"saddr": ["2001:db8:1::1", "2001:db8:3::/48"]},
        from6("2001:db8:1::1", "2001:db8:3:ff::1"),
        from6("2001:db8:1::2", "2001:db8:4::1"),
    ),
    ({"daddr": "2001:db8:1::fe"}, A6, [udp(CLIENT[6], "2001:db8:2::fe")]),
    # one rule for each family
    ({"saddr": ["10.0.1.1", "2001:db8:1::1"]}, [*A4, *A6], [*from4("10.0.1.2"), *from6("2001:db8:1::2")]),
    ({"nfproto": "ipv4"}, A4, A6),
    ({"nfproto": "ipv6"}, A6, A4),
    ({"ether_saddr": FORGED}, [*A4, *A6], []),
    ({"ether_saddr": ["02:00:00:00:00:98", "02:00:00:00:00:97"]}, [], A4),
]

TRANSPORT: list[Row] = [
    ({"protocol": "udp"}, both(), [*both(tcp), *icmp4((8, 0)), *icmp6((128, 0))]),
    ({"protocol": "TCP"}, both(tcp), both()),
    ({"protocol": 47}, of_protocol(47), [*of_protocol(46, 48), *both()]),
    ({"protocol": "!tcp"}, [*both(), *of_protocol(47)], both(tcp)),
    ({"protocol": ["tcp", "gre"]}, [*both(tcp), *of_protocol(47)], both()),
    ({"protocol": "!tcp,udp"}, [*of_protocol(47), *icmp4((8, 0))], [*both(tcp), *both()]),
    ({"protocol": "icmp"}, icmp4((8, 0)), [*icmp6((128, 0)), *both()]),
    ({"protocol": "udp", "dport": 53}, to_port(53), [*to_port(52, 54), *to_port(53, make=tcp)]),
    ({"protocol": "tcp", "dport": "ssh"}, to_port(22, make=tcp), [*to_port(23, make=tcp), *to_port(22)]),
    ({"protocol": "udp", "dport": "!53"}, to_port(54), [*to_port(53), *to_port(54, make=tcp)]),
    ({"protocol": "udp", "dport": "1024-5999"}, to_port(1024, 3000, 5999), to_port(1023, 6000)),
    ({"protocol": "udp", "dport": "1024:5999"}, to_port(1024, 5999), to_port(1023, 6000)),
    ({"protocol": "udp", "dport": ":1023"}, to_port(0, 1023), to_port(1024, 65535)),
    ({"protocol": "udp", "dport": "6010:"}, to_port(6010, 65535), to_port(6009)),
    ({"protocol": "udp", "dport": "!1024-5999"}, to_port(1023, 6000), to_port(1024, 5999)),
    (
        {"protocol": "udp", "dport": ["domain", 123, "1024-5999"]},
        to_port(53, 123, 1024, 5999),
        to_port(54, 122, 1023, 6000),
    ),
    ({"protocol": "udp", "dport": "!53,123"}, to_port(54), to_port(53, 123)),
    (
        {"protocol": "udp", "dport": {"not": [53, "100-200"]}},
        to_port(54, 99, 201),
        to_port(53, 100, 150, 200),
    ),
    ({"protocol": ["tcp", "udp"], "dport": 53}, [*to_port(53), *to_port(53, make=tcp)], to_port(54)),
    ({"protocol": "udp", "sport": 4001}, from_port(4001), [*from_port(4000), *to_port(4001)]),
    ({"protocol": "tcp", "sport": "!1024:"}, from_port(1023, make=tcp), from_port(1024, make=tcp)),
    (
        {"protocol": "udp", "saddr": "!10.0.1.2", "dport": "!53"},
        [udp(CLIENT[4], LAN[4], dport=54)],
        [udp(CLIENT[4], LAN[4], dport=53), udp("10.0.1.2", LAN[4], dport=54), *A6],
    ),
    (
        {"protocol": "tcp", "syn": True},
        with_flags("syn", "syn,ecn,cwr", "syn,psh"),
        [*with_flags("syn,ack", "ack", "fin", "syn,rst", "syn,fin", ""), *both()],
    ),
    (
        {"protocol": "tcp", "syn": False},
        with_flags("syn,ack", "ack", "rst", ""),
        [*with_flags("syn"), *both()],
    ),
    ({"tcp_flags": "syn"}, with_flags("syn", "syn,ack"), [*with_flags("ack", ""), *both()]),
    ({"tcp_flags": ["syn", "ack"]}, with_flags("syn", "ack", "syn,ack"), with_flags("fin", "")),
    ({"tcp_flags": "!syn"}, with_flags("ack", "fin", ""), with_flags("syn", "syn,ack")),
    (
        {"tcp_flags": "syn / fin,syn,rst,ack"},
        with_flags("syn", "syn,psh"),
        with_flags("syn,ack", "syn,fin", "ack", ""),
    ),
    (
        {"tcp_flags": "!syn,ack / fin,syn,rst,ack"},
        with_flags("syn", "ack", "syn,ack,fin"),
        with_flags("syn,ack", "syn,ack,psh"),
    ),
    ({"tcp_flags": "none / all"}, with_flags(""), with_flags("syn", "psh", "cwr")),
    ({"tcp_flags": "fin,psh,urg / all"}, with_flags("fin,psh,urg"), with_flags("fin,psh", "fin,psh,urg,ack")),
    (
        {"icmp_type": "echo-request"},
        icmp4((8, 0), (8, 5)),
        [*icmp4((0, 0), (3, 1)), *icmp6((8, 0), (128, 0))],
    ),
    ({"icmp_type": "echo-req"}, icmp4((8, 0)), icmp4((0, 0))),
    ({"icmp_type": 13}, icmp4((13, 0)), icmp4((14, 0))),
    ({"icmp_type": "!8"}, icmp4((0, 0), (13, 0)), [*icmp4((8, 0)), *icmp6((128, 0))]),
    (
        {"icmp_type": ["destination-unreachable", "time-exceeded"]},
        icmp4((3, 0), (3, 13), (11, 1)),
        icmp4((8, 0), (12, 0)),
    ),
    (
        {"icmp_type": "destination-unreachable", "icmp_code": "host-unreachable"},
        icmp4((3, 1)),
        icmp4((3, 0), (3, 2), (11, 1)),
    ),
    ({"icmp_type": 3, "icmp_code": "!0,1"}, icmp4((3, 2)), icmp4((3, 0), (3, 1), (8, 2))),
    ({"icmp_code": 5}, icmp4((200, 5), (8, 5)), [*icmp4((200, 4)), *icmp6((1, 5))]),
    ({"icmpv6_type": "echo-request"}, icmp6((128, 0)), [*icmp6((129, 0)), *icmp4((128, 0), (8, 0))]),
    ({"icmpv6_type": "nd-neighbor-s"}, icmp6((135, 0)), icmp6((136, 0), (133, 0))),
    (
        {"icmpv6_type": "destination-unreachable", "icmpv6_code": ["no-route", 4]},
        icmp6((1, 0), (1, 4)),
        icmp6((1, 1), (3, 0)),
    ),
    ({"icmpv6_type": "!129"}, icmp6((128, 0)), [*icmp6((129, 0)), *icmp4((8, 0))]),
]

HEADERS: list[Row] = [
    ({"length": 35}, [udp(CLIENT[4], LAN[4])], both(data=b"12345678")),
    ({"length": "0-100"}, both(data=b"x" * 52), both(data=b"x" * 73)),
    ({"length": "!0-100"}, both(data=b"x" * 73), both(data=b"x" * 52)),
    ({"ttl": 1}, [udp(CLIENT[4], LAN[4], ttl=1)], [udp(CLIENT[6], LAN[6], ttl=1), *A4]),
    (
        {"ttl": [1, "5-9"]},
        [udp(CLIENT[4], LAN[4], ttl=n) for n in (1, 5, 9)],
        [udp(CLIENT[4], LAN[4], ttl=n) for n in (2, 4, 10)],
    ),
    (
        {"ttl": "!64-255"},
        [udp(CLIENT[4], LAN[4], ttl=63)],
        [udp(CLIENT[4], LAN[4], ttl=n) for n in (64, 255)],
    ),
    ({"hoplimit": 255}, [udp(CLIENT[6], LAN[6], ttl=255)], [udp(CLIENT[4], LAN[4], ttl=255), *A6]),
    (
        {"dscp": "ef"},
        [*both(tos=46 << 2), *both(tos=46 << 2 | 3)],
        [*both(), *both(tos=45 << 2), *both(tos=46)],
    ),
    ({"dscp": "!cs1"}, both(), both(tos=8 << 2)),
    ({"dscp": ["le", 5]}, [*both(tos=1 << 2), *both(tos=5 << 2)], both(tos=6 << 2)),
    (
        {"dscp": "cs7", "nfproto": "ipv6"},
        [udp(CLIENT[6], LAN[6], tos=56 << 2)],
        [*both(), udp(CLIENT[4], LAN[4], tos=56 << 2)],
    ),
    ({"ecn": "ce"}, [*both(tos=3), *both(tos=0xFF)], [*both(tos=2), *both(tos=1), *both(tos=0xFC)]),
    ({"ecn": "ect0"}, both(tos=2), [*both(tos=1), *both(tos=3), *both()]),
    ({"ecn": "ect1"}, both(tos=1), [*both(tos=2), *both(tos=3)]),
    ({"ecn": "not-ect"}, [*both(), *both(tos=0xFC)], both(tos=1)),
    ({"iifname": "lan0"}, A4, []),
    ({"iifname": "!lan0"}, [], [*A4, *A6]),
    ({"iifname": "lan+"}, [*A4, *A6], []),
    ({"iifname": ["ppp*", "eth0"]}, [], A4),
    ({"iifname": ["ppp+", "lan0"]}, A4, []),
    ({"iifname": "!ppp+"}, [*A4, *A6], []),
    ({"iifname": "lan"}, [], A4),
    ({"mark": 0}, A4, []),
    ({"iif": "lan0"}, [*A4, *A6], []),
    ({"iif": "!lan0"}, [], [*A4, *A6]),
    ({"iif": ["lo", "ppp0"]}, [], A4),
    ({"iif": {"not": ["lo", "ppp0"]}}, A4, []),
    ({"vmap": {"key": "iif", "data": {"lan0": "continue", "*": "accept"}}}, A4, []),
    ({"pkttype": "host"}, [*A4, *A6], []),
    ({"pkttype": "!host"}, [], A4),
    ({"ip_protocol": "icmp"}, icmp4((8, 0)), [*icmp6((128, 0)), *both()]),
    ({"ip_protocol": "!tcp"}, [*A4, *icmp4((8, 0))], [*both(tcp), *A6]),
    ({"ip_protocol": ["tcp", "udp"], "dport": 53}, [udp(CLIENT[4], LAN[4], dport=53)], [*A4, *A6]),
    ({"ip6_nexthdr": "udp"}, A6, [*A4, BEHIND_OPTIONS]),
    ({"ip6_nexthdr": 60}, [BEHIND_OPTIONS], A6),
    ({"protocol": "udp"}, [*A6, BEHIND_OPTIONS], both(tcp)),
]

#: the router's routes go to the networks of its two devices, and nowhere else
ROUTES: list[Row] = [
    (
        {"fib": "saddr . iif oif missing"},
        [*from4(SERVER[4], "192.0.2.1"), *from6(SERVER[6], "2001:db8:9::1")],
        [*A4, *A6],
    ),
    ({"fib": "saddr . iif oif exists"}, [*A4, *A6], [*from4(SERVER[4]), *from6(SERVER[6])]),
    ({"fib": "!saddr . iif oif missing"}, [*A4, *A6], [*from4(SERVER[4]), *from6(SERVER[6])]),
    ({"fib": "saddr oif exists"}, [*A4, *from4(SERVER[4])], from4("192.0.2.1")),
    ({"fib": "saddr oif ppp0"}, from4(SERVER[4]), A4),
    ({"fib": "saddr . iif oif 0"}, from4(SERVER[4], "192.0.2.1"), A4),
    ({"fib": "daddr oifname ppp0"}, to4(SERVER[4]), A4),
    ({"fib": "daddr type local"}, [*A4, *A6, *to4(OUTSIDE[4])], to4(SERVER[4], "10.0.1.255", "224.0.0.1")),
    ({"fib": "daddr . iif type local"}, [*A4, *A6], to4(OUTSIDE[4], SERVER[4])),
    ({"fib": "daddr type broadcast"}, to4("10.0.1.255", "255.255.255.255"), [*A4, *to4("10.0.1.253")]),
    ({"fib": "daddr type multicast"}, to4("224.0.0.1"), [*A4, *to4("10.0.1.255")]),
    (
        {"fib": "daddr type != { local, broadcast, multicast }"},
        to4(SERVER[4]),
        [*A4, *A6, *to4("10.0.1.255", "224.0.0.1")],
    ),
]


def describe(row: Row) -> str:
    return " ".join("%s=%s" % one for one in row[0].items())


@pytest.mark.parametrize("row", ADDRESSES + TRANSPORT + HEADERS, ids=describe)
def test_a_key_matches_these_packets_and_no_others(hosts: Routed, row: Row) -> None:
    rule, matched, others = row
    expected = [(0, 0), (len(matched), sum(len(packet) for packet in matched))]
    assert judged(hosts, rule, others, matched) == expected


@pytest.mark.parametrize("row", ROUTES, ids=describe)
def test_what_the_routing_table_says(hosts: Routed, row: Row) -> None:
    """Before anything is routed: there the kernel still takes packets from everywhere."""
    rule, matched, others = row
    expected = [(0, 0), (len(matched), sum(len(packet) for packet in matched))]
    assert judged(hosts, rule, others, matched, hook="prerouting", priority="raw") == expected


def test_forged_sources_are_dropped_and_hosts_without_an_address_are_not(hosts: Routed) -> None:
    """The rules of docs/document.md. Who looks whether its address is taken has none yet (RFC 4862)."""
    rules(
        hosts.router,
        {"ether_saddr": "!" + FORGED, "verdict": "accept"},
        {"icmpv6_type": ["nd-neighbor-solicit", "nd-neighbor-advert"], "counter": True, "verdict": "accept"},
        {"fib": "saddr . iif oif missing", "counter": True, "verdict": "drop"},
        {"counter": True, "verdict": "drop"},
        hook="prerouting",
        priority="raw",
    )
    looking = icmp("::", "ff02::1:ff00:1", 135, data=b"\0" * 20, ttl=255)
    hosts.send([looking, *from4(SERVER[4], "192.0.2.1"), *from6(SERVER[6]), *A4, *A6])
    assert [one[0] for one in reaching(hosts.router, 2)] == [1, 3, 2]


def clock(hours: int) -> str:
    """A time of day, so many hours from now."""
    return (datetime.now() + timedelta(hours=hours)).strftime("%H:%M")


def days(*distances: int) -> list[str]:
    """Days of the week of UTC, so many days from now."""
    today = datetime.now(timezone.utc)
    return [(today + timedelta(days=one)).strftime("%A") for one in distances]


def date(distance: int) -> str:
    return (datetime.now() + timedelta(days=distance)).strftime("%Y-%m-%d %H:%M")


WHEN: list[tuple[Callable[[], dict[str, Any]], bool]] = [
    (lambda: {"hour": "%s-%s" % (clock(-6), clock(6))}, True),
    (lambda: {"hour": "%s-%s" % (clock(6), clock(12))}, False),
    (lambda: {"hour": "!%s-%s" % (clock(6), clock(18))}, True),
    (lambda: {"hour": ["%s-%s" % (clock(6), clock(8)), "%s-%s" % (clock(-6), clock(6))]}, True),
    (lambda: {"hour": ["%s-%s" % (clock(6), clock(8)), "%s-%s" % (clock(9), clock(15))]}, False),
    (lambda: {"day": days(-1, 0, 1)}, True),
    (lambda: {"day": days(2, 3, 4, 5)}, False),
    (lambda: {"day": "-".join(days(-1, 1))}, True),
    (lambda: {"day": "!" + "-".join(days(2, 5))}, True),
    (lambda: {"time": "%s - %s" % (date(-2), date(2))}, True),
    (lambda: {"time": "%s - %s" % (date(2), date(4))}, False),
]
"""Rules, and whether packets match them that come now."""


@pytest.mark.parametrize("number", range(len(WHEN)))
def test_time_of_day_and_date(hosts: Routed, number: int) -> None:
    rule, holds = WHEN[number]
    assert judged(hosts, rule(), A4) == [(1, len(A4[0])) if holds else (0, 0)]
