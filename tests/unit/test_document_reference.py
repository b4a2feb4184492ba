# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/document.md names every key of the document, and its examples are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from rempart.document.flat import lower
from rempart.document.model import load
from rempart.document.validation import check, read, schema

TEXT = (Path(__file__).parents[2] / "docs" / "document.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text below a heading, up to the next one of its level."""
    return TEXT.split("\n## %s\n" % title)[1].split("\n## ")[0]


TABLE, CHAIN, RULE, SETS, MAPS, OBJECTS, FLOWTABLES = map(
    section, ("Table", "Chain", "Rule", "Sets", "Maps", "Objects", "Flowtables")
)


def rows(text: str) -> list[tuple[str, str]]:
    """Key and example of every row of the tables that have one."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            found += [(key, cells[2].strip("`")) for key in re.findall(r"`(\w+)`", cells[0])]
    return found


@pytest.mark.parametrize(
    ("part", "text"), [("table", TABLE), ("chain", CHAIN), ("rule", RULE), ("set", SETS)]
)
def test_every_key_stands_in_the_reference(part: str, text: str) -> None:
    assert set(schema()["$defs"][part]["properties"]) - {key for key, _ in rows(text)} == set()


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("map", SETS + MAPS),
        ("flowtable", FLOWTABLES),
        *((part, OBJECTS) for part in ("counter", "quotaObject", "limitObject", "ctHelper", "ctTimeout")),
        *((part, OBJECTS) for part in ("ctExpectation", "synproxy", "secmark", "tunnel")),
    ],
)
def test_every_key_of_a_declaration_is_named(part: str, text: str) -> None:
    assert set(schema()["$defs"][part]["properties"]) - set(re.findall(r"`(\w+)`", text)) == set()


@pytest.mark.parametrize(("key", "example"), rows(OBJECTS))
def test_every_example_of_an_object_is_right(key: str, example: str) -> None:
    if key not in schema()["$defs"]["table"]["properties"]:
        return
    family = "netdev" if key == "tunnels" else "inet"
    document = {"tables": [{"name": "edge", "family": family, key: [yaml.safe_load(example)]}]}
    assert check(document) == []
    assert len(load(document)[0].objects) == 1


@pytest.mark.parametrize(("key", "example"), rows(SETS))
def test_every_example_of_a_set_is_right(key: str, example: str) -> None:
    one = {"name": "s", "type": "ipv4_addr", key: yaml.safe_load(example)}
    if key == "typeof":
        del one["type"]
    document = {"tables": [{"name": "edge", "sets": [one]}]}
    assert check(document) == []
    assert load(document)[0].sets


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_every_document_is_right(text: str) -> None:
    document = read(text)
    if "tables" not in document:
        document = {"tables": [{"name": "edge", **document}]}
    assert check(document) == []
    (table,) = load(document)
    for chain in table.chains:
        for rule in chain.rules:
            assert lower(rule, "inet", {}, table.declared())


@pytest.mark.parametrize(
    ("key", "example"),
    [row for row in rows(RULE) + rows(MAPS) if row[0] in schema()["$defs"]["rule"]["properties"]],
)
def test_every_example_of_a_rule_is_right(key: str, example: str) -> None:
    value = yaml.safe_load(example)
    if key in ("skuid", "skgid"):
        value = "root"
    rule = {key: value}
    if key in ("sport", "dport", "lookup", "vmap", "redirect", "snat", "dnat", "synproxy"):
        rule["protocol"] = "tcp"
    if key in ("comment", "bidirectional"):
        rule["counter"] = True
    document = {"tables": [{"name": "edge", "chains": [{"name": "input", "rules": [rule]}]}]}
    assert check(document) == []
    assert lower(rule, "inet")
