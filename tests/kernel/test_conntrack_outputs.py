# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every output form against conntrack(8) on the same connections, byte for byte."""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rempart.conntrack import entries, expectations, line, tuples, uapi, xml
from rempart.conntrack.names import SCTP_STATES, TCP_STATES
from rempart.netlink import messages
from rempart.netlink.attributes import attribute
from rempart.netlink.socket import NetlinkSocket

from tests.support import connections, conntrack_tool
from tests.support.conntrack_tool import still
from tests.support.namespaces import Namespace
from tests.support.packets import icmp, ip, udp
from tests.support.possible_connections import possible
from tests.support.routed import CLIENT, LAN, SERVER, Routed, routed
from tests.support.traffic import echo_server, tcp_exchange, udp_send

SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1  # linux/socket.h, linux/netlink.h

LABELS = {1: "one", 3: "three", 90: "ninety"}
LABELS_FILE = "1 one\n3\tthree\n# 4 four\n90 ninety\n"

ROUTER = """
table inet t {
  ct helper ftp { type "ftp" protocol tcp; }
  chain raw {
    type filter hook prerouting priority -300;
    udp dport 5001 ct zone set 7
    udp dport 5002 ct original zone set 8
    udp dport 5003 ct reply zone set 9
  }
  chain early {
    type filter hook prerouting priority -150;
    tcp dport 21 ct helper set "ftp"
    udp dport 5004 ct label set 3
    udp dport 5004 ct label set 90
    udp dport 5005 ct label set 100
    udp dport 5006 ct mark set 0xdeadbeef
  }
  chain dstnat {
    type nat hook prerouting priority dstnat;
    iifname "lan0" meta nfproto ipv4 tcp dport 80 dnat ip to 10.0.2.1:7
    iifname "lan0" meta nfproto ipv6 tcp dport 80 dnat ip6 to [2001:db8:2::1]:7
  }
  chain srcnat {
    type nat hook postrouting priority srcnat;
    udp dport 6001 masquerade
    udp dport 6002 meta nfproto ipv4 snat ip to 10.0.2.77:4321
    udp dport 6002 meta nfproto ipv6 snat ip6 to [2001:db8:2::77]:4321
  }
}
"""
# By port, so that each connection stays in the state that it is named after.
SERVER_RULES = """
table inet t {
  chain c {
    type filter hook input priority 0;
    tcp dport 1001 drop
    tcp dport 1003 tcp flags & fin == fin drop
  }
}
"""
CLIENT_RULES = """
table inet t {
  chain c {
    type filter hook input priority 0;
    tcp sport 1002 drop
    tcp sport 1005 tcp flags & fin == fin drop
  }
  chain once {
    type filter hook output priority 0;
    meta nfproto ipv4 tcp dport 1003 tcp flags & fin == fin limit rate over 1/hour burst 1 packets drop
    meta nfproto ipv6 tcp dport 1003 tcp flags & fin == fin limit rate over 1/hour burst 1 packets drop
    meta nfproto ipv4 tcp dport 1005 tcp flags & fin == fin limit rate over 1/hour burst 1 packets drop
    meta nfproto ipv6 tcp dport 1005 tcp flags & fin == fin limit rate over 1/hour burst 1 packets drop
  }
}
"""
STATES = {
    1001: "SYN_SENT",
    1002: "SYN_RECV",
    1003: "FIN_WAIT",
    1004: "CLOSE_WAIT",
    1005: "LAST_ACK",
    1006: "TIME_WAIT",
    1007: "CLOSE",
    1008: "ESTABLISHED",
}


@pytest.fixture(scope="module")
def router() -> Iterator[Namespace]:
    """A router with connections of every kind."""
    with routed() as hosts, contextlib.ExitStack() as held:
        hosts.server.nft(SERVER_RULES)
        hosts.client.nft(CLIENT_RULES)
        hosts.router.sysctl("net.netfilter.nf_conntrack_acct", 1)
        hosts.router.sysctl("net.netfilter.nf_conntrack_timestamp", 1)
        hosts.router.nft(ROUTER)
        for version in (4, 6):
            tcp_states(hosts, version, held)
            translated_and_marked(hosts, version, held)
        hosts.send(
            [
                icmp(CLIENT[4], SERVER[4], 8),
                icmp(CLIENT[6], SERVER[6], 128),
                *(icmp(CLIENT[4], "10.0.2.9", kind, data=bytes(16)) for kind in (13, 15, 17)),
                icmp(CLIENT[6], SERVER[6], 139, data=bytes(16)),
                ip(CLIENT[4], SERVER[4], 132, struct.pack("!HHII", 5, 6, 0, 0) + b"\1\0\0\4"),
                ip(CLIENT[4], SERVER[4], 47, struct.pack("!HHHH", 0x3001, 0x880B, 0, 0x1234)),
                ip(CLIENT[6], SERVER[6], 47, struct.pack("!HH", 0, 0x0800) + bytes(40)),
                ip(CLIENT[4], SERVER[4], 99, b"whatever"),
                ip(CLIENT[6], SERVER[6], 99, b"whatever"),
            ]
        )
        injected(hosts.router)
        yield hosts.router


def tcp_states(hosts: Routed, version: int, held: contextlib.ExitStack) -> None:
    """One connection in each state of TCP that traffic can be held in."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    for port in STATES:
        listener = held.enter_context(hosts.server.socket(family, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((SERVER[version], port))
        listener.listen(1)
        client = held.enter_context(hosts.client.socket(family, socket.SOCK_STREAM))
        if port in (1001, 1002):
            client.setblocking(False)
            client.connect_ex((SERVER[version], port))
            continue
        client.settimeout(2)
        client.connect((SERVER[version], port))
        server = held.enter_context(listener.accept()[0])
        server.settimeout(2)
        if port == 1007:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()  # a reset
        elif port != 1008:
            client.shutdown(socket.SHUT_WR)
            if port in (1005, 1006):
                assert server.recv(1) == b""
                server.shutdown(socket.SHUT_WR)


def translated_and_marked(hosts: Routed, version: int, held: contextlib.ExitStack) -> None:
    address = SERVER[version]
    held.enter_context(echo_server(hosts.server, address, 7, ("tcp",)))
    tcp_exchange(hosts.client, LAN[version], 80, b"through the router")
    unanswered = (6002, 5003)  # sent from an address that nobody has; answered in a zone that is not its own
    for port in (6001, 6002, *range(5001, 5007)):
        with echo_server(hosts.server, address, port, ("udp",)):
            udp_send(hosts.client, SERVER[version], port, timeout=0.05 if port in unanswered else 2)
    hosts.send([udp(CLIENT[version], SERVER[version], 4999, 4999)])
    # An FTP client that asks for a connection back: the first line lets the helper find its place.
    held.enter_context(echo_server(hosts.server, address, 21, ("tcp",)))
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    client = held.enter_context(hosts.client.socket(family, socket.SOCK_STREAM))
    client.settimeout(2)
    client.connect((SERVER[version], 21))
    command = b"PORT 10,0,1,1,4,1\r\n" if version == 4 else b"EPRT |2|2001:db8:1::1|1025|\r\n"
    for said in (b"USER me\r\n", command):
        client.sendall(said)
        assert client.recv(100) == said


def injected(router: Namespace) -> None:
    """What no traffic here makes: the other states, UDPlite, helpers of connections that stand alone."""
    pair = {"saddr": "10.7.0.1", "daddr": "10.7.0.2"}
    six = {"saddr": "fd07::1", "daddr": "fd07::2"}
    tuples = [{**one, "dport": 9} for one in (pair, six)]
    made: list[dict[str, Any]] = []
    for number, state in enumerate(TCP_STATES):
        made.append(connections.tcp("10.7.1.1", "10.7.1.2", 9, number + 1, state=state))
    for one in tuples:
        for number, state in enumerate(SCTP_STATES[:9]):  # the last is gone from Linux 6.1
            original = {**one, "sport": number}
            made.append({"protocol": "sctp", "original": original, "timeout": 900, "state": state})
        # What Linux 6.18 does not track any more, it keeps without ports.
        made.append({"protocol": "dccp", "original": {**one, "sport": 1}, "timeout": 900})
        made.append({"protocol": "udplite", "original": {**one, "sport": 1}, "timeout": 900, "status": []})
        made.append(connections.udp(one["saddr"], one["daddr"], 77, 77, status=[], mark=1, zone=2))
    made.append({"protonum": 2, "original": pair, "timeout": 900})
    made.append(
        {
            "protocol": "icmp",
            "original": {**pair, "icmp_type": 8, "icmp_code": 0, "icmp_id": 4},
            "reply": {
                **{"saddr": pair["daddr"], "daddr": "10.7.0.9"},
                **{"icmp_type": 0, "icmp_code": 0, "icmp_id": 5},
            },
            "timeout": 900,
        }
    )
    made.append(connections.tcp("10.7.2.1", "10.7.2.2", 21, 21, helper="ftp", labels=[0, 1, 127]))
    connections.inject(router, made)


def test_the_opposite_of_a_tuple_is_the_kernels(router: Namespace) -> None:
    kinds = set()
    for one in bodies(router):
        if one["nat"] or one["original"]["saddr"] not in CLIENT.values():
            continue
        kept = {*tuples.KEYS} - {"zone"}
        reply = {key: value for key, value in one["reply"].items() if key in kept}
        assert tuples.opposite(one["original"], one["protonum"]) == reply
        kinds.add((one["protonum"], one["original"].get("icmp_type")))
    assert {(1, 8), (1, 13), (1, 15), (1, 17), (58, 128), (58, 139), (6, None), (47, None)} <= kinds


def agree(ours: Callable[[], list[str]], theirs: Callable[[], list[str]]) -> list[str]:
    """The lines that both print, without what moves: read while nothing else changed."""
    for _ in range(20):
        before, said, after = ours(), theirs(), ours()
        if list(map(still, before)) == list(map(still, after)):
            assert list(map(still, before)) == list(map(still, said))
            assert before
            return [still(one) for one in said]
    raise AssertionError("the table does not stand still")


def bodies(router: Namespace) -> list[dict[str, Any]]:
    return connections.listed(router)


def test_the_connections_are_of_every_kind(router: Namespace) -> None:
    """The fixture made what the tests are about."""
    found = bodies(router)
    for family in ("ip", "ip6"):
        mine = [one for one in found if one["family"] == family]
        by_port = {one["original"].get("dport"): one for one in mine}
        assert {port: by_port[port]["state"] for port in STATES} == STATES
        assert by_port[4999]["unreplied"] and not by_port[4999]["assured"]
        assert by_port[80]["nat"] == ["dnat"] and by_port[6001]["nat"] == by_port[6002]["nat"] == ["snat"]
        assert by_port[6002]["reply"]["dport"] == 4321
        assert by_port[1008]["nat"] == []
        assert by_port[5001]["zone"] == 7
        assert by_port[5002]["original"]["zone"] == 8 and by_port[5003]["reply"]["zone"] == 9
        assert by_port[5004]["labels"] == [3, 90] and by_port[5005]["labels"] == [100]
        assert by_port[5006]["mark"] == 0xDEADBEEF
        assert by_port[21]["helper"] == "ftp"
        assert by_port[6001]["original"]["packets"] == 1 and by_port[6001]["reply"]["bytes"] > 0
        assert abs(by_port[6001]["start"] / 1e9 - time.time()) < 600
        protocols = {one["protonum"] for one in mine}
        assert {6, 17, 33, 47, 99, 132, 136} <= protocols
        assert ({1, 2} if family == "ip" else {58}) <= protocols


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ([], {}),
        (["-o", "extended"], {"extended": True}),
        (["-o", "id,ktimestamp"], {"id": True, "ktimestamp": True}),
        (["-o", "extended,id,ktimestamp"], {"extended": True, "id": True, "ktimestamp": True}),
    ],
    ids=["plain", "extended", "id,ktimestamp", "all"],
)
def test_lines(router: Namespace, options: list[str], flags: dict[str, bool]) -> None:
    printed = agree(
        lambda: [line.connection(one, **flags) for one in bodies(router)],
        lambda: conntrack_tool.listing(router, *options),
    )
    assert len(printed) > 70


def test_lines_with_labels(router: Namespace) -> None:
    printed = agree(
        lambda: [line.connection(one, id=True, label_names=LABELS) for one in bodies(router)],
        lambda: conntrack_tool.listing(router, "-o", "id,labels", labels=LABELS_FILE),
    )
    ends = [one.rsplit(" ", 1)[1] for one in printed]
    assert {"labels=three,ninety", "labels=one", "labels"} <= set(ends)


def true_state(flow: str) -> str:
    """An SCTP flow of conntrack(8) with the state that it means: it prints TCP's of the same number."""
    if 'protoname="sctp"' not in flow:
        return flow
    head, rest = flow.split("<state>")
    word, tail = rest.split("</state>", 1)
    return "%s<state>%s</state>%s" % (head, SCTP_STATES[TCP_STATES.index(word)], tail)


@pytest.mark.parametrize(
    ("options", "flags", "labels"),
    [
        ("xml", {}, ""),
        ("xml,ktimestamp", {"ktimestamp": True}, ""),
        ("xml,labels", {"label_names": LABELS}, LABELS_FILE),
    ],
    ids=["plain", "ktimestamp", "labels"],
)
def test_xml(router: Namespace, options: str, flags: dict[str, Any], labels: str) -> None:
    printed = agree(
        lambda: list(xml.document(xml.connection(one, **flags) for one in bodies(router))),
        lambda: list(map(true_state, conntrack_tool.listing(router, "-o", options, labels=labels))),
    )
    assert "".join(printed).count("<flow>") > 70
    if labels:
        assert "<labels><label>three</label><label>ninety</label></labels>" in "".join(printed)


@settings(max_examples=8, suppress_health_check=list(HealthCheck), deadline=None)
@given(made=st.lists(possible(), min_size=40, max_size=60))
def test_random_connections(labelled: Namespace, made: list[dict[str, Any]]) -> None:
    labelled.run("conntrack", "-F")
    connections.inject(labelled, [{**entry, "zone": zone} for zone, entry in enumerate(made, 1)])
    agree(
        lambda: [
            line.connection(one, id=True, extended=True, label_names=LABELS) for one in bodies(labelled)
        ],
        lambda: conntrack_tool.listing(labelled, "-o", "id,extended,labels", labels=LABELS_FILE),
    )
    agree(
        lambda: list(xml.document(xml.connection(one, label_names=LABELS) for one in bodies(labelled))),
        lambda: list(
            map(true_state, conntrack_tool.listing(labelled, "-o", "xml,labels", labels=LABELS_FILE))
        ),
    )


@pytest.fixture(scope="module")
def labelled() -> Iterator[Namespace]:
    """A namespace whose connections have room for labels."""
    if os.geteuid():
        pytest.skip("needs root for network namespaces")
    with Namespace() as netns:
        netns.nft(EVENTS_RULES.replace("ct mark set 5", "ct label set 1"))
        yield netns


def test_an_empty_table_is_no_document(netns: Namespace) -> None:
    assert list(xml.document([])) == conntrack_tool.listing(netns, "-o", "xml") == []


def expected(router: Namespace, family: str = "ip") -> list[dict[str, Any]]:
    with NetlinkSocket(router.name) as kernel:
        found = [expectations.decode(body) for body in expectations.read(kernel)]
    return [one for one in found if one["family"] == family]


FAMILIES = pytest.mark.parametrize(("family", "word"), [("ip", "ipv4"), ("ip6", "ipv6")])


@FAMILIES
def test_expectations(router: Namespace, family: str, word: str) -> None:
    printed = agree(
        lambda: [line.expectation(one) for one in expected(router, family)],
        lambda: conntrack_tool.listing(router, "expect", "-f", word),
    )
    assert len(printed) == 1


@FAMILIES
def test_expectations_as_xml(router: Namespace, family: str, word: str) -> None:
    agree(
        lambda: list(xml.document(map(xml.expectation, expected(router, family)), xml.EXPECTATIONS)),
        lambda: conntrack_tool.listing(router, "expect", "-f", word, "-o", "xml"),
    )


def expectation(flags: int, protonum: int = 6, zone: int = 0) -> bytes:
    """The attributes that make an expectation of a program's own, beside the connection of port 9."""

    def tuple_(saddr: str, daddr: str, sport: int, dport: int, kind: int) -> bytes:
        one = {"saddr": saddr, "daddr": daddr}
        if protonum in (6, 17):
            one.update(sport=sport, dport=dport)
        return tuples.encode(kind, one, socket.AF_INET, protonum, [])

    return b"".join(
        (
            tuple_("10.7.0.1", "10.7.0.2", 1, 9, uapi.CTA_EXPECT_MASTER),
            tuple_("10.7.0.1", "10.7.0.2", 0, 7000 + flags, uapi.CTA_EXPECT_TUPLE),
            tuple_("255.255.255.255", "255.255.255.255", 0, 65535, uapi.CTA_EXPECT_MASK),
            attribute(uapi.CTA_EXPECT_TIMEOUT, (300).to_bytes(4, "big")),
            attribute(uapi.CTA_EXPECT_FLAGS, flags.to_bytes(4, "big")),
            attribute(uapi.CTA_EXPECT_ZONE, zone.to_bytes(2, "big")) if zone else b"",
        )
    )


@pytest.mark.parametrize("flags", range(4))
def test_expectations_with_flags(netns: Namespace, flags: int) -> None:
    """Announced by a program, with every set of flags that the kernel keeps beside a helper of its own."""
    pair = {"saddr": "10.7.0.1", "daddr": "10.7.0.2"}
    connections.inject(
        netns,
        [connections.tcp(original={**pair, "sport": 1, "dport": 9}, helper="ftp")],
    )
    new = uapi.NFNL_SUBSYS_CTNETLINK_EXP << 8 | uapi.IPCTNL_MSG_EXP_NEW
    with NetlinkSocket(netns.name) as kernel:
        kernel.request(new, socket.AF_INET, expectation(flags), messages.NLM_F_CREATE)
    words = [word for bit, word in enumerate(("permanent", "inactive")) if flags >> bit & 1]
    assert [one["flags"] for one in expected(netns)] == [words]
    agree(
        lambda: [line.expectation(one) for one in expected(netns)],
        lambda: conntrack_tool.listing(netns, "expect"),
    )
    agree(
        lambda: list(xml.document(map(xml.expectation, expected(netns)), xml.EXPECTATIONS)),
        lambda: conntrack_tool.listing(netns, "expect", "-o", "xml"),
    )


GROUPS = {
    False: (uapi.NFNLGRP_CONNTRACK_NEW, uapi.NFNLGRP_CONNTRACK_UPDATE, uapi.NFNLGRP_CONNTRACK_DESTROY),
    True: (
        uapi.NFNLGRP_CONNTRACK_EXP_NEW,
        uapi.NFNLGRP_CONNTRACK_EXP_UPDATE,
        uapi.NFNLGRP_CONNTRACK_EXP_DESTROY,
    ),
}


class Heard:
    """The events of a namespace as (event, netlink port of who caused it, body)."""

    def __init__(self, kernel: NetlinkSocket, of_expectations: bool) -> None:
        self._socket = kernel.socket
        for group in GROUPS[of_expectations]:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def all(self) -> list[tuple[str, int, bytes]]:
        found = []
        while select.select([self._socket], [], [], 0.1)[0]:
            data = self._socket.recv(65536)
            for kind, flags, _, start, stop in messages.split(data):
                (port,) = struct.unpack_from("=I", data, start - 4)
                new = "new" if flags & messages.NLM_F_CREATE else "update"
                event = "destroy" if kind & 0xFF == uapi.IPCTNL_MSG_CT_DELETE else new
                found.append((event, port, data[start:stop]))
        return found


def make_events(netns: Namespace) -> None:
    """A connection with a helper and an expectation, both ended by a program."""
    with echo_server(netns, "127.0.0.1", 21, ("tcp",)), netns.socket(socket.AF_INET) as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", 21))
        for said in (b"USER me\r\n", b"PORT 127,0,0,1,4,1\r\n"):
            client.sendall(said)
            assert client.recv(100) == said
        netns.run("conntrack", "-F", "expect")
    netns.run("conntrack", "-F")


EVENTS_RULES = """
table inet t {
  ct helper ftp { type "ftp" protocol tcp; }
  chain c {
    type filter hook output priority -150;
    tcp dport 21 ct helper set "ftp" ct mark set 5
  }
}
"""


@pytest.mark.parametrize("options", ["id,ktimestamp,timestamp", "xml,ktimestamp", "xml,timestamp"])
def test_events(netns: Namespace, options: str) -> None:
    netns.sysctl("net.netfilter.nf_conntrack_timestamp", 1)
    netns.nft(EVENTS_RULES)
    with NetlinkSocket(netns.name) as kernel, conntrack_tool.events(netns, "-o", options) as tool:
        heard = Heard(kernel, False)
        make_events(netns)
        events = heard.all()
        head = 2 if "xml" in options else 0
        tool.wait(head + len(events))
        said = tool.stop()
    ours = []
    for event, port, body in events:
        entry = entries.decode(body)
        if "xml" in options:
            when = time.localtime() if "timestamp" in options.split(",") else None
            ours.append(xml.connection(entry, event, "ktimestamp" in options, when=when))
        else:
            ours.append(line.connection(entry, event, id=True, ktimestamp=True))
            # When it was received is the receiver's own; the form of that is not.
            stamp = re.match(r"\[(\d+)\.(\d{6})\]\t", said[len(ours) - 1])
            assert stamp is not None
            ours[-1] = line.stamp(int(stamp[1]) + (int(stamp[2]) + 0.5) / 1e6) + ours[-1]
        ours[-1] += line.userspace(port, "conntrack")
        assert time.time() - 600 < entry["event_time"] / 1e9 < time.time()
    if "xml" in options:
        ours = list(xml.document(ours))
    assert list(map(still, ours)) == list(map(still, said))
    assert [event for event, _, _ in events][:: len(events) - 1] == ["new", "destroy"]
    assert "portid" in said[-1 - (head > 0)]


@pytest.mark.parametrize("options", [[], ["-o", "xml"]], ids=["line", "xml"])
def test_events_of_expectations(netns: Namespace, options: list[str]) -> None:
    netns.nft(EVENTS_RULES)
    with NetlinkSocket(netns.name) as kernel, conntrack_tool.events(netns, "expect", *options) as tool:
        heard = Heard(kernel, True)
        make_events(netns)
        events = [(event, expectations.decode(body)) for event, _, body in heard.all()]
        head = 2 if options else 0
        tool.wait(head + len(events))
        said = tool.stop()
    if options:
        flows = [xml.expectation(entry, event) for event, entry in events]
        ours = list(xml.document(flows, xml.EXPECTATIONS))
    else:
        ours = [line.expectation(entry, event) for event, entry in events]
    assert list(map(still, ours)) == list(map(still, said))
    assert [event for event, _ in events][:: len(events) - 1] == ["new", "destroy"]
