# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/reference/results.md: what every module returns, from the modules' own documentation."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.reference.connections import plain
from tests.support.reference.markdown import HEAD, code, table

MODULES = Path(__file__).resolve().parents[3] / "plugins" / "modules"

INTRO = """
# What modules return

By module and key; a key of a mapping, or of each mapping in a list, stands behind the key that has it.
Beside these every module returns `changed`, and where it can show a difference `diff`. A module's options
are in its own documentation: `ansible-doc rempart.netfilter.ruleset`.
"""


def documented(path: Path, name: str) -> Any:
    """What a module's text of this name says, read and not run."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(one, "id", "") == name for one in node.targets):
            return yaml.safe_load(ast.literal_eval(node.value))
    raise AssertionError("%s has no %s" % (path, name))


def keys(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, ...]]:
    """Each key with its type, when it is returned, and what it is."""
    for key, one in found.items():
        kind = "list of %s" % one["elements"] if "elements" in one else str(one.get("type", ""))
        yield code(before + key), kind, plain(one.get("returned", "")), plain(one["description"])
        yield from keys(one.get("contains", {}), before + key + ".")


def page() -> str:
    """The whole page."""
    parts = [HEAD % "the modules' own documentation", INTRO.lstrip("\n")]
    for path in sorted(MODULES.glob("*.py")):
        short = documented(path, "DOCUMENTATION")["short_description"]
        parts += ["## %s\n" % path.stem, short + ".\n"]
        parts.append(table(("key", "type", "returned", ""), keys(documented(path, "RETURN") or {})))
    return "\n".join(parts)
