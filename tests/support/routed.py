# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A router between two networks, over IPv4 and IPv6, and frames that carry exactly the bytes a test gives.

client (veth0) --- (lan0) router (ppp0) --- (veth0) server
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.support.namespaces import Namespace, namespaces, veth
from tests.support.rulesets import apply
from tests.support.traffic import capture

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD  # linux/if_ether.h

FORGED = "02:00:00:00:00:99"
"""The Ethernet source of every frame of :meth:`Routed.send`."""

CLIENT = {4: "10.0.1.1", 6: "2001:db8:1::1"}
SERVER = {4: "10.0.2.1", 6: "2001:db8:2::1"}
LAN = {4: "10.0.1.254", 6: "2001:db8:1::fe"}
"""The router's addresses in the client's network."""
OUTSIDE = {4: "10.0.2.254", 6: "2001:db8:2::fe"}
"""The router's addresses in the server's network."""

ANY = {4: "0.0.0.0", 6: "::"}
"""The address of whom takes packets for any."""

VERSIONS = pytest.mark.parametrize("version", [4, 6])
"""A test of both versions of IP."""

ZONES = """
table inet z {
    chain raw {
        type filter hook prerouting priority -300;
        iifname "lan0" ct original zone set 1
        iifname "lan1" ct original zone set 2
    }
    chain remember {
        type filter hook prerouting priority -150;
        iifname "lan0" ct mark set 1
        iifname "lan1" ct mark set 2
        meta mark set ct mark
    }
    chain source { type nat hook postrouting priority 100; oifname "ppp0" masquerade; }
}
"""
"""Two networks with the same addresses behind the router, told apart by zone and mark."""


class Routed:
    """Three hosts in a row; the rulesets of a test stand on the router, in one inet table ``t`` as a rule."""

    def __init__(self, client: Namespace, router: Namespace, server: Namespace) -> None:
        self.client, self.router, self.server = client, router, server
        for one in (client, router, server):
            one.up()
            # No addresses and no messages but those that a test asks for.
            one.sysctl("net.ipv6.conf.default.addr_gen_mode", 1)
            one.sysctl("net.ipv6.conf.default.accept_ra", 0)
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            router.sysctl(key, 1)
        for key in ("net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"):
            router.sysctl(key, 0)
        veth(client, router, _in(24, 64, CLIENT), _in(24, 64, LAN), name_b="lan0")
        veth(router, server, _in(24, 64, OUTSIDE), _in(24, 64, SERVER), name_a="ppp0")
        for one, via in ((client, LAN), (server, OUTSIDE)):
            for version in (4, 6):
                one.run("ip", "-%d" % version, "route", "add", "default", "via", via[version])
        for one, device, other, far, addresses in (
            (client, "veth0", router, "lan0", LAN),
            (router, "lan0", client, "veth0", CLIENT),
            (router, "ppp0", server, "veth0", SERVER),
            (server, "veth0", router, "ppp0", OUTSIDE),
        ):
            # So that no packet waits for the answer of a neighbour, and no probe is taken for a packet.
            for version in (4, 6):
                where = (addresses[version], "lladdr", ether(other, far), "dev", device, "nud", "permanent")
                one.run("ip", "-%d" % version, "neighbour", "add", *where)
        self._socket = client.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind(("veth0", 0))
        self._ends = bytes.fromhex((ether(router, "lan0") + FORGED).replace(":", ""))

    def send(self, packets: Sequence[bytes]) -> None:
        """Put the packets on the client's wire to the router, past all of the client's own rules."""
        for packet in packets:
            kind = ETH_P_IPV6 if packet[0] >> 4 == 6 else ETH_P_IP
            self._socket.send(self._ends + kind.to_bytes(2, "big") + packet)

    def answers(self, packets: Sequence[bytes], count: int = 1, timeout: float = 0.5) -> list[bytes]:
        """Send, and give up to ``count`` packets that come back to the client."""
        with capture(self.client, "veth0") as taken:
            self.send(packets)
            return taken.packets(count, timeout, _is_ip)

    def forwarded(self, packets: Sequence[bytes], count: int = 1, timeout: float = 0.5) -> list[bytes]:
        """Send, and give up to ``count`` packets that reach the server."""
        with capture(self.server, "veth0") as taken:
            self.send(packets)
            return taken.packets(count, timeout, _is_ip)

    def close(self) -> None:
        """Close the socket that :meth:`send` uses."""
        self._socket.close()


def _is_ip(packet: bytes) -> bool:
    """Whether it is neither ARP nor one of the reports by which IPv6 hosts join groups."""
    return packet[0] >> 4 == 4 or (packet[0] >> 4 == 6 and packet[6] != socket.IPPROTO_HOPOPTS)


def ether(where: Namespace, device: str) -> str:
    """The Ethernet address of a device."""
    (found,) = json.loads(where.run("ip", "-json", "link", "show", device).stdout)
    return str(found["address"])


def _in(four: int, six: int, address: dict[int, str]) -> list[str]:
    return ["%s/%d" % (address[4], four), "%s/%d" % (address[6], six)]


@contextlib.contextmanager
def routed() -> Iterator[Routed]:
    """The three hosts, while the block runs; skips without root."""
    if os.geteuid():
        pytest.skip("needs root for network namespaces")
    with namespaces(3) as (client, router, server):
        made = Routed(client, router, server)
        try:
            yield made
        finally:
            made.close()


def forget(where: Namespace) -> None:
    """Have a host know no rule and no connection: what is known of one goes on without rules."""
    where.nft("flush ruleset")
    where.run("conntrack", "-F")


def rules(where: Namespace, *found: dict[str, Any], **chain: Any) -> None:
    """Have table ``t``, alone and with nothing counted yet, hold one chain ``c`` with these rules.

    On input if ``chain`` has no other hook; ``family``, the declared ones and ``chains`` (further ones)
    are the table's, all else the chain's.
    """
    table: dict[str, Any] = {"name": "t"}
    for key in ("family", "sets", "maps", "counters", "ct_helpers"):
        if key in chain:
            table[key] = chain.pop(key)
    others = chain.pop("chains", [])
    table["chains"] = [*others, {"name": "c", "hook": "input", **chain, "rules": list(found)}]
    where.nft("flush ruleset")
    apply({"tables": [table]}, where)


def counters(where: Namespace, chain: str = "c", family: str = "inet") -> list[tuple[int, int]]:
    """Packets and bytes of every rule of a chain that counts, in order, as nft reads them."""
    found = []
    for one in where.nft_json("chain", family, "t", chain):
        for statement in one.get("rule", {}).get("expr", ()):
            count = statement.get("counter")
            # a named counter is no count of the rule's own
            if isinstance(count, dict) and "packets" in count:
                found.append((count["packets"], count["bytes"]))
    return found


def judged(
    hosts: Routed, rule: dict[str, Any], *batches: Sequence[bytes], family: str = "inet", **chain: Any
) -> list[tuple[int, int]]:
    """How many packets, and bytes of them, a rule of the router's matches in each batch.

    The last rule counts everything sent, and drops it: all packets of a batch have been judged once it
    has seen as many as were sent.
    """
    first = {"ether_saddr": "!" + FORGED, "verdict": "accept"}
    last = {"counter": True, "verdict": "drop"}
    rules(hosts.router, first, {**rule, "counter": True}, last, family=family, **chain)
    results = []
    before, sent = (0, 0), 0
    for batch in batches:
        hosts.send(batch)
        sent += len(batch)
        *found, total = reaching(hosts.router, sent, family)
        now = sum(one[0] for one in found), sum(one[1] for one in found)
        results.append((now[0] - before[0], now[1] - before[1]))
        before = now
    assert total[1] == sum(len(packet) for batch in batches for packet in batch)
    return results


def reaching(where: Namespace, packets: int, family: str = "inet") -> list[tuple[int, int]]:
    """The counters of chain ``c`` as soon as the last one has seen so many packets."""
    end = time.monotonic() + 1
    while True:
        found = counters(where, family=family)
        if found[-1][0] == packets:
            return found
        assert time.monotonic() < end, "%d of %d packets arrived" % (found[-1][0], packets)
