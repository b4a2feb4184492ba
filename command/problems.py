# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that is wrong with a document, at once: the schema's view and the engine's."""

from __future__ import annotations

import re
from typing import Any

from rempart.document import hosts, validation
from rempart.document.declarations import declare
from rempart.document.model import FAMILIES, Chain, Table
from rempart.errors import DocumentError, HostError, Problem
from rempart.ruleset.desired import compile_tables
from rempart.ruleset.reconcile import check_only

#: stand for the addresses of host names (RFC 5737, RFC 3849)
_ADDRESSES = ("192.0.2.1", "2001:db8::1")

_DIGITS = re.compile(r"(\d+)")


def find(document: Any, known: list[Problem] | None = None) -> list[Problem]:
    """The problems of a document by place, ``known`` ones among them; none if it is right.

    The engine says more of what a rule means, the schema more of how it is written: of
    one place the schema's word is shown. Host names are not looked up.
    """
    try:
        schema = validation.check(document)
    except HostError as error:
        # without jsonschema the engine alone judges
        if not known:
            raise
        schema = []
        known = [*known, *error.problems]
    settings = _settings(document)
    # The settings' own words go further: they know the sysctl keys, too.
    schema = [one for one in schema if not (settings and _in_conntrack(one.place))]
    engine = [*(known or []), *settings, *_compiled(document)]
    taken = {problem.place for problem in schema}
    found = {str(problem): problem for problem in schema}
    for problem in engine:
        if problem.place not in taken:
            found.setdefault(str(problem), problem)
    return sorted(found.values(), key=lambda problem: _order(problem.place))


def _settings(document: Any) -> list[Problem]:
    """What is wrong with the settings of connection tracking."""
    if not isinstance(document, dict) or "conntrack" not in document:
        return []
    from .tracking import check

    return [one.at("conntrack") for one in check(document["conntrack"])]


def _in_conntrack(place: str) -> bool:
    return place == "conntrack" or place.startswith("conntrack.")


def _compiled(document: Any) -> list[Problem]:
    """What the engine finds; where chains are wrong, also what it finds in the rules."""
    try:
        check_only(document)
    except DocumentError as error:
        taken = {problem.place for problem in error.problems}
        return [*error.problems, *(one for one in _rules_alone(document) if one.place not in taken)]
    return []


def _rules_alone(document: Any) -> list[Problem]:
    """The rules' own problems, each rule compiled whatever is wrong around it."""
    tables = []
    for number, table in enumerate(_list(document, "tables")):
        family = table.get("family", "inet") if isinstance(table, dict) else None
        if family not in FAMILIES:
            continue
        place = "tables[%d]" % number
        chains = [
            Chain(str(index), rules=_list(chain, "rules"), place="%s.chains[%d]" % (place, index))
            for index, chain in enumerate(_list(table, "chains"))
        ]
        # partial: what the declarations lack because they are wrong is no mistake of a rule
        bare = Table(family, str(number), chains=chains, place=place, partial=True)
        if isinstance(table, dict):
            declare(table, bare, [])
        tables.append(bare)
    try:
        compile_tables(tables, {name: list(_ADDRESSES) for name in hosts.names(tables)})
    except DocumentError as error:
        return error.problems
    return []


def _list(mapping: Any, key: str) -> list[Any]:
    found = mapping.get(key) if isinstance(mapping, dict) else None
    return found if isinstance(found, list) else []


def _order(place: str) -> list[tuple[int, str]]:
    """``rules[10]`` after ``rules[9]``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(place)]
