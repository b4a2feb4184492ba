# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules inside rules: the inline chains that ``jump`` and ``goto`` may lead to instead of a chain's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LEADING = ("jump", "goto")
HOLDING = frozenset((*LEADING, "expr"))
"""The keys below which a rule can hold others."""


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


def with_inner(rule: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """A rule and those inside it, as far as they are mappings, each with its place below the rule.

    Only a rule with a key of ``HOLDING`` has any inside it.
    """
    if not isinstance(rule, dict):
        return
    yield "", rule
    for below, inner in rules_in(rule):
        if isinstance(inner, dict):
            yield "." + below, inner


def place_of(index: int, below: str) -> str:
    """The place below the chain of a rule that :func:`with_inner` found."""
    return "rules[%d]%s" % (index, below)
