# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One scalar value as nft prints it: after its data type, quoted or not."""

from __future__ import annotations

import json
from functools import lru_cache
from socket import AF_INET6, inet_ntop, inet_pton
from typing import Any, Callable, Union

from ..datatypes import FIELD_TYPES, TYPES, DatatypeError

Kind = Union[str, tuple[Any, ...], None]
"""The data type of an expression: a type's name, one for each part of a concatenation, or unknown."""

RAW = "raw"
"""The type of a raw payload load: nft prints it as a hexadecimal number."""

MAC_TYPES = frozenset(("ether_addr", "ll_addr"))
_QUOTED = frozenset(("ifname", "string"))
_QUOTED_NAMES = frozenset(("iface_index", "realm", "devgroup", "cgroupsv2"))
_WRITTEN_ALIKE_IN_RANGES = frozenset(
    (
        "ipv4_addr",
        "ipv6_addr",
        "ether_addr",
        "ll_addr",
        "ifname",
        "iface_index",
        "string",
        "date",
        "hour",
        "classid",
    )
)


def scalar_text(value: Any, kind: str | None) -> str:
    """A JSON scalar of the data type ``kind``; a value the type does not know stays as written."""
    if value.__class__ is str:
        return _string_text(value, kind)
    if value.__class__ is int:
        form = _NUMBERS.get(kind)
        return form(value) if form is not None else _by_type(value, kind)
    if value is True:
        return "exists"
    if value is False:
        return "missing"
    return json_text(value)


def range_end_text(value: object, kind: str | None) -> str:
    """One end of a range: nft prints the number of what has a name elsewhere."""
    if kind is None or kind == RAW or kind in _WRITTEN_ALIKE_IN_RANGES:
        return scalar_text(value, kind)
    datatype = FIELD_TYPES.get(kind)
    if datatype is None:
        return scalar_text(value, kind)
    try:
        number = datatype.number_of(value)
    except DatatypeError:
        return scalar_text(value, kind)
    return "%ds" % (number // 1000) if kind == "time" else datatype.form % number


def quoted(text: object) -> str:
    """A string between quotes; control characters are shown, never sent to a terminal."""
    if not isinstance(text, str):
        return '"%s"' % json_text(text)
    if not text.isprintable():
        text = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
    return '"%s"' % text


def duration_text(seconds: Any) -> str:
    """Seconds as ``1d2h3m4s``."""
    return TYPES["time"].text_of(seconds * 1000) if seconds.__class__ is int else str(seconds)


def amount_text(count: int, unit: str) -> str:
    """Bytes in nft's greatest unit that divides them: 1024 kbytes are ``1 mbytes``."""
    while count and not count % 1024 and unit in _GREATER:
        count //= 1024
        unit = _GREATER[unit]
    return "%d %s" % (count, unit)


def json_text(value: object) -> str:
    """Anything else, readable."""
    try:
        return json.dumps(value, ensure_ascii=False, default=repr)
    except (RecursionError, TypeError, ValueError):
        return "…"


def _string_text(value: str, kind: str | None) -> str:
    if kind is None or kind == "ipv4_addr":
        return value
    if kind in _QUOTED:
        return quoted(value)
    if kind in _QUOTED_NAMES:
        return value if value.isdecimal() else quoted(value)
    if kind == "ipv6_addr":
        try:
            return inet_ntop(AF_INET6, inet_pton(AF_INET6, value))
        except (OSError, ValueError):
            return value
    if kind in MAC_TYPES:
        return value.lower()
    return _canonical(value, kind)


@lru_cache(maxsize=4096)
def _canonical(value: str, kind: str) -> str:
    """The first of several names, a service's port, a full date: what nft prints for the same number."""
    datatype = FIELD_TYPES.get(kind)
    if datatype is None:
        return value
    try:
        return datatype.text_of(datatype.number_of(value))
    except DatatypeError:
        return quoted(value) if kind in ("date", "hour", "day", "ct_label") else value


def _by_type(value: int, kind: str | None) -> str:
    datatype = FIELD_TYPES.get(kind or "")
    if datatype is None:
        return str(value)
    try:
        return datatype.text_of(datatype.number_of(value))
    except DatatypeError:
        return str(value)


def _hexadecimal(value: int) -> str:
    return "0x%x" % value


_NUMBERS: dict[str | None, Callable[[int], str]] = {
    None: str,
    "integer": str,
    "inet_service": str,
    "iface_index": str,
    "uid": str,
    "gid": str,
    RAW: _hexadecimal,
    "bitmask": _hexadecimal,
}
_GREATER = {"bytes": "kbytes", "kbytes": "mbytes"}
