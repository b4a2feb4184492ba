# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role ``conntrack`` on hosts that do not track: real traffic, and what the table holds of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.conntrack_role import changed, run
from tests.support.namespaces import Namespace, veth
from tests.support.private_host import PrivateHost
from tests.support.traffic import echo_server, ping, tcp_exchange, udp_send

SERVER = ("10.9.0.1", "2001:db8:9::1")
CLIENT = ("10.9.0.2", "2001:db8:9::2")
OTHER = ("10.9.0.3", "2001:db8:9::3")

# What has connection tracking at work for both families, as on any host with a stateful firewall.
TRACKING = """
table inet watch {
	counter invalid { }
	counter related { }
	chain input {
		type filter hook input priority filter; policy accept;
		ct state invalid counter name "invalid"
		ct state related meta l4proto { icmp, icmpv6 } counter name "related"
	}
	chain postrouting { type nat hook postrouting priority srcnat; policy accept; }
}
"""


@pytest.fixture
def host(tmp_path: Path) -> PrivateHost:
    """A host whose files are the test's."""
    return PrivateHost(tmp_path / "host")


@pytest.fixture
def pair(make_netns: Callable[[], Namespace]) -> tuple[Namespace, Namespace]:
    """A server that could track, and a client that has a second address."""
    server, client = make_netns().up(), make_netns().up()
    sizes = (24, 64)
    addresses = [["%s/%d" % one for one in zip(side, sizes)] for side in (SERVER, CLIENT)]
    _, device = veth(server, client, *addresses, name_a="inside")
    for address, size in zip(OTHER, sizes):  # with no time to be preferred, for those who ask for it
        added = ["%s/%d" % (address, size), "dev", device, "preferred_lft", "0"]
        client.run("ip", "address", "add", *added, *(["nodad"] if ":" in address else []))
    server.nft(TRACKING)
    return server, client


def tracked(server: Namespace) -> list[str]:
    """The connections in the server's table, in conntrack(8)'s words, sorted; the table is empty then."""
    lines: list[str] = []
    for family in ("ipv4", "ipv6"):
        lines += server.run("conntrack", "-L", "-f", family).stdout.splitlines()
    count = server.call(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text)
    assert int(count) == len(lines)
    server.run("conntrack", "-F")
    return sorted(lines)


def talk(server: Namespace, client: Namespace, port: int = 0, source: tuple[str, ...] = CLIENT) -> None:
    """UDP, TCP and echo requests to the server, and UDP from it, over IPv4 and IPv6: all are answered.

    ``port`` is the server's; from a ``source`` that is not the client's usual, UDP alone.
    """
    for here, there in zip(SERVER, source):
        with echo_server(server, here, port) as serving:
            assert udp_send(client, here, serving.port, source=(there, 0)) == b"rempart"
            if source is CLIENT:
                assert tcp_exchange(client, here, serving.port, b"hello")[0] == b"hello"
        if source is CLIENT:
            assert ping(client, here)
        with echo_server(client, there) as serving:
            assert udp_send(server, there, serving.port) == b"rempart"


def test_nothing_is_tracked_until_it_is_again(
    tmp_path: Path, host: PrivateHost, pair: tuple[Namespace, Namespace]
) -> None:
    server, client = pair
    talk(server, client)
    assert len(tracked(server)) == 2 * 4  # UDP in, TCP, echo, UDP out

    would = run(tmp_path, host, server, "--check", conntrack_notrack=True)
    assert "rempart_notrack" not in server.nft_text()
    first = run(tmp_path, host, server, conntrack_notrack=True)
    assert changed(would) == changed(first) == ["Track nothing but the exceptions"]
    talk(server, client)
    for address in ("127.0.0.1", "::1"):
        with echo_server(server, address) as serving:
            assert udp_send(server, address, serving.port) == b"rempart"
    assert tracked(server) == []
    assert changed(run(tmp_path, host, server, conntrack_notrack=True)) == []

    assert changed(run(tmp_path, host, server)) == ["Track everything"]
    assert "table inet watch" in server.nft_text() and "rempart_notrack" not in server.nft_text()
    talk(server, client)
    assert len(tracked(server)) == 2 * 4


def test_exceptions_are_tracked(tmp_path: Path, host: PrivateHost, pair: tuple[Namespace, Namespace]) -> None:
    server, client = pair
    run(
        tmp_path,
        host,
        server,
        conntrack_notrack=True,
        conntrack_tracked_addresses=list(OTHER),
        conntrack_tracked_ports=[
            {"protocol": "udp", "ports": ["7000-7009"]},
            {"protocol": "tcp", "ports": [7001, "domain"]},
        ],
    )
    talk(server, client)
    assert tracked(server) == []
    talk(server, client, 7001)
    lines = tracked(server)
    assert [line.split()[0] for line in lines] == ["tcp", "tcp", "udp", "udp"]
    assert all("dport=7001" in line and "UNREPLIED" not in line for line in lines)
    talk(server, client, source=OTHER)
    lines = tracked(server)
    assert len(lines) == 4 and not any("UNREPLIED" in line for line in lines)
    assert all("=%s " % OTHER[0] in line or "=%s " % OTHER[1] in line for line in lines)

    # What became of a tracked packet is told by a message without ports, and belongs to its connection.
    for there in CLIENT:
        assert udp_send(server, there, 7009) == "refused"  # nobody serves there
        assert len(tracked(server)) == 1
    counters = [one["counter"] for one in server.nft_json("counters") if "counter" in one]
    assert {one["name"]: one["packets"] for one in counters} == {"related": 2, "invalid": 0}

    run(tmp_path, host, server, conntrack_notrack=True, conntrack_tracked_interfaces=["wg0", "insi+"])
    talk(server, client)
    assert len(tracked(server)) == 2 * 4
    with echo_server(server, "127.0.0.1") as serving:
        assert udp_send(server, "127.0.0.1", serving.port) == b"rempart"
    assert tracked(server) == []
