# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules inside rules: the inline chains that ``jump`` and ``goto`` may lead to instead of a chain's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LEADING = ("jump", "goto")


def rules_in(rule: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The rules of a rule's inline chains, each with its place below the rule; malformed ones too."""
    for key in LEADING:
        inner = rule.get(key)
        if isinstance(inner, list):
            for index, one in enumerate(inner):
                yield "%s[%d]" % (key, index), one
    statements = rule.get("expr")
    if isinstance(statements, list):
        for number, statement in enumerate(statements):
            for key in LEADING:
                body = statement.get(key) if isinstance(statement, dict) else None
                inner = body.get("rules") if isinstance(body, dict) else None
                for index, one in enumerate(inner if isinstance(inner, list) else ()):
                    yield "expr[%d].%s.rules[%d]" % (number, key, index), one


def all_rules(rules: list[Any]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Every rule of a chain that is a mapping, and those inside it: index, place below that, the rule.

    :func:`place_of` has the place in words: few of ten thousand rules need one.
    """
    for index, rule in enumerate(rules):
        if not isinstance(rule, dict):
            continue
        yield index, "", rule
        if "jump" in rule or "goto" in rule or "expr" in rule:
            for below, inner in rules_in(rule):
                if isinstance(inner, dict):
                    yield index, "." + below, inner


def place_of(index: int, below: str) -> str:
    """The place below the chain of a rule that :func:`all_rules` found."""
    return "rules[%d]%s" % (index, below)
