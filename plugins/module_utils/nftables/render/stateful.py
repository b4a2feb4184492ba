# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters, limits, quotas and their like: the same words in statements, elements and objects."""

from __future__ import annotations

from typing import Any, Callable

from ..datatypes import TYPES
from .values import amount_text

_WRAP = 1 << 64  # libnftables prints 64-bit counts signed


def counter_text(body: Any) -> str:
    """``counter``, with its counts where it has any."""
    if not body:
        return "counter"
    return "counter " + counts_text(body)


def counts_text(body: dict[str, Any]) -> str:
    """``packets 0 bytes 0``."""
    return "packets %d bytes %d" % (body.get("packets", 0) % _WRAP, body.get("bytes", 0) % _WRAP)


def limit_text(body: dict[str, Any]) -> str:
    """``limit rate over 10/second burst 20 packets``."""
    return "limit " + rate_text(body)


def rate_text(body: dict[str, Any]) -> str:
    """The rate, and the burst where it isn't nft's default: 5 packets, 0 bytes."""
    text = "rate over " if body.get("inv") else "rate "
    unit = body.get("rate_unit", "packets")
    burst = body.get("burst")
    if unit == "packets":
        text += "%d/%s" % (body["rate"], body.get("per", "second"))
        return text if burst is None or burst == 5 else "%s burst %d packets" % (text, burst)
    text += "%s/%s" % (amount_text(body["rate"], unit), body.get("per", "second"))
    return text + " burst " + amount_text(burst, body.get("burst_unit", "bytes")) if burst else text


def quota_text(body: dict[str, Any]) -> str:
    """``quota over 25 mbytes used 3 bytes``."""
    return "quota " + volume_text(body)


def volume_text(body: dict[str, Any]) -> str:
    """A quota's volume: ``val`` and ``val_unit`` of a statement, ``bytes`` of an object."""
    text = "over " if body.get("inv") else ""
    text += amount_text(body["val"] if "val" in body else body["bytes"], body.get("val_unit", "bytes"))
    used = body.get("used")
    return text + " used " + amount_text(used, body.get("used_unit", "bytes")) if used else text


def ct_count_text(body: dict[str, Any]) -> str:
    """``ct count over 20``."""
    return "ct count %s%d" % ("over " if body.get("inv") else "", body["val"])


def last_text(body: Any) -> str:
    """``last used 5s``; the JSON carries milliseconds."""
    used = body.get("used") if isinstance(body, dict) else body
    return "last used " + (TYPES["time"].text_of(used) if used.__class__ is int else "never")


STATEFUL: dict[str, Callable[[Any], str]] = {
    "counter": counter_text,
    "limit": limit_text,
    "quota": quota_text,
    "ct count": ct_count_text,
    "last": last_text,
}
"""By JSON name; what an element of a set may carry."""
