# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declared sets and maps: libnftables-json(5) "set" and "map" objects to wire-ready content."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError, nearest
from .. import uapi
from ..datatypes import TYPES, milliseconds_of
from ..parameters import choice, whole
from ..selectors import build
from ..selectors.base import Concatenation, Selector, Typed, at_the_right
from ..selectors.surroundings import Surroundings
from ..sets import SetContent, fill, number_of_elements
from ..stateful import STATEFUL
from ..statements.stateful import OBJECT_TYPES

FLAGS = {
    "constant": uapi.NFT_SET_CONSTANT,
    "interval": uapi.NFT_SET_INTERVAL,
    "timeout": uapi.NFT_SET_TIMEOUT,
    "dynamic": uapi.NFT_SET_EVAL,
}
POLICIES = {"performance": uapi.NFT_SET_POL_PERFORMANCE, "memory": uapi.NFT_SET_POL_MEMORY}

KEYS = (
    "name",
    "type",
    "typeof",
    "map",
    "flags",
    "elem",
    "timeout",
    "gc-interval",
    "size",
    "policy",
    "auto-merge",
    "comment",
    "stmt",
)


def compile_set(value: dict[str, Any], family: str, set_id: int = 0, elements: bool = True) -> SetContent:
    """The content of a set or map (``map`` names what it maps to).

    With ``elements`` false its elements are left out. Raises DocumentError with
    places relative to the set.
    """
    for one in value:
        if one not in KEYS:
            raise DocumentError("unknown key", place=one, found=value[one], cure=nearest(one, KEYS))
    flags = 0
    for one in _list(value.get("flags", [])):
        flags |= choice(one, FLAGS, "flags")
    content = SetContent(str(value["name"]), set_id, _key(value, family), flags)
    if "map" in value:
        _map(content, value["map"], family)
    if isinstance(content.key, Concatenation) and content.interval:
        content.flags |= uapi.NFT_SET_CONCAT
    content.timeout = _milliseconds(value, "timeout")
    content.gc_interval = _milliseconds(value, "gc-interval")
    if content.timeout:
        content.flags |= uapi.NFT_SET_TIMEOUT
    if "size" in value:
        content.size = whole(value["size"], "size")
    if "policy" in value:
        content.policy = choice(value["policy"], POLICIES, "policy")
    content.auto_merge = bool(value.get("auto-merge", False))
    content.comment = str(value.get("comment", ""))
    for index, one in enumerate(_list(value.get("stmt", []))):
        content.expressions.append(_stateful(one, "stmt[%d]" % index))
    if elements:
        try:
            fill(content, value.get("elem", []), content.auto_merge)
        except DocumentError as error:
            raise error.at("elem") from None
        if content.size and len(content.elements) > content.size:
            _check_size(content)
    return content


def _check_size(content: SetContent) -> None:
    """What the kernel answers with ENFILE, "too many open files"."""
    count = number_of_elements(content)
    if count > content.size:
        raise DocumentError(
            "the set has more elements than its size: %d" % count,
            place="size",
            found=content.size,
            cure="make it %d or more, or leave it out" % count,
        )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _milliseconds(value: dict[str, Any], name: str) -> int:
    """A time in seconds, or as ``1h30m``, in milliseconds; 0 where there is none."""
    if name not in value:
        return 0
    found = milliseconds_of(str(value[name]))
    if found is None:
        raise DocumentError("not a time", place=name, found=value[name], allowed="seconds, or like 1h30m")
    return found


def _stateful(value: Any, place: str) -> bytes:
    if not isinstance(value, dict) or len(value) != 1:
        raise DocumentError("not a statement", place=place, found=value, allowed=", ".join(STATEFUL))
    ((name, inner),) = value.items()
    try:
        return choice(name, STATEFUL, "")(inner).encode()[4:]  # type: ignore[no-any-return]
    except DocumentError as error:
        raise error.at(place) from None


def _key(value: dict[str, Any], family: str) -> Selector:
    if ("type" in value) == ("typeof" in value):
        raise DocumentError(
            "a set has either a type or a typeof",
            place="type",
            found=value.get("type"),
            cure="give one of them",
        )
    if "typeof" in value:
        return _typeof(value["typeof"], family, "typeof")
    return selector_of_type(value["type"], "type")


def _typeof(value: Any, family: str, place: str) -> Selector:
    """A selector stands for its type: what it would presume of a rule does not matter here.

    Bits of a byte are elements as they are numbers, not where they stand in a header.
    """
    try:
        return at_the_right(build(value, Surroundings(family)))
    except DocumentError as error:
        raise error.at(place) from None


def selector_of_type(value: Any, place: str) -> Selector:
    """The place of a named type, or of a concatenation: a list, or names joined by dots."""
    names = value.split(" . ") if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise DocumentError(
            "not a type", place=place, found=value, allowed="a type's name, or a list of names"
        )
    parts: list[Selector] = []
    for name in names:
        if name not in TYPES:
            raise DocumentError("unknown type", place=place, found=name, cure=nearest(str(name), TYPES))
        one = Typed(name)
        if not one.bits:
            raise DocumentError(
                "type %s has no size of its own" % name,
                place=place,
                found=name,
                cure="use typeof with an expression",
            )
        parts.append(one)
    return parts[0] if len(parts) == 1 else Concatenation(parts)


def _map(content: SetContent, value: Any, family: str) -> None:
    if value == "verdict":
        content.map_to("verdict")
    elif isinstance(value, str) and value in OBJECT_TYPES:
        content.map_to("object", OBJECT_TYPES[value])
    else:
        ranged = isinstance(value, str) and value.startswith("interval ")
        if isinstance(value, dict):
            content.map_to(_typeof(value.get("typeof", value), family, "map"))
        else:
            content.map_to(selector_of_type(value[len("interval ") :] if ranged else value, "map"))
        if ranged:
            content.widen_data()
