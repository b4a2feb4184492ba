# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits: packets or bytes in a time, up to that rate or above it."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError, nearest
from .values import Statement, integer, mapping

PER = ("second", "minute", "hour", "day", "week")
UNITS = {"packets": 0, "bytes": 1, "kbytes": 1 << 10, "mbytes": 1 << 20}
BYTE_UNITS = ("bytes", "kbytes", "mbytes")
PACKET_BURST = 5
"""The burst that nft takes where none is given (nft(8), "limit rate")."""

ALLOWED = 'a text such as "10/second", "10/minute burst 5 packets", "over 1 mbytes/second"'


def limit_of(value: Any) -> Statement:
    """The statement of a limit, as nft prints it. Raises DocumentError."""
    if isinstance(value, dict):
        return _of_mapping(value)
    if isinstance(value, str):
        return _of_text(value)
    raise DocumentError("no limit", found=value, allowed=ALLOWED)


def _of_mapping(value: dict[str, Any]) -> Statement:
    mapping(value, ("rate", "per", "burst", "over", "unit"))
    if "rate" not in value:
        raise DocumentError("the key 'rate' is missing", found=value)
    unit = _known(value.get("unit", "packets"), tuple(UNITS), "unit")
    burst = (value["burst"], unit) if "burst" in value else None
    over = value.get("over", False)
    if not isinstance(over, bool):
        raise DocumentError("neither true nor false", "over", over, "true or false")
    return _statement(value["rate"], unit, _known(value.get("per", "second"), PER, "per"), burst, over)


def _of_text(text: str) -> Statement:
    words = text.replace("/", " / ").split()
    if words[:1] == ["rate"]:
        words = words[1:]
    over = words[:1] == ["over"]
    if over:
        words = words[1:]
    try:
        slash = words.index("/")
        amount, per, rest = words[:slash], words[slash + 1], words[slash + 2 :]
    except (ValueError, IndexError):
        raise DocumentError("no limit", found=text, allowed=ALLOWED) from None
    if not 0 < len(amount) < 3 or (rest and (rest[0] != "burst" or not 1 < len(rest) < 4)):
        raise DocumentError("no limit", found=text, allowed=ALLOWED)
    unit = _known(amount[1] if len(amount) == 2 else "packets", tuple(UNITS), "")
    burst = None
    if rest:
        burst = (
            rest[1],
            _known(
                rest[2] if len(rest) == 3 else "packets" if unit == "packets" else "bytes", tuple(UNITS), ""
            ),
        )
    return _statement(amount[0], unit, _known(per, PER, ""), burst, over, text)


def _known(word: Any, known: tuple[str, ...], place: str) -> str:
    if word in known:
        return str(word)
    if isinstance(word, str) and word + "s" in known:
        return word + "s"
    raise DocumentError("unknown word", place, word, ", ".join(known), nearest(str(word), known))


def _statement(
    rate: Any, unit: str, per: str, burst: tuple[Any, str] | None, over: bool, text: str | None = None
) -> Statement:
    """The statement as nft prints it: bytes in the largest unit that divides them."""
    in_mapping = text is None
    limit: Statement
    if unit == "packets":
        if burst is not None and burst[1] != "packets":
            raise DocumentError("a burst of bytes for a rate of packets", "burst" if in_mapping else "", text)
        packets = 1, 0xFFFFFFFF
        limit = {
            "rate": integer(rate, *packets, "rate", "rate" if in_mapping else ""),
            "burst": integer(burst[0], *packets, "burst", "burst" if in_mapping else "")
            if burst
            else PACKET_BURST,
            "per": per,
        }
        if over:
            limit["inv"] = True
        return {"limit": limit}
    if burst is not None and burst[1] == "packets":
        raise DocumentError("a burst of packets for a rate of bytes", "burst" if in_mapping else "", text)
    most = (1 << 53) // UNITS[unit]
    rate_number, rate_unit = largest_unit(
        integer(rate, 1, most, "rate", "rate" if in_mapping else "") * UNITS[unit]
    )
    burst_number, burst_unit = 0, "bytes"
    if burst is not None:
        most = 0xFFFFFFFF // UNITS[burst[1]]
        burst_number, burst_unit = largest_unit(
            integer(burst[0], 0, most, "burst", "burst" if in_mapping else "") * UNITS[burst[1]]
        )
    limit = {"rate": rate_number, "burst": burst_number, "per": per}
    if over:
        limit["inv"] = True
    limit["rate_unit"] = rate_unit
    limit["burst_unit"] = burst_unit
    return {"limit": limit}


def largest_unit(count: int) -> tuple[int, str]:
    """A number of bytes in the largest unit that divides it."""
    unit = 0
    while count and unit + 1 < len(BYTE_UNITS) and count % 1024 == 0:
        count //= 1024
        unit += 1
    return count, BYTE_UNITS[unit]
