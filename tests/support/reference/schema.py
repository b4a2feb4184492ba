# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/reference/document.md: every key of the document, from its schema and the engine's tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rempart.document import model, placement, priorities
from rempart.document.validation import schema

from tests.support.reference.markdown import HEAD, cell, code, table

PARTS = {
    "table": "Table",
    "chain": "Chain",
    "rule": "Rule",
    "set": "Set",
    "map": "Map",
    "element": "Element of a set, as a mapping",
    "mapElement": "Element of a map, as a mapping",
    "counter": "Counter",
    "quotaObject": "Quota",
    "limitObject": "Limit",
    "ctHelper": "Helper of connection tracking",
    "ctTimeout": "Timeouts of connections",
    "ctExpectation": "Expectation",
    "synproxy": "Synproxy",
    "secmark": "Security mark",
    "flowtable": "Flowtable",
    "conntrack": "Connection tracking",
}
"""The parts of the schema that have keys of their own, by what they are called on the page."""

TYPES = {"object": "a mapping", "array": "a list", "string": "a text"}
"""What stands for a value of which the schema says no more."""

INTRO = """
# Every key of a document

What stands for what, with examples, is in [The document](../document.md). This page is the
[schema](../../plugins/module_utils/document/schema.json) as tables: which keys there are, what each may be,
and what holds where it is left out. A key of a mapping stands behind the key that has the mapping:
`limit.rate`.
"""


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """A node with what it refers to; its own words win."""
    while "$ref" in node:
        part = schema()["$defs"][node["$ref"].rsplit("/", 1)[1]]
        node = {**part, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def mappings(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The forms of a value that are mappings with keys of their own."""
    node = resolved(node)
    if "properties" in node:
        yield node
    for one in node.get("anyOf", ()):
        yield from mappings(one)
    if isinstance(node.get("items"), dict):
        yield from mappings(node["items"])


def parts_of(node: dict[str, Any]) -> set[str]:
    """The parts with tables of their own that a value is made of."""
    found = {node["$ref"].rsplit("/", 1)[1]} if "$ref" in node else set()
    inner = [*node.get("anyOf", ()), node.get("items"), node.get("additionalProperties")]
    for one in inner:
        if isinstance(one, dict):
            found |= parts_of(one)
    return found & set(PARTS)


def keys(
    node: dict[str, Any], before: str = "", depth: int = 2
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Each key with its path, its node and whether it must be there."""
    done = {"not"}
    for form in mappings(node):
        for key, raw in form["properties"].items():
            if key in done:
                continue
            done.add(key)
            value = resolved(raw)
            yield before + key, value, key in form.get("required", ())
            if depth > 1 and key != "expr" and not parts_of(raw):
                yield from keys(value, before + key + ".", depth - 1)


def row(path: str, node: dict[str, Any], required: bool) -> tuple[str, ...]:
    """One key."""
    default = (
        "required" if required else code(json.dumps(node["default"]).strip('"')) if "default" in node else ""
    )
    example = node["examples"][0] if "examples" in node else None
    shown = "" if example is None else code(json.dumps(example, ensure_ascii=False))
    return (
        code(path),
        cell(node.get("description", "")),
        cell(node.get("x-allowed") or TYPES[node["type"]]),
        default,
        shown,
    )


def page() -> str:
    """The whole page."""
    parts = [HEAD % "the schema and the engine's own tables", INTRO.lstrip("\n")]
    head = ("key", "", "allowed", "default", "example")
    parts.append(table(head, [row(*one) for one in keys(schema(), depth=1)]))
    for part, title in PARTS.items():
        node = schema()["$defs"][part]
        parts.append("## %s\n" % title)
        if node.get("description"):
            parts.append(node["description"] + "\n")
        parts.append(table(head, [row(*one) for one in keys(node)]))
    parts += ["## Hooks by family and type\n", hooks(), "## Priorities by name\n", names()]
    parts += ["## Statements that only some hooks take\n", statements()]
    return "\n".join(parts)


def hooks() -> str:
    """What chains a table of each family may have."""
    lines = []
    for family in model.FAMILIES:
        for kind, found in model.HOOKS[family].items():
            lines.append((code(family), code(kind), ", ".join(map(code, found))))
    return table(("family", "type", "hooks"), lines)


def names() -> str:
    """The names of priorities."""
    lines = []
    for family in model.FAMILIES:
        lines.append((code(family), ", ".join("`%s` %d" % one for one in priorities.NAMES[family].items())))
    return table(("family", "names"), lines)


def statements() -> str:
    """Where a rule may say what."""
    lines = [(code(key), "nat", ", ".join(map(code, found))) for key, found in placement.NAT_HOOKS.items()]
    lines += [(code(key), "any", ", ".join(map(code, found))) for key, found in placement.OTHER_HOOKS.items()]
    below = "any, priority below %d" % placement.CONNTRACK_PRIORITY
    lines.append((code("notrack"), below, ", ".join(map(code, placement.NOTRACK_HOOKS))))
    for family, found in placement.REJECT_HOOKS.items():
        where = ", ".join(map(code, found)) or "none"
        lines.append(("%s in %s" % (code("reject"), code(family)), "any", where))
    return table(("key", "type of chain", "hooks"), lines)
