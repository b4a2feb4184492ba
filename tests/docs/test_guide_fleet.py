# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/guide/audit-in-ci.md and from-iptables.md: many hosts' firewalls, looked at and moved."""

from __future__ import annotations

from tests.docs.account import reading
from tests.docs.inventories import itself
from tests.support.machines import Machine
from tests.support.traffic import echo_server, tcp_connect


def test_audit_in_ci(pair: dict[str, Machine]) -> None:
    itself(pair[""], "all", "web1")
    with reading("docs/guide/audit-in-ci.md", pair, {'"handle": 12': r'"handle": \d+'}) as page:
        page.read("As JSON")
        # The audit changed nothing.
        assert "tcp dport 8080 accept" in pair[""].namespace.nft_text()


def test_from_iptables(pair: dict[str, Machine]) -> None:
    itself(pair[""], "web")
    host, client = pair[""].namespace, pair["client"].namespace

    def passes() -> list[str]:
        return [tcp_connect(client, "192.0.2.10", port, 0.2) for port in (22, 80, 25, 443)]

    with (
        echo_server(host, port=80, protocols=("tcp",)),
        echo_server(host, port=25, protocols=("tcp",)),
        echo_server(host, port=443, protocols=("tcp",)),
        reading("docs/guide/from-iptables.md", pair) as page,
    ):
        page.read("After")
        before = passes()
        assert before == ["refused", "connected", "refused", "timeout"]
        page.read()
        assert passes() == before
        host.nft("delete table ip edge")
        assert passes() == ["refused", "connected", "connected", "connected"]
