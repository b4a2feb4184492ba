# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/guide/web-server.md: what it lets in, and what not."""

from __future__ import annotations

from tests.docs.account import reading
from tests.docs.inventories import itself
from tests.support.machines import Machine
from tests.support.traffic import echo_server, ping, tcp_connect, udp_send


def test_web_server(pair: dict[str, Machine]) -> None:
    host, client = pair[""].namespace, pair["client"].namespace
    itself(pair[""], "web")
    varies = {"packets 1 bytes 60": r"packets \d+ bytes \d+", "packets 2 bytes 120": r"packets \d+ bytes \d+"}
    with (
        echo_server(host, port=80, protocols=("tcp",)),
        echo_server(host, port=8080),
        echo_server(client, port=8080),
        reading("docs/guide/web-server.md", pair, varies) as page,
    ):
        page.read("The playbook")
        document = host.nft_json()
        page.read("See that it works")
        assert host.nft_json() == document
        for address in ("192.0.2.10", "2001:db8::10"):
            assert tcp_connect(client, address, 443) == "refused"
            assert tcp_connect(client, address, 22) == "refused"
            assert tcp_connect(client, address, 8080, 0.2) == "timeout"
            assert udp_send(client, address, 8080, timeout=0.2) == "timeout"
            assert ping(client, address)
        assert tcp_connect(client, "192.0.2.10", 80) == "connected"
        assert udp_send(host, "192.0.2.20", 8080) == b"rempart"
