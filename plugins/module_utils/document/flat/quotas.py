# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Quotas: a volume of bytes, up to it or beyond it."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError, nearest
from .limits import BYTE_UNITS, UNITS, largest_unit
from .values import Statement, integer, mapping

HIGHEST = (1 << 63) - 1
"""nft_quota_do_init() of net/netfilter/nft_quota.c."""

ALLOWED = 'a text such as "over 10 mbytes" or "10 mbytes used 3 kbytes", or a mapping of bytes, used, over'


class Quota:
    """A volume in bytes, how much of it is used, and whether what lies beyond it is meant."""

    __slots__ = ("bytes", "over", "used")

    def __init__(self, bytes: int, used: int, over: bool) -> None:
        self.bytes = bytes
        self.used = used
        self.over = over

    def statement(self) -> Statement:
        """The statement as nft prints it."""
        number, unit = largest_unit(self.bytes)
        quota: Statement = {"val": number, "val_unit": unit}
        if self.used:
            quota["used"], quota["used_unit"] = largest_unit(self.used)
        if self.over:
            quota["inv"] = True
        return {"quota": quota}


def quota_of(value: Any) -> Quota:
    """The quota that a text or a mapping says. Raises DocumentError."""
    if isinstance(value, dict):
        mapping(value, ("bytes", "used", "over"))
        if "bytes" not in value:
            raise DocumentError("the key 'bytes' is missing", found=value, allowed=ALLOWED)
        over = value.get("over", False)
        if not isinstance(over, bool):
            raise DocumentError("neither true nor false", "over", over, "true or false")
        return Quota(_volume(value["bytes"], 1, "bytes"), _volume(value.get("used", 0), 0, "used"), over)
    if not isinstance(value, str):
        raise DocumentError("no quota", found=value, allowed=ALLOWED)
    words = value.split()
    over = words[:1] == ["over"]
    if words[:1] in (["over"], ["until"]):
        words = words[1:]
    used = 0
    if len(words) == 5 and words[2] == "used":
        used = _volume(" ".join(words[3:]), 0, "", value)
        words = words[:2]
    if len(words) != 2:
        raise DocumentError("no quota", found=value, allowed=ALLOWED)
    return Quota(_volume(" ".join(words), 1, "", value), used, over)


def _volume(value: Any, least: int, place: str, text: str | None = None) -> int:
    """A number of bytes, or a text of a number and its unit."""
    number, unit = value, "bytes"
    if isinstance(value, str) and " " in value.strip():
        number, _unused, unit = value.strip().partition(" ")
        unit = unit.strip()
        if unit + "s" in BYTE_UNITS:
            unit += "s"
        if unit not in BYTE_UNITS:
            raise DocumentError(
                "no unit of bytes", place, text or value, ", ".join(BYTE_UNITS), nearest(unit, BYTE_UNITS)
            )
    return integer(number, least, HIGHEST // UNITS[unit], "number of bytes", place) * UNITS[unit]
