# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of the role firewall's pages are right, and so is what they say of files and variables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from rempart.boot import install, units
from rempart.document.merging import merge
from rempart.document.validation import check
from rempart.errors import DocumentError
from rempart.session import keep

ROOT = Path(__file__).parents[2]
ROLE, BOOT = ((ROOT / "docs" / one).read_text() for one in ("firewall-role.md", "after-a-reboot.md"))


def blocks(text: str) -> list[Any]:
    return [yaml.safe_load(one) for one in re.findall(r"```yaml\n(.*?)```", text, re.S)]


def variables() -> dict[str, Any]:
    return {name: one for block in blocks(ROLE) if isinstance(block, dict) for name, one in block.items()}


def test_variables_of_the_groups_make_a_document() -> None:
    lists = {name: one for name, one in sorted(variables().items()) if name.startswith("firewall_tables")}
    assert list(lists) == ["firewall_tables_10_base", "firewall_tables_50_web", "firewall_tables_99_last"]
    tables = merge(lists).tables
    assert check({"tables": tables}) == []
    assert [sorted(rule) for rule in tables[0]["chains"][0]["rules"]][-2:] == [
        ["counter", "dport", "protocol", "verdict"],
        ["limit", "log"],
    ]
    # The conflict that the page shows.
    lists["firewall_tables_50_web"][0]["chains"][0]["policy"] = "accept"
    with pytest.raises(DocumentError) as raised:
        merge(lists)
    assert str(raised.value) in ROLE.replace("\n", " ")


def test_every_variable_of_the_role_is_on_the_page() -> None:
    specs = yaml.safe_load((ROOT / "roles/firewall/meta/argument_specs.yml").read_text())
    defaults = yaml.safe_load((ROOT / "roles/firewall/defaults/main.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    table = ROLE.split("## Variables")[1].split("\n## ")[0]
    for name, option in options.items():
        assert "`%s`" % name in table
        assert defaults.get(name) == option.get("default")


def test_plays_have_tables_that_are_right() -> None:
    for play in (
        one for page in (ROLE, BOOT) for block in blocks(page) if isinstance(block, list) for one in block
    ):
        assert set(play) <= {"hosts", "gather_facts", "roles", "tasks", "check_mode", "diff"}
        for task in play.get("tasks", ()):
            tables = task.get("rempart.netfilter.boot", {}).get("tables", [])
            assert isinstance(tables, str) or check({"tables": tables}) == []


def test_pages_name_what_is_put_on_the_host() -> None:
    for one in (install.PROGRAM, install.DIRECTORY, units.UNIT, units.DEVICE_UNIT, install.PYTHON):
        assert one in BOOT
    assert "within five seconds" in ROLE and keep.WAIT == 5
