# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection is cut between others that resemble it: these go on and lose nothing.

twin (veth0) --- (lan1) router: the client's addresses again, in another zone
neighbour (veth0) --- (lan2) router: another client
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from rempart.killing.kill import find, kill
from rempart.killing.wanted import Wanted
from rempart.netlink.socket import NetlinkSocket

from tests.support.connections import listed
from tests.support.flows import Beats, Pump, Tcp, Udp
from tests.support.namespaces import Namespace, namespaces, veth
from tests.support.routed import CLIENT, SERVER, VERSIONS, ZONES, Routed, ether, forget

PORT, SPORT = 5000, 40000
NEIGHBOUR = {4: "10.0.3.1", 6: "2001:db8:3::1"}
BESIDE = {4: "10.0.3.254", 6: "2001:db8:3::fe"}
"""The router's addresses in the neighbour's network."""
TWIN_VIA = {4: "10.0.1.253", 6: "2001:db8:1::fd"}
MARK = 2
TABLE = "102"

FIREWALLS = {
    "accepts all": """
table inet fw {
    chain forward { type filter hook forward priority 0; policy accept; ct state established accept; }
}
""",
    "drops all but": """
table inet fw {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        ct state invalid drop
        tcp dport 5000-5001 accept
        udp dport 5000 accept
    }
}
""",
}


@pytest.fixture(scope="module")
def twin(hosts: Routed) -> Iterator[Namespace]:
    """A host with the client's addresses, behind another interface of the router."""
    router = hosts.router
    with namespaces(1) as (twin,):
        twin.up()
        twin.sysctl("net.ipv6.conf.default.addr_gen_mode", 1)
        width = {4: "%s/24", 6: "%s/64"}
        veth(
            twin,
            router,
            [width[one] % CLIENT[one] for one in (4, 6)],
            ["%s/%d" % (TWIN_VIA[one], full) for one, full in ((4, 32), (6, 128))],
            name_b="lan1",
        )
        for one in (4, 6):
            ip = ("ip", "-%d" % one)
            twin.run(*ip, "route", "add", "default", "via", TWIN_VIA[one])
            router.run(*ip, "rule", "add", "fwmark", str(MARK), "lookup", TABLE)
            router.run(*ip, "route", "add", CLIENT[one], "dev", "lan1", "table", TABLE)
        know(twin, "veth0", router, "lan1", TWIN_VIA)
        know(router, "lan1", twin, "veth0", CLIENT)
        yield twin
        for one in (4, 6):
            router.run("ip", "-%d" % one, "rule", "delete", "fwmark", str(MARK))


@pytest.fixture(scope="module")
def neighbour(hosts: Routed) -> Iterator[Namespace]:
    """Another client of the same server, in a network of its own."""
    with namespaces(1) as (neighbour,):
        neighbour.up()
        neighbour.sysctl("net.ipv6.conf.default.addr_gen_mode", 1)
        width = {4: "%s/24", 6: "%s/64"}
        veth(
            neighbour,
            hosts.router,
            [width[one] % NEIGHBOUR[one] for one in (4, 6)],
            [width[one] % BESIDE[one] for one in (4, 6)],
            name_b="lan2",
        )
        for one in (4, 6):
            neighbour.run("ip", "-%d" % one, "route", "add", "default", "via", BESIDE[one])
        know(neighbour, "veth0", hosts.router, "lan2", BESIDE)
        know(hosts.router, "lan2", neighbour, "veth0", NEIGHBOUR)
        yield neighbour


def know(where: Namespace, device: str, other: Namespace, far: str, addresses: dict[int, str]) -> None:
    """Have a host know the Ethernet address of its neighbour, so that nobody has to ask."""
    for one in (4, 6):
        command = ("ip", "-%d" % one, "neighbour", "add", addresses[one])
        where.run(*command, "lladdr", ether(other, far), "dev", device, "nud", "permanent")


@VERSIONS
@pytest.mark.parametrize("firewall", FIREWALLS)
@pytest.mark.parametrize("loose", [0, 1])
def test_those_beside_go_on_and_lose_nothing(
    hosts: Routed, twin: Namespace, neighbour: Namespace, version: int, firewall: str, loose: int
) -> None:
    router = hosts.router
    router.nft("flush ruleset\n" + ZONES + FIREWALLS[firewall])
    router.sysctl("net.netfilter.nf_conntrack_tcp_loose", loose)
    there = SERVER[version]
    try:
        with contextlib.ExitStack() as stack:

            def tcp(client: Namespace, source: str, port: int, sport: int) -> Tcp:
                return stack.enter_context(Tcp(client, hosts.server, there, port, source, sport=sport))

            target = tcp(hosts.client, CLIENT[version], PORT, SPORT)
            beside = {
                "same client, other source port": tcp(hosts.client, CLIENT[version], PORT, SPORT + 1),
                "same client, other port": tcp(hosts.client, CLIENT[version], PORT + 1, SPORT),
                "same server, other client": tcp(neighbour, NEIGHBOUR[version], PORT, SPORT),
                "same tuple, other zone": tcp(twin, CLIENT[version], PORT, SPORT),
            }
            datagrams = stack.enter_context(Udp(hosts.client, hosts.server, there, PORT, PORT))
            assert zones_of_the_tuple(router) == [1, 2]
            pumps = {name: stack.enter_context(Pump(flow)) for name, flow in beside.items()}
            beats = stack.enter_context(Beats(datagrams))
            pump = stack.enter_context(Pump(target))
            wanted = Wanted({"orig_zone": 1, "protocol": "tcp", "sport": SPORT, "dport": PORT})
            with NetlinkSocket(router.name) as kernel:
                found = find(kernel, router.name, wanted)
                done = kill(kernel, router.name, wanted, found)
            received = list(pump.received)
            assert (found.count, done.outcomes) == (1, ["reset"])
            assert all(pump.ended()) and pump.received == received
            assert all(one.flowing() for one in pumps.values()) and beats.flowing()
            assert {name: one.complete() for name, one in pumps.items()} == dict.fromkeys(pumps, True)
            assert beats.complete()
    finally:
        router.sysctl("net.netfilter.nf_conntrack_tcp_loose", 1)
        forget(router)


def zones_of_the_tuple(router: Namespace) -> list[int]:
    """The zones of the connections that have the same addresses and ports as the one that is cut."""
    return sorted(
        one["original"]["zone"]
        for one in listed(router)
        if (one["protocol"], one["original"].get("sport"), one["original"].get("dport"))
        == ("tcp", SPORT, PORT)
        and "zone" in one["original"]
    )
