# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/guide/router.md and kill.md, on a router between a client and a server."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from tests.docs.account import reading
from tests.docs.inventories import itself
from tests.support.flows import ENDED, Tcp
from tests.support.machines import Machine
from tests.support.namespaces import veth
from tests.support.traffic import echo_server, ping, tcp_connect, tcp_exchange

LISTED = {
    "40001": r"\d+",
    "40002": r"\d+",
    "1m59s": r"\w+",
    "TIME_WAIT": "[A-Z_]+",
    "431999": r"\d+",
    "2026-11-22T07:43:45Z gateway": r"\S+Z \S+",
}
"""What varies in a list of connections: ports, states at the end, times that are left; and when it was."""


@pytest.fixture
def routed(make_machines: Callable[..., dict[str, Machine]]) -> dict[str, Machine]:
    """A router, lan0 and wan0, between ``client`` and ``server``. It does not forward yet."""
    made = make_machines("", "client", "server")
    router, client, server = (made[name].namespace for name in ("", "client", "server"))
    veth(client, router, "192.168.1.10/24", "192.168.1.1/24", name_b="lan0")
    veth(router, server, "203.0.113.7/24", "203.0.113.80/24", name_a="wan0")
    client.run("ip", "route", "add", "default", "via", "192.168.1.1")
    return made


def test_router(routed: dict[str, Machine]) -> None:
    itself(routed[""], "router")
    client, server = routed["client"].namespace, routed["server"].namespace
    with (
        echo_server(server, port=80) as web,
        echo_server(client, port=443, protocols=("tcp",)) as inside,
        reading("docs/guide/router.md", routed, LISTED) as page,
    ):
        page.read("The playbook")
        tables = routed[""].namespace.nft_json()
        page.read("See that it works")
        assert routed[""].namespace.nft_json() == tables
        page.read()
        _, here = tcp_exchange(client, "203.0.113.80", 80, b"there and back")
        assert here[0] == "192.168.1.10" and {peer[1] for peer in web.peers} == {"203.0.113.7"}
        assert tcp_connect(server, "203.0.113.7", 8443) == "connected"
        assert {peer[1] for peer in inside.peers} == {"203.0.113.80"}
        assert tcp_connect(server, "203.0.113.7", 443, 0.2) == "timeout"
        assert ping(client, "203.0.113.80")
        server.run("ip", "route", "add", "192.168.1.0/24", "via", "203.0.113.7")
        assert tcp_connect(server, "192.168.1.10", 443, 0.2) == "timeout"


def test_kill(routed: dict[str, Machine]) -> None:
    itself(routed[""], "routers")
    router, client, server = (routed[name].namespace for name in ("", "client", "server"))
    router.sysctl("net.ipv4.ip_forward", 1)
    router.nft(
        "table ip nat { chain c { type nat hook postrouting priority srcnat; oifname wan0 masquerade; }; }"
    )
    with (
        Tcp(client, server, "203.0.113.80", 22, sport=40022) as shell,
        Tcp(client, server, "203.0.113.80", 443, sport=40443) as other,
        reading("docs/guide/kill.md", routed, LISTED) as page,
    ):
        assert tcp_connect(client, "203.0.113.80", 23) == "refused"
        page.read("On every host")
        assert set(shell.ended()) <= {errno.errorcode[one] for one in ENDED}
        assert other.exchange()
        page.read()
        assert set(other.ended()) <= {errno.errorcode[one] for one in ENDED}
