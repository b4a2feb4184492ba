# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``chain``: one chain, its siblings left alone, and the refusal to remove what is jumped to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace
from tests.support.playbooks import play
from tests.support.ssh import SshServer

WEB = {"protocol": "tcp", "dport": [80, 443], "counter": True, "verdict": "accept"}
SIBLINGS = """
table inet edge {
    set blocked { type ipv4_addr; elements = { 192.0.2.7 }; }
    chain forward {
        type filter hook forward priority 0; policy drop;
        counter packets 7 bytes 700 comment "sibling"
    }
}
"""


def chain(title: str, **keys: Any) -> dict[str, Any]:
    """A task on a chain of the table ``edge``; ``check_mode`` and its like are the task's."""
    task = {key: keys.pop(key) for key in ("check_mode", "diff", "ignore_errors") if key in keys}
    return {"name": title, "rempart.netfilter.chain": {"table": "edge", **keys}, **task}


def handles(netns: Namespace) -> dict[tuple[str, int], int]:
    """Handles of the rules by chain and position."""
    found: dict[tuple[str, int], int] = {}
    for one in netns.nft_json():
        if "rule" in one:
            name = one["rule"]["chain"]
            found[name, sum(1 for key in found if key[0] == name)] = one["rule"]["handle"]
    return found


def test_one_chain_is_kept_and_its_siblings_stay(tmp_path: Path, netns: Namespace) -> None:
    netns.nft(SIBLINGS)
    sibling = netns.run("nft", "list", "chain", "inet", "edge", "forward").stdout
    entry = {"name": "input", "hook": "input", "rules": [{"iifname": "ppp+", "jump": "services"}]}
    tasks = [
        chain("services", name="services", rules=[WEB], diff=True),
        chain("input", **entry, policy="drop"),
        chain("again", **entry, policy="drop"),
        chain("policy", **entry, policy="accept", diff=True),
        chain("would grow", name="services", rules=[WEB, {"verdict": "return"}], check_mode=True),
        chain("grow", name="services", rules=[WEB, {"verdict": "return"}]),
        chain("new table", name="only", family="ip", rules=[{"verdict": "drop"}]),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert done.statuses()[netns.name] == ["changed", "changed", "ok", *["changed"] * 4]
    assert done.of("services")["changes"][-1]["place"] == "rules[0]"
    assert done.of("services")["diff"][0]["after"].count("chain services {") == 1
    assert done.of("policy")["changes"] == [
        {
            "action": "change",
            "kind": "policy",
            "family": "inet",
            "table": "edge",
            "chain": "input",
            "before": "drop",
            "after": "accept",
        }
    ]
    for task in ("would grow", "grow"):
        assert [one["rule"] for one in done.of(task)["changes"]] == ["return"]
    assert netns.run("nft", "list", "chain", "inet", "edge", "forward").stdout == sibling
    assert "192.0.2.7" in netns.nft_text("set", "inet", "edge", "blocked")
    assert " ".join(netns.nft_text("table", "ip", "edge").split()) == "table ip edge { chain only { drop } }"

    before = handles(netns)
    done = play(tmp_path, {netns.name: {}}, [chain("shrink", name="services", rules=[WEB])])
    assert [one["action"] for one in done.of("shrink")["changes"]] == ["remove"]
    del before["services", 1]
    assert handles(netns) == before


def test_a_chain_that_is_jumped_to_stays(tmp_path: Path, netns: Namespace) -> None:
    netns.nft(
        """table inet edge {
        chain services { tcp dport 80 accept; }
        chain input {
            type filter hook input priority 0;
            iifname "eth0" jump services
            iifname "services" accept
        }
        chain forward { type filter hook forward priority 0; meta l4proto vmap { tcp : goto services }; }
        }"""
    )
    before = netns.nft_text()
    removals = [
        chain("would not", name="services", state="absent", check_mode=True, ignore_errors=True),
        chain("refused", name="services", state="absent", ignore_errors=True),
        chain("missing", name="other", rules=[{"saddr": "192.0.2.1", "jump": "nowhere"}], ignore_errors=True),
        chain("wrong", name="input", hok="input", rules=[{"dprot": 1}], ignore_errors=True),
        chain("nameless", ignore_errors=True),
        chain("absent already", name="absent", state="absent"),
    ]
    done = play(tmp_path, {netns.name: {}}, removals)
    for task in ("would not", "refused"):
        assert [(one["message"], one["found"]) for one in done.of(task)["errors"]] == [
            ("chain services cannot go: a rule of chain input leads to it", 'iifname "eth0" jump services'),
            (
                "chain services cannot go: a rule of chain forward leads to it",
                "meta l4proto vmap { tcp : goto services }",
            ),
        ]
    missing = done.of("missing")["errors"]
    assert [(one["place"], one["found"]) for one in missing] == [
        ("rules[0]", "ip saddr 192.0.2.1 jump nowhere")
    ]
    assert "the kernel refused this rule" in missing[0]["message"]
    assert {one["place"] for one in done.of("wrong")["errors"]} == {"hok", "rules[0].dprot"}
    assert "missing required arguments: name" in done.of("nameless")["msg"]
    assert done.of("absent already")["changed"] is False
    assert netns.nft_text() == before

    tasks = [chain("go %s" % name, name=name, state="absent") for name in ("input", "forward", "services")]
    done = play(tmp_path, {netns.name: {}}, [*tasks, chain("gone", name="services", state="absent")])
    assert done.statuses()[netns.name] == ["changed", "changed", "changed", "ok"]
    assert " ".join(netns.nft_text().split()) == "table inet edge { }"


def test_chain_that_lets_nobody_in_again_is_taken_back(
    directory: Path, machine: tuple[Namespace, SshServer]
) -> None:
    client, server = machine
    server.namespace.nft(SIBLINGS)
    before = server.namespace.run("nft", "list", "ruleset").stdout
    established = {"ct_state": "established", "verdict": "accept"}
    task = chain("shut", name="input", hook="input", policy="drop", rules=[established])
    hosts = {"far": {**server.variables, "ansible_timeout": 2}}
    done = play(directory, hosts, [task], prefix=client.argv(), check=False)
    assert done.statuses() == {"far": ["failed"]}, done.output
    assert "no new connection to the host could be made" in done.of("shut")["msg"]
    assert server.namespace.run("nft", "list", "ruleset").stdout == before
    # With a rule for those who come anew it stands.
    ssh = {"protocol": "tcp", "dport": "ssh", "verdict": "accept"}
    task = chain("open", name="input", hook="input", policy="drop", rules=[established, ssh])
    assert play(directory, hosts, [task], prefix=client.argv()).statuses() == {"far": ["changed"]}
    assert "_pending" not in done.of("shut")
