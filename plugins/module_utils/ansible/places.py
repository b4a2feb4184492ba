# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Places in a document as places in the options that the document was made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import Problem

NO_PLACES: Mapping[str, str] = {}

CHAIN: Mapping[str, str] = {
    "tables[0].chains[0].": "",
    "tables[0].chains[0]": "",
    "tables[0].name": "table",
    "tables[0].": "",
}
"""Of a document with one chain, made of options ``table``, ``family`` and the chain's own."""

TOS: Mapping[str, str] = {
    "tables[0].chains[0].rules": "classes",
    "tables[0].chains[0].name": "chain",
    "tables[0].name": "table",
    "tables[0].": "",
}
"""Of the document that the module ``tos`` makes: a class is a rule."""


def moved(place: str, places: Mapping[str, str]) -> str:
    """A place, with the first of these beginnings that it has replaced by what belongs there."""
    for before, after in places.items():
        if place.startswith(before):
            return after + place[len(before) :]
    return place


def moved_problems(problems: Iterable[Problem], places: Mapping[str, str]) -> list[Problem]:
    """Problems with their places moved. What two rules made of one option have in common is said once."""
    found: dict[str, Problem] = {}
    for problem in problems:
        problem.place = moved(problem.place, places)
        found.setdefault(str(problem), problem)
    return list(found.values())
