# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Constants on the right side: prefixes, ranges and wildcards as numbers."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from ..selectors.base import Selector
from .context import Context


def prefix_numbers(selector: Selector, prefix: Any, context: Context) -> tuple[int, int]:
    """(network, length) of a JSON prefix; host bits are cleared."""
    if not isinstance(prefix, dict) or set(prefix) != {"addr", "len"}:
        raise DocumentError("not a prefix", found=prefix, allowed='a mapping with "addr" and "len"')
    length = prefix["len"]
    if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length <= selector.bits:
        raise DocumentError(
            "the prefix length does not fit",
            place="prefix.len",
            found=length,
            allowed="0 to %d" % selector.bits,
        )
    number = context.number(selector, prefix["addr"])
    keep = ((1 << length) - 1) << (selector.bits - length)
    return number & keep, length


def range_numbers(selector: Selector, bounds: Any, context: Context) -> tuple[int, int]:
    """(low, high) of a JSON range; an upside-down one is an error."""
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise DocumentError("not a range", found=bounds, allowed="a list of two values")
    low, high = (context.number(selector, one) for one in bounds)
    if low > high:
        raise DocumentError(
            "the range is upside down", found=bounds, allowed="the lower bound first", cure="swap the bounds"
        )
    return low, high


def is_wildcard(selector: Selector, value: Any) -> bool:
    """Whether the value is an interface name that ends in an unescaped asterisk."""
    return (
        isinstance(value, str)
        and value.endswith("*")
        and not value.endswith("\\*")
        and selector.datatype.name == "ifname"
    )
