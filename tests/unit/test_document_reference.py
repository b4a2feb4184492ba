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


def rows() -> list[tuple[str, str]]:
    """Key and example of every row of the tables that have one."""
    found = []
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            found += [(key, cells[2].strip("`")) for key in re.findall(r"`(\w+)`", cells[0])]
    return found


@pytest.mark.parametrize("part", ["table", "chain", "rule"])
def test_every_key_stands_in_the_reference(part: str) -> None:
    assert set(schema()["$defs"][part]["properties"]) - {key for key, _ in rows()} == set()


def test_the_document_at_the_top_is_right() -> None:
    match = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert match
    document = read(match[1])
    assert check(document) == []
    for rule in load(document)[0].chains[0].rules:
        assert lower(rule, "inet")


@pytest.mark.parametrize(
    ("key", "example"), [row for row in rows() if row[0] in schema()["$defs"]["rule"]["properties"]]
)
def test_every_example_of_a_rule_is_right(key: str, example: str) -> None:
    value = yaml.safe_load(example)
    if key in ("skuid", "skgid"):
        value = "root"
    rule = {key: value}
    if key in ("sport", "dport", "redirect", "dnat"):
        rule["protocol"] = "tcp"
    if key in ("comment", "bidirectional"):
        rule["counter"] = True
    document = {"tables": [{"name": "edge", "chains": [{"name": "input", "rules": [rule]}]}]}
    assert check(document) == []
    assert lower(rule, "inet")
