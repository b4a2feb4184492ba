# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's expressions: one small class each, and the table of them all.

``TABLE`` maps an expression's kernel name to its class. ``encode_list`` and
``decode_list`` turn expressions into the payload of NFTA_RULE_EXPRESSIONS and back.
"""

from __future__ import annotations

from ...netlink.attributes import attribute, table, walk
from .. import uapi
from . import actions, loads, registers, state
from .base import Expression, Slot, Trace, Undecodable
from .codecs import Verdict

TABLE: dict[str, type[Expression]] = {
    one.name: one for family in (registers, loads, state, actions) for one in family.EXPRESSIONS
}


class Opaque(Expression):
    """An expression that the table cannot decode, carried through byte for byte."""

    def __init__(self, name: str, data: bytes | None) -> None:
        self.name = name
        self.data = data

    def encode(self, trace: Trace | None = None, at: int = 0) -> bytes:
        """The list element that it was decoded from."""
        parts = attribute(uapi.NFTA_EXPR_NAME, self.name.encode("utf-8", "surrogateescape") + b"\0")
        if self.data is not None:
            parts += attribute(uapi.NFTA_EXPR_DATA, self.data)
        return attribute(uapi.NFTA_LIST_ELEM, parts)


def encode_list(expressions: list[Expression], trace: Trace | None = None) -> bytes:
    """The payload of NFTA_RULE_EXPRESSIONS; ``trace`` collects offsets into it."""
    parts = []
    at = 0
    for one in expressions:
        packed = one.encode(trace, at)
        parts.append(packed)
        at += len(packed)
    return b"".join(parts)


def decode_one(payload: bytes) -> Expression:
    """The expression in one list element's payload; an :class:`Opaque` if it is not known."""
    found = table(payload)
    if uapi.NFTA_EXPR_NAME not in found:
        raise Undecodable("an expression without a name")
    name = found[uapi.NFTA_EXPR_NAME].rstrip(b"\0").decode("utf-8", "surrogateescape")
    data = found.get(uapi.NFTA_EXPR_DATA)
    known = TABLE.get(name)
    if known is None or (data is None) is not known.bare:
        return Opaque(name, data)
    try:
        return known.decode(data or b"")
    except ValueError:
        return Opaque(name, data)


def decode_list(payload: bytes) -> list[Expression]:
    """The expressions in an NFTA_RULE_EXPRESSIONS payload; ValueError if it is none."""
    return [decode_one(data) for kind, data in walk(payload) if kind == uapi.NFTA_LIST_ELEM]


__all__ = [
    "TABLE",
    "Expression",
    "Opaque",
    "Slot",
    "Trace",
    "Undecodable",
    "Verdict",
    "decode_list",
    "encode_list",
]
