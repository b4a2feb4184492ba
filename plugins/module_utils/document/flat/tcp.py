# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``tcp_flags`` and ``syn``: the flags of the TCP header."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from ...nftables.datatypes import TYPES
from .key import ROUTED, Draft, Key
from .values import Scalar, Statement, at, match, values_of

FLAGS = {"payload": {"protocol": "tcp", "field": "flags"}}
ALLOWED = (
    "fin, syn, rst, psh, ack, urg, ecn, cwr; several mean any of them; "
    '"syn / fin,syn,rst,ack" means that of these exactly syn is set'
)
ALL, NONE = 0xFF, 0


def _number(item: Scalar) -> int:
    if item == "all":
        return ALL
    if item == "none":
        return NONE
    return TYPES["tcp_flag"].number_of(item)


def _set_of(value: Any) -> tuple[int, bool]:
    values = values_of(value)
    number = 0
    for place, item in values.items:
        number |= at(place, _number, item)
    return number, values.negated


def _json(number: int) -> Any:
    return TYPES["tcp_flag"].json_of(number)


def _lower_flags(value: Any, draft: Draft) -> list[Statement]:
    _needs_tcp(draft)
    if isinstance(value, str) and "/" in value:
        return [_exactly(value)]
    number, negated = _set_of(value)
    if number == NONE:
        raise DocumentError(
            "no flag to look for", found=value, allowed=ALLOWED, cure='say "none / all" for no flag at all'
        )
    return [{"match": {"op": "!" if negated else "in", "left": FLAGS, "right": _json(number)}}]


def _exactly(text: str) -> Statement:
    negated = text.startswith("!")
    wanted, _unused, mask = text[negated:].partition("/")
    wanted_number, first = _set_of(wanted.strip())
    mask_number, second = _set_of(mask.strip())
    if first or second:
        raise DocumentError("the ! goes before the whole value", found=text, allowed=ALLOWED)
    if wanted_number & ~mask_number or not mask_number:
        raise DocumentError(
            "no packet can match: a flag is wanted that the mask leaves out", found=text, allowed=ALLOWED
        )
    if mask_number == ALL:
        return match(FLAGS, _json(wanted_number), negated)
    if wanted_number == NONE:
        return {"match": {"op": "in" if negated else "!", "left": FLAGS, "right": _json(mask_number)}}
    return match({"&": [FLAGS, _json(mask_number)]}, _json(wanted_number), negated)


def _lower_syn(value: Any, draft: Draft) -> list[Statement]:
    if not isinstance(value, bool):
        raise DocumentError("neither true nor false", found=value, allowed="true or false")
    _needs_tcp(draft)
    return [match({"&": [FLAGS, ["fin", "syn", "rst", "ack"]]}, "syn", not value)]


def _needs_tcp(draft: Draft) -> None:
    if draft.protocol is not None:
        draft.needs_protocol("a test of TCP flags", ("tcp",))


MATCHES = {"tcp_flags": Key(_lower_flags, families=ROUTED), "syn": Key(_lower_syn, families=ROUTED)}
