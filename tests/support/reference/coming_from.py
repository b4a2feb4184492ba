# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages of docs/coming-from/, from tests/data/coming_from/."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.coming_from import Row, commands, load
from tests.support.reference.markdown import HEAD, cell, code, table


def page(name: str) -> str:
    """One page."""
    data = load(name)
    parts = [HEAD % ("tests/data/coming_from/%s.yml" % name), "# %s\n" % data["title"], data["intro"]]
    for section in data["sections"]:
        parts.append("## %s\n" % section["title"])
        if "text" in section:
            parts.append(section["text"])
        lines = [(old(row), here(row), cell(row.get("note", ""))) for row in section["rows"]]
        parts.append(table((data["title"].split()[1], "here", ""), lines))
        parts += [block(row) for row in section["rows"] if "tables" in row]
    return "\n".join(part if part.endswith("\n") else part + "\n" for part in parts)


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=100000)
    return text.replace("\n...", "").strip()


def old(row: Row) -> str:
    """The left cell."""
    return "<br>".join([cell(row["case"])] if "case" in row else [code(one) for one in commands(row)])


def here(row: Row) -> str:
    """The right cell."""
    found = []
    if "rules" in row and "chain" in row and row["chain"] not in row.get("chains", {}):
        found += chain(row["chain"], row["rules"], row.get("policy"))
    for name, rules in row.get("chains", {}).items():
        found += chain(name, rules, row.get("policy") if name == row.get("chain") else None)
    if "conntrack" in row:
        found.append(code("conntrack: " + flow(row["conntrack"])))
    if "tables" in row:
        found.append("the document below")
    found += [code(row[key]) for key in ("command",) if key in row]
    if "task" in row:
        ((module, options),) = row["task"].items()
        found.append(code("%s: %s" % (module, flow(options))))
    if "here" in row:
        found.append(cell(row["here"]))
    return "<br>".join(found)


def chain(name: str, rules: list[Any], policy: str | None) -> list[str]:
    """A chain with its rules, a line each."""
    head = code(name)
    if policy is not None:
        head += ", " + code("policy: " + policy)
    if not rules:
        return [head if policy is not None else head + " without rules"]
    return [head + ":", *(code(flow(rule)) for rule in rules)]


def block(row: Row) -> str:
    """A document of its own."""
    text = yaml.safe_dump({"tables": row["tables"]}, sort_keys=False, default_flow_style=None, width=110)
    return "```yaml\n%s```\n" % text
