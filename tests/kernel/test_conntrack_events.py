# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events of the connection table: those that a filter means, of injected connections and of real packets."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from rempart.conntrack import deletion, uapi
from rempart.conntrack.events import DESTROY, EXPECT_NEW, GROUPS, NEW, UPDATE, Events
from rempart.conntrack.filters import Filter
from rempart.errors import DocumentError, HostError
from rempart.netlink import messages
from rempart.netlink.attributes import attribute, table
from rempart.netlink.socket import NetlinkSocket

from tests.support.connection_tables import UDP, Addresses, connection, inject, packed, tuple_attribute
from tests.support.namespaces import Namespace
from tests.support.traffic import udp_send

CHANGE = uapi.NFNL_SUBSYS_CTNETLINK << 8 | uapi.IPCTNL_MSG_CT_NEW


@pytest.fixture
def kernel(netns: Namespace) -> Iterator[NetlinkSocket]:
    with NetlinkSocket(netns.name) as opened:
        yield opened


def source(body: bytes) -> bytes:
    """The original source address of a body."""
    original = table(table(body, 4)[uapi.CTA_TUPLE_ORIG])
    return table(original[uapi.CTA_TUPLE_IP])[uapi.CTA_IP_V4_SRC]


def test_a_connections_life_is_told(netns: Namespace, kernel: NetlinkSocket) -> None:
    entry = connection("10.0.0.1", "10.0.0.2", 1000, 80)
    with Events(netns=netns.name, count=3, timeout=10) as events:
        inject(kernel, [entry])
        changed = tuple_attribute(uapi.CTA_TUPLE_ORIG, entry.original, entry.protocol)
        kernel.request(CHANGE, 2, changed + attribute(uapi.CTA_MARK, struct.pack(">I", 7)))
        deletion.delete(kernel, Filter({"mark": 7}))
        seen = list(events)
    assert [kind for kind, _body in seen] == [NEW, UPDATE, DESTROY]
    assert {source(body) for _kind, body in seen} == {packed("10.0.0.1")}
    assert events.lost == 0


def test_a_filter_chooses_events(netns: Namespace, kernel: NetlinkSocket) -> None:
    addresses = Addresses()
    wanted = {packed("10.0.0.%d" % number) for number in range(4, 8)}
    with Events(
        Filter({"saddr": "10.0.0.4/30", "protocol": "udp"}), netns=netns.name, count=8, timeout=10
    ) as events:
        inject(kernel, (addresses.entry(number, UDP) for number in range(20)))
        inject(kernel, (addresses.entry(100 + number) for number in range(20)))
        deletion.delete(kernel, Filter(), everything=True)
        seen = [(kind, source(body)) for kind, body in events]
    assert {body for kind, body in seen if kind == NEW} == wanted
    assert {body for kind, body in seen if kind == DESTROY} == wanted
    assert len(seen) == 8


def test_kinds_are_chosen(netns: Namespace, kernel: NetlinkSocket) -> None:
    with Events(kinds=[DESTROY], netns=netns.name, count=1, timeout=10) as events:
        inject(kernel, [connection("10.0.0.1", "10.0.0.2", 1000, 80)])
        deletion.delete(kernel, Filter(), everything=True)
        assert [kind for kind, _body in events] == [DESTROY]


def test_real_packets_are_told_of_as_they_pass(netns: Namespace) -> None:
    netns.nft("table inet t { chain c { type filter hook output priority 0; ct state new counter; }; }")
    with Events(Filter({"protocol": "udp", "dport": 4242}), netns=netns.name, count=1, timeout=10) as events:
        udp_send(netns, "127.0.0.1", 4243, timeout=0.05)
        udp_send(netns, "127.0.0.1", 4242, timeout=0.05)
        ((kind, body),) = list(events)
    assert kind == NEW
    assert source(body) == packed("127.0.0.1")
    assert uapi.CTA_PROTOINFO not in table(body, 4)


def test_what_an_event_does_not_tell_is_none_that_was_asked_for(
    netns: Namespace, kernel: NetlinkSocket
) -> None:
    """A destroyed connection's event has no helper, and of a TCP connection no timeout that counts."""
    entry = connection("10.0.0.1", "10.0.0.2", 1000, 80)
    with (
        Events(Filter({"labels": 3}), netns=netns.name, timeout=0.2) as labelled,
        Events(Filter({"labels": "!3"}), netns=netns.name, count=2, timeout=10) as others,
    ):
        inject(kernel, [entry])
        deletion.delete(kernel, Filter(), everything=True)
        assert [kind for kind, _body in others] == [NEW, DESTROY]
        assert list(labelled) == []


def test_overruns_are_counted_and_the_rest_still_comes(netns: Namespace, kernel: NetlinkSocket) -> None:
    with Events(netns=netns.name, buffer=4096, timeout=0.5) as events:
        inject(kernel, (Addresses().entry(number) for number in range(500)))
        seen = list(events)
    assert events.lost >= 1
    assert 0 < len(seen) < 500


def test_it_ends_when_told_by_a_thread(netns: Namespace) -> None:
    with Events(netns=netns.name) as events:
        ending = threading.Timer(0.1, events.stop)
        ending.start()
        assert list(events) == []
        ending.join()


def test_it_ends_when_told_by_a_signal(netns: Namespace) -> None:
    with Events(netns=netns.name) as events:
        before = signal.signal(signal.SIGUSR1, lambda *_: events.stop())
        try:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            assert list(events) == []
        finally:
            signal.signal(signal.SIGUSR1, before)


def test_stop_before_the_beginning_and_after_the_end_does_no_harm(netns: Namespace) -> None:
    events = Events(netns=netns.name)
    events.stop()
    assert list(events) == []
    events.close()
    events.close()
    events.stop()


def test_it_ends_in_time_however_much_happens(netns: Namespace, kernel: NetlinkSocket) -> None:
    """Events that the filter passes over don't put the end off."""
    with Events(Filter({"mark": 9}), netns=netns.name, timeout=0.2) as events:
        going = threading.Event()

        def traffic() -> None:
            for _ in range(5000):
                if going.is_set():
                    return
                inject(kernel, (Addresses().entry(number) for number in range(20)))
                deletion.delete(kernel, Filter(), everything=True)

        noise = threading.Thread(target=traffic)
        noise.start()
        try:
            assert list(events) == []
            assert noise.is_alive()
        finally:
            going.set()
            noise.join()


def test_what_happens_after_its_time_is_not_told(netns: Namespace, kernel: NetlinkSocket) -> None:
    with Events(netns=netns.name, timeout=0) as events:
        inject(kernel, [connection("10.0.0.1", "10.0.0.2", 1000, 80)])
        assert list(events) == []


def test_messages_of_other_processes_are_passed_over(netns: Namespace) -> None:
    """Any process may send to a listener's port; only the kernel is believed."""
    with Events(netns=netns.name, timeout=0.3) as events:
        port = events.socket.getsockname()[0]
        forged = connection("10.0.0.1", "10.0.0.2", 1, 80).message(0, messages.NLM_F_CREATE)
        with netns.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as forger:
            forger.sendto(forged, (port, 0))
        assert list(events) == []


def test_bad_arguments_are_all_told() -> None:
    with pytest.raises(DocumentError) as error:
        Events(Filter({"mark": 1, "family": "ip"}), kinds=["neu", EXPECT_NEW])
    assert [one.place for one in error.value.problems] == ["kinds[0]", "mark"]
    assert "did you mean 'new'?" in str(error.value)
    with pytest.raises(DocumentError, match="no kind of event"):
        Events(kinds=[])
    with pytest.raises(HostError, match="no such network namespace"):
        Events(netns="rempart-test-there-is-none")


def test_expectations_are_listened_to(netns: Namespace) -> None:
    """The groups can be joined; what an expectation is, other tests tell."""
    with Events(Filter({"family": "ip"}), kinds=list(GROUPS), netns=netns.name, timeout=0) as events:
        assert list(events) == []
