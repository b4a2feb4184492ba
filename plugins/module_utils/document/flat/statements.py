# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``expr``: a rule given as libnftables-json(5) statements."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .values import Statement

BESIDE = ("expr", "comment")
"""What may stand beside ``expr``."""


def lower(rule: dict[str, Any]) -> list[Statement]:
    """The statements themselves, after a look at their structure. Raises DocumentError."""
    for key in rule:
        if key not in BESIDE:
            raise DocumentError(
                "a rule of statements has no flat keys",
                str(key),
                rule[key],
                "expr and comment",
                "write it in expr",
            )
    statements = rule["expr"]
    if not isinstance(statements, list) or not statements:
        raise DocumentError(
            "no statements", "expr", statements, "a list of at least one libnftables-JSON statement"
        )
    for index, statement in enumerate(statements):
        if (
            not isinstance(statement, dict)
            or len(statement) != 1
            or not isinstance(next(iter(statement)), str)
        ):
            raise DocumentError(
                "no statement",
                "expr[%d]" % index,
                statement,
                'a mapping of one key, the statement\'s name, such as {"accept": null}',
            )
    return statements
