# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Constants as libnftables JSON: scalars, flags, prefixes, wildcards and ranges."""

from __future__ import annotations

from typing import Any

from ..datatypes import DataType, interface_wildcard

#: types whose ranges nft writes as prefixes where it can
PREFIXED = ("ipv4_addr", "ipv6_addr")
_TEXTS = ("ifname", "string")


def is_text(datatype: DataType) -> bool:
    """Whether values are strings, padded with NUL."""
    return datatype.name in _TEXTS


def scalar(datatype: DataType, number: int, bits: int = 0) -> Any:
    """One value; the number itself where the type cannot write it."""
    if datatype.bits and number >> datatype.bits:
        return number
    try:
        return datatype.json_of(number)
    except (ValueError, OverflowError, OSError):
        return number


def flags(datatype: DataType, number: int) -> Any:
    """Flags joined with ``|``, as nft's JSON has them outside lists."""
    words = scalar(datatype, number)
    if not datatype.bitmask or not isinstance(words, list):
        return words
    joined: Any = words[0]
    for word in words[1:]:
        joined = {"|": [joined, word]}
    return joined


def exact(datatype: DataType, number: int) -> Any:
    """A value that must be met exactly: nft names one flag and numbers several."""
    if not datatype.bitmask:
        return scalar(datatype, number)
    words = scalar(datatype, number)
    return number if isinstance(words, list) else words


def prefix(datatype: DataType, number: int, length: int) -> dict[str, Any]:
    """``addr/len``."""
    return {"prefix": {"addr": scalar(datatype, number), "len": length}}


def text(data: bytes) -> str:
    """The bytes up to the first NUL, with a star behind them where there is none."""
    name, nul, _unused = data.partition(b"\0")
    if not nul:
        return interface_wildcard(name)
    decoded = name.decode("utf-8", "surrogateescape")
    return decoded[:-1] + "\\*" if decoded.endswith("*") else decoded


def prefix_length(low: int, high: int, bits: int) -> int | None:
    """The length of the prefix that covers exactly these bounds; None where it is none."""
    span = low ^ high
    if span & (span + 1) or low & span:
        return None
    return bits - span.bit_length()


def mask_length(mask: int, bits: int) -> int | None:
    """The length of a netmask; None for a mask with holes or without its first bit."""
    hosts = mask ^ ((1 << bits) - 1)
    return None if hosts & (hosts + 1) else bits - hosts.bit_length()


def interval(datatype: DataType, low: int, high: int, bits: int) -> Any:
    """One element of an interval set: a value, a prefix, a wildcard or a range."""
    if low == high:
        return flags(datatype, low)
    if is_text(datatype):
        length = prefix_length(low, high, bits)
        if length is not None and length % 8 == 0:
            return text(low.to_bytes(bits // 8, "big")[: length // 8])
    elif datatype.name in PREFIXED:
        length = prefix_length(low, high, bits)
        if length is not None:
            return prefix(datatype, low, length)
    return bounds(datatype, low, high)


def bounds(datatype: DataType, low: int, high: int) -> dict[str, Any]:
    """A range; nft numbers protocols in it that it names elsewhere."""
    if datatype.name == "inet_proto":
        return {"range": [low, high]}
    return {"range": [scalar(datatype, low), scalar(datatype, high)]}
