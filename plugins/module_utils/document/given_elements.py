# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements given for a set that the kernel holds: by hand, a text or two, or as a document has them.

The set's types come from the kernel; what is wrong is said with places inside
``elements``.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import DocumentError, Problem
from ..nftables.datatypes import NEVER
from .elements import CATCH_ALL, Part, Read, is_wide, read_elements
from .times import lifetime

PLACE = "elements"
TIMEOUT = "timeout"

_PAIR = " : "
_SEVERAL = "an element, several with commas between them, or a list"


class Asked:
    """What a set is asked to hold or to let go.

    ``key`` are the parts of its key, ``data`` what reads a map's values (None for a set).
    ``keys_only``: the elements shall go, so nothing but their keys counts.
    """

    __slots__ = ("data", "key", "keys_only", "name", "timed", "wide")

    def __init__(
        self, name: str, key: list[Part], data: Read | None, keys_only: bool, wide: bool, timed: bool
    ) -> None:
        self.name = name
        self.key = key
        self.data = data
        self.keys_only = keys_only
        self.wide = wide
        self.timed = timed


def lower_elements(value: Any, asked: Asked, timeout: Any = None) -> list[Any]:
    """The elements as libnftables JSON; those without a ``timeout`` of their own get this one.

    ``asked.wide`` and ``asked.timed`` tell whether the set takes intervals and timeouts.
    Raises DocumentError with all that is wrong.
    """
    problems: list[Problem] = []
    items = _listed(value, asked)
    data = None if asked.keys_only else asked.data
    found = read_elements(items, asked.key, data, PLACE, problems)
    if problems:
        raise DocumentError.of(problems)
    if asked.keys_only:
        return [_key_of(one) for one in found.json]
    elements = found.json
    if timeout is not None:
        try:
            limit = lifetime(timeout)
        except DocumentError as error:
            raise error.at(TIMEOUT) from None
        if not asked.timed and limit != NEVER:
            problems.append(_untimed(asked.name, TIMEOUT, timeout))
        elements = [_with_timeout(one, limit, data is not None) for one in elements]
    elif found.timed and not asked.timed:
        problems += [
            _untimed(asked.name, "%s[%d].%s" % (PLACE, index, TIMEOUT), options[TIMEOUT])
            for index, options in enumerate(_options_of(one, data is not None) for one in elements)
            if options.get(TIMEOUT, NEVER) != NEVER
        ]
    if found.wide and not asked.wide:
        for index, one in enumerate(elements):
            form = _key_of(one[0] if data is not None else one)
            parts = form["concat"] if isinstance(form, dict) and "concat" in form else [form]
            if form != CATCH_ALL and any(is_wide(part) for part in parts):
                problems.append(
                    Problem(
                        "set %s takes single values only" % asked.name,
                        "%s[%d]" % (PLACE, index),
                        items[index] if isinstance(items, list) else list(items)[index],
                        cure="name the values one by one, or declare the set with flags: [interval]",
                    )
                )
    if problems:
        raise DocumentError.of(problems)
    return elements


def _untimed(name: str, place: str, found: Any) -> Problem:
    return Problem(
        "set %s takes no timeouts" % name,
        place,
        found,
        cure="leave the timeout out, or declare the set with flags: [timeout]",
    )


def _listed(value: Any, asked: Asked) -> Any:
    """What was given as a list, or of a map as the mapping that it is."""
    if isinstance(value, str):
        value = of_text(value)
    mapped = asked.data is not None
    if isinstance(value, dict):
        if not mapped or "key" in value:
            value = [value]
        elif not asked.keys_only:
            return value
        else:
            value = list(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list):
        raise DocumentError("no elements", PLACE, value, _SEVERAL + (" or a mapping" if mapped else ""))
    if not mapped:
        return value
    if asked.keys_only:
        return [_bare(one, len(asked.key)) for one in value]
    return [_pair(one) for one in value]


def of_text(text: str) -> Any:
    """One element, several with commas between them, or JSON. Raises DocumentError."""
    text = text.strip()
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise DocumentError("not JSON: %s" % error, PLACE, text, _SEVERAL) from None
    return [one for one in (part.strip() for part in text.split(",")) if one]


def _pair(item: Any) -> Any:
    """A map's element as a document has it: nft's ``key : value`` becomes a pair."""
    if isinstance(item, str) and _PAIR in item:
        key, _unused, value = item.partition(_PAIR)
        return [key.strip(), value.strip()]
    return item


def _bare(item: Any, parts: int) -> Any:
    """The key of a map's element that shall go, whether it was given with a value or without."""
    if isinstance(item, str):
        return item.partition(_PAIR)[0].strip()
    if isinstance(item, dict) and "key" in item:
        return item["key"]
    if isinstance(item, list) and len(item) == 2:
        # a pair, unless it is a key of two parts
        first = item[0]
        if parts != 2 or isinstance(first, (list, dict)) or (isinstance(first, str) and " . " in first):
            return first
    return item


def _options_of(element: Any, mapped: bool) -> dict[str, Any]:
    key = element[0] if mapped else element
    found: dict[str, Any] = key["elem"] if isinstance(key, dict) and "elem" in key else {}
    return found


def _key_of(element: Any) -> Any:
    return element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element


def _with_timeout(element: Any, limit: int | str, mapped: bool) -> Any:
    if mapped:
        return [_with_timeout(element[0], limit, False), element[1]]
    if isinstance(element, dict) and "elem" in element:
        options = element["elem"]
        return element if TIMEOUT in options else {"elem": {**options, TIMEOUT: limit}}
    return {"elem": {"val": element, TIMEOUT: limit}}
