# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named sets, maps and verdict maps: the document's forms to libnftables JSON."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..errors import DocumentError, Problem, nearest
from ..nftables.datatypes import TYPES, milliseconds_of
from .declared import OBJECTS, DeclaredSet
from .elements import Part, Read, read_elements, read_object_name, read_verdict, value_reader
from .fields import note_unknown, read_choice, read_comment, read_flags, read_name, tried
from .flat.stateful import STATEFUL
from .flat.values import integer, switched_on
from .times import seconds

FLAGS = ("constant", "dynamic", "interval", "timeout")
POLICIES = ("performance", "memory")
OBJECT_KINDS = tuple(OBJECTS.values())
KEYS = (
    "name",
    "type",
    "typeof",
    "flags",
    "auto_merge",
    "timeout",
    "gc_interval",
    "size",
    "policy",
    "comment",
    *STATEFUL,
    "elements",
)
MAP_KEYS = (*KEYS[:3], "map", *KEYS[3:])

CONTRADICTIONS = (
    ("constant", "dynamic", "a constant set cannot be filled by packets"),
    ("constant", "timeout", "the elements of a constant set cannot time out"),
    ("interval", "dynamic", "a set of intervals cannot be filled by packets"),
)
"""What nf_tables_newset() and the set types of net/netfilter/nft_set_*.c refuse."""

_TYPE_ALLOWED = 'a type such as ipv4_addr, "ipv4_addr . inet_service" or a list of types'


def read_set(value: Any, word: str, family: str, place: str, problems: list[Problem]) -> DeclaredSet | None:
    """One item of ``sets`` or ``maps`` (``word`` "set" or "map"); None where it has no key type."""
    keys = MAP_KEYS if word == "map" else KEYS
    if not isinstance(value, dict):
        problems.append(Problem("a %s is a mapping" % word, place, value, ", ".join(keys)))
        return None
    note_unknown(value, keys, place, problems)
    json: dict[str, Any] = {"name": read_name(value, word, place, problems)}
    key = _read_key(value, json, family, place, problems)
    data: tuple[str, ...] = ()
    read: Read | None = None
    if word == "map":
        found = _read_data(value, json, family, place, problems)
        if found is None:
            return None
        data, read = found
    if key is None:
        return None
    flags = set(read_flags(value, FLAGS, word, place, problems))
    _read_options(value, json, flags, place, problems)
    comment = read_comment(value, place, problems)
    if comment:
        json["comment"] = comment
    elements = value.get("elements", [])
    keep = elements == "keep"
    if not keep:
        timeout = milliseconds_of(str(json.get("timeout", 0)))
        made = read_elements(elements, key, read, place + ".elements", problems, timeout)
        if made.json:
            json["elem"] = made.json
        if made.wide:
            flags.add("interval")
        if made.timed:
            flags.add("timeout")
        if made.spread:
            # where a typeof stands the compiler asks for the types
            json["map"] = "interval " + " . ".join(data)
    for one, other, message in CONTRADICTIONS:
        if one in flags and other in flags:
            problems.append(
                Problem(
                    message,
                    place + ".flags",
                    value.get("flags"),
                    cure="leave out one of %s and %s" % (one, other),
                )
            )
    if flags:
        json["flags"] = [flag for flag in FLAGS if flag in flags]
    return DeclaredSet(json, tuple(part.type.name for part in key), data, keep, place, elements)


def _read_options(
    value: dict[str, Any], json: dict[str, Any], flags: set[str], place: str, problems: list[Problem]
) -> None:
    for name, json_name in (("timeout", "timeout"), ("gc_interval", "gc-interval")):
        if name in value:
            found = tried(partial(seconds, value[name]), "%s.%s" % (place, name), problems)
            if found is not None:
                json[json_name] = found
                flags.add("timeout")
    if "size" in value:
        size = tried(lambda: integer(value["size"], 1, 0xFFFFFFFF, "size"), place + ".size", problems)
        if size is not None:
            json["size"] = size
    if "policy" in value:
        json["policy"] = read_choice(value, "policy", POLICIES, "performance", place, problems)
    if "auto_merge" in value and tried(
        lambda: switched_on(value["auto_merge"]), place + ".auto_merge", problems
    ):
        json["auto-merge"] = True
        flags.add("interval")
    statements = []
    for name in value:
        if name in STATEFUL:
            statement = tried(partial(STATEFUL[name], value[name]), "%s.%s" % (place, name), problems)
            if statement is not None:
                statements.append(statement)
    if statements:
        json["stmt"] = statements


def _read_key(
    value: dict[str, Any], json: dict[str, Any], family: str, place: str, problems: list[Problem]
) -> list[Part] | None:
    if ("type" in value) == ("typeof" in value):
        message = "type beside typeof" if "type" in value else "a set needs a type"
        problems.append(Problem(message, place, allowed="type: ipv4_addr, or typeof: ip saddr"))
        return None
    if "type" in value:
        found: tuple[Any, list[Part]] | None = tried(
            lambda: types_of(value["type"]), place + ".type", problems
        )
        word = "type"
    else:
        found = tried(lambda: _typeof(value["typeof"], family), place + ".typeof", problems)
        word = "typeof"
    if found is None:
        return None
    json[word] = found[0]
    return found[1]


def types_of(value: Any) -> tuple[str | list[str], list[Part]]:
    """A type or a concatenation of types as nft prints it, and its parts. Raises DocumentError."""
    names = [name.strip() for name in value.split(" . ")] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise DocumentError("no type", found=value, allowed=_TYPE_ALLOWED)
    parts = []
    for name in names:
        found = TYPES.get(name) if isinstance(name, str) else None
        if found is None:
            raise DocumentError("no type", found=name, allowed=_TYPE_ALLOWED, cure=nearest(str(name), TYPES))
        if not found.bits:
            raise DocumentError("%s has no size of its own" % name, found=name, cure="use typeof")
        parts.append(Part(found))
    return names[0] if len(names) == 1 else list(names), parts


def _typeof(value: Any, family: str) -> tuple[dict[str, Any], list[Part]]:
    """The expression's JSON, and the types that it has."""
    from ..nftables.declared import compile_set
    from ..nftables.selectors.base import Concatenation
    from .typeof import expression_of

    expression = expression_of(value)
    try:
        key = compile_set({"name": "", "typeof": expression}, family, elements=False).key
    except DocumentError as error:
        problem = error.problems[0]
        raise DocumentError(problem.message, "", value, problem.allowed, problem.cure) from None
    parts = key.parts if isinstance(key, Concatenation) else [key]
    return expression, [Part(part.datatype, part.bits) for part in parts]


def _read_data(
    value: dict[str, Any], json: dict[str, Any], family: str, place: str, problems: list[Problem]
) -> tuple[tuple[str, ...], Read] | None:
    """What the map maps to: its types and what reads its values."""
    place += ".map"
    if "map" not in value:
        problems.append(
            Problem(
                "the key 'map' is missing",
                place[: -len(".map")],
                allowed="verdict, a type, or a kind of object",
            )
        )
        return None
    target = value["map"]
    if target == "verdict":
        json["map"] = target
        return ("verdict",), read_verdict
    if isinstance(target, str) and target in OBJECT_KINDS:
        json["map"] = target
        return (target,), read_object_name
    if isinstance(target, dict):
        found = tried(lambda: _typeof(target.get("typeof", target), family), place, problems)
        if found is None:
            return None
        json["map"] = {"typeof": found[0]}
        parts = found[1]
    else:
        ranged = isinstance(target, str) and target.startswith("interval ")
        found = tried(lambda: types_of(target[len("interval ") :] if ranged else target), place, problems)
        if found is None:
            return None
        names, parts = found
        json["map"] = ("interval " if ranged else "") + (
            names if isinstance(names, str) else " . ".join(names)
        )
    return tuple(part.type.name for part in parts), value_reader(parts)
