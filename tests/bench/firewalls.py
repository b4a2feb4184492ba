# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewalls that are measured: documents of any size, and the same firewall as nft text."""

from __future__ import annotations

import json
from typing import Any

from rempart.document.model import Chain, load
from rempart.nftables.render import render_table
from rempart.ruleset.desired import compile_tables, rule_statements
from rempart.ruleset.userdata import comment_of

TABLE = "bench"
SERVICES = ([80, 443], [25, 465, 587], [143, 993], [5432, 6432, 9187, 9100], [2379, 2380, 6443, 10250])

MIX = (
    "half are an address and a port to accept, a quarter networks to drop, the rest IPv6, "
    "interface and UDP rules, rate limits with a log, and one in a hundred with one of five lists of ports; "
    "all but the networks count"
)


def document(rules: int) -> dict[str, Any]:
    """A firewall of so many rules: a short input chain, and the others in a chain that it jumps to.

    ``MIX`` says in words what the rules are.
    """
    opening: list[dict[str, Any]] = [
        {"ct_state": ["established", "related"], "verdict": "accept"},
        {"iifname": "lo", "verdict": "accept"},
        {"jump": "services"},
    ]
    return {
        "tables": [
            {
                "name": TABLE,
                "family": "inet",
                "chains": [
                    {
                        "name": "input",
                        "type": "filter",
                        "hook": "input",
                        "priority": "filter",
                        "policy": "accept",
                        "rules": opening,
                    },
                    {"name": "services", "rules": [_rule(index) for index in range(rules - len(opening))]},
                ],
            }
        ]
    }


def _rule(index: int) -> dict[str, Any]:
    high, low = divmod(index, 250)
    kind = index % 20
    port = 1024 + index % 60000
    if index % 100 == 99:
        return {
            "saddr": _host(high, low),
            "protocol": "tcp",
            "dport": SERVICES[index // 100 % len(SERVICES)],
            "counter": True,
            "verdict": "accept",
        }
    if kind < 10:
        return {
            "saddr": _host(high, low),
            "protocol": "tcp",
            "dport": port,
            "counter": True,
            "verdict": "accept",
        }
    if kind < 15:
        return {"saddr": "172.%d.%d.0/24" % (high, low), "verdict": "drop", "comment": "block %d" % index}
    if kind < 17:
        source = "2001:db8:%x:%x::/64" % (high, low)
        return {"saddr": source, "protocol": "tcp", "dport": port, "counter": True, "verdict": "accept"}
    if kind < 19:
        return {
            "iifname": "eth%d" % low,
            "protocol": "udp",
            "dport": port,
            "counter": True,
            "verdict": "accept",
        }
    return {
        "saddr": _host(high, low),
        "protocol": "tcp",
        "dport": port,
        "syn": True,
        "limit": "10/second",
        "counter": True,
        "log": {"prefix": "new service: "},
        "verdict": "accept",
    }


def _host(high: int, low: int) -> str:
    return "10.%d.%d.7" % (high, low)


def changed(original: dict[str, Any], number: int) -> dict[str, Any]:
    """The document with another port in its middle rule, a different one for each ``number``."""
    copy: dict[str, Any] = json.loads(json.dumps(original))
    rules = copy["tables"][0]["chains"][1]["rules"]
    rule = rules[middle(original)]
    rule["dport"] = 100 + number
    return copy


def middle(original: dict[str, Any]) -> int:
    """The index, in its chain, of the rule that ``changed`` changes."""
    rules = original["tables"][0]["chains"][1]["rules"]
    start = len(rules) // 2
    return next(
        i
        for i in range(start, len(rules))
        if isinstance(rules[i].get("dport"), int) and "limit" not in rules[i]
    )


def as_json(one: dict[str, Any]) -> bytes:
    """The document as a program would write it."""
    return json.dumps(one).encode()


def as_text(one: dict[str, Any], counts: str = "") -> str:
    """The same firewall in nft syntax; each counter says ``counts``, such as ``packets 7 bytes 420``."""
    text = ""
    for table in compile_tables(load(one)):
        chains = []
        for chain in table.chains.values():
            rules = [(rule_statements(table, chain, rule), comment_of(rule.userdata)) for rule in chain.rules]
            chains.append((_chain(chain.source), rules))
        text += render_table({"family": table.family, "name": table.name}, chains)
    return text.replace(" counter ", " counter %s " % counts) if counts else text


def _chain(source: Chain) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": source.name}
    if source.is_base:
        shown.update(type=source.type, hook=source.hook, prio=source.priority, policy=source.policy)
    return shown
