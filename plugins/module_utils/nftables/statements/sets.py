# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Anonymous sets and maps: those that a rule brings along."""

from __future__ import annotations

from typing import Any, cast

from ...errors import DocumentError
from .. import uapi
from ..selectors.base import INTEGER, Concatenation, Selector
from ..sets import VERDICT_TYPE, SetContent, fill
from .context import Context

_MAPS = uapi.NFT_SET_MAP | uapi.NFT_SET_OBJECT
_ANONYMOUS = uapi.NFT_SET_ANONYMOUS | uapi.NFT_SET_CONSTANT


def anonymous_set(context: Context, selector: Selector, elements: Any) -> SetContent:
    """A new anonymous set of the rule with these JSON elements."""
    content = _start(context, "__set%d", selector)
    _fill(content, elements, merge=True)
    return content


def anonymous_map(
    context: Context, selector: Selector, pairs: Any, target: Selector | str, object_type: int | None = None
) -> SetContent:
    """A new anonymous map; ``target`` is the selector whose type its data has, "verdict" or "object"."""
    content = _start(context, "__objmap%d" if target == "object" else "__map%d", selector)
    content.map_to(target, object_type)
    _fill(content, pairs, merge=False)
    return content


def declared_set(context: Context, name: str, key: Selector) -> SetContent | None:
    """The set that the table declares under ``name``; None where it is not known to.

    Raises DocumentError where it is a map, or its key is not of the selector's type.
    """
    found = context.sets.get(name)
    if found is None:
        return None
    if found.flags & _MAPS:
        raise DocumentError("this is a map", found="@" + name, allowed="a set")
    _check_key(found, key)
    return found


def declared_map(
    context: Context, name: str, key: Selector, target: Selector | str, object_type: int | None = None
) -> SetContent | None:
    """The same for a map to ``target``, which is as for :func:`anonymous_map`."""
    found = context.sets.get(name)
    if found is None:
        return None
    if not found.flags & _MAPS:
        raise DocumentError("this is a set", found="@" + name, allowed="a map")
    _check_key(found, key)
    check_data(found, target, object_type)
    return found


def check_data(content: SetContent, target: Selector | str, object_type: int | None = None) -> None:
    """Raise DocumentError where a declared map does not give what is wanted."""
    if target == "verdict":
        fits, wanted = content.data_type == VERDICT_TYPE, "verdicts"
    elif target == "object":
        fits, wanted = content.object_type == object_type, "objects of this kind"
    else:
        data, place = content.data, cast(Selector, target)
        fits, wanted = data is not None and _alike(data, place), place.datatype.name
    if not fits:
        raise DocumentError(
            "the map's values do not fit: %s" % _values(content),
            found="@" + content.name,
            allowed="a map to %s" % wanted,
        )


def _values(content: SetContent) -> str:
    if content.object_type is not None:
        return "they are objects"
    return "they are %s" % (content.data.datatype.name if content.data is not None else "verdicts")


def _check_key(content: SetContent, key: Selector) -> None:
    """nft asks for the very type; a number is a number whatever its width, which the kernel looks at."""
    if not same_type(content.key, key):
        raise DocumentError(
            "the set's key does not fit: it is %s" % content.key.datatype.name,
            found="@" + content.name,
            allowed="a set or map of %s" % key.datatype.name,
        )


def _parts(selector: Selector) -> list[Selector]:
    return selector.parts if isinstance(selector, Concatenation) else [selector]


def check_change(content: SetContent, key: Selector, mapped: bool) -> None:
    """Raise DocumentError where packets cannot put such a key into the set, or map if ``mapped``."""
    is_map = bool(content.flags & _MAPS)
    if is_map != mapped:
        raise DocumentError("this is a %s" % ("map" if is_map else "set"), found="@" + content.name)
    _check_key(content, key)


def same_type(first: Selector, second: Selector) -> bool:
    """Whether nft takes a value of the first for one of the second."""
    pairs = [_parts(first), _parts(second)]
    return len(pairs[0]) == len(pairs[1]) and all(
        one.datatype.number == other.datatype.number for one, other in zip(*pairs)
    )


def _alike(data: Selector, target: Selector) -> bool:
    """Whether a map's values can be put where something of the target's type goes, as numbers can."""
    pairs = [_parts(data), _parts(target)]
    return len(pairs[0]) == len(pairs[1]) and all(
        same_type(one, other) or INTEGER.number in (one.datatype.number, other.datatype.number)
        for one, other in zip(*pairs)
    )


def _start(context: Context, name: str, selector: Selector) -> SetContent:
    content = SetContent(name, len(context.anonymous) + 1, selector, _ANONYMOUS)
    context.anonymous.append(content)
    return content


def _fill(content: SetContent, value: Any, merge: bool) -> None:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise DocumentError("an empty set", found=value, allowed="one or more elements")
    try:
        fill(content, items, merge)
    except DocumentError as error:
        raise error.at("set") from None
