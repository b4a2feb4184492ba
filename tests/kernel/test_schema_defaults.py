# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the schema says is the default is what the kernel gets where nothing is said."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from rempart.document.model import load
from rempart.document.validation import schema

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, generation

PARTS: dict[str, dict[str, Any]] = {
    "table": {"name": "t", "chains": [{"name": "c"}]},
    "chain": {"name": "t", "chains": [{"name": "c", "hook": "input"}]},
    "set": {"name": "t", "sets": [{"name": "s", "type": "mark"}]},
    "map": {"name": "t", "maps": [{"name": "s", "type": "mark", "map": "mark"}]},
    "ctExpectation": {
        "name": "t",
        "family": "ip",
        "ct_expectations": [{"name": "e", "protocol": "udp", "dport": 9, "timeout": "2m"}],
    },
    "tunnel": {
        "name": "t",
        "family": "netdev",
        "tunnels": [{"name": "b", "id": 1, "daddr": "2001:db8::2"}],
    },
}
LISTS = ("chains", "sets", "maps", "ct_expectations", "tunnels")


@pytest.mark.parametrize("part", PARTS)
def test_what_is_left_out_is_the_default(netns: Namespace, part: str) -> None:
    properties = schema()["$defs"][part]["properties"]
    defaults = {key: value["default"] for key, value in properties.items() if "default" in value}
    assert defaults
    said = copy.deepcopy(PARTS[part])
    inner = said if part == "table" else next(said[key][0] for key in LISTS if key in said)
    inner.update(defaults)
    apply({"tables": [PARTS[part]]}, netns)
    before = generation(netns)
    apply({"tables": [said]}, netns, full=True)
    assert generation(netns) == before


def test_of_a_flowtable() -> None:
    """This one by the engine alone: not every kernel has flowtables."""
    said = {"name": "f", "device": "lo", "priority": "filter"}
    assert schema()["$defs"]["flowtable"]["properties"]["priority"]["default"] == said["priority"]
    without = {"name": "f", "device": "lo"}
    both = [load({"tables": [{"name": "t", "flowtables": [one]}]})[0] for one in (said, without)]
    assert [one.flowtables[0].priority for one in both] == [0, 0]


def test_all_defaults_are_looked_at() -> None:
    having = {
        name
        for name, part in schema()["$defs"].items()
        if any("default" in one for one in part.get("properties", {}).values())
    }
    assert having == {*PARTS, "flowtable"}
