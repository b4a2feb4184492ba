# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every document of docs/document.md goes into a kernel, which holds what it says, and nft lists it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply

TEXT = (Path(__file__).parents[2] / "docs" / "document.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split("\n## %s\n" % title)[1].split("\n## ")[0]


def documents(*titles: str) -> list[dict[str, Any]]:
    found = []
    for title in titles:
        for text in re.findall(r"```yaml\n(.*?)```", section(title), re.DOTALL):
            found.append(yaml.safe_load(text))
    return found


def examples(*titles: str) -> list[tuple[str, Any]]:
    """Key and example of every row of the tables that have one."""
    found = []
    for line in "\n".join(section(title) for title in titles).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            found += [(key, yaml.safe_load(cells[2].strip("`"))) for key in re.findall(r"`(\w+)`", cells[0])]
    return found


def put(table: dict[str, Any], where: Namespace) -> str:
    """nft's listing of a table that was applied, and is in line then."""
    document = {"tables": [{"name": "edge", **table}]}
    assert apply(document, where).changed
    assert not apply(document, where, full=True).changed
    return where.nft_text()


@pytest.mark.parametrize("table", documents("Sets", "Maps"))
def test_a_document_is_put_and_listed(table: dict[str, Any], netns: Namespace) -> None:
    listed = put(table, netns)
    for key, word in (("sets", "set"), ("maps", "map")):
        for one in table.get(key, ()):
            assert "%s %s {" % (word, one["name"]) in listed
            assert "@" + one["name"] in listed
    for chain in table["chains"]:
        assert "chain %s {" % chain["name"] in listed


# nft 1.0.6 crashes when it lists it: test_capture_shapes.py has that key
SETS = [row for row in examples("Sets") if row[0] != "last"]


@pytest.mark.parametrize(("key", "example"), SETS)
def test_a_key_of_a_set_is_put_and_listed(key: str, example: Any, netns: Namespace) -> None:
    one = {"name": "s", "type": "ipv4_addr", key: example}
    if key == "typeof":
        del one["type"]
    if key == "ct_count":
        one["flags"] = ["dynamic"]
    if key == "gc_interval":
        one["timeout"] = "1h"
    assert "set %s {" % one["name"] in put({"sets": [one]}, netns)


NAMES = {
    "counter": {"counters": [{"name": "web"}, {"name": "mail"}]},
    "quota": {"quotas": [{"name": name, "quota": "over 1 mbytes"} for name in ("web", "mail")]},
    "limit": {"limits": [{"name": name, "rate": "1/second"} for name in ("web", "mail")]},
}


@pytest.mark.parametrize(("key", "example"), examples("Maps"))
def test_a_map_in_a_rule_is_put_and_listed(key: str, example: Any, netns: Namespace) -> None:
    hook = {"snat": "postrouting"}.get(key, "prerouting")
    nat = {"type": "nat", "hook": hook, "priority": 0} if key in ("snat", "dnat", "redirect") else {}
    chain = {"name": "c", **nat, "rules": [{"protocol": "tcp", key: example}]}
    listed = put({**NAMES.get(key, {}), "chains": [chain]}, netns)
    assert "map {" in listed or "map @" in listed


# a security mark wants a kernel with SELinux, and nft 1.0.6 stops at a tunnel
LISTED = [row for row in examples("Objects") if row[0] not in ("secmarks", "tunnels")]


@pytest.mark.parametrize(("key", "example"), LISTED)
def test_an_object_is_put_and_listed(key: str, example: Any, netns: Namespace) -> None:
    table: dict[str, Any] = {key: [example]}
    if key == "ct_timeouts":
        table["family"] = "ip"
    assert example["name"] in put(table, netns)


def test_a_tunnel_is_put(netns: Namespace) -> None:
    (example,) = [row[1] for row in examples("Objects") if row[0] == "tunnels"]
    document = {"tables": [{"name": "edge", "family": "netdev", "tunnels": [example]}]}
    assert apply(document, netns).changed
    assert not apply(document, netns, full=True).changed


def test_an_element_with_the_timeout_of_its_set_is_in_line(netns: Namespace) -> None:
    """The kernel does not tell the two apart."""
    elements = [{"elem": "10.0.0.1", "timeout": "1h"}, "10.0.0.2", {"elem": "10.0.0.3", "timeout": "2h"}]
    put({"sets": [{"name": "s", "type": "ipv4_addr", "timeout": "1h", "elements": elements}]}, netns)
