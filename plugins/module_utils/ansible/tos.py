# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document of a chain that sets the type of service, from a list of traffic classes.

The chain stands on the postrouting hook: packets of the host itself and packets that it
forwards pass there, each once, with both interfaces known. That is what the output chain
of ipchains(8) was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..document.flat.lowering import MATCHES
from ..document.flat.tos import masks_of
from ..errors import DocumentError, Problem, nearest

TABLE = "rempart_tos"
"""The table that the module owns whole; in any other it owns its chain alone."""

ALLOWED = (*MATCHES, "tos", "limit", "counter", "log", "comment", "bidirectional")
"""What a class may say: which packets, their type of service, and what notes are kept of them."""

_DELAY_AND_THROUGHPUT = 0x18
_PRIORITIES = (0, 2, 6, 4)
"""ip_tos2prio of net/ipv4/route.c, which only these two bits decide: TC_PRIO_BESTEFFORT, _BULK,
_INTERACTIVE and _INTERACTIVE_BULK of linux/pkt_sched.h."""


def tos_document(options: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The document of the module's options, and what is wrong with the classes.

    A chain that shall go is not in it.
    What is wrong with their matches and values is left for the check of the document.
    """
    problems: list[Problem] = []
    table: dict[str, Any] = {
        "name": options.get("table", TABLE),
        "family": options.get("family", "inet"),
    }
    if options.get("state") != "absent":
        with_priority = options.get("queue_priority", True)
        classes = options.get("classes", [])
        if not isinstance(classes, list):
            problems.append(Problem("no list", "classes", classes, "a list of traffic classes"))
            classes = []
        chain = {
            "name": options.get("chain", "tos"),
            "type": "filter",
            "hook": "postrouting",
            "priority": options.get("priority", "mangle"),
            "rules": [
                _rule(one, "classes[%d]" % index, with_priority, problems)
                for index, one in enumerate(classes)
            ],
        }
        table["chains"] = [chain]
    return {"tables": [table]}, problems


def _rule(one: Any, place: str, with_priority: bool, problems: list[Problem]) -> dict[str, Any]:
    if not isinstance(one, dict):
        problems.append(Problem("a class is a mapping", place, one, "matches and tos"))
        return {"counter": True}
    for key in one:
        if key not in ALLOWED:
            message = "no key of a traffic class"
            problems.append(Problem(message, "%s.%s" % (place, key), one[key], "", nearest(key, ALLOWED)))
    if "tos" not in one:
        problems.append(Problem("the key 'tos' is missing", place, allowed="the type of service to set"))
    rule = {key: value for key, value in one.items() if key in ALLOWED}
    if with_priority and "tos" in rule:
        _add_priority(rule)
    # The first class that matches decides. Chains that come later on the hook see the packet all the same.
    rule["verdict"] = "accept"
    return rule


def _add_priority(rule: dict[str, Any]) -> None:
    """The packet's priority in queues, where the rule alone decides the bits that it comes from."""
    try:
        mask, value = masks_of(rule["tos"])
    except DocumentError:
        return  # the check of the rule says it better
    if not mask & _DELAY_AND_THROUGHPUT:
        rule["set"] = {"priority": "0:%d" % _PRIORITIES[(value & _DELAY_AND_THROUGHPUT) >> 3]}
