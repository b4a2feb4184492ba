# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``add``, ``update`` and ``delete``: packets that change a set or a map."""

from __future__ import annotations

from typing import Any

from .draft import Action, Draft, NotFlat
from .elements import key_of
from .limits import CARRIED
from .selections import selection_of


def _change(word: str) -> Action:
    """``word`` is "set" or "map"."""

    def lift(draft: Draft, value: Any) -> None:
        if not set(value) <= {"op", "elem", word, "data", "stmt"} or value["op"] not in (
            "add",
            "update",
            "delete",
        ):
            raise NotFlat(word)
        element = value["elem"]
        options: dict[str, Any] = {}
        if "elem" in element:
            options = dict(element["elem"])
            element = options.pop("val")
            if not set(options) <= {"timeout"}:
                raise NotFlat(word)
        body: dict[str, Any] = {word: value[word].lstrip("@"), "key": selection_of(draft, element), **options}
        if "data" in value:
            data = value["data"]
            body["data"] = _data(draft, data)
        carried = Draft(draft.family)
        for statement in value.get("stmt", ()):
            ((name, inner),) = statement.items()
            CARRIED[name](carried, inner)
        draft.put(value["op"], {**body, **carried.rule})

    return lift


def _data(draft: Draft, data: Any) -> Any:
    """What a map's element gives: a constant, or the names of flat keys. Raises NotFlat."""
    if not isinstance(data, dict):
        return data
    if all(isinstance(part, (str, int)) for part in data.get("concat", [data])):
        return key_of(data)
    return {"key": selection_of(draft, data)}


ACTIONS: dict[str, Action] = {"set": _change("set"), "map": _change("map")}
