# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nft judges tests/data/flat_rules.json: each row's statements are what its rule in nft syntax comes to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.namespaces import Namespace

ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "flat_rules.json").read_text()
)

DECLARED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "declared.json").read_text()
)

CHAINS: dict[str, tuple[str, str, int]] = {
    "input": ("filter", "input", 0),
    "output": ("filter", "output", 0),
    "prerouting": ("filter", "prerouting", -300),
    "ingress": ("filter", "ingress", 0),
    "nat_prerouting": ("nat", "prerouting", -100),
    "nat_postrouting": ("nat", "postrouting", 100),
}


def comparable(value: Any) -> Any:
    """Statements without counts, and sets in one order: neither says anything about the rule."""
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if isinstance(value, dict):
        if "counter" in value:
            return {"counter": None}
        if isinstance(value.get("set"), list):
            return {"set": sorted((comparable(one) for one in value["set"]), key=json.dumps)}
        return {key: comparable(one) for key, one in value.items()}
    return value


def commands(row: dict[str, Any], chain: str) -> tuple[str, list[dict[str, Any]]]:
    """The row as nft text and as JSON commands, for a chain of that name."""
    family = row["family"]
    kind, hook, priority = CHAINS[row["chain"]]
    device = {"dev": "lo"} if hook == "ingress" else {}
    where = {"family": family, "table": "t", "chain": chain}
    head = "type %s hook %s %s priority %d;" % (kind, hook, 'device "lo"' if device else "", priority)
    text = "add chain %s t %s { %s }\n" % (family, chain, head)
    text += "".join("add rule %s t %s %s\n" % (family, chain, rule) for rule in row["nft"])
    made: list[dict[str, Any]] = [
        {
            "chain": {
                "family": family,
                "table": "t",
                "name": chain,
                "type": kind,
                "hook": hook,
                "prio": priority,
                **device,
            }
        }
    ]
    made += [{"rule": {**where, "expr": statements}} for statements in row["statements"]]
    return text, [{"add": one} for one in made]


def listed(netns: Namespace, family: str) -> dict[str, list[Any]]:
    chains: dict[str, list[Any]] = {}
    for one in netns.nft_json("table", family, "t"):
        if "rule" in one:
            chains.setdefault(one["rule"]["chain"], []).append(one["rule"]["expr"])
    return chains


def sent(output: str) -> list[str]:
    """The expressions of ``nft --debug=netlink``."""
    return [line.strip() for line in output.splitlines() if line.startswith("  [")]


def declared_text(family: str) -> str:
    """A table with everything that rules refer to."""
    addresses = "ipv6_addr" if family == "ip6" else "ipv4_addr"
    texts = ["chain other { }", "set hosts { type %s; }" % addresses]
    texts += [row["nft"] for row in DECLARED if row["family"] == family]
    return "table %s t {\n%s\n}\n" % (family, "\n".join(texts))


@pytest.mark.parametrize("family", sorted({row["family"] for row in ROWS}))
def test_nft_makes_the_same_of_text_and_statements(family: str, make_netns: Callable[[], Namespace]) -> None:
    rows = [row for row in ROWS if row["family"] == family]
    text = ""
    json_commands: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        more_text, more_commands = commands(row, "c%d" % number)
        text += more_text
        json_commands += more_commands
    by_text, by_json = make_netns(), make_netns()
    for netns in (by_text, by_json):
        netns.run("nft", "-f", "-", input=declared_text(family))
    text_sent = sent(by_text.run("nft", "--debug=netlink", "-f", "-", input=text).stdout)
    json_sent = sent(
        by_json.run(
            "nft", "--debug=netlink", "--json", "-f", "-", input=json.dumps({"nftables": json_commands})
        ).stdout
    )
    assert text_sent
    assert text_sent == json_sent
    from_text = listed(by_text, family)
    for number, row in enumerate(rows):
        printed = comparable(from_text["c%d" % number])
        if row.get("nft_leaves_out"):
            assert printed != comparable(row["statements"])
        else:
            assert printed == comparable(row["statements"])
