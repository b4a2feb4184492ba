# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets that rules bring along, and set elements as the kernel takes and dumps them.

An interval set holds the points where membership changes: each first value, and
each first value behind an interval flagged NFT_SET_ELEM_INTERVAL_END. A
concatenation with intervals gives both ends in one element (KEY and KEY_END).
"""

from __future__ import annotations

import sys
from typing import Any

from ...errors import DocumentError
from ...netlink.attributes import attribute
from .. import uapi
from ..datatypes import interface_prefix
from ..expressions.codecs import DATA
from ..selectors.base import Concatenation, Selector, pack_number
from .context import Context
from .operands import is_wildcard, prefix_numbers, range_numbers

_END = attribute(uapi.NFTA_SET_ELEM_FLAGS, uapi.NFT_SET_ELEM_INTERVAL_END.to_bytes(4, "big"))
_CATCHALL = attribute(uapi.NFTA_SET_ELEM_FLAGS, uapi.NFT_SET_ELEM_CATCHALL.to_bytes(4, "big"))
#: nft's number of the verdict type in NFTA_SET_DATA_TYPE (NFT_DATA_VERDICT of nf_tables.h)
VERDICT_TYPE = uapi.NFT_DATA_VERDICT


_KEYBYTEORDER = 0  # NFTNL_UDATA_SET_KEYBYTEORDER; its value 1 is host, 2 big endian
_DATABYTEORDER = 1  # NFTNL_UDATA_SET_DATABYTEORDER


class SetContent:
    """A set's properties and elements, wire-ready.

    ``elements`` are element payloads (the payloads of NFTA_LIST_ELEM), in the order
    to send; ``key_length`` and ``data_length`` are bytes; ``fields`` the byte
    lengths of a concatenation's parts.
    """

    __slots__ = (
        "data_byteorder",
        "data_length",
        "data_type",
        "elements",
        "fields",
        "flags",
        "key_byteorder",
        "key_length",
        "key_type",
        "name",
        "object_type",
        "set_id",
    )

    def __init__(self, name: str, set_id: int, selector: Selector) -> None:
        self.name = name
        self.set_id = set_id
        self.flags = uapi.NFT_SET_ANONYMOUS | uapi.NFT_SET_CONSTANT
        self.key_type = selector.datatype.number
        self.key_byteorder = selector.byteorder
        self.fields: list[int] = []
        if isinstance(selector, Concatenation):
            self.key_length = selector.units * 4
            self.fields = [part.width // 8 for part in selector.parts]
        else:
            self.key_length = selector.width // 8
        self.data_type: int | None = None
        self.data_length: int | None = None
        self.data_byteorder: str | None = None
        self.object_type: int | None = None
        self.elements: list[bytes] = []

    @property
    def interval(self) -> bool:
        """Whether keys are compared as intervals."""
        return bool(self.flags & uapi.NFT_SET_INTERVAL)

    def userdata(self) -> bytes:
        """The byte order of keys and data, by which nft lists the set (NFTNL_UDATA_SET_*)."""
        parts = [_byteorder(_KEYBYTEORDER, self.key_byteorder)]
        if self.data_byteorder is not None:
            parts.append(_byteorder(_DATABYTEORDER, self.data_byteorder))
        return b"".join(parts)

    def identity(self) -> tuple[Any, ...]:
        """What makes two anonymous sets the same set: everything but their names."""
        return (
            self.flags,
            self.key_length,
            self.data_type,
            self.object_type,
            tuple(sorted(self.elements)),
        )


def _byteorder(kind: int, name: str) -> bytes:
    return bytes((kind, 4)) + (2 if name == "big" else 1).to_bytes(4, sys.byteorder)


def anonymous_set(context: Context, selector: Selector, elements: Any) -> SetContent:
    """A new anonymous set of the rule with these JSON elements."""
    content = _start(context, "__set%d", selector)
    keys = []
    for index, one in enumerate(_as_list(elements)):
        try:
            keys.append((_key(context, selector, one), b""))
        except DocumentError as error:
            raise error.at("set[%d]" % index) from None
    _fill(content, selector, keys, merge=True)
    return content


def anonymous_map(
    context: Context, selector: Selector, pairs: Any, target: Selector | str, object_type: int | None = None
) -> SetContent:
    """A new anonymous map; ``target`` is the selector whose type its data has, "verdict" or "object"."""
    content = _start(context, "__objmap%d" if target == "object" else "__map%d", selector)
    if target == "object":
        content.flags |= uapi.NFT_SET_OBJECT
        content.object_type = object_type
    elif target == "verdict":
        content.flags |= uapi.NFT_SET_MAP
        content.data_type = VERDICT_TYPE
        content.data_length = 0
    else:
        assert isinstance(target, Selector)
        content.flags |= uapi.NFT_SET_MAP
        content.data_type = target.datatype.number
        content.data_byteorder = target.byteorder
        content.data_length = target.units * 4 if isinstance(target, Concatenation) else target.width // 8
    keys = []
    ranged_data = False
    for index, pair in enumerate(_as_list(pairs)):
        try:
            if not isinstance(pair, list) or len(pair) != 2:
                raise DocumentError("not a key and its value", found=pair, allowed="a list of two")
            key = _key(context, selector, pair[0])
            data, ranged = _data(context, target, pair[1])
            ranged_data = ranged_data or ranged
            keys.append((key, data))
        except DocumentError as error:
            raise error.at("set[%d]" % index) from None
    if ranged_data:
        content.flags |= uapi.NFT_SET_INTERVAL
        content.data_length = (content.data_length or 0) * 2
    _fill(content, selector, keys, merge=False)
    return content


def declared_set(context: Context, name: str) -> Any:
    """What the table declares under ``name``; None where the table is not known to."""
    return context.sets.get(name)


def _start(context: Context, name: str, selector: Selector) -> SetContent:
    content = SetContent(name, len(context.anonymous) + 1, selector)
    context.anonymous.append(content)
    return content


def _as_list(value: Any) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise DocumentError("an empty set", found=value, allowed="one or more elements")
    return items


class _Key:
    """One key: ``parts`` of (low, high), one a concatenated part; ``wide`` if any is an interval."""

    __slots__ = ("catchall", "parts", "wide")

    def __init__(self, parts: list[tuple[int, int]], wide: bool, catchall: bool = False) -> None:
        self.parts = parts
        self.wide = wide
        self.catchall = catchall


def _key(context: Context, selector: Selector, value: Any) -> _Key:
    if isinstance(value, dict) and "elem" in value:
        value = value["elem"].get("val") if isinstance(value["elem"], dict) else value
    if value == "*":
        return _Key([], False, True)
    if isinstance(selector, Concatenation):
        items = value.get("concat") if isinstance(value, dict) else None
        if not isinstance(items, list) or len(items) != len(selector.parts):
            raise DocumentError(
                "not a concatenation of %d parts" % len(selector.parts),
                found=value,
                allowed='{"concat": [...]}',
            )
        parts = [_bounds(context, part, one) for part, one in zip(selector.parts, items)]
    else:
        parts = [_bounds(context, selector, value)]
    return _Key([part[:2] for part in parts], any(part[2] for part in parts))


def _bounds(context: Context, selector: Selector, value: Any) -> tuple[int, int, bool]:
    """(low, high, written as an interval) of one key part, shifted as in the register."""
    if isinstance(value, dict) and "prefix" in value:
        low, length = prefix_numbers(selector, value["prefix"], context)
        high, wide = low | ((1 << (selector.bits - length)) - 1), True
    elif isinstance(value, dict) and "range" in value:
        low, high = range_numbers(selector, value["range"], context)
        wide = True
    elif is_wildcard(selector, value):
        raw = interface_prefix(value) or b""
        low = int.from_bytes(raw.ljust(16, b"\0"), "big")
        high, wide = low | ((1 << (128 - len(raw) * 8)) - 1), True
    else:
        low = high = context.number(selector, value)
        wide = False
    return low << selector.shift, high << selector.shift, wide


def _data(context: Context, target: Selector | str, value: Any) -> tuple[bytes, bool]:
    """(element attribute, whether it is a range) of a map's value."""
    if target == "object":
        if not isinstance(value, str):
            raise DocumentError("not an object's name", found=value)
        return attribute(uapi.NFTA_SET_ELEM_OBJREF, value.encode() + b"\0"), False
    if target == "verdict":
        from .verdicts import verdict_of

        return attribute(uapi.NFTA_SET_ELEM_DATA, DATA.pack(verdict_of(value))), False
    assert isinstance(target, Selector)
    if isinstance(target, Concatenation):
        items = value.get("concat") if isinstance(value, dict) else None
        if not isinstance(items, list) or len(items) != len(target.parts):
            raise DocumentError("not a concatenation of %d parts" % len(target.parts), found=value)
        packed = b"".join(
            _padded(part.pack(context.number(part, one))) for part, one in zip(target.parts, items)
        )
        return attribute(uapi.NFTA_SET_ELEM_DATA, DATA.pack(packed)), False
    low, high, wide = _bounds(context, target, value)
    packed = pack_number(low, target.width, target.byteorder)
    if wide:
        packed += pack_number(high, target.width, target.byteorder)
    return attribute(uapi.NFTA_SET_ELEM_DATA, DATA.pack(packed)), wide


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _fill(content: SetContent, selector: Selector, keys: list[tuple[_Key, bytes]], merge: bool) -> None:
    wide = any(key.wide for key, _ in keys) or content.interval
    for key, data in keys:
        if key.catchall:
            content.elements.append(data + _CATCHALL)
    keys = [item for item in keys if not item[0].catchall]
    if isinstance(selector, Concatenation):
        if wide:
            content.flags |= uapi.NFT_SET_INTERVAL | uapi.NFT_SET_CONCAT
        content.elements.extend(_unique(_concatenated(selector, key, data, wide) for key, data in keys))
    elif wide:
        content.flags |= uapi.NFT_SET_INTERVAL
        content.elements.extend(intervals(selector, [(*key.parts[0], data) for key, data in keys], merge))
    else:
        content.elements.extend(
            _unique(
                _element(
                    uapi.NFTA_SET_ELEM_KEY, pack_number(key.parts[0][0], selector.width, selector.byteorder)
                )
                + data
                for key, data in keys
            )
        )


def _unique(elements: Any) -> list[bytes]:
    return list(dict.fromkeys(elements))


def _element(kind: int, data: bytes) -> bytes:
    return attribute(kind, DATA.pack(data))


def _concatenated(selector: Concatenation, key: _Key, data: bytes, wide: bool) -> bytes:
    low = b"".join(
        _padded(pack_number(p[0], s.width, s.byteorder)) for p, s in zip(key.parts, selector.parts)
    )
    element = _element(uapi.NFTA_SET_ELEM_KEY, low)
    if wide:
        high = b"".join(
            _padded(pack_number(p[1], s.width, s.byteorder)) for p, s in zip(key.parts, selector.parts)
        )
        element += _element(uapi.NFTA_SET_ELEM_KEY_END, high)
    return element + data


def intervals(selector: Selector, items: list[tuple[int, int, bytes]], merge: bool) -> list[bytes]:
    """Element payloads for intervals of (low, high, data); ``merge`` joins what touches or overlaps.

    Without merging, overlapping intervals are an error: which of two values
    should a map give?
    """
    items = sorted(items)
    joined: list[tuple[int, int, bytes]] = []
    for low, high, data in items:
        if joined and low <= joined[-1][1]:
            if not merge:
                raise DocumentError(
                    "intervals overlap", found=selector.datatype.text_of(low >> selector.shift)
                )
            if high > joined[-1][1]:
                joined[-1] = (joined[-1][0], high, data)
        elif joined and merge and low == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], high, data)
        else:
            joined.append((low, high, data))
    top = (1 << selector.width) - 1
    elements = []
    if joined and joined[0][0] > 0:
        elements.append(_point(selector, 0) + _END)
    for index, (low, high, data) in enumerate(joined):
        elements.append(_point(selector, low) + data)
        following = joined[index + 1][0] if index + 1 < len(joined) else None
        if high < top and following != high + 1:
            elements.append(_point(selector, high + 1) + _END)
    return elements


def _point(selector: Selector, number: int) -> bytes:
    return _element(uapi.NFTA_SET_ELEM_KEY, pack_number(number, selector.width, "big"))
