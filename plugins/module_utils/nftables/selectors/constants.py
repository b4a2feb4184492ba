# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Constants compared with a selector: numbers, prefixes, ranges and wildcards."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from ..datatypes import DatatypeError
from ..expressions import Slot
from .base import Selector


def number_of(selector: Selector, value: Any) -> int:
    """The integer of a constant JSON expression, by the selector's data type."""
    if isinstance(value, list):
        return _joined([number_of(selector, one) for one in value], "|")
    if isinstance(value, dict) and len(value) == 1:
        ((symbol, operands),) = value.items()
        if symbol in ("|", "&", "^") and isinstance(operands, list):
            return _joined([number_of(selector, one) for one in operands], symbol)
    try:
        return selector.datatype.number_of(value, selector.bits)
    except DatatypeError as error:
        raise DocumentError(error.message, found=value, allowed=error.allowed, cure=error.cure) from None


def packed(selector: Selector, value: Any) -> bytes:
    """A constant as the bytes it has in the selector's register; traced if its value is."""
    data = selector.pack(number_of(selector, value))
    source = getattr(value, "source", None)
    return data if source is None else Slot(data, source)


def _joined(numbers: list[int], symbol: str) -> int:
    result = numbers[0] if numbers else 0
    for one in numbers[1:]:
        result = result | one if symbol == "|" else result & one if symbol == "&" else result ^ one
    return result


def prefix_numbers(selector: Selector, prefix: Any) -> tuple[int, int]:
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
    number = number_of(selector, prefix["addr"])
    keep = ((1 << length) - 1) << (selector.bits - length)
    return number & keep, length


def range_numbers(selector: Selector, bounds: Any) -> tuple[int, int]:
    """(low, high) of a JSON range; an upside-down one is an error."""
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise DocumentError("not a range", found=bounds, allowed="a list of two values")
    low, high = (number_of(selector, one) for one in bounds)
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
