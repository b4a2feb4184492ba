# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters on a real table: they mean what conntrack(8) lists, and what the kernel is asked for is safe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rempart.conntrack import kernel_filters, probing, scan, trials, uapi
from rempart.conntrack.filters import Filter
from rempart.conntrack.matching import Matcher
from rempart.errors import HostError, KernelError
from rempart.netlink import messages
from rempart.netlink.attributes import attribute, nested
from rempart.netlink.socket import NetlinkSocket

from tests.support.connection_tables import (
    ICMP,
    ICMPV6,
    SCTP,
    UDP,
    Addresses,
    Entry,
    connection,
    inject,
)
from tests.support.namespaces import Namespace

GET = uapi.NFNL_SUBSYS_CTNETLINK << 8 | uapi.IPCTNL_MSG_CT_GET


def mixed() -> list[Entry]:
    """Some hundred connections: protocols, IP versions, translations, marks, zones and states in turn."""
    found = []
    addresses = Addresses()
    marks = (0, 1, 0x10, 0x11, 0xFF, 0x80000000)
    new = uapi.IPS_CONFIRMED
    seen = new | uapi.IPS_SEEN_REPLY
    for number in range(240):
        status = (seen | uapi.IPS_ASSURED, seen, new)[number % 3]
        values: dict[str, Any] = {"mark": marks[number % len(marks)], "status": status}
        values["timeout"] = 100 + number * 40
        if number % 5 == 0:
            values["zone"] = 5 + number % 2
        kind = number % 8
        if kind < 3:
            entry = addresses.entry(number, **values)
            entry = replace(entry, state=(3, 1, 7, 8)[number % 4])
        elif kind == 3:
            entry = addresses.entry(number, UDP, **values)
        elif kind == 4:
            entry = connection("10.9.0.%d" % number, "192.0.2.1", number, 8 << 8, ICMP, **values)
        elif kind == 5:
            entry = connection(
                "2001:db8::%x" % number, "2001:db8:1::%d" % (number % 3), number, 443, **values
            )
        elif kind == 6:
            entry = connection("2001:db8:2::%x" % number, "2001:db8:1::9", number, 128 << 8, ICMPV6, **values)
        else:
            entry = connection("10.8.0.%d" % number, "192.0.2.2", 100 + number, 5060, SCTP, **values)
        if kind in (0, 3) and number % 16 < 8:
            entry = replace(entry, nat_src="203.0.113.%d" % (1 + number % 3))
        elif kind in (1, 3):
            entry = replace(entry, nat_dst="198.51.100.%d" % (1 + number % 3))
        if number % 20 == 11:
            entry = replace(entry, zone=None, original=replace(entry.original, zone=5))
        found.append(entry)
    return found


@pytest.fixture(scope="module")
def table() -> Iterator[Namespace]:
    with Namespace() as namespace:
        with NetlinkSocket(namespace.name) as kernel:
            inject(kernel, mixed())
        yield namespace


@pytest.fixture
def kernel(table: Namespace) -> Iterator[NetlinkSocket]:
    with NetlinkSocket(table.name) as opened:
        yield opened


def listed(namespace: Namespace, *argv: str) -> list[int]:
    """The ids of what ``conntrack -L`` lists."""
    done = namespace.run("conntrack", "-L", "-o", "id", *argv)
    return sorted(int(one) for one in re.findall(r" id=(\d+)$", done.stdout, re.MULTILINE))


def ids(bodies: Iterator[bytes]) -> list[int]:
    """The ids of raw bodies."""
    return sorted(int.from_bytes(probing._identity(body), "big") for body in bodies)


@pytest.mark.parametrize(
    ("asked", "argv"),
    [
        ({}, []),
        ({"family": "ip"}, ["-f", "ipv4"]),
        ({"family": "ip6"}, ["-f", "ipv6"]),
        ({"saddr": "10.0.0.8"}, ["-s", "10.0.0.8"]),
        ({"saddr": "10.0.0.0/26"}, ["-s", "10.0.0.0/26"]),
        ({"saddr": "10.0.0.0/255.255.255.192"}, ["-s", "10.0.0.0", "--mask-src", "255.255.255.192"]),
        ({"saddr": "10.0.0.3/255.0.0.3"}, ["-s", "10.0.0.3", "--mask-src", "255.0.0.3"]),
        ({"daddr": "192.0.2.1"}, ["-d", "192.0.2.1"]),
        ({"daddr": "192.0.2.0/30", "saddr": "10.0.0.0/25"}, ["-d", "192.0.2.0/30", "-s", "10.0.0.0/25"]),
        ({"daddr": "2001:db8:1::1"}, ["-d", "2001:db8:1::1", "-f", "ipv6"]),
        ({"saddr": "2001:db8::/112"}, ["-s", "2001:db8::/112", "-f", "ipv6"]),
        ({"saddr": "2001:db8:2::/48", "protocol": "icmpv6"}, ["-s", "2001:db8:2::/48", "-p", "icmpv6"]),
        ({"reply_saddr": "192.0.2.2"}, ["-r", "192.0.2.2"]),
        ({"reply_saddr": "198.51.100.2"}, ["-r", "198.51.100.2"]),
        ({"reply_daddr": "203.0.113.1"}, ["-q", "203.0.113.1"]),
        ({"protocol": "tcp"}, ["-p", "tcp"]),
        ({"protocol": "TCP", "family": "ip"}, ["-p", "tcp", "-f", "ipv4"]),
        ({"protocol": 17}, ["-p", "udp"]),
        ({"protocol": "sctp"}, ["-p", "sctp"]),
        ({"protocol": "icmp"}, ["-p", "icmp"]),
        ({"protocol": "tcp", "dport": "http"}, ["-p", "tcp", "--dport", "80"]),
        ({"protocol": "udp", "dport": 443, "saddr": "10.0.0.19"},
         ["-p", "udp", "--dport", "443", "-s", "10.0.0.19"]),
        ({"protocol": "sctp", "dport": 5060}, ["-p", "sctp", "--dport", "5060"]),
        ({"protocol": "sctp", "sport": 107, "family": "ip"}, ["-p", "sctp", "--sport", "107", "-f", "ipv4"]),
        ({"protocol": "tcp", "sport": 1032}, ["-p", "tcp", "--sport", "1032"]),
        ({"protocol": "tcp", "reply_sport": 22}, ["-p", "tcp", "--reply-port-src", "22"]),
        ({"protocol": "tcp", "reply_dport": 1033}, ["-p", "tcp", "--reply-port-dst", "1033"]),
        ({"protocol": "icmp", "icmp_type": "echo-request"}, ["-p", "icmp", "--icmp-type", "8"]),
        ({"icmp_id": 12, "icmp_code": 0},
         ["-p", "icmp", "--icmp-id", "12", "--icmp-code", "0", "--icmp-type", "8"]),
        ({"protocol": "icmpv6", "icmp_type": "echo-request"}, ["-p", "icmpv6", "--icmpv6-type", "128"]),
        ({"protocol": "tcp", "state": "established"}, ["-p", "tcp", "--state", "ESTABLISHED"]),
        ({"protocol": "tcp", "state": "TIME_WAIT"}, ["-p", "tcp", "--state", "TIME_WAIT"]),
        ({"protocol": "sctp", "state": "COOKIE_ECHOED"}, ["-p", "sctp", "--state", "COOKIE_ECHOED"]),
        ({"mark": 0x10}, ["-m", "0x10"]),
        ({"mark": "0x10/0xf0"}, ["-m", "0x10/0xf0"]),
        ({"mark": "0x80000000"}, ["-m", "0x80000000"]),
        ({"mark": 0}, ["-m", "0"]),
        ({"mark": 1, "family": "ip6"}, ["-m", "1", "-f", "ipv6"]),
        ({"zone": 5}, ["-w", "5"]),
        ({"zone": 6, "family": "ip"}, ["-w", "6", "-f", "ipv4"]),
        ({"zone": 0}, ["-w", "0"]),
        ({"orig_zone": 5}, ["--orig-zone", "5"]),
        ({"reply_zone": 5}, ["--reply-zone", "5"]),
        ({"status": "assured"}, ["-u", "ASSURED"]),
        ({"status": "seen_reply"}, ["-u", "SEEN_REPLY"]),
        ({"status": "assured+seen_reply", "family": "ip6"}, ["-u", "ASSURED,SEEN_REPLY", "-f", "ipv6"]),
        ({"snat": True, "protocol": ["tcp", "udp"]}, ["-n"]),
        ({"dnat": True}, ["-g"]),
        ({"nat": True}, ["-j"]),
        ({"snat": "203.0.113.2"}, ["-n", "203.0.113.2"]),
        ({"dnat": "198.51.100.3"}, ["-g", "198.51.100.3"]),
        ({"nat": "198.51.100.1"}, ["-j", "198.51.100.1"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_filter_means_what_conntrack_lists(
    table: Namespace, kernel: NetlinkSocket, asked: dict[str, Any], argv: list[str]
) -> None:
    expected = listed(table, *argv)
    assert ids(scan.matching(kernel, Filter(asked))) == expected
    assert scan.count(kernel, Filter(asked)) == len(expected)
    assert expected or asked in ({"reply_zone": 5},)


@pytest.mark.parametrize(
    "asked",
    [
        {"saddr": "10.0.0.8"},
        {"saddr": "2001:db8::d"},
        {"reply_daddr": "2001:db8::d", "family": "ip6"},
        {"daddr": "192.0.2.1", "protocol": "tcp", "dport": 80},
        {"daddr": "192.0.2.2", "protocol": "sctp", "sport": 107},
        {"protocol": "udp", "family": "ip", "reply_sport": 80},
        {"mark": "0x10/0xf0", "family": "ip6"},
        {"mark": 0},
        {"status": ["assured+seen_reply", "!fixed_timeout"]},
        {"status": "unreplied"},
        {"status": "!unreplied"},
        {"zone": 5},
        {"zone": 0},
        {"zone": 5, "mark": 0x10, "status": "!assured"},
        {"saddr": "10.0.0.0/24", "mark": "1,0x11", "timeout": "<1h"},
        {"orig_zone": 5},
    ],
    ids=str,
)
def test_what_the_kernel_is_asked_misses_nothing(kernel: NetlinkSocket, asked: dict[str, Any]) -> None:
    """A dump narrowed by the kernel against the whole table, matched here."""
    filter = Filter(asked)
    matcher = Matcher(filter)
    whole = [body for body in kernel.dump(GET, 0) if matcher.walks(body)]
    assert ids(scan.matching(kernel, filter)) == ids(iter(whole))
    assert whole


def test_an_ipv6_address_is_left_to_this_side_where_the_kernel_gets_it_wrong(kernel: NetlinkSocket) -> None:
    """Such a filter is asked of the kernel only if that lists the one connection, not all the others."""
    one = Filter({"saddr": "2001:db8::d"})
    attributes = probing.asking(one.family, {"saddr": one.choices["saddr"].wanted[0].low})
    answer = kernel.dump(GET, one.family, attributes)
    right = ids(iter(answer)) == ids(scan.matching(kernel, one))
    assert ("saddr" in kernel_filters.of_dump(one).values) == right
    assert (kernel_filters.of_deletion(one) is not None) == right


def test_ports_are_asked_of_the_kernel_only_where_it_looks_at_them() -> None:
    assert set(kernel_filters.of_dump(Filter({"protocol": "tcp", "dport": 80, "family": "ip"})).values) == {
        "protocol",
        "dport",
    }
    for asked in (
        {"protocol": "sctp", "dport": 80, "family": "ip"},
        {"protocol": ["tcp", "udp"], "dport": 80, "family": "ip"},
        {"dport": 80, "family": "ip"},
        {"protocol": "tcp", "dport": "80-81", "family": "ip"},
        {"protocol": "tcp", "dport": "!80", "family": "ip"},
    ):
        part = kernel_filters.of_dump(Filter(asked))
        assert "dport" not in part.values
        assert not part.whole
        assert kernel_filters.of_deletion(Filter(asked)) is None


def test_a_trial_sees_through_a_filter_that_is_not_looked_at() -> None:
    """Ports of SCTP stand in the filter and mean nothing: a deletion by them would take every port."""
    with probing.Trial() as trial:
        assert trial.available
        tcp = frozenset({"saddr", "protocol", "dport"})
        assert trial.lists(tcp, 2, 6)
        assert trial.deletes(tcp, 2, 6)
        for protocol in (SCTP, 136):
            assert not trial.lists(tcp, 2, protocol)
            assert not trial.deletes(tcp, 2, protocol)
        # A zone means a zone in either direction as well: more than was said.
        assert trial.lists(frozenset({"zone"}), 0, 6)
        assert not trial.deletes(frozenset({"zone"}), 0, 6)
        # The namespace is as empty as before, and the next trial is right again.
        assert trial.deletes(frozenset({"mark", "mark_mask", "family"}), 10, 6)


def forget(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Know nothing of the kernel but what a file in the directory says."""
    monkeypatch.setattr(trials, "PATH", str(directory / "filters.json"))
    monkeypatch.setattr(trials, "_known", None)
    monkeypatch.setattr(trials, "_doubtful", {})


def test_without_a_namespace_to_try_in_nothing_is_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused() -> None:
        raise HostError("cannot make a network namespace")

    monkeypatch.setattr(probing, "private_socket", refused)
    forget(monkeypatch, tmp_path)
    assert kernel_filters.of_deletion(Filter({"mark": 1})) is None
    assert kernel_filters.of_dump(Filter({"saddr": "2001:db8::1"})).values == {}


def test_an_old_kernel_is_asked_for_less(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Below the version that promises a part, only what a trial has shown is asked."""
    monkeypatch.setattr(kernel_filters, "_version", lambda: (4, 19))
    forget(monkeypatch, tmp_path)
    monkeypatch.setattr(probing.Trial, "lists", lambda *_: False)
    part = kernel_filters.of_dump(Filter({"saddr": "10.0.0.1", "mark": 1, "status": "assured", "zone": 1}))
    assert set(part.values) == {"mark", "mark_mask"}
    assert not part.whole


def test_a_kernel_that_refuses_its_part_is_asked_for_the_whole(
    kernel: NetlinkSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One built without marks refuses them; here a flag that no kernel knows stands for that."""
    filter = Filter({"mark": "0x11"})
    expected = ids(scan.matching(kernel, filter))
    refused = nested(uapi.CTA_FILTER, attribute(uapi.CTA_FILTER_ORIG_FLAGS, b"\xff" * 4))
    with pytest.raises(KernelError):
        kernel.dump(GET, 0, refused)
    part = kernel_filters.Part(0, {"mark": 0x11}, False, refused)
    monkeypatch.setattr(kernel_filters, "of_dump", lambda _filter: part)
    assert ids(scan.matching(kernel, filter)) == expected
    assert expected


def test_the_count_of_all_needs_no_dump(kernel: NetlinkSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = len(kernel.dump(GET, 0))
    monkeypatch.setattr(NetlinkSocket, "pieces", None)
    assert scan.count(kernel) == scan.count(kernel, Filter()) == expected == len(mixed())


def test_a_scan_may_be_left_early(kernel: NetlinkSocket) -> None:
    first = next(scan.matching(kernel, Filter({"protocol": "tcp"})))
    assert first[messages.ATTRIBUTES - 4] in (2, 10)
    assert scan.count(kernel, Filter({"protocol": "tcp"})) > 1


def test_ids_of_listed_connections_find_them_again(kernel: NetlinkSocket) -> None:
    some = ids(scan.matching(kernel, Filter({"mark": "0x11"})))
    assert len(some) > 10
    assert ids(scan.matching(kernel, Filter({"ids": some}))) == some
