# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deleting connections: what goes, what stays, and that both ways take the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.conntrack import deletion, kernel_filters, scan, uapi
from rempart.conntrack.echo import Echoes
from rempart.conntrack.filters import Filter
from rempart.conntrack.matching import Matcher
from rempart.errors import DocumentError, KernelError
from rempart.netlink.attributes import table as attributes_of
from rempart.netlink.socket import NetlinkSocket

from tests.support.connection_tables import (
    ICMP,
    SCTP,
    TCP,
    UDP,
    Addresses,
    Entry,
    Side,
    connection,
    inject,
)
from tests.support.namespaces import Namespace

GET = uapi.NFNL_SUBSYS_CTNETLINK << 8 | uapi.IPCTNL_MSG_CT_GET


@pytest.fixture
def kernel(netns: Namespace) -> Iterator[NetlinkSocket]:
    with NetlinkSocket(netns.name) as opened:
        yield opened


def left(kernel: NetlinkSocket) -> set[bytes]:
    """The original tuples with their zones, which tell the connections of a table apart."""
    found = set()
    for body in kernel.dump(GET, 0):
        parts = attributes_of(body, 4)
        found.add(parts[uapi.CTA_TUPLE_ORIG] + parts.get(uapi.CTA_ZONE, b""))
    return found


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is trusted with no deletion by a filter."""
    monkeypatch.setattr(kernel_filters, "of_deletion", lambda _filter: None)


def test_what_matches_goes_and_the_rest_stays(kernel: NetlinkSocket) -> None:
    inject(kernel, (Addresses().entry(number) for number in range(300)))
    before = left(kernel)
    result = deletion.delete(kernel, Filter({"saddr": "10.0.0.0/27"}), keep=5)
    assert (result.matched, result.deleted, result.already_gone, len(result.bodies)) == (32, 32, 0, 5)
    matcher = Matcher(Filter({"saddr": "10.0.0.0/27"}))
    assert all(matcher.walks(body) for body in result.bodies)
    assert len(left(kernel)) == 268
    assert left(kernel) < before
    assert scan.count(kernel, Filter({"saddr": "10.0.0.0/27"})) == 0


@pytest.mark.parametrize("way", ["in one message", "one by one", "with a limit"])
def test_many_go_by_either_way(kernel: NetlinkSocket, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    inject(kernel, (Addresses().entry(number, mark=number % 2) for number in range(6000)))
    if way == "one by one":
        monkeypatch.setattr(kernel_filters, "of_deletion", lambda _filter: None)
    if way == "in one message":
        monkeypatch.setattr(deletion, "_one_by_one", None)
    limit = 3000 if way == "with a limit" else None
    result = deletion.delete(kernel, Filter({"mark": 1}), limit=limit, keep=2)
    assert (result.matched, result.deleted, result.already_gone, len(result.bodies)) == (3000, 3000, 0, 2)
    assert scan.count(kernel, Filter({"mark": 0})) == len(left(kernel)) == 3000


@pytest.mark.parametrize(
    "asked",
    [
        {"saddr": "10.0.0.9"},
        {"daddr": "192.0.2.1", "protocol": "tcp", "dport": 80},
        {"daddr": "198.51.100.7", "protocol": "sctp", "dport": 22},
        {"saddr": "2001:db8::4"},
        {"family": "ip6"},
        {"mark": "0x10/0xf0"},
        {"mark": 1, "family": "ip6"},
        {"status": "!assured", "mark": 0},
        {"zone": 5},
        {"zone": 0, "protocol": "udp"},
        {"orig_zone": 5},
        {"state": "ESTABLISHED", "saddr": "!10.0.0.0/8"},
    ],
    ids=str,
)
def test_both_ways_delete_the_same(
    make_netns: Callable[[], Namespace], monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    """Few and many at once count as many here: one message where the kernel is trusted."""
    entries = []
    for number in range(60):
        values: dict[str, Any] = {"mark": (0, 1, 0x11)[number % 3]}
        values["status"] = uapi.IPS_CONFIRMED | (uapi.IPS_ASSURED | uapi.IPS_SEEN_REPLY) * (number % 2)
        values["zone"] = (None, 5, 6)[number // 7 % 3]
        entry = (
            Addresses().entry(number, (TCP, UDP, SCTP)[number % 3], **values)
            if number % 4
            else connection("2001:db8::%d" % (number % 8), "2001:db8::99", number, 80, **values)
        )
        if number % 10 == 9:
            half = Side(
                entry.original.saddr, entry.original.daddr, entry.original.sport, entry.original.dport, 5
            )
            entry = Entry(half, entry.reply, entry.protocol, entry.status, mark=entry.mark)
        entries.append(entry)
    outcomes = []
    for trusted in (True, False):
        with NetlinkSocket(make_netns().name) as kernel:
            inject(kernel, entries)
            matched = scan.count(kernel, Filter(asked))
            monkeypatch.setattr(deletion, "_FEW", 0 if trusted else 1000)
            monkeypatch.setattr(deletion, "_SHARE", 1 << 30)
            result = deletion.delete(kernel, Filter(asked))
            assert (result.matched, result.deleted, result.already_gone) == (matched, matched, 0)
            assert scan.count(kernel, Filter(asked)) == 0
            outcomes.append(left(kernel))
    assert outcomes[0] == outcomes[1]
    assert 0 < len(outcomes[0]) < 60


PROTOCOLS = st.sampled_from((TCP, UDP, SCTP))
ENTRIES = st.builds(
    lambda source, target, sport, dport, protocol, mark, zone, status, v6: connection(
        "2001:db8::%d" % source if v6 else "10.0.0.%d" % source,
        "2001:db8:1::%d" % target if v6 else "192.0.2.%d" % target,
        sport,
        dport,
        protocol,
        mark=mark,
        zone=zone,
        status=uapi.IPS_CONFIRMED | status,
    ),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from((22, 80)),
    PROTOCOLS,
    st.sampled_from((0, 1, 0x11)),
    st.sampled_from((None, None, 5)),
    st.sampled_from((0, uapi.IPS_SEEN_REPLY, uapi.IPS_SEEN_REPLY | uapi.IPS_ASSURED)),
    st.booleans(),
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "saddr": st.sampled_from(("10.0.0.1", "10.0.0.2", "2001:db8::1", "10.0.0.0/30", "!10.0.0.3")),
        "daddr": st.sampled_from(("192.0.2.1", "2001:db8:1::2")),
        "protocol": st.sampled_from(("tcp", "udp", "sctp")),
        "dport": st.sampled_from((22, 80)),
        "reply_saddr": st.sampled_from(("192.0.2.1", "192.0.2.2")),
        "mark": st.sampled_from((0, 1, "1/0xf", "!0")),
        "zone": st.sampled_from((0, 5)),
        "status": st.sampled_from(("assured", "!assured", "unreplied", "seen_reply")),
        "family": st.sampled_from(("ip", "ip6")),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ENTRIES, min_size=1, max_size=20), FILTERS)
def test_generated_tables_lose_what_the_filter_says_by_either_way(
    entries: list[Entry], asked: dict[str, Any]
) -> None:
    try:
        filter = Filter(asked)
    except DocumentError:
        return
    if filter.empty:
        return
    unique = list({(one.original, one.protocol, one.zone): one for one in entries}.values())
    matcher = Matcher(filter)
    expected = sum(matcher.walks(one.body()) for one in unique)
    outcomes = []
    few, share = deletion._FEW, deletion._SHARE
    with Namespace() as namespace, NetlinkSocket(namespace.name) as kernel:
        for trusted in (True, False):
            inject(kernel, unique)
            deletion._FEW, deletion._SHARE = (0, 1 << 30) if trusted else (few, share)
            try:
                result = deletion.delete(kernel, filter)
            finally:
                deletion._FEW, deletion._SHARE = few, share
            assert (result.matched, result.deleted, result.already_gone) == (expected, expected, 0)
            outcomes.append(left(kernel))
            deletion.delete(kernel, Filter(), everything=True)
            assert not left(kernel)
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]) == len(unique) - expected


def test_an_empty_filter_deletes_nothing_unless_told_so(kernel: NetlinkSocket) -> None:
    inject(kernel, (Addresses().entry(number) for number in range(10)))
    with pytest.raises(DocumentError, match="no filter says which"):
        deletion.delete(kernel, Filter())
    with pytest.raises(DocumentError, match="everything is to go, and a filter"):
        deletion.delete(kernel, Filter({"mark": 0}), everything=True)
    assert len(left(kernel)) == 10
    result = deletion.delete(kernel, Filter(), everything=True, keep=3)
    assert (result.matched, result.deleted, len(result.bodies)) == (10, 10, 3)
    assert not left(kernel)


def test_a_limit_stops_before_anything_is_deleted(kernel: NetlinkSocket) -> None:
    inject(kernel, (Addresses().entry(number) for number in range(50)))
    for arguments, limit in (
        ({"filter": Filter({"dport": 80})}, 16),
        ({"filter": Filter(), "everything": True}, 49),
        ({"filter": Filter({"dport": 80})}, 0),
    ):
        with pytest.raises(DocumentError, match="more connections match") as error:
            deletion.delete(kernel, limit=limit, **arguments)  # type: ignore[arg-type]
        assert error.value.problems[0].found == (50 if "everything" in arguments else 17)
        assert len(left(kernel)) == 50
    assert deletion.delete(kernel, Filter({"dport": 80}), limit=17).deleted == 17
    assert deletion.delete(kernel, Filter(), limit=33, everything=True).deleted == 33
    assert not left(kernel)


def test_a_limit_beyond_what_is_prepared_holds(
    kernel: NetlinkSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connections are listed a second time then, and no more of them go than were allowed."""
    inject(kernel, (Addresses().entry(number) for number in range(300)))
    monkeypatch.setattr(deletion, "_MOST_KEPT", 10)
    assert deletion.delete(kernel, Filter({"dport": 80}), limit=100).deleted == 100
    later = [Addresses().entry(number) for number in range(300, 360)]
    each = scan.matching

    def with_more(*arguments: Any) -> Iterator[bytes]:
        inject(kernel, later)
        return each(*arguments)

    monkeypatch.setattr(scan, "matching", with_more)
    result = deletion.delete(kernel, Filter({"dport": 443}), limit=100)
    assert (result.matched, result.deleted) == (100, 100)
    assert scan.count(kernel, Filter({"dport": 443})) == 20


def test_check_only_counts(kernel: NetlinkSocket) -> None:
    inject(kernel, (Addresses().entry(number) for number in range(50)))
    result = deletion.delete(kernel, Filter({"dport": 80}), check=True, keep=100)
    assert (result.matched, result.deleted, len(result.bodies)) == (17, 0, 17)
    assert deletion.delete(kernel, Filter(), check=True, everything=True).matched == 50
    assert len(left(kernel)) == 50


def test_nothing_matched_is_no_error(kernel: NetlinkSocket) -> None:
    result = deletion.delete(kernel, Filter({"dport": 80}))
    assert (result.matched, result.deleted) == (0, 0)


def test_what_is_gone_or_replaced_meanwhile_is_counted_apart(
    kernel: NetlinkSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between listing and deleting one connection ends, and another is of an id that was not listed."""
    inject(kernel, (Addresses().entry(number) for number in range(10)))
    count = deletion._count

    def meanwhile(*arguments: Any) -> Any:
        counted, prepared = count(*arguments)
        kernel.each([prepared[3]])
        number = attributes_of(prepared[4], 20)[uapi.CTA_ID]
        prepared[4] = prepared[4].replace(number, bytes((number[0] ^ 1,)) + number[1:])
        return counted, prepared

    monkeypatch.setattr(deletion, "_count", meanwhile)
    result = deletion.delete(kernel, Filter({"saddr": "10.0.0.0/24"}))
    assert (result.matched, result.deleted, result.already_gone) == (10, 8, 2)
    assert len(left(kernel)) == 1


def test_zoned_gre_sctp_and_icmp_connections_are_deleted(kernel: NetlinkSocket) -> None:
    kinds = [
        connection("10.0.0.1", "10.0.0.2", 1, 80, zone=7),
        connection("10.0.0.1", "10.0.0.2", 1, 80, zone=8),
        connection("10.0.0.1", "10.0.0.2", 1, 80),
        connection("10.0.0.1", "10.0.0.2", 5, 6, 47),
        connection("10.0.0.1", "10.0.0.2", 5, 6, SCTP),
        connection("10.0.0.1", "10.0.0.2", 5, 8 << 8, ICMP),
        connection("10.0.0.1", "10.0.0.2", 0, 0, 50),
        connection("2001:db8::1", "2001:db8::2", 5, 128 << 8, 58),
    ]
    inject(kernel, kinds)
    assert deletion.delete(kernel, Filter({"zone": 7})).deleted == 1
    assert scan.count(kernel, Filter({"sport": 1})) == 2
    assert deletion.delete(kernel, Filter({"address": "10.0.0.2"})).deleted == 6
    assert deletion.delete(kernel, Filter({"icmp_id": 5})).deleted == 1
    assert not left(kernel)


def test_a_refusal_says_how_far_it_came(kernel: NetlinkSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    inject(kernel, (Addresses().entry(number) for number in range(3)))
    of = Echoes.of
    monkeypatch.setattr(Echoes, "of", lambda self, body: of(self, bytes((99,)) + body[1:]))
    with pytest.raises(KernelError, match="0 of 3 are deleted"):
        deletion.delete(kernel, Filter({"saddr": "10.0.0.0/24"}))
    assert len(left(kernel)) == 3


def test_other_namespaces_keep_their_connections(
    make_netns: Callable[[], Namespace], one_by_one: None
) -> None:
    """Many are deleted by a second socket, which is to speak to the same namespace."""
    with NetlinkSocket(make_netns().name) as here, NetlinkSocket(make_netns().name) as there:
        for kernel in (here, there):
            inject(kernel, (Addresses().entry(number) for number in range(1500)))
        assert deletion.delete(here, Filter({"saddr": "10.0.0.0/8"})).deleted == 1500
        assert (scan.count(here), scan.count(there)) == (0, 1500)
