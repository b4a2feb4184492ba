# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cutting where it is not plain: zones, silent ends, reused tuples, several at once, and what is left."""

from __future__ import annotations

import errno
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from rempart.conntrack import declared, one, scan
from rempart.errors import HostError, KernelError
from rempart.killing import cut, keeper
from rempart.killing import kill as kill_module
from rempart.killing.cut_table import CutTable
from rempart.killing.kill import Found, Killed, find, kill
from rempart.killing.sighting import Sighting
from rempart.killing.sockets import SocketDiagnostics
from rempart.killing.wanted import Wanted
from rempart.netlink.socket import NetlinkSocket

from tests.kernel.test_conntrack_expectations import expect
from tests.support.connections import inject, listed, tcp, udp
from tests.support.flows import Echo, Pump, Tcp, Udp, passes
from tests.support.namespaces import Namespace, veth
from tests.support.routed import CLIENT, LAN, OUTSIDE, SERVER, ZONES, Routed, forget

TRACKING = """
table inet t {
    chain forward { type filter hook forward priority 0; ct state established accept; }
}
"""
AWAY = """
table inet away {
    chain in { type filter hook input priority 0; policy drop; }
    chain out { type filter hook output priority 0; policy drop; }
}
"""


@pytest.fixture
def hosts(hosts: Routed) -> Iterator[Routed]:
    hosts.router.nft("flush ruleset\n" + TRACKING)
    yield hosts
    forget(hosts.router)


def run(where: Namespace, connections: Any = None, **arguments: Any) -> tuple[Found, Killed]:
    """Kill in a namespace; keys that are not the filter's are the options of a Wanted."""
    options = {
        key: arguments.pop(key)
        for key in ("how", "block_for", "max_kills", "everything", "expectations")
        if key in arguments
    }
    wanted = Wanted(arguments, connections, **options)
    with NetlinkSocket(where.name) as kernel:
        found = find(kernel, where.name, wanted)
        return found, kill(kernel, where.name, wanted, found)


def held(where: Namespace) -> dict[bytes, float]:
    with NetlinkSocket(where.name) as kernel:
        return CutTable(kernel).held()


def release(where: Namespace) -> None:
    """End every block."""
    with NetlinkSocket(where.name) as kernel:
        table = CutTable(kernel)
        table.release(table.held())
        assert table.remove_if_idle()


@pytest.mark.parametrize("first", [1, 2])
def test_the_same_tuple_in_another_zone_lives_on(hosts: Routed, make_netns: Any, first: int) -> None:
    router = hosts.router
    twin = make_netns().up()
    veth(twin, router, CLIENT[4] + "/24", "10.0.1.253/24", name_b="lan1")
    try:
        twin.run("ip", "route", "add", "default", "via", "10.0.1.253")
        router.run("ip", "rule", "add", "fwmark", "2", "lookup", "102")
        router.run("ip", "route", "add", CLIENT[4], "dev", "lan1", "table", "102")
        router.nft("flush ruleset\n" + ZONES)
        clients = {1: hosts.client, 2: twin}
        flows = {
            zone: Tcp(client, hosts.server, SERVER[4], 5000, CLIENT[4], sport=40000)
            for zone, client in clients.items()
        }
        try:
            zones = [one["original"]["zone"] for one in listed(router) if one["protocol"] == "tcp"]
            assert sorted(zones) == [1, 2]
            second = 3 - first
            found, done = run(router, orig_zone=first)
            assert (found.count, done.outcomes) == (1, ["reset"])
            assert all(flows[first].ended())
            assert flows[second].exchange()
            with Pump(flows[second]) as pump:
                found, done = run(router, orig_zone=second)
                assert done.outcomes == ["reset"]
                assert all(pump.ended())
        finally:
            for flow in flows.values():
                flow.close()
    finally:
        router.run("ip", "link", "delete", "lan1")
        router.run("ip", "rule", "delete", "fwmark", "2")


def test_connections_of_a_zone_for_both_directions(hosts: Routed) -> None:
    hosts.router.nft(
        "flush ruleset\n"
        "table inet z { chain raw { type filter hook prerouting priority -300; ct zone set 7; }\n"
        "chain out { type filter hook output priority -300; ct zone set 7; }\n"
        "chain f { type filter hook forward priority 0; ct state new accept; }; }"
    )
    for version in (4, 6):
        with Tcp(hosts.client, hosts.server, SERVER[version], 5000) as flow:
            _, done = run(hosts.router, zone=7, mark=0, protocol="tcp")
            assert done.outcomes == ["reset"] and all(flow.ended())


def test_a_connection_whose_window_tracking_has_lost(hosts: Routed) -> None:
    with Tcp(hosts.client, hosts.server, SERVER[4], 5000) as flow:
        hosts.router.nft("table ip r { chain p { type filter hook prerouting priority -300; notrack; }; }")
        with Pump(flow) as pump:
            end = time.monotonic() + 5
            while min(pump.received) < 300_000 and time.monotonic() < end:  # more than any window here
                time.sleep(0.01)
        hosts.router.nft("delete table ip r")
        _, done = run(hosts.router, sport=flow.sport)
        assert done.outcomes == ["reset"]
        assert all(flow.ended())


def test_an_end_that_is_away_is_reset_when_it_comes_back(hosts: Routed) -> None:
    with (
        Tcp(hosts.client, hosts.server, SERVER[4], 5000) as flow,
        Tcp(hosts.client, hosts.server, SERVER[4], 5000) as beside,
    ):
        hosts.client.nft(AWAY)
        hosts.router.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
        try:
            began = time.monotonic()
            _, done = run(hosts.router, sport=flow.sport, block_for=20)
            assert done.outcomes == ["blocked"] and done.deleted == 0 and done.until is not None
            assert time.monotonic() - began < 5
            assert flow.ended(0.1) == ["", "ECONNRESET"]
            # the entry stays, and no packet prolongs it
            (entry,) = [one for one in listed(hosts.router) if one["original"].get("sport") == flow.sport]
            assert "fixed_timeout" in entry["status"] and entry["timeout"] <= 20
            assert 15 < next(iter(held(hosts.router).values())) <= 21
            again, done = run(hosts.router, sport=flow.sport)
            assert (again.count, again.already_cut, done.changed) == (0, 1, False)
        finally:
            hosts.router.sysctl("net.netfilter.nf_conntrack_tcp_loose", 1)
            hosts.client.nft("flush ruleset")
        assert not passes(flow.near, flow.far)
        assert flow.ended()[0] == "ECONNRESET"
        assert beside.exchange()
    release(hosts.router)


def test_where_no_reset_can_leave_packets_are_blocked(hosts: Routed) -> None:
    with Tcp(hosts.client, hosts.server, SERVER[4], 5000) as flow:
        hosts.router.nft("table inet mute { chain o { type filter hook output priority 0; policy drop; }; }")
        with Pump(flow) as pump:
            _, done = run(hosts.router, sport=flow.sport)
            assert done.outcomes == ["blocked"]
            received = list(pump.received)
            assert not pump.flowing() and pump.received == received
    release(hosts.router)


def test_a_block_ends_by_itself_and_the_table_with_it(hosts: Routed) -> None:
    with Udp(hosts.client, hosts.server, SERVER[4], 5000, 5000) as flow:
        wanted = Wanted({"protocol": "udp"}, block_for=1)
        with NetlinkSocket(hosts.router.name) as kernel:
            assert kill(
                kernel, hosts.router.name, wanted, find(kernel, hosts.router.name, wanted)
            ).outcomes == ["blocked"]
            assert keeper.leave(kernel)
        assert not flow.there(0.05) and not flow.back(0.05)
        end = time.monotonic() + 10
        while "rempart_cut" in hosts.router.nft_text() and time.monotonic() < end:
            time.sleep(0.1)
        assert "rempart_cut" not in hosts.router.nft_text()
        assert flow.there()
        listing = subprocess.run(["ip", "netns", "pids", hosts.router.name], capture_output=True, text=True)
        while listing.stdout and time.monotonic() < end:
            listing = subprocess.run(
                ["ip", "netns", "pids", hosts.router.name], capture_output=True, text=True
            )
        assert listing.stdout == ""


def test_without_a_block_the_entry_alone_goes(hosts: Routed) -> None:
    with Udp(hosts.client, hosts.server, SERVER[4], 5000, 5000) as flow:
        _, done = run(hosts.router, protocol="udp", block_for=0)
        assert done.outcomes == ["deleted"] and done.deleted == 1
        assert flow.there()
        assert "rempart_cut" not in hosts.router.nft_text()


def test_a_reused_tuple_is_not_killed_by_a_stale_id(hosts: Routed) -> None:
    client, server = hosts.client, hosts.server
    with Tcp(client, server, SERVER[4], 5000, sport=40001) as flow:
        (stale,) = [one for one in listed(hosts.router) if one["protocol"] == "tcp"]
    others = []
    try:
        while True:
            # The kernel makes the id of where in memory the entry lies: have something else lie there.
            hosts.router.run("conntrack", "-D", "-p", "tcp", "--sport", "40001")
            others.append(Tcp(client, server, SERVER[4], 5000))
            flow = Tcp(client, server, SERVER[4], 5000, sport=40001)
            (now,) = [one for one in listed(hosts.router) if one["original"].get("sport") == 40001]
            if now["id"] != stale["id"]:
                break
            assert len(others) < 20
            flow.close()
        assert now["original"] == stale["original"]
        for how in ("cut", "forget"):
            found, done = run(hosts.router, connections=[stale], how=how)
            assert (found.count, done.already_gone, done.changed) == (0, 1, False)
        assert flow.exchange()
        # of the connections given, those that the filter means
        found, done = run(hosts.router, connections=[stale, now, now], dport=22)
        assert found.count == 0 and flow.exchange()
        found, done = run(hosts.router, connections=[stale, now, now], dport=5000)
        assert (found.count, done.outcomes) == (1, ["reset"])
        assert all(flow.ended())
        assert all(one.exchange() for one in others)
        flow.close()
    finally:
        for one in others:
            one.close()


def test_an_entry_that_goes_in_between_is_already_gone(hosts: Routed) -> None:
    inject(hosts.router, [tcp("10.0.1.9", "10.0.2.9"), udp("10.0.1.9", "10.0.2.9")])
    for how in ("cut", "forget"):
        wanted = Wanted({"saddr": "10.0.1.9"}, how=how)
        with NetlinkSocket(hosts.router.name) as kernel:
            found = find(kernel, hosts.router.name, wanted)
            hosts.router.run("conntrack", "-D", "-s", "10.0.1.9", check=False)
            done = kill(kernel, hosts.router.name, wanted, found)
        inject(hosts.router, [tcp("10.0.1.9", "10.0.2.9"), udp("10.0.1.9", "10.0.2.9")])
        assert (found.count, done.already_gone, done.changed) == (2, 2, False)
        assert "rempart_cut" not in hosts.router.nft_text()


def test_each_says_what_became_of_it(hosts: Routed) -> None:
    inject(hosts.router, [udp("10.0.1.9", "10.0.2.9", 1000 + number) for number in range(6)])
    gone = (1001, 1004)
    for how in ("cut", "forget"):
        inject(hosts.router, [udp("10.0.1.9", "10.0.2.9", port) for port in gone])
        wanted = Wanted({"saddr": "10.0.1.9"}, how=how, block_for=0)
        with NetlinkSocket(hosts.router.name) as kernel:
            found = find(kernel, hosts.router.name, wanted)
            for port in gone:
                hosts.router.run("conntrack", "-D", "-p", "udp", "--sport", str(port))
            done = kill(kernel, hosts.router.name, wanted, found)
        told = {entry["original"]["sport"]: outcome for entry, outcome in zip(found.entries(), done.outcomes)}
        assert told == {
            1000 + number: "already_gone" if 1000 + number in gone else "deleted" for number in range(6)
        }
        assert (done.deleted, done.already_gone) == (4, 2)
        inject(hosts.router, [udp("10.0.1.9", "10.0.2.9", 1000 + number) for number in range(6)])


def test_one_whose_timeout_is_fixed_is_blocked_all_the_same(hosts: Routed) -> None:
    with Udp(hosts.client, hosts.server, SERVER[4], 5000, 5000) as flow:
        name = {"protocol": "udp", "saddr": CLIENT[4], "sport": flow.sport, "daddr": SERVER[4], "dport": 5000}
        with NetlinkSocket(hosts.router.name) as kernel:
            wanted = declared.load({**name, "timeout": 600, "status": "fixed_timeout"})
            one.carry_out(kernel, one.plan(kernel, wanted))
        _, done = run(hosts.router, protocol="udp", block_for=20)
        assert done.outcomes == ["blocked"] and not flow.there(0.1) and not flow.back(0.1)
    release(hosts.router)


def test_two_connections_of_one_id_are_two(hosts: Routed, monkeypatch: pytest.MonkeyPatch) -> None:
    """An id has 32 bits. Here, all have the same."""
    monkeypatch.setattr(kill_module, "TOGETHER", 8)
    look = Sighting.of
    monkeypatch.setattr(Sighting, "of", lambda self, body: look(self, body)._replace(id=b"same"))
    inject(hosts.router, [udp("10.0.1.9", "10.0.2.9", 1000 + number) for number in range(50)])
    found, done = run(hosts.router, saddr="10.0.1.9", how="forget")
    assert (found.count, done.deleted, done.already_gone) == (50, 50, 0)
    assert [one for one in listed(hosts.router) if one["original"]["saddr"] == "10.0.1.9"] == []


def test_one_that_a_dump_has_twice_counts_once(hosts: Routed, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the entry that a piece of the dump had come to has gone."""
    inject(hosts.router, [udp("10.0.1.9", "10.0.2.9", 1000 + number) for number in range(50)])
    matching = scan.matching

    def twice(*arguments: Any) -> Iterator[bytes]:
        bodies = list(matching(*arguments))
        return iter([*bodies[:20], *bodies[10:]])

    monkeypatch.setattr(scan, "matching", twice)
    for together in (8, 100):
        monkeypatch.setattr(kill_module, "TOGETHER", together)
        inject(hosts.router, [udp("10.0.1.9", "10.0.2.9", 1000 + number) for number in range(50)])
        found, done = run(hosts.router, saddr="10.0.1.9", how="forget", max_kills=50)
        assert (found.count, done.deleted, done.already_gone) == (50, 50, 0)


@pytest.mark.parametrize("how", ["cut", "forget"])
def test_more_than_are_in_memory_together(hosts: Routed, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(kill_module, "TOGETHER", 8)
    inject(hosts.router, [udp("10.0.1.9", "10.0.2.9", 1000 + number) for number in range(50)])
    inject(hosts.router, [udp("10.0.1.8", "10.0.2.9", 1000 + number) for number in range(50)])
    wanted = Wanted({"saddr": "10.0.1.9"}, how=how, block_for=20)
    with NetlinkSocket(hosts.router.name) as kernel:
        found = find(kernel, hosts.router.name, wanted)
        assert (found.count, len(found.bodies), len(found.rest)) == (50, 8, 42)
        shown = {entry["original"]["sport"] for entry in found.entries()}
        gone = [port for port in range(1000, 1050) if port not in shown][:3]
        for port in gone:
            hosts.router.run("conntrack", "-D", "-p", "udp", "-s", "10.0.1.9", "--sport", str(port))
        inject(hosts.router, [udp("10.0.1.9", "10.0.2.9", 2000)])  # came later, and was not shown
        done = kill(kernel, hosts.router.name, wanted, found)
    assert done.already_gone == 3 and len(done.outcomes) == 8
    assert (done.blocked, done.deleted) == ((47, 0) if how == "cut" else (0, 47))
    cut_now = [
        entry["original"]["sport"]
        for entry in listed(hosts.router)
        if entry["original"]["saddr"] == "10.0.1.9"
    ]
    if how == "cut":
        assert len(held(hosts.router)) == 47 and len(cut_now) == 48
        release(hosts.router)
    else:
        assert cut_now == [2000]
    assert sum(entry["original"]["saddr"] == "10.0.1.8" for entry in listed(hosts.router)) == 50


def test_closed_connections_need_no_block(hosts: Routed) -> None:
    inject(
        hosts.router,
        [
            tcp(CLIENT[4], SERVER[4], 1024 + number, state=state)
            for number, state in enumerate(("TIME_WAIT", "CLOSE"))
        ],
    )
    # Nobody is there to be heard: what tracking has seen of them counts.
    hosts.router.nft("table inet mute { chain o { type filter hook output priority 0; policy drop; }; }")
    _, done = run(hosts.router, saddr=CLIENT[4])
    assert done.outcomes == ["reset", "reset"] and done.deleted == 2


def test_sockets_of_the_host_are_closed_and_servers_stay(hosts: Routed) -> None:
    router = hosts.router
    with (
        router.socket(socket.AF_INET6, socket.SOCK_STREAM) as server,
        router.socket(socket.AF_INET, socket.SOCK_DGRAM) as names,
    ):
        server.bind(("::", 5001))  # takes IPv4 connections too
        server.listen()
        names.bind(("0.0.0.0", 5001))
        names.settimeout(1)
        with (
            hosts.client.socket(socket.AF_INET, socket.SOCK_STREAM) as near,
            hosts.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker,
        ):
            near.connect((LAN[4], 5001))
            far, _ = server.accept()
            asker.connect((LAN[4], 5001))
            asker.send(b"x")
            names.recv(10)
            with far:
                assert passes(near, far)
                _, done = run(router, dport=5001)
                assert sorted(done.outcomes) == ["blocked", "reset"]
                assert done.sockets_closed == 1
                with pytest.raises(OSError) as caught:
                    far.recv(1)
                assert caught.value.errno == errno.ECONNABORTED
                with pytest.raises(ConnectionResetError):
                    near.recv(1)
        release(router)
        with (
            hosts.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker,
            hosts.client.socket(socket.AF_INET, socket.SOCK_STREAM) as near,
        ):
            asker.connect((LAN[4], 5001))
            asker.send(b"again")
            assert names.recv(10) == b"again"
            near.connect((LAN[4], 5001))


def test_a_socket_that_two_connections_may_own_stays_open(hosts: Routed) -> None:
    with Tcp(hosts.client, hosts.router, LAN[4], 5000) as flow:
        inject(hosts.router, [tcp(CLIENT[4], LAN[4], flow.sport, 5000, zone=5)])
        _, done = run(hosts.router, zone=5, block_for=0)
        assert done.sockets_closed == 0
        assert flow.exchange()
        inject(hosts.router, [tcp(CLIENT[4], LAN[4], flow.sport, 5000, zone=5)])
        _, done = run(hosts.router, zone=0, sport=flow.sport)
        # The socket's own connection, reset as any other end
        assert (done.outcomes, done.sockets_closed) == (["reset"], 0)
        assert all(flow.ended())


def test_both_ends_on_the_host(netns: Namespace) -> None:
    netns.nft("table inet t { chain o { type filter hook output priority 0; ct state new accept; }; }")
    with Tcp(netns, netns, "127.0.0.1", 5000) as flow, Tcp(netns, netns, "::1", 5000) as other:
        _, done = run(netns, daddr="127.0.0.1")
        # The reset of the one that is closed first may be faster than closing the other.
        assert (done.outcomes, done.deleted) == (["reset"], 1) and done.sockets_closed in (1, 2)
        assert all(flow.ended(0.5)) and other.exchange()


def test_ends_on_the_host_where_no_socket_can_be_closed(
    hosts: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(self: SocketDiagnostics, found: object) -> bool:
        raise KernelError("not built in", errno.EOPNOTSUPP)  # CONFIG_INET_DIAG_DESTROY

    monkeypatch.setattr(SocketDiagnostics, "destroy", unable)
    router = hosts.router
    router.nft("table inet o { chain o { type filter hook output priority 0; ct state new accept; }; }")
    for client, server, address in (
        (hosts.client, router, LAN),
        (router, hosts.server, SERVER),
        (router, router, OUTSIDE),
    ):
        for version in (4, 6):
            with Tcp(client, server, address[version], 5000) as flow:
                _, done = run(router, sport=flow.sport, dport=5000)
                assert (done.outcomes, done.sockets_closed) == (["reset"], 0)
                assert all(flow.ended())


def test_many_at_once(hosts: Routed) -> None:
    flows = [Tcp(hosts.client, hosts.server, SERVER[4], 5000 + number % 3) for number in range(60)]
    kept = [flow for number, flow in enumerate(flows) if number % 3 == 2]
    results: list[Killed] = []
    threads = [
        threading.Thread(target=lambda port=port: results.append(run(hosts.router, dport=port)[1]))
        for port in (5000, 5001)
    ]
    try:
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert [done.outcomes for done in results] == [["reset"] * 20] * 2
        assert all(all(flow.ended()) for flow in flows if flow not in kept)
        assert all(flow.exchange() for flow in kept)
        assert "rempart_cut" not in hosts.router.nft_text()
    finally:
        for flow in flows:
            flow.close()


def test_every_end_is_seen_to_be_over(hosts: Routed, monkeypatch: pytest.MonkeyPatch) -> None:
    # not: has been answered with a reset, and was silent afterwards
    monkeypatch.setattr(cut._Tcp, "conclude", lambda self: self.ends == [cut._OVER, cut._OVER])
    for version in (4, 6):
        flows = [Tcp(hosts.client, hosts.server, SERVER[version], 5000) for _ in range(20)]
        flows += [Tcp(hosts.client, hosts.router, LAN[version], 5000) for _ in range(10)]
        try:
            _, done = run(hosts.router, dport=5000)
            assert done.outcomes == ["reset"] * 30
            assert all(all(flow.ended()) for flow in flows)
        finally:
            for flow in flows:
                flow.close()


def test_a_ruleset_that_is_flushed_in_between_takes_nothing_away(hosts: Routed) -> None:
    inject(hosts.router, [tcp("10.0.1.9", "10.0.2.9")])  # nobody answers: it takes two seconds
    results: list[Killed] = []
    thread = threading.Thread(target=lambda: results.append(run(hosts.router, saddr="10.0.1.9")[1]))
    thread.start()
    time.sleep(0.5)
    hosts.router.nft("flush ruleset")
    thread.join()
    assert results[0].outcomes == ["blocked"] and len(held(hosts.router)) == 1
    release(hosts.router)


def test_a_table_of_that_name_that_is_another(hosts: Routed) -> None:
    hosts.router.nft("table inet rempart_cut { chain mine { accept; }; }")
    with Tcp(hosts.client, hosts.server, SERVER[4], 5000) as flow:
        with pytest.raises(HostError, match="none that rempart made"):
            run(hosts.router, sport=flow.sport)
        assert flow.exchange()
    assert "chain mine" in hosts.router.nft_text()


def test_expectations_of_what_is_killed_and_those_that_match(netns: Namespace) -> None:
    with NetlinkSocket(netns.name) as kernel:
        for number in (1, 2, 3):
            expect(netns, kernel, number, port=7000 + number)
    found, done = run(netns, saddr="10.7.0.1", how="forget", expectations=True)
    assert (found.count, len(found.expectations)) == (1, 1)
    found, done = run(netns, dport=7002, how="forget", expectations=True)
    assert (found.count, len(found.expectations), done.expectations, done.changed) == (0, 1, 1, True)
    found, done = run(netns, everything=True, how="forget", expectations=True)
    assert (found.count, done.expectations) == (2, 1)
    assert listed(netns) == []


def test_everything_is_everything(hosts: Routed) -> None:
    with (
        Tcp(hosts.client, hosts.server, SERVER[6], 5000) as flow,
        Echo(hosts.client, SERVER[4], 9) as echo,
        Tcp(hosts.router, hosts.server, SERVER[4], 5000, OUTSIDE[4]) as own,
    ):
        _, done = run(hosts.router, everything=True)
        assert sorted(done.outcomes) == ["blocked", "reset", "reset"]
        assert all(flow.ended()) and all(own.ended()) and not echo.answered(0.1)
    release(hosts.router)
