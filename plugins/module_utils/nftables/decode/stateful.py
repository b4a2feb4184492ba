# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters, quotas, limits and their like, as rules and set elements carry them."""

from __future__ import annotations

from typing import Any, Callable

from .. import uapi
from ..expressions import Expression
from ..stateful import BYTE_UNITS, PERIODS

_PERIOD_NAMES = {seconds: name for name, seconds in PERIODS.items()}


def counter(expression: Any, fresh: bool = False) -> tuple[str, Any]:
    """``counter``; ``fresh`` is one that a packet will start, which has no state yet."""
    return "counter", None if fresh else {"packets": expression.packets, "bytes": expression.bytes}


def quota(expression: Any, fresh: bool = False) -> tuple[str, Any]:
    """``quota``, in nft's greatest unit."""
    value, unit = _in_units(expression.bytes)
    body: dict[str, Any] = {"val": value, "val_unit": unit}
    if expression.flags & uapi.NFT_QUOTA_F_INV:
        body["inv"] = True
    if expression.consumed and not fresh:
        body["used"], body["used_unit"] = _in_units(expression.consumed)
    return "quota", body


def limit(expression: Any, fresh: bool = False) -> tuple[str, Any]:
    """``limit``, in packets or in nft's greatest unit of bytes."""
    per = _PERIOD_NAMES[expression.unit]
    if expression.type == uapi.NFT_LIMIT_PKTS:
        body: dict[str, Any] = {"rate": expression.rate, "burst": expression.burst, "per": per}
    else:
        rate, rate_unit = _in_units(expression.rate)
        burst, burst_unit = _in_units(expression.burst)
        body = {"rate": rate, "burst": burst, "per": per, "rate_unit": rate_unit, "burst_unit": burst_unit}
    if expression.flags & uapi.NFT_LIMIT_F_INV:
        body["inv"] = True
    return "limit", body


def connlimit(expression: Any, fresh: bool = False) -> tuple[str, Any]:
    """``ct count``."""
    body: dict[str, Any] = {"val": expression.count}
    if (expression.flags or 0) & uapi.NFT_CONNLIMIT_F_INV:
        body["inv"] = True
    return "ct count", body


def last(expression: Any, fresh: bool = False) -> tuple[str, Any]:
    """``last``, with the milliseconds since the last packet where there was one."""
    return "last", {"used": expression.msecs} if expression.set and not fresh else None


#: by the expression's kernel name: the statement's JSON name and body
STATEFUL: dict[str, Callable[..., tuple[str, Any]]] = {
    "counter": counter,
    "quota": quota,
    "limit": limit,
    "connlimit": connlimit,
    "last": last,
}


def fresh(expression: Expression) -> dict[str, Any]:
    """The statement that gives a set's new elements their state; LookupError if it is none."""
    name, body = STATEFUL[expression.name](expression, True)
    return {name: body}


def attached(expression: Expression) -> dict[str, Any]:
    """The state that a set's element has, by its statement's name."""
    try:
        name, body = STATEFUL[expression.name](expression)
    except (LookupError, TypeError):
        return unknown(expression)
    return {name: body}


def unknown(expression: Expression) -> dict[str, Any]:
    """What stands for an expression that has no statement."""
    return {"unknown": {"expression": expression.name, "bytes": expression.encode().hex()}}


def _in_units(count: int) -> tuple[int, str]:
    shown = count, "bytes"
    for unit, size in BYTE_UNITS.items():
        if count and count % size == 0:
            shown = count // size, unit
    return shown
