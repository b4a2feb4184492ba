# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Priorities of base chains: numbers, and nft's names for them."""

from __future__ import annotations

from typing import Any

from ..errors import DocumentError, nearest

ROUTED = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
BRIDGE = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}
ONLY_FILTER = {"filter": 0}

NAMES = {
    "ip": ROUTED,
    "ip6": ROUTED,
    "inet": ROUTED,
    "bridge": BRIDGE,
    "arp": ONLY_FILTER,
    "netdev": ONLY_FILTER,
}
"""nft(8), "standard priority names"; the numbers are those of linux/netfilter_{ipv4,bridge}.h."""

LOWEST, HIGHEST = -(1 << 31), (1 << 31) - 1


def priority_of(value: Any, family: str) -> int:
    """The number of a priority: a number, a name, or a name and a distance (``filter + 10``).

    Raises DocumentError.
    """
    names = NAMES[family]
    allowed = "a number, %s, or such a name with a distance: filter + 10" % ", ".join(names)
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str):
        number = _of_text(value, names, family, allowed)
    else:
        raise DocumentError("no priority", found=value, allowed=allowed)
    if not LOWEST <= number <= HIGHEST:
        raise DocumentError(
            "the priority is out of range", found=value, allowed="%d to %d" % (LOWEST, HIGHEST)
        )
    return number


def _of_text(value: str, names: dict[str, int], family: str, allowed: str) -> int:
    text = value.strip()
    if _is_number(text):
        return int(text)
    name, sign, distance = text, "", ""
    for one in "+-":
        if one in text:
            name, sign, distance = text.partition(one)
            break
    name, distance = name.strip(), distance.strip()
    if name not in names:
        known = any(name in others for others in NAMES.values())
        message = "a table of family %s has no priority of this name" % family if known else "no priority"
        raise DocumentError(message, found=value, allowed=allowed, cure=nearest(name, names))
    if not sign:
        return names[name]
    if not (distance.isdecimal() and distance.isascii()):
        raise DocumentError("no distance behind the name", found=value, allowed=allowed)
    return names[name] + (int(distance) if sign == "+" else -int(distance))


def _is_number(text: str) -> bool:
    digits = text[1:] if text[:1] in ("-", "+") else text
    return digits.isdecimal() and digits.isascii()
