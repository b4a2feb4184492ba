# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``ruleset_info``: what is there, exact counters, and zeroing them while they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace
from tests.support.playbooks import play
from tests.support.traffic import udp_send

RULESET = """
table inet edge {
    chain services {
        udp dport { 53, 123 } counter packets 5 bytes 123456789012345 accept comment "names"
    }
    chain input {
        type filter hook input priority filter + 5; policy drop;
        iifname "lo" udp dport 9 counter
        meta l4proto vmap { tcp : jump services, udp : jump services }
        ip saddr 192.0.2.1 goto services
        iifname "lo" accept
    }
}
table ip edge { }
table ip other { }
"""


def info(name: str, **keys: Any) -> dict[str, Any]:
    """A task; ``check_mode`` and its like are the task's, the rest the module's."""
    task = {key: keys.pop(key) for key in ("check_mode", "ignore_errors", "register", "when") if key in keys}
    return {"name": name, "rempart.netfilter.ruleset_info": keys, **task}


def test_it_lists_and_zeroes(tmp_path: Path, netns: Namespace) -> None:
    netns.nft(RULESET)
    assert udp_send(netns, "127.0.0.1", 9, b"x" * 100, timeout=0.1) == "refused"
    before = netns.nft_text()
    one = [{"name": "edge", "family": "inet"}]
    tasks = [
        info("all"),
        info("by name", tables=[{"name": "edge"}]),
        info("none", tables=[]),
        info("missing", tables=[{"name": "egde"}], ignore_errors=True),
        info("would zero", tables=one, zero=True, check_mode=True),
        info("zero", tables=one, zero=True),
        info("zeroed", tables=one, zero=True),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert done.statuses()[netns.name] == ["ok", "ok", "ok", "failed", "changed", "changed", "ok"]
    assert [(one["family"], one["name"]) for one in done.of("all")["tables"]] == [
        ("inet", "edge"),
        ("ip", "edge"),
        ("ip", "other"),
    ]
    assert [one["family"] for one in done.of("by name")["tables"]] == ["inet", "ip"]
    assert done.of("none")["tables"] == []
    assert "egde" in done.of("missing")["msg"] and "did you mean" in done.of("missing")["msg"]

    services, entrance = done.of("all")["tables"][0]["chains"]
    assert services["references"] == 3  # two elements of a verdict map and a rule
    assert "references" not in entrance
    assert {key: entrance[key] for key in ("type", "hook", "prio", "policy")} == {
        "type": "filter",
        "hook": "input",
        "prio": 5,
        "policy": "drop",
    }
    names = services["rules"][0]
    assert (names["comment"], names["counter"]) == ("names", {"packets": 5, "bytes": 123456789012345})
    text = 'udp dport { 53, 123 } counter packets 5 bytes 123456789012345 accept comment "names"'
    assert names["rule"] == text
    assert names["expr"][-1] == {"accept": None}
    listed = [one["rule"] for one in netns.nft_json() if "rule" in one]
    assert [one["handle"] for one in listed] == [
        rule["handle"] for chain in (services, entrance) for rule in chain["rules"]
    ]
    assert entrance["rules"][0]["counter"] == {"packets": 1, "bytes": 128}
    assert "counter" not in entrance["rules"][1]

    for task, packets in (("would zero", 5), ("zero", 5), ("zeroed", 0)):
        found = done.of(task)["tables"][0]["chains"][0]
        assert (found["rules"][0]["counter"]["packets"], found["references"]) == (packets, 3)
    assert netns.nft_text() == before
    counters = [inner["counter"] for rule in listed for inner in rule["expr"] if "counter" in inner]
    assert counters == [{"packets": 0, "bytes": 0}, {"packets": 0, "bytes": 0}]


def test_its_document_makes_the_same_elsewhere(tmp_path: Path, make_netns: Callable[[], Namespace]) -> None:
    home, elsewhere = make_netns(), make_netns()
    home.nft(RULESET)
    home.nft("add rule inet edge input tcp dport 22 jump { ip saddr 192.0.2.0/24 accept; drop; }")
    here = "inventory_hostname == '%s'" % home.name
    document = "{{ hostvars['%s'].held.document.tables }}" % home.name
    tasks = [
        info("take", document=True, register="held", when=here),
        {"name": "give", "rempart.netfilter.ruleset": {"tables": document}},
        {
            "name": "check",
            "rempart.netfilter.ruleset": {"tables": document, "full": True},
            "check_mode": True,
        },
    ]
    done = play(tmp_path, {home.name: {}, elsewhere.name: {}}, tasks)
    assert done.statuses()[home.name] == ["ok", "ok", "ok"]
    assert done.statuses()[elsewhere.name] == ["skipped", "changed", "ok"]
    assert done.of("take", home.name)["notes"] == []
    assert elsewhere.nft_text() == home.nft_text()
