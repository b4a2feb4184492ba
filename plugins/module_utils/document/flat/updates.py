# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``add``, ``update`` and ``delete``: packets that change a set or a map.

With a ``limit``, ``ct_count`` or ``quota``, which every element then has for
itself, the rule goes on only where that matches: so a rule can be about what one
address does.
"""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from ...nftables.datatypes import TYPES
from ..declared import OBJECTS
from ..times import seconds
from .key import Draft, Key
from .references import find_set, reference_name
from .selections import selection_of
from .stateful import STATEFUL
from .values import Statement, mapping

_NO_VALUES = ("verdict", *OBJECTS.values())

KEYS = ("set", "map", "key", "data", "timeout", *STATEFUL)


def _target(value: Any) -> tuple[str, str]:
    """("set", name) or ("map", name)."""
    mapping(value, KEYS)
    if "key" not in value:
        raise DocumentError(
            "the key 'key' is missing", found=value, allowed="a flat key such as saddr, or a list"
        )
    given = [one for one in ("set", "map") if one in value]
    if len(given) != 1:
        raise DocumentError("a set or a map is to be named", found=value, allowed="set: name, or map: name")
    try:
        return given[0], reference_name(value[given[0]], given[0])
    except DocumentError as error:
        raise error.at(given[0]) from None


def _networks(value: Any, draft: Draft) -> tuple[str, ...] | None:
    word, name = _target(value)
    try:
        return selection_of(value["key"]).networks_of_set(name, draft)
    except DocumentError as error:
        raise error.at(word if error.problems[0].found == "@" + name else "key") from None


def _splits(value: Any, draft: Draft) -> bool:
    _target(value)
    try:
        return selection_of(value["key"]).splits
    except DocumentError as error:
        raise error.at("key") from None


def _key(operation: str) -> Key:
    def lower(value: Any, draft: Draft) -> list[Statement]:
        word, name = _target(value)
        try:
            selection = selection_of(value["key"])
            element: Any = selection.left(draft)
        except DocumentError as error:
            raise error.at("key") from None
        try:
            selection.needs_network("@" + name, draft)
            found = find_set(name, draft.declared)
            if found is not None and found.is_map != (word == "map"):
                raise DocumentError("this is a %s" % ("map" if found.is_map else "set"), found=value[word])
            if found is not None and found.data and found.data[0] in _NO_VALUES:
                raise DocumentError(
                    "packets cannot add to a map to %s"
                    % ("verdicts" if found.data[0] == "verdict" else "objects"),
                    found=value[word],
                    allowed="a map to values, such as addresses, ports and marks",
                )
        except DocumentError as error:
            raise error.at(word) from None
        if "timeout" in value:
            try:
                element = {"elem": {"val": element, "timeout": seconds(value["timeout"])}}
            except DocumentError as error:
                raise error.at("timeout") from None
        made: Statement = {"op": operation, "elem": element, word: "@" + name}
        if word == "map":
            made["data"] = _data(value, found.data if found is not None else (), draft)
        elif "data" in value:
            raise DocumentError("only a map has data", "data", value["data"], cure="map: %s" % name)
        statements = _statements(value)
        own = found.json.get("stmt", []) if found is not None else []
        if own and statements and sorted(own, key=list) != sorted(statements, key=list):
            raise DocumentError(
                "the set says itself what its elements count, and differently",
                found={key: value[key] for key in STATEFUL if key in value},
                cure="leave it out here or at %s, or have them say the same" % (found and found.place),
            )
        if statements:
            made["stmt"] = statements
        return [{word: made}]

    return Key(lower, networks=_networks, split=_splits, brings=_splits)


def _statements(value: dict[str, Any]) -> list[Statement]:
    statements = []
    for name in value:
        if name in STATEFUL:
            try:
                statement = STATEFUL[name](value[name])
            except DocumentError as error:
                raise error.at(name) from None
            if statement is not None:
                statements.append(statement)
    return statements


def _data(value: dict[str, Any], types: tuple[str, ...], draft: Draft) -> Any:
    """What a map's element shall give: a constant, or another flat key's value."""
    if "data" not in value:
        raise DocumentError("the key 'data' is missing", found=value, allowed="a value, or {key: a flat key}")
    given = value["data"]
    try:
        if isinstance(given, dict):
            mapping(given, ("key",))
            selection = selection_of(given.get("key"))
            if types and selection.types(draft) != types:
                raise DocumentError(
                    "not of the type of the map's values, which is %s" % " . ".join(types),
                    found=" . ".join(selection.types(draft)),
                )
            return selection.left(draft)
        if not types:
            return given
        from ..elements import Part, value_reader

        return value_reader([Part(TYPES[one]) for one in types])(given)
    except DocumentError as error:
        raise error.at("data") from None


STATEMENTS = {operation: _key(operation) for operation in ("add", "update", "delete")}
