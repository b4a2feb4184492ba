# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``expr``: a rule given as libnftables-json(5) statements."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

from ...errors import DocumentError, join_place
from ..declared import OBJECTS, Declared
from ..inline import rules_in
from .references import check_flowtable, check_object, find_set
from .values import Statement

BESIDE = ("expr", "comment")
"""What may stand beside ``expr``."""


def lower(rule: dict[str, Any], declared: Declared) -> list[Statement]:
    """The statements themselves, after a look at their structure and at what they refer to.

    Raises DocumentError.
    """
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
    _check_statements(statements, declared, "expr")
    for place, inner in rules_in(rule):
        if isinstance(inner, dict) and isinstance(inner.get("expr"), list):
            _check_statements(inner["expr"], declared, place + ".expr")
    return statements


def _check_statements(statements: list[Any], declared: Declared, place: str) -> None:
    for index, statement in enumerate(statements):
        if (
            not isinstance(statement, dict)
            or len(statement) != 1
            or not isinstance(next(iter(statement)), str)
        ):
            raise DocumentError(
                "no statement",
                "%s[%d]" % (place, index),
                statement,
                'a mapping of one key, the statement\'s name, such as {"accept": null}',
            )
        if declared.complete:
            _check_references(statement, declared, "%s[%d]" % (place, index))


_SET_KEYS = frozenset(("right", "data", "set", "map"))
"""Where ``@name`` stands for a set or map (libnftables-json(5)); elsewhere it is plain text."""


def _check_references(statement: Statement, declared: Declared, place: str) -> None:
    """Raise DocumentError for a name that the table does not declare."""
    ((word, value),) = statement.items()
    if isinstance(value, str) and word in OBJECTS.values():
        _check(partial(check_object, word, value, declared), join_place(place, str(word)))
    pending = [(join_place(place, str(word)), value)]
    while pending:
        where, one = pending.pop()
        if isinstance(one, dict):
            for key, inner in one.items():
                below = join_place(where, str(key))
                if isinstance(inner, str) and inner[:1] == "@":
                    if key in _SET_KEYS:
                        _check(partial(find_set, inner[1:], declared), below)
                    elif key == "flowtable":
                        _check(partial(check_flowtable, inner[1:], declared), below)
                elif isinstance(inner, (dict, list)):
                    pending.append((below, inner))
        elif isinstance(one, list):
            pending += [("%s[%d]" % (where, index), inner) for index, inner in enumerate(one)]


def _check(step: Callable[[], object], place: str) -> None:
    try:
        step()
    except DocumentError as error:
        raise error.at(place) from None
