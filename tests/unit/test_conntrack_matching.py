# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The matching of raw messages against a model over plain values, and against bytes made to mislead it."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.conntrack import uapi
from rempart.conntrack.filters import KEYS, Filter
from rempart.conntrack.matching import Matcher
from rempart.netlink import messages

from tests.support.connection_tables import (
    ICMP,
    ICMPV6,
    SCTP,
    TCP,
    UDP,
    WITH_PORTS,
    Entry,
    Side,
    connection,
)

NOW = 1_700_000_000 * 10**9
SECOND = 10**9

ADDRESSES = {
    4: ("10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1", "192.0.2.255", "0.0.0.0", "255.255.255.255"),
    6: ("2001:db8::1", "2001:db8::2", "2001:db9::1", "::", "fe80::1:0:0:1", "ff02::1"),
}
PORTS = (0, 22, 53, 80, 443, 1023, 1024, 65535)
NUMBERS = (0, 1, 5, 0x10, 0xFF, 0x100, 0xFFFFFFFF)
COUNTS = (0, 1, 9, 10, 1000, 2_000_000, 2**63)

Predicate = Callable[[Entry], bool]
Asked = tuple[str, Any, Predicate]


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """A connection: over either IP version, translated or not, with or without each attribute."""
    version = draw(st.sampled_from((4, 4, 6)))
    protocol = draw(st.sampled_from((TCP, TCP, UDP, ICMP if version == 4 else ICMPV6, SCTP, 47, 50)))
    address = st.sampled_from(ADDRESSES[version])

    def side() -> Side:
        port = st.sampled_from(PORTS)
        zone = draw(st.sampled_from((None, None, None, 3, 5)))
        return Side(draw(address), draw(address), draw(port), draw(port), zone)

    original = side()
    reply = Side(original.daddr, original.saddr, original.dport, original.sport)
    if protocol in (ICMP, ICMPV6):
        reply = replace(reply, sport=original.sport, dport=original.dport)
    if draw(st.booleans()):
        reply = side()

    def maybe(*of: Any) -> Any:
        return draw(st.sampled_from((None, *of)))

    bits = (uapi.IPS_SEEN_REPLY, uapi.IPS_ASSURED, uapi.IPS_SRC_NAT_DONE, uapi.IPS_DST_NAT_DONE, 0x10000000)
    return Entry(
        original,
        reply,
        protocol,
        status=maybe(sum(draw(st.sets(st.sampled_from(bits)))), uapi.IPS_CONFIRMED),
        timeout=maybe(*NUMBERS),
        mark=maybe(*NUMBERS),
        zone=maybe(0, 5, 6),
        state=maybe(0, 1, 3, 9) if protocol in (TCP, SCTP, 33) else None,
        id=maybe(*NUMBERS),
        use=maybe(1, 2),
        helper=maybe("ftp", "sip", "ftp-21"),
        secctx=maybe("a:b:c:s0", "a:b:c:s0:c1,c2"),
        labels=maybe(0, 1, 1 << 7 | 1 << 127, 1 << 64),
        counters=maybe(tuple(draw(st.sampled_from(COUNTS)) for _ in range(4))),
        start=maybe(NOW, NOW - SECOND, NOW - 59 * SECOND - 1, NOW - 3600 * SECOND),
        master=maybe(
            Side("10.0.0.1" if version == 4 else "::1", "10.0.0.2" if version == 4 else "::2", 1, 2)
        ),
    )


def negatable(
    draw: st.DrawFn, pool: Sequence[tuple[Any, Callable[[Any], bool]]]
) -> tuple[Any, Callable[[list[Any]], bool]]:
    """An argument out of values and their meanings, as a list, a scalar, a text with commas, negated or not.

    The meaning is of all the values that a key looks at: those that are None are not there.
    """
    chosen = draw(st.lists(st.sampled_from(range(len(pool))), min_size=1, max_size=3))
    signs = [draw(st.booleans()) for _ in chosen]
    wanted = [pool[at][1] for at, sign in zip(chosen, signs) if not sign]
    unwanted = [pool[at][1] for at, sign in zip(chosen, signs) if sign]
    argument: Any = ["!%s" % (pool[at][0],) if sign else pool[at][0] for at, sign in zip(chosen, signs)]
    form = draw(st.sampled_from(("list", "text", "whole")))
    if form == "text" and (all(signs) or not signs[0]):
        argument = ",".join(str(one) for one in argument)
    if form == "whole" and all(signs):
        argument = "!" + ", ".join(str(pool[at][0]) for at in chosen)

    def meaning(values: list[Any]) -> bool:
        there = [one for one in values if one is not None]
        if any(test(one) for one in there for test in unwanted):
            return False
        return not wanted or any(test(one) for one in there for test in wanted)

    return argument, meaning


def address_pool(version: int) -> list[tuple[Any, Callable[[Any], bool]]]:
    """Addresses, networks, masks and ranges, and what the standard library says of them."""

    def within(low: str, high: str) -> Callable[[Any], bool]:
        first, last = ipaddress.ip_address(low), ipaddress.ip_address(high)
        return lambda one: (
            ipaddress.ip_address(one).version == first.version
            and int(first) <= int(ipaddress.ip_address(one)) <= int(last)
        )

    def network(text: str) -> Callable[[Any], bool]:
        net = ipaddress.ip_network(text, strict=False)
        return lambda one: ipaddress.ip_address(one) in net

    if version == 4:
        return [
            ("10.0.0.1", within("10.0.0.1", "10.0.0.1")),
            ("10.0.0.0/23", network("10.0.0.0/23")),
            ("10.0.1.77/15", network("10.0.0.0/15")),
            ("0.0.0.0/0", network("0.0.0.0/0")),
            ("10.0.0.0/255.255.0.0", network("10.0.0.0/16")),
            ("0.0.0.1/0.0.0.255", lambda one: "." in one and one.endswith(".1")),
            ("10.0.0.2-10.1.0.0", within("10.0.0.2", "10.1.0.0")),
        ]
    return [
        ("2001:db8::1", within("2001:db8::1", "2001:db8::1")),
        ("2001:db8::/31", network("2001:db8::/31")),
        ("2001:db8::/127", network("2001:db8::/127")),
        ("::-2001:db8::1", within("::", "2001:db8::1")),
        ("::1/::ffff", lambda one: ":" in one and int(ipaddress.ip_address(one)) & 0xFFFF == 1),
    ]


PORT_POOL: list[tuple[Any, Callable[[Any], bool]]] = [
    (22, lambda one: one == 22),
    ("http", lambda one: one == 80),
    ("1024-", lambda one: one >= 1024),
    ("-53", lambda one: one <= 53),
    ("domain-https", lambda one: 53 <= one <= 443),
    ("0x1bb", lambda one: one == 443),
]
NUMBER_POOL: list[tuple[Any, Callable[[Any], bool]]] = [
    (0, lambda one: one == 0),
    (5, lambda one: one == 5),
    ("0x10", lambda one: one == 16),
    ("3-300", lambda one: 3 <= one <= 300),
]
COMPARISON_POOL: list[tuple[Any, Callable[[Any], bool]]] = [
    ("<10", lambda one: one < 10),
    ("<=10", lambda one: one <= 10),
    (">9", lambda one: one > 9),
    (">=1000", lambda one: one >= 1000),
    ("0-9", lambda one: one <= 9),
    (5, lambda one: one == 5),
]
TIME_POOL = [*COMPARISON_POOL, ("<1m", lambda one: one < 60), (">=1h", lambda one: one >= 3600)]
SIZE_POOL = [*COMPARISON_POOL, (">1K", lambda one: one > 1000), ("<=2M", lambda one: one <= 2_000_000)]
STATUS_POOL: list[tuple[Any, Callable[[Any], bool]]] = [
    ("assured", lambda one: one & 4 != 0),
    ("SEEN_REPLY", lambda one: one & 2 != 0),
    ("unreplied", lambda one: one & 2 == 0),
    ("assured+snat_done", lambda one: one & 0x84 == 0x84),
    ("unreplied+assured", lambda one: one & 6 == 4),
]
STATE_POOL: list[tuple[Any, Callable[[Any], bool]]] = [
    ("ESTABLISHED", lambda one: one in ((6, 3), (132, 4))),
    ("established", lambda one: one in ((6, 3), (132, 4))),
    ("none", lambda one: one[1] == 0),
    ("SYN_SENT2", lambda one: one == (6, 9)),
    ("cookie_echoed", lambda one: one == (132, 3)),
]
LABEL_POOL: list[tuple[Any, Callable[[Any], bool]]] = [
    (0, lambda one: one & 1 != 0),
    (127, lambda one: one >> 127 & 1 != 0),
    ("7+127", lambda one: one >> 7 & 1 != 0 and one >> 127 & 1 != 0),
    (64, lambda one: one >> 64 & 1 != 0),
]
MARK_POOL: list[tuple[Any, Callable[[Any], bool]]] = [
    *NUMBER_POOL,
    ("0x10/0xf0", lambda one: one & 0xF0 == 0x10),
    ("0/0xff", lambda one: one & 0xFF == 0),
]
HELPER_POOL: list[tuple[Any, Callable[[Any], bool]]] = [
    ("ftp", lambda one: one == "ftp"),
    ("sip", lambda one: one == "sip"),
    ("ftp-2", lambda one: one == "ftp-2"),
]


def ports_of(entry: Entry, *names: tuple[str, str]) -> list[Any]:
    """The ports of an entry that has some."""
    if entry.protocol not in WITH_PORTS:
        return [None]
    return [getattr(getattr(entry, side), end) for side, end in names]


def translated(entry: Entry, end: str) -> str | None:
    """The address that an end is translated to; None where it isn't."""
    done = uapi.IPS_SRC_NAT_DONE if end == "source" else uapi.IPS_DST_NAT_DONE
    if entry.status is not None and not entry.status & done:
        return None
    before, after = (
        (entry.original.saddr, entry.reply.daddr)
        if end == "source"
        else (entry.original.daddr, entry.reply.saddr)
    )
    if before != after:
        return after
    if entry.protocol in WITH_PORTS:
        ports = (
            (entry.original.sport, entry.reply.dport)
            if end == "source"
            else (entry.original.dport, entry.reply.sport)
        )
    elif entry.protocol in (ICMP, ICMPV6) and end == "source":
        ports = (entry.original.sport, entry.reply.sport)
    else:
        return None
    return "" if ports[0] != ports[1] else None


def icmp_of(entry: Entry, what: str) -> Any:
    """Type, code or id of an ICMP connection."""
    if entry.protocol not in (ICMP, ICMPV6):
        return None
    side = entry.original
    return {"icmp_type": side.dport >> 8, "icmp_code": side.dport & 255, "icmp_id": side.sport}[what]


def default(value: Any) -> Any:
    return 0 if value is None else value


O_S, O_D, R_S, R_D = ("original", "saddr"), ("original", "daddr"), ("reply", "saddr"), ("reply", "daddr")
ADDRESS_KEYS = {
    "saddr": (O_S,),
    "daddr": (O_D,),
    "reply_saddr": (R_S,),
    "reply_daddr": (R_D,),
    "address": (O_S, O_D, R_S, R_D),
}
PORT_KEYS = {
    "sport": (("original", "sport"),),
    "dport": (("original", "dport"),),
    "reply_sport": (("reply", "sport"),),
    "reply_dport": (("reply", "dport"),),
    "port": (("original", "sport"), ("original", "dport"), ("reply", "sport"), ("reply", "dport")),
}
SIMPLE: dict[str, tuple[Any, Callable[[Entry], Any]]] = {
    "mark": (MARK_POOL, lambda entry: default(entry.mark)),
    "zone": (NUMBER_POOL, lambda entry: default(entry.zone)),
    "orig_zone": (NUMBER_POOL, lambda entry: default(entry.original.zone)),
    "reply_zone": (NUMBER_POOL, lambda entry: default(entry.reply.zone)),
    "labels": (LABEL_POOL, lambda entry: default(entry.labels)),
    "status": (STATUS_POOL, lambda entry: entry.status),
    "state": (STATE_POOL, lambda entry: None if entry.state is None else (entry.protocol, entry.state)),
    "helper": (HELPER_POOL, lambda entry: entry.helper),
    "timeout": (TIME_POOL, lambda entry: entry.timeout),
    "age": (TIME_POOL, lambda entry: None if entry.start is None else (NOW - entry.start) // SECOND),
    "packets": (SIZE_POOL, lambda e: None if e.counters is None else e.counters[0] + e.counters[2]),
    "bytes": (SIZE_POOL, lambda e: None if e.counters is None else e.counters[1] + e.counters[3]),
    "packets_original": (SIZE_POOL, lambda e: None if e.counters is None else e.counters[0]),
    "bytes_original": (SIZE_POOL, lambda e: None if e.counters is None else e.counters[1]),
    "packets_reply": (SIZE_POOL, lambda e: None if e.counters is None else e.counters[2]),
    "bytes_reply": (SIZE_POOL, lambda e: None if e.counters is None else e.counters[3]),
    "ids": (NUMBER_POOL, lambda entry: entry.id),
    "icmp_type": (NUMBER_POOL[:2], lambda entry: icmp_of(entry, "icmp_type")),
    "icmp_code": (NUMBER_POOL[:2], lambda entry: icmp_of(entry, "icmp_code")),
    "icmp_id": (NUMBER_POOL, lambda entry: icmp_of(entry, "icmp_id")),
    "protocol": (
        [
            ("TCP", lambda one: one == 6),
            (17, lambda one: one == 17),
            ("sctp", lambda one: one == 132),
            ("icmp", lambda one: one == 1),
        ],
        lambda entry: entry.protocol,
    ),
}


@st.composite
def questions(draw: st.DrawFn) -> Asked:
    """One key, its argument, and what it means."""
    key = draw(st.sampled_from([one for one in KEYS if one != "secctx"]))
    if key == "family":
        word = draw(st.sampled_from(("ip", "ip6")))
        return key, word, lambda entry: (":" in entry.original.saddr) == (word == "ip6")
    if key in ("snat", "dnat", "nat"):
        ends = {"snat": ["source"], "dnat": ["destination"]}.get(key, ["source", "destination"])
        if draw(st.booleans()):
            truth = draw(st.booleans())
            return key, truth, lambda entry: any(translated(entry, one) is not None for one in ends) == truth
        argument, meaning = negatable(draw, address_pool(4))
        return key, argument, lambda entry: meaning([translated(entry, one) or None for one in ends])
    if key in ADDRESS_KEYS:
        argument, meaning = negatable(draw, address_pool(draw(st.sampled_from((4, 4, 6)))))
        return (
            key,
            argument,
            lambda entry: meaning([getattr(getattr(entry, side), end) for side, end in ADDRESS_KEYS[key]]),
        )
    if key in PORT_KEYS:
        argument, meaning = negatable(draw, PORT_POOL)
        return key, argument, lambda entry: meaning(ports_of(entry, *PORT_KEYS[key]))
    pool, value = SIMPLE[key]
    argument, meaning = negatable(draw, pool)
    return key, argument, lambda entry: meaning([value(entry)])


def filter_of(asked: Sequence[Asked]) -> tuple[Filter, list[Asked]] | None:
    """A filter of as many of these questions as don't contradict each other, and those."""
    kept: dict[str, Asked] = {}
    found = None
    for one in asked:
        try:
            found = Filter({**{key: each[1] for key, each in kept.items()}, one[0]: one[1]})
        except Exception:
            continue
        kept[one[0]] = one
    return (found, list(kept.values())) if found is not None and kept else None


def buffer_of(table: Sequence[Entry]) -> bytes:
    """A received buffer of a dump's messages and its end."""
    done = struct.pack("=IHHIIi", 20, messages.NLMSG_DONE, messages.NLM_F_MULTI, 7, 0, 0)
    return b"".join(entry.message(7) for entry in table) + done


def found_by(matcher: Matcher, table: Sequence[Entry]) -> list[int]:
    """The numbers of the entries that are found in a buffer of them, by their places."""
    starts = {}
    position = 0
    for number, entry in enumerate(table):
        starts[position + messages.HEADER_SIZE] = number
        position += len(entry.message(7))
    data = buffer_of(table)
    numbers = []
    for start, stop in matcher.find(data):
        assert data[start:stop] == table[starts[start]].body()
        numbers.append(starts[start])
    return numbers


@settings(max_examples=1500, deadline=None)
@given(st.lists(entries(), min_size=1, max_size=12), st.lists(questions(), min_size=1, max_size=3))
def test_what_is_found_is_what_the_model_says(table: list[Entry], asked: list[Asked]) -> None:
    made = filter_of(asked)
    if made is None:
        return
    filter, kept = made
    expected = [at for at, entry in enumerate(table) if all(meaning(entry) for _, _, meaning in kept)]
    matcher = Matcher(filter, NOW)
    assert [at for at, entry in enumerate(table) if matcher.walks(entry.body())] == expected
    assert found_by(matcher, table) == expected
    # Now that it knows the layouts:
    assert found_by(matcher, table) == expected
    assert [at for at, entry in enumerate(table) if matcher.matches(entry.body())] == expected
    # A dense buffer, in which searching the whole buffer gives way to looking at each message:
    assert len(found_by(matcher, table * 6)) == 6 * len(expected)


def test_every_key_is_tried() -> None:
    asked = {*SIMPLE, *ADDRESS_KEYS, *PORT_KEYS, "family", "snat", "dnat", "nat", "secctx"}
    assert asked == set(KEYS)


def test_a_security_context_may_have_commas() -> None:
    plain = connection("10.0.0.1", "10.0.0.2", 1, 2, secctx="a:b:c:s0")
    other = connection("10.0.0.1", "10.0.0.2", 1, 3, secctx="a:b:c:s0:c1,c2")
    none = connection("10.0.0.1", "10.0.0.2", 1, 4)
    table = [plain, other, none]
    assert found_by(Matcher(Filter({"secctx": "a:b:c:s0:c1,c2"})), table) == [1]
    assert found_by(Matcher(Filter({"secctx": "!a:b:c:s0:c1,c2"})), table) == [0, 2]


def test_an_address_that_looks_like_a_message_misleads_nobody() -> None:
    """An address holds the bytes of a wanted address behind its header, or of a message's beginning."""
    wanted = bytes.fromhex("08000100") + bytes((10, 0, 0, 1))
    lure = str(ipaddress.IPv6Address(wanted + wanted))
    start = struct.pack("=IHHI", 180, 0x100, messages.NLM_F_MULTI, 7) + bytes(4)
    other = str(ipaddress.IPv6Address(start))
    table = [
        connection(lure, other, 1, 80),
        connection(other, lure, 1, 80),
        connection("10.0.0.1", "10.0.0.2", 1, 80),
        connection(lure, lure, 1, 80),
        connection("10.0.0.3", "10.0.0.1", 1, 80),
        connection("10.0.0.1", "10.0.0.2", 2, 80),
    ]
    matcher = Matcher(Filter({"saddr": "10.0.0.1"}))
    for _ in range(2):
        assert found_by(matcher, table) == [2, 5]


def test_messages_of_one_length_and_different_layouts_are_told_apart() -> None:
    """A mark and a zone's absence, an id and no mark: the same length, other places."""
    marked = connection("10.0.0.1", "10.0.0.2", 1, 80, mark=5, id=None)
    numbered = connection("10.0.0.1", "10.0.0.2", 2, 80, mark=None, id=5)
    timed = connection("10.0.0.1", "10.0.0.2", 3, 80, mark=None, use=5)
    table = [marked, numbered, timed]
    assert len({len(one.body()) for one in table}) == 1
    for asked, expected in (
        ({"mark": 5}, [0]),
        ({"ids": 5}, [1]),
        ({"mark": "!5"}, [1, 2]),
        ({"mark": 0}, [1, 2]),
        ({"saddr": "10.0.0.1", "packets": "!5"}, [0, 1, 2]),
    ):
        matcher = Matcher(Filter(asked))
        for _ in range(2):
            assert found_by(matcher, table) == expected, asked
            assert found_by(matcher, table[::-1]) == [2 - at for at in reversed(expected)], asked


def test_more_layouts_than_are_remembered_are_judged_all_the_same() -> None:
    """Attributes that no filter knows, of one length and ever other types."""
    filler = [struct.pack("=HHI", 8, 100 + number, 0) for number in range(60)]
    plain = connection("10.0.0.1", "10.0.0.2", 1, 80)
    other = connection("10.0.0.9", "10.0.0.2", 1, 80)
    matcher = Matcher(Filter({"saddr": "10.0.0.1", "timeout": "!5"}))
    for extra in filler * 2:
        assert matcher.matches(plain.body() + extra)
        assert not matcher.matches(other.body() + extra)


def test_a_long_list_is_matched() -> None:
    wanted = ["10.0.%d.%d" % (number // 200, number % 200) for number in range(0, 1000, 7)]
    table = [connection("10.0.%d.%d" % (n // 200, n % 200), "192.0.2.1", n, 80) for n in range(300)]
    matcher = Matcher(Filter({"saddr": wanted}))
    assert found_by(matcher, table) == list(range(0, 300, 7))
    assert found_by(Matcher(Filter({"saddr": ["!" + one for one in wanted]})), table) == [
        number for number in range(300) if number % 7
    ]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 255), max_size=6), st.sampled_from(
    ({"saddr": "10.0.0.1"}, {"timeout": ">5"}, {"nat": True}, {"packets": ">1"}, {"status": "!assured"}, {})
))  # fmt: skip
def test_random_bytes_are_refused_or_passed_over(
    noise: bytes, places: list[int], asked: dict[str, Any]
) -> None:
    matcher = Matcher(Filter(asked), NOW)
    whole = connection("10.0.0.1", "10.0.0.2", 1, 80, counters=(1, 2, 3, 4)).message(7)
    damaged = bytearray(whole)
    for number, place in enumerate(places):
        damaged[place % len(damaged)] ^= number + 1
    for data in (noise, whole + noise, bytes(damaged), whole + bytes(damaged)):
        for _ in range(2):
            try:
                for start, stop in matcher.find(data):
                    assert messages.HEADER_SIZE <= start <= stop <= len(data)
            except ValueError:
                pass


def test_a_message_that_is_cut_short_is_an_error() -> None:
    data = connection("10.0.0.1", "10.0.0.2", 1, 80).message(7)
    for asked in ({"timeout": ">5"}, {}):
        matcher = Matcher(Filter(asked))
        assert len(list(matcher.find(data))) == 1
        with pytest.raises(ValueError):
            list(matcher.find(data + data[:-4]))


def test_age_counts_to_the_time_of_the_answer_without_one() -> None:
    entry = connection("10.0.0.1", "10.0.0.2", 1, 80, start=1)
    assert Matcher(Filter({"age": ">1h"})).matches(entry.body())
    assert not Matcher(Filter({"age": ">1h"}), SECOND).matches(entry.body())
