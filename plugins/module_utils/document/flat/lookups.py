# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``lookup`` and ``vmap``, and the maps from which other keys take their values.

``{key: dport, data: "@name"}`` or ``{key: [saddr, dport], data: {"192.0.2.1 . 22": accept}}``.
"""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .key import Draft, Key
from .references import find_set
from .selections import Selection, inline_map, inline_set, pairs_of, selection_of
from .values import Statement, mapping, match

MAP_ALLOWED = "a mapping of key and data"


class Lookup:
    """A map in a rule: its selection and its data, ``@name`` or what stands in the rule."""

    __slots__ = ("data", "name", "selection")

    def __init__(self, value: Any) -> None:
        mapping(value, ("key", "data"))
        for key in ("key", "data"):
            if key not in value:
                raise DocumentError("the key %r is missing" % key, found=value, allowed=MAP_ALLOWED)
        try:
            self.selection: Selection = selection_of(value["key"])
        except DocumentError as error:
            raise error.at("key") from None
        self.data: Any = value["data"]
        self.name = ""
        if isinstance(self.data, str):
            if self.data[:1] != "@" or len(self.data) == 1:
                raise DocumentError(
                    "no map",
                    "data",
                    self.data,
                    '"@name", or a mapping of keys to values',
                    "write @ and the name",
                )
            self.name = self.data[1:]

    def networks(self, draft: Draft) -> tuple[str, ...] | None:
        """The networks it leaves possible. Raises DocumentError."""
        try:
            if self.name:
                return self.selection.networks_of_set(self.name, draft)
            return self.selection.networks_of_elements([key for key, _unused in pairs_of(self.data)], draft)
        except DocumentError as error:
            raise error.at("data") from None

    def json(self, read: Any, data: tuple[str, ...], draft: Draft) -> Statement:
        """``{"key": …, "data": …}``: ``read`` reads values in the rule, a declared map must be to ``data``.

        An empty ``data`` is any. Raises DocumentError.
        """
        try:
            left = self.selection.left(draft)
        except DocumentError as error:
            raise error.at("key") from None
        try:
            if not self.name:
                return {"key": left, "data": inline_map(self.selection, self.data, read, draft)}
            self.selection.needs_network(self.data, draft)
            found = find_set(self.name, draft.declared)
            if found is not None and (not found.is_map or (data and found.data != data)):
                what = "a map to %s" % " . ".join(found.data) if found.is_map else "a set"
                raise DocumentError(
                    "this is %s" % what, found=self.data, allowed="a map to %s" % " . ".join(data)
                )
        except DocumentError as error:
            raise error.at("data") from None
        return {"key": left, "data": self.data}


def _lower_vmap(value: Any, draft: Draft) -> list[Statement]:
    from ..elements import read_verdict

    return [{"vmap": Lookup(value).json(read_verdict, ("verdict",), draft)}]


def _vmap_networks(value: Any, draft: Draft) -> tuple[str, ...] | None:
    return Lookup(value).networks(draft)


def _vmap_splits(value: Any, draft: Draft) -> bool:
    return Lookup(value).selection.splits


def _membership(value: Any) -> tuple[Selection, Any, bool]:
    """What is looked up, in what, and whether it must not be there."""
    mapping(value, ("key", "set"))
    for key in ("key", "set"):
        if key not in value:
            raise DocumentError(
                "the key %r is missing" % key, found=value, allowed="a mapping of key and set"
            )
    try:
        selection = selection_of(value["key"])
    except DocumentError as error:
        raise error.at("key") from None
    where = value["set"]
    negated = False
    if isinstance(where, dict) and list(where) == ["not"]:
        where, negated = where["not"], True
    if isinstance(where, str) and where.startswith("!"):
        where, negated = where[1:].strip(), not negated
    if not (isinstance(where, list) and where) and not (
        isinstance(where, str) and where[:1] == "@" and len(where) > 1
    ):
        raise DocumentError("no set", "set", value["set"], '"@name", or a list of elements')
    return selection, where, negated


def _lower_lookup(value: Any, draft: Draft) -> list[Statement]:
    selection, where, negated = _membership(value)
    try:
        left = selection.left(draft)
    except DocumentError as error:
        raise error.at("key") from None
    try:
        if isinstance(where, list):
            return [match(left, inline_set(selection, where, draft), negated)]
        selection.needs_network(where, draft)
    except DocumentError as error:
        raise error.at("set") from None
    return [match(left, where, negated)]


def _lookup_networks(value: Any, draft: Draft) -> tuple[str, ...] | None:
    selection, where, _unused = _membership(value)
    try:
        if isinstance(where, list):
            return selection.networks_of_elements(where, draft)
        return selection.networks_of_set(where[1:], draft)
    except DocumentError as error:
        raise error.at("set") from None


def _lookup_splits(value: Any, draft: Draft) -> bool:
    return _membership(value)[0].splits


MATCHES = {
    "lookup": Key(_lower_lookup, networks=_lookup_networks, split=_lookup_splits, implies=_lookup_splits)
}
STATEMENTS = {"vmap": Key(_lower_vmap, networks=_vmap_networks, split=_vmap_splits, brings=_vmap_splits)}
