# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that several modules have, as Ansible's argument specs, and the document they make."""

from __future__ import annotations

from typing import Any

FAMILIES = ["inet", "ip", "ip6", "arp", "bridge", "netdev"]

FAMILY: dict[str, Any] = {"type": "str", "default": "inet", "choices": FAMILIES}

STATE: dict[str, Any] = {"type": "str", "default": "present", "choices": ["present", "absent"]}

NETNS: dict[str, Any] = {"type": "str"}

DOCUMENT: dict[str, Any] = {"type": "str", "no_log": True}
"""``_document``: the document as JSON text, from the action plugin that has checked it.

Set by no playbook. Not a secret, but a module logs its options one by one, and
thousands of rules are nothing for the host's log.
"""

#: of a chain, but for its name
CHAIN: dict[str, Any] = {
    "type": {"type": "str", "choices": ["filter", "nat", "route"]},
    "hook": {
        "type": "str",
        "choices": ["prerouting", "input", "forward", "output", "postrouting", "ingress", "egress"],
    },
    "priority": {"type": "raw"},
    "policy": {"type": "str", "choices": ["accept", "drop"]},
    "device": {"type": "str"},
    "devices": {"type": "list", "elements": "str"},
    "flags": {"type": "list", "elements": "str", "choices": ["offload"]},
    "comment": {"type": "str"},
    "rules": {"type": "list", "elements": "dict"},
}

DECLARED = [
    "sets",
    "maps",
    "counters",
    "quotas",
    "limits",
    "ct_helpers",
    "ct_timeouts",
    "ct_expectations",
    "synproxies",
    "secmarks",
    "tunnels",
    "flowtables",
]
"""What a table declares beside its chains."""

TABLES: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": {
        "name": {"type": "str", "required": True},
        "family": FAMILY,
        "comment": {"type": "str"},
        "flags": {"type": "list", "elements": "str", "choices": ["dormant", "persist"]},
        "chains": {
            "type": "list",
            "elements": "dict",
            "options": {"name": {"type": "str", "required": True}, **CHAIN},
        },
        **{key: {"type": "list", "elements": "dict"} for key in DECLARED},
    },
}


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given: AnsibleModule fills in None for the others."""
    return {name: value for name, value in options.items() if value is not None}


def given_tables(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tables as the document has them, from those that AnsibleModule has filled up with None."""
    found = []
    for table in tables:
        kept = given(table)
        if "chains" in kept:
            kept["chains"] = [given(chain) for chain in kept["chains"]]
        found.append(kept)
    return found
