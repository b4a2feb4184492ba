# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document as YAML that reads as a person would write it.

Tables, chains and sets are blocks; a rule is one line: ``- {protocol: tcp, dport: 22,
verdict: accept}``. Written by hand, because PyYAML's own writer has no such style and
takes seconds for ten thousand rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any

_WIDTH = 110

#: what needs no quotes wherever it stands, unless YAML takes it for something other than text
_PLAIN = re.compile(r"[A-Za-z0-9/._][A-Za-z0-9/._+*-]*(?: [A-Za-z0-9/._+*-]+)*\Z")

#: keys whose lists have one item a line
_BLOCKS = frozenset(("rules", "tables", "chains", "sets", "maps", "flowtables"))


def document_text(document: dict[str, Any]) -> str:
    """The YAML text of a document, or of what is like one."""
    return "\n".join(_mapping(document, "") if document else ["{}"]) + "\n"


def _mapping(value: dict[str, Any], indent: str) -> Iterator[str]:
    for key, one in value.items():
        name = scalar(key)
        if isinstance(one, dict) and one and key != "elements":
            yield "%s%s:" % (indent, name)
            yield from _mapping(one, indent + "  ")
        elif isinstance(one, list) and any(isinstance(item, dict) for item in one):
            yield "%s%s:" % (indent, name)
            yield from _items(key, one, indent + "  ")
        elif isinstance(one, (list, dict)) and one:
            yield from _wrapped("%s%s: " % (indent, name), one, indent + "  ")
        else:
            yield "%s%s: %s" % (indent, name, flow(one))


def _items(key: str, values: list[Any], indent: str) -> Iterator[str]:
    if key == "rules" or key not in _BLOCKS:
        for one in values:
            yield "%s- %s" % (indent, flow(one))
        return
    for one in values:
        if not isinstance(one, dict) or not one:
            yield "%s- %s" % (indent, flow(one))
            continue
        lines = _mapping(one, indent + "  ")
        yield "%s- %s" % (indent, next(lines).lstrip())
        yield from lines


def _wrapped(head: str, values: list[Any] | dict[Any, Any], indent: str) -> Iterator[str]:
    """A list or mapping in flow style, over several lines if one does not hold it."""
    brackets = "{}" if isinstance(values, dict) else "[]"
    line = head + brackets[0]
    first = True
    for part in _parts(values):
        if not first:
            line += ","
            if len(line) + len(part) + 3 > _WIDTH:
                yield line
                line = indent
            else:
                line += " "
        line += part
        first = False
    yield line + brackets[1]


def _parts(values: list[Any] | dict[Any, Any]) -> Iterable[str]:
    if isinstance(values, dict):
        return ("%s: %s" % (scalar(key), flow(one)) for key, one in values.items())
    return map(flow, values)


def flow(value: Any) -> str:
    """A value on one line."""
    if value.__class__ is str:
        return scalar(value)
    if isinstance(value, dict):
        return "{%s}" % ", ".join(["%s: %s" % (scalar(key), flow(one)) for key, one in value.items()])
    if isinstance(value, list):
        return "[%s]" % ", ".join([flow(one) for one in value])
    return scalar(value)


def scalar(value: Any) -> str:
    """A text, number, truth value or null."""
    return _text(value) if isinstance(value, str) else json.dumps(value)


@lru_cache(maxsize=65536)
def _text(value: str) -> str:
    if _PLAIN.match(value) and _is_text(value):
        return value
    return '"%s"' % "".join(map(_escaped, value))


def _escaped(letter: str) -> str:
    """A letter between double quotes (YAML 1.1, section 5.6)."""
    if letter in '"\\':
        return "\\" + letter
    if letter.isprintable():
        return letter
    code = ord(letter)
    return "\\x%02x" % code if code < 0x100 else "\\u%04x" % code if code < 0x10000 else "\\U%08x" % code


def _is_text(value: str) -> bool:
    """Whether YAML takes the plain word for a text, not for a number, a date or a truth value."""
    from yaml import ScalarNode

    return str(_resolver().resolve(ScalarNode, value, (True, False))) == "tag:yaml.org,2002:str"


@cache
def _resolver() -> Any:
    from yaml.resolver import Resolver

    return Resolver()
