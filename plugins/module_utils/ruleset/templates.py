# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules that differ only in their values: what is a value, and bytes with holes to fill the values into.

Values are looked at by column, all source addresses of a chain at a time: a
firewall of ten thousand rules has a handful of columns.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from marshal import dumps
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, Callable, Optional, cast

from ..nftables.expressions import Trace
from ..nftables.sets import SetContent
from . import rule_bytes
from .rule_bytes import Form
from .userdata import comment_userdata

#: of these letters an interface name is just a name; any other goes the full way
_PLAIN_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

Column = Sequence[Any]

#: What kind of value each is, and its bytes in the register. What a template cannot take has no
#: bytes, and counts as said: of what kind it is ``_said`` tells.
Classified = tuple[Iterable[Any], list[Optional[bytes]]]


class Template:
    """The bytes of rules cut at the places of their values.

    ``parts`` are the fixed bytes before, between and after these places; ``order`` names what
    stands there: (index of the value, how many of its bytes).
    """

    __slots__ = ("form", "order", "parts")

    def __init__(self, expressions: bytes, trace: Trace, sets: Iterable[SetContent]) -> None:
        self.form = Form(expressions, trace, sets)
        self.parts: list[bytes] = []
        self.order: list[tuple[int, int]] = []
        start = 0
        for offset, slot in sorted(trace.slots):
            self.parts.append(expressions[start:offset])
            self.order.append((cast(int, slot.source), len(slot)))
            start = offset + len(slot)
        self.parts.append(expressions[start:])
        self.parts[0] = rule_bytes.head(len(expressions)) + self.parts[0]

    def fill(self, columns: Sequence[Sequence[bytes]], userdata: Sequence[bytes]) -> Iterator[bytes]:
        """The attributes of rules whose values stand in ``columns``, by index of the value.

        ``userdata`` has for each rule what ``rule_bytes.pack_userdata`` gave.
        """
        woven: list[Iterable[bytes]] = []
        for part, (source, length) in zip(self.parts, self.order):
            column = columns[source]
            woven += repeat(part), column if len(column[0]) == length else [one[:length] for one in column]
        woven += repeat(self.parts[-1]), userdata
        return map(b"".join, zip(*woven))


def _addresses(column: Column) -> Classified:
    kinds: list[Any] = []
    values: list[bytes | None] = []
    for value in column:
        kind = packed = None
        if value.__class__ is str:
            text, slash, length = value.partition("/")
            try:
                if ":" in text:
                    kind, packed = 6, inet_pton(AF_INET6, text)
                else:
                    kind, packed = 4, inet_pton(AF_INET, text)
            except (OSError, ValueError):
                pass
            else:
                if slash:
                    kind, packed = _network(packed, length)
        kinds.append(kind if packed is not None else _said(value))
        values.append(packed)
    return kinds, values


def _network(packed: bytes, length: str) -> tuple[Any, bytes | None]:
    """A network's prefix length with its version, and what a register holds of the address."""
    size = _LENGTHS.get(length, 0)
    bits = len(packed) * 8
    if not 0 < size < bits:
        return None, None
    if size % 8 == 0:
        return (bits, size), packed[: size // 8]
    number = int.from_bytes(packed, "big") >> (bits - size) << (bits - size)
    return (bits, size), number.to_bytes(bits // 8, "big")


#: prefix lengths as they are mostly written; those with zeroes before them go the full way
_LENGTHS = {str(length): length for length in range(128)}


def _ports(column: Column) -> Classified:
    return _of_one_kind(
        "port",
        column,
        [
            value.to_bytes(2, "big") if value.__class__ is int and 0 <= value <= 0xFFFF else None
            for value in column
        ],
    )


def _marks(column: Column) -> Classified:
    return _of_one_kind(
        "u32",
        column,
        [
            value.to_bytes(4, sys.byteorder) if value.__class__ is int and 0 <= value <= 0xFFFFFFFF else None
            for value in column
        ],
    )


def _interfaces(column: Column) -> Classified:
    # few interfaces are in many rules
    names = {value for value in column if value.__class__ is str}
    known = {name: name.encode().ljust(16, b"\0") for name in names if _is_plain_name(name)}
    return _of_one_kind(
        "name", column, [known.get(value) if value.__class__ is str else None for value in column]
    )


def _is_plain_name(name: str) -> bool:
    return 0 < len(name) < 16 and _PLAIN_NAME.issuperset(name) and name not in (".", "..")


def _of_one_kind(kind: str, column: Column, values: list[bytes | None]) -> Classified:
    if None not in values:
        return repeat(kind), values
    return [_said(value) if packed is None else kind for value, packed in zip(column, values)], values


CLASSIFIERS: dict[str, Callable[[Column], Classified]] = {
    "saddr": _addresses,
    "daddr": _addresses,
    "sport": _ports,
    "dport": _ports,
    "mark": _marks,
    "ct_mark": _marks,
    "iifname": _interfaces,
    "oifname": _interfaces,
}
"""By key: what its values say apart from their bytes, and the bytes; as of ``Classified``."""


def said(columns: Iterable[Sequence[Any]]) -> list[bytes | None]:
    """Each row of values in bytes, which tell True from 1; None for what has none."""
    rows = list(zip(*columns))
    try:
        return list(map(dumps, rows, repeat(2)))
    except ValueError:
        return list(map(_said, rows))


def _said(value: Any) -> bytes | None:
    try:
        return dumps(value, 2)
    except ValueError:
        return None


def plain_comment(comment: Any) -> bytes | None:
    """The attribute of a comment; None of one that must be looked at more closely."""
    if comment.__class__ is not str or len(comment) > 127 or '"' in comment:
        return None
    if not (comment.isascii() and comment.isprintable()):
        return None
    return rule_bytes.pack_userdata(comment_userdata(comment))
