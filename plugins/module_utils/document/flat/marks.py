# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``mark`` and ``ct_mark``: the marks of the packet and of its connection."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .key import TRACKED, Draft, Key
from .values import Scalar, Statement, at, integer, match, match_values, spanning, values_of

WIDEST = 0xFFFFFFFF
META_MARK = {"meta": {"key": "mark"}}
CT_MARK = {"ct": {"key": "mark"}}


def number(item: Any) -> int:
    """A mark: a whole number of 32 bits, or a text that writes one."""
    return integer(item, 0, WIDEST, "mark")


_mark = spanning(number, 0, WIDEST)


def _matched(left: Statement, value: Any, draft: Draft) -> list[Statement]:
    values = values_of(value)
    if len(values.items) == 1:
        place, item = values.items[0]
        if isinstance(item, str) and "/" in item:
            return [at(place, lambda one: _masked(left, str(one), values.negated), item)]
    for place, item in values.items:
        if isinstance(item, str) and "/" in item:
            raise DocumentError(
                "a mask within a list", place, item, cure="write one rule for each masked value"
            )
    return [match_values(left, value, _mark, draft.refer("mark"))]


def _masked(left: Statement, item: str, negated: bool) -> Statement:
    wanted, _unused, mask = (part.strip() for part in item.partition("/"))
    wanted_number, mask_number = number(wanted), number(mask)
    if wanted_number & ~mask_number:
        raise DocumentError(
            "no packet can match: the value has bits that the mask leaves out",
            found=item,
            cure="write 0x%x/0x%x" % (wanted_number & mask_number, mask_number),
        )
    if mask_number == WIDEST:
        return match(left, wanted_number, negated)
    return match({"&": [left, mask_number]}, wanted_number, negated)


def _lower_mark(value: Any, draft: Draft) -> list[Statement]:
    return _matched(META_MARK, value, draft)


def _lower_ct_mark(value: Any, draft: Draft) -> list[Statement]:
    return _matched(CT_MARK, value, draft)


MATCHES = {"mark": Key(_lower_mark), "ct_mark": Key(_lower_ct_mark, families=TRACKED)}


def changed(value: Any, own: Scalar, own_left: Statement, other: str, other_left: Statement) -> Any:
    """The value part of setting a mark: a number, the other mark, or bits of its own.

    ``own`` and ``other`` are the names "mark" and "ct_mark". A mapping is applied in the order
    and, or, xor, and takes the form nft prints for the mask and the xor value they come to.
    """
    if value == other:
        return other_left
    if not isinstance(value, dict):
        if isinstance(value, str) and value[:1].isalpha():
            raise DocumentError(
                "no mark", found=value, allowed="a number, %s, or a mapping of and, or, xor" % other
            )
        return number(value)
    known = ("and", "or", "xor")
    for key in value:
        if key not in known:
            raise DocumentError("unknown key", str(key), value[key], ", ".join(known))
    if not value:
        raise DocumentError("nothing to do", found=value, allowed="a mapping of and, or, xor")
    parts = {key: at(key, number, value[key]) for key in value}
    together, either = parts.get("and", WIDEST), parts.get("or", 0)
    mask = together & ~either & WIDEST
    flip = either ^ parts.get("xor", 0)
    expression: Any = own_left
    set_bits = flip & ~mask & WIDEST
    if mask | set_bits != WIDEST:
        expression = {"&": [expression, mask | set_bits]}
    if flip & mask:
        expression = {"^": [expression, flip & mask]}
    return {"|": [expression, set_bits]} if set_bits else expression
