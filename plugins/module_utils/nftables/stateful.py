# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions that keep a state, from their JSON: in rules, set elements and sets."""

from __future__ import annotations

from typing import Any, Callable

from . import uapi
from .expressions import Expression
from .expressions.state import Connlimit, Counter, Last, Limit, Quota
from .parameters import checked, choice, whole

#: bytes in each unit that nft writes
BYTE_UNITS = {"bytes": 1, "kbytes": 1 << 10, "mbytes": 1 << 20}
#: seconds in each period of a limit
PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
#: nft's burst where none is given, for packets and for bytes
DEFAULT_BURST = {"packets": 5, "bytes": 0}

_U64 = (1 << 64) - 1


def counter_expression(value: Any) -> Counter:
    """An anonymous counter with its start values."""
    mapping = checked(value, ("packets", "bytes"))
    return Counter(
        packets=whole(mapping.get("packets", 0), "packets", _U64),
        bytes=whole(mapping.get("bytes", 0), "bytes", _U64),
    )


def quota_expression(value: Any) -> Quota:
    """An anonymous quota."""
    mapping = checked(value, ("val", "val_unit", "used", "used_unit", "inv"))
    unit = choice(mapping.get("val_unit", "bytes"), BYTE_UNITS, "val_unit")
    used_unit = choice(mapping.get("used_unit", "bytes"), BYTE_UNITS, "used_unit")
    return Quota(
        bytes=whole(mapping.get("val"), "val", _U64) * unit,
        consumed=whole(mapping.get("used", 0), "used", _U64) * used_unit,
        flags=uapi.NFT_QUOTA_F_INV if mapping.get("inv") else 0,
    )


def limit_expression(value: Any) -> Limit:
    """An anonymous limit."""
    mapping = checked(value, ("rate", "rate_unit", "per", "burst", "burst_unit", "inv"))
    unit = mapping.get("rate_unit", "packets")
    by_bytes = unit != "packets"
    if by_bytes:
        choice(unit, BYTE_UNITS, "rate_unit")
    rate = whole(mapping.get("rate"), "rate", _U64, 1) * BYTE_UNITS.get(unit, 1)
    burst_unit = mapping.get("burst_unit", "bytes" if by_bytes else "packets")
    burst = mapping.get("burst")
    if burst is None:
        burst = DEFAULT_BURST["bytes" if by_bytes else "packets"]
    else:
        burst = whole(burst, "burst")
        if by_bytes:
            burst *= choice(burst_unit, BYTE_UNITS, "burst_unit")
    return Limit(
        rate=rate,
        unit=choice(mapping.get("per", "second"), PERIODS, "per"),
        burst=burst,
        type=uapi.NFT_LIMIT_PKT_BYTES if by_bytes else uapi.NFT_LIMIT_PKTS,
        flags=uapi.NFT_LIMIT_F_INV if mapping.get("inv") else 0,
    )


def connlimit_expression(value: Any) -> Connlimit:
    """A count of connections."""
    mapping = checked(value, ("val", "inv"))
    return Connlimit(
        count=whole(mapping.get("val"), "val"), flags=uapi.NFT_CONNLIMIT_F_INV if mapping.get("inv") else None
    )


def last_expression(value: Any) -> Last:
    """A mark of when a packet last came by, ``used`` milliseconds ago."""
    mapping = checked(value, ("used", "set"))
    if "used" not in mapping:
        return Last()
    return Last(set=1, msecs=whole(mapping["used"], "used", _U64))


#: stateful expressions, which set elements may carry too
STATEFUL: dict[str, Callable[[Any], Expression]] = {
    "counter": counter_expression,
    "quota": quota_expression,
    "limit": limit_expression,
    "ct count": connlimit_expression,
    "last": last_expression,
}
