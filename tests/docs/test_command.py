# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/command.md, killing.md and notrack.md: what they show of the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml

from tests.docs.account import reading
from tests.docs.inventories import itself
from tests.docs.synopsis import synopsis
from tests.support.flows import Tcp
from tests.support.machines import Machine

COMPLETION = (
    'eval "$(_REMPART_COMPLETE=bash_source rempart)"      # bash; zsh and fish: zsh_source, fish_source'
)

PUBLIC = {
    "protocol": "tcp",
    "dport": [22, 80, 443],
    "ct_state": "new",
    "counter": True,
    "verdict": "accept",
    "comment": "public services",
}
ESTABLISHED = {"ct_state": ["established", "related"], "verdict": "accept"}


def edge(*rules: dict[str, Any], **table: Any) -> str:
    """A document of one table with these rules on input."""
    chain = {"name": "input", "hook": "input", "policy": "drop", "rules": list(rules)}
    chains = [chain, *table.pop("chains", [])]
    return yaml.safe_dump({"tables": [{"name": "edge", **table, "chains": chains}]}, sort_keys=False)


def test_command(make_machines: Callable[..., dict[str, Machine]]) -> None:
    made = make_machines("")
    (host,) = made.values()
    netns = host.namespace

    def write(text: str) -> None:
        (host.directory / "firewall.yml").write_text(text)

    def apply(text: str) -> None:
        write(text)
        host.type("rempart apply firewall.yml")
        assert host.code == 0

    def template(text: str) -> None:
        write(text)
        (host.directory / "site.yml").write_text("trusted: [192.0.2.0/24]\npolicy: drop\n")

    def program(text: str) -> None:
        wanted = json.loads(text)
        found = json.loads(host.type("rempart plan firewall.yml --json"))
        (change,) = found["changes"]
        assert host.code == 2 and [{**change, "handle": 9}] == wanted["changes"]
        assert [set(one) for one in found["diff"]] == [set(one) for one in wanted["diff"]]
        assert set(found) == set(wanted) and found["changed"] is True

    def completion(text: str) -> None:
        shown = host.type(text + "complete -p rempart")
        assert "rempart" in shown and host.code == 0, shown

    first = "rempart plan FILE                          what apply would change, as a diff in nft syntax"
    by_hand = {
        first: synopsis(host),
        "tables:": template,
        "{": program,
        COMPLETION: completion,
    }
    services = {"name": "services", "rules": [{"counter": True}]}
    drifted = (ESTABLISHED, {"iifname": "lo", "verdict": "accept"}, PUBLIC, {"jump": "services"})
    other = {"protocol": "tcp", "dport": 2222, "verdict": "accept"}
    with reading("docs/command.md", made, by_hand=by_hand) as page:
        apply(edge(*drifted, other, chains=[services]))
        write(edge(*drifted, chains=[services]))
        page.read("Errors")
        text = netns.nft_text()
        assert "policy accept" in text and "tcp dport { 22, 443 } accept" in text
        wrong = {"protocol": "tcp", "dport": "5999:1024", "verdict": "accept"}
        write(edge(wrong).replace("policy: drop", "polcy: drop"))
        page.read("For programs")
        netns.nft("flush ruleset")
        apply(edge(*drifted, other, chains=[services]))
        write(edge(*drifted, chains=[services]))
        page.read("Elements of a set")
        blocked = {"name": "blocked", "type": "ipv4_addr", "auto_merge": True, "elements": "keep"}
        flags = ["interval", "timeout"]
        apply(edge({"saddr": "@blocked", "verdict": "drop"}, sets=[{**blocked, "flags": flags}]))
        host.type("rempart elements add edge blocked 198.51.100.0/24")
        page.read("From the kernel to a document")
        netns.nft("flush ruleset")
        apply(edge(ESTABLISHED, PUBLIC))
        page.read("Saving and restoring")
        netns.nft("table ip home {}")
        host.type("rempart save")
        netns.nft("delete table inet edge")
        page.read("At a terminal")


def test_killing(pair: dict[str, Machine]) -> None:
    itself(pair[""], "web")
    host, client = pair[""], pair["client"].namespace
    host.type("export ANSIBLE_INVENTORY=$PWD/inventory")
    client.run("ip", "address", "add", "198.51.100.7/32", "dev", "eth0")
    host.namespace.run("ip", "route", "add", "198.51.100.7/32", "dev", "eth0")
    host.namespace.nft("table inet t { chain c { type filter hook input priority 0; ct state new; }; }")
    with (
        Tcp(client, host.namespace, "192.0.2.10", 22, source="198.51.100.7") as attack,
        Tcp(client, host.namespace, "192.0.2.10", 22) as other,
    ):
        with reading("docs/killing.md", pair):
            pass
        assert all(attack.ended()) and other.exchange()


def test_notrack(make_machines: Callable[..., dict[str, Machine]]) -> None:
    made = make_machines("")
    (host,) = made.values()

    def apply(text: str) -> None:
        (host.directory / "notrack.yml").write_text(text)
        host.type("rempart apply notrack.yml")
        assert host.code == 0

    with reading("docs/notrack.md", made, by_hand={"tables:": apply}):
        pass
