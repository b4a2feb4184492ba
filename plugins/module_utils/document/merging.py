# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several lists of tables as one: what groups of hosts each say of the same tables and chains.

Tables are the same by family and name, chains, sets and all else in them by name. Rules of
one chain and elements of one set follow each other in the order of the lists. Whatever else is
said twice must be said alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ..errors import DocumentError, Problem, join_place
from .model import DECLARING

_Merge = Callable[["_Merging", Any, Any, str, str], None]


class Merged:
    """The tables, and ``places``: for each place in them where it was written, the innermost first."""

    __slots__ = ("places", "tables")

    def __init__(self, tables: list[Any], places: Mapping[str, str]) -> None:
        self.tables = tables
        self.places = places


def merge(lists: Mapping[str, Any]) -> Merged:
    """The lists of tables, each by its name, merged in the order of the mapping.

    What is not shaped like a document goes through as it is, for the document's own check.
    Raises DocumentError with every name that stands for no list, and for every conflict both
    places where it was said.
    """
    merging = _Merging()
    tables: list[Any] = []
    for name, given in lists.items():
        if isinstance(given, (list, tuple)):
            merging.add(tables, given, "tables", name, _table_key, _TABLE)
        else:
            cure = "begin with '- name:'" if isinstance(given, Mapping) else ""
            merging.problems.append(Problem("no list of tables", name, given, "a list of tables", cure))
    if merging.problems:
        raise DocumentError.of(merging.problems)
    innermost = sorted(merging.places, key=len, reverse=True)
    return Merged(tables, {place: merging.places[place] for place in innermost})


class _Merging:
    """What was merged so far: ``places`` by the place in what comes out, and what was wrong."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self.problems: list[Problem] = []

    def add(
        self,
        into: list[Any],
        given: Any,
        place: str,
        source: str,
        key: Callable[[Mapping[str, Any]], Any],
        parts: Mapping[str, _Merge],
    ) -> None:
        """Add the mappings of a list; those whose key is there already are merged with it."""
        known = {key(one): index for index, one in enumerate(into) if isinstance(one, dict)}
        for number, one in enumerate(given):
            origin = "%s[%d]" % (source, number)
            named = isinstance(one, Mapping) and key(one) is not None
            index = known.get(key(one)) if named else None
            if index is None:
                index = len(into)
                into.append({} if isinstance(one, Mapping) else one)
                self.places["%s[%d]" % (place, index)] = origin
                if named:
                    known[key(one)] = index
            if isinstance(one, Mapping):
                self.fill(into[index], one, "%s[%d]" % (place, index), origin, parts)

    def fill(
        self,
        into: dict[str, Any],
        one: Mapping[str, Any],
        place: str,
        source: str,
        parts: Mapping[str, _Merge],
    ) -> None:
        """Add the keys of a mapping; ``parts`` says which of them are added to rather than compared."""
        for key, value in one.items():
            inner, origin = join_place(place, str(key)), join_place(source, str(key))
            merge_part = parts.get(key)
            if merge_part is not None and isinstance(value, (list, tuple)):
                if isinstance(into.setdefault(key, []), list):
                    self.places.setdefault(inner, origin)
                    merge_part(self, into[key], value, inner, origin)
                    continue
            elif merge_part is _append and isinstance(value, Mapping):
                if isinstance(into.setdefault(key, {}), dict):
                    self.places.setdefault(inner, origin)
                    self.fill(into[key], value, inner, origin, {})
                    continue
            elif key not in into:
                into[key] = value
                self.places[inner] = origin
                continue
            if into[key] != value:
                self.conflict(inner, origin, value, into[key])

    def conflict(self, place: str, source: str, value: Any, other: Any) -> None:
        """Note that two sources say different things of one place."""
        self.problems.append(
            Problem(
                "differs from %s" % self.places[place],
                source,
                value,
                "%r, as there" % (other,) if isinstance(other, (str, int)) else "the same as there",
                "say it in one of the two",
            )
        )


def _append(merging: _Merging, into: list[Any], given: Any, place: str, source: str) -> None:
    for number, one in enumerate(given):
        merging.places["%s[%d]" % (place, len(into))] = "%s[%d]" % (source, number)
        into.append(one)


def _named(parts: Mapping[str, _Merge]) -> _Merge:
    """How a list of mappings with names is added to another."""

    def add(merging: _Merging, into: list[Any], given: Any, place: str, source: str) -> None:
        merging.add(into, given, place, source, _name, parts)

    return add


def _name(one: Mapping[str, Any]) -> str | None:
    name = one.get("name")
    return name if isinstance(name, str) else None


def _table_key(one: Mapping[str, Any]) -> tuple[str, str] | None:
    family, name = one.get("family", "inet"), one.get("name")
    return (family, name) if isinstance(family, str) and isinstance(name, str) else None


_TABLE: dict[str, _Merge] = {
    **{key: _named({}) for key in DECLARING},
    **dict.fromkeys(("sets", "maps"), _named({"elements": _append})),
    "chains": _named({"rules": _append}),
}
