# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""README.md: the shortest playbook, the shortest command, and what a rule can say."""

from __future__ import annotations

import yaml
from rempart.document.flat import lower
from rempart.document.model import load
from rempart.document.validation import check

from tests.docs.account import reading
from tests.docs.inventories import itself
from tests.support.flows import Tcp
from tests.support.machines import Machine
from tests.support.traffic import echo_server, tcp_connect


def test_readme(pair: dict[str, Machine]) -> None:
    itself(pair[""], "web")
    host, client = pair[""], pair["client"].namespace
    # Connections are tracked from the beginning.
    host.namespace.nft("table inet t { chain c { type filter hook input priority 0; ct state new; }; }")
    # A bare ``ansible`` has its inventory from the configuration.
    host.type("export ANSIBLE_INVENTORY=$PWD/inventory")
    client.run("ip", "address", "add", "198.51.100.7/32", "dev", "eth0")
    host.namespace.run("ip", "route", "add", "198.51.100.7/32", "dev", "eth0")

    def play(text: str) -> None:
        (host.directory / "play.yml").write_text(text)
        assert "changed=1" in host.type("ansible-playbook play.yml"), host.code
        ((task,),) = [one["tasks"] for one in yaml.safe_load(text)]
        (host.directory / "firewall.yml").write_text(yaml.safe_dump(task["rempart.netfilter.ruleset"]))

    def rules(text: str) -> None:
        chains = [{"name": "c", **yaml.safe_load(text)}, {"name": "newcomers"}]
        document = {"tables": [{"name": "t", "chains": chains}]}
        assert check(document) == []
        (table,) = load(document)
        chain = table.chains[0]
        assert (
            all(lower(rule, "inet", {}, table.declared()) for rule in chain.rules) and len(chain.rules) == 6
        )

    with reading("README.md", pair, by_hand={"- hosts: web": play, "rules:": rules}) as page:
        with (
            echo_server(host.namespace, port=80),
            Tcp(client, host.namespace, "192.0.2.10", 22, source="198.51.100.7") as attack,
            Tcp(client, host.namespace, "192.0.2.10", 22) as other,
        ):
            page.read("Try it")
            assert all(attack.ended()) and other.exchange()
            assert tcp_connect(client, "192.0.2.10", 80) == "connected"
            assert tcp_connect(client, "192.0.2.10", 81, 0.2) == "timeout"
        assert host.type("rempart check firewall.yml") == "in line\n"
