# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set elements, from the kernel's bytes back to libnftables JSON."""

from __future__ import annotations

import sys
from typing import Any

from ...netlink.attributes import table, walk
from .. import uapi
from ..datatypes import BY_NUMBER, NEVER
from ..expressions import Verdict, decode_one
from ..expressions.codecs import DATA
from ..selectors.base import Selector
from ..sets.typeof import KEY, VALUE, noted_types
from . import constants
from .nodes import INTEGER, Value
from .stateful import attached

_LONGEST = 64  # bytes of all data registers together
_TYPE_BITS = 6  # bits of nft's type number for each part of a concatenation (TYPE_BITS)
#: NFTNL_UDATA_SET_* of libnftnl: what nft notes in a set's user data
_KEY_BYTEORDER = 0
_DATA_BYTEORDER = 1
_HOST_ORDER = 1  # nft's BYTEORDER_HOST_ENDIAN
_COMMENT = 0  # NFTNL_UDATA_SET_ELEM_COMMENT


class SetView:
    """A set as decoding needs it.

    ``flags`` are NFT_SET_*; lengths are bytes; ``fields`` the byte lengths of a
    concatenation's parts (only sets of concatenated intervals have them);
    ``object_type`` is NFT_OBJECT_*, 0 for none; ``elements`` are payloads of
    NFTA_LIST_ELEM; ``userdata`` is what nft wrote beside the set.
    """

    __slots__ = (
        "data_length",
        "data_type",
        "elements",
        "fields",
        "flags",
        "key_length",
        "key_type",
        "name",
        "object_type",
        "size",
        "userdata",
    )

    def __init__(
        self,
        name: str,
        flags: int,
        key_type: int,
        key_length: int,
        data_type: int | None = None,
        data_length: int = 0,
        object_type: int = 0,
        fields: tuple[int, ...] = (),
        elements: list[bytes] | None = None,
        size: int = 0,
        userdata: bytes = b"",
    ) -> None:
        self.name = name
        self.flags = flags
        self.key_type = key_type
        self.key_length = key_length
        self.data_type = data_type
        self.data_length = data_length
        self.object_type = object_type
        self.fields = fields
        self.elements = elements or []
        self.size = size
        self.userdata = userdata

    @classmethod
    def of(cls, source: Any) -> SetView:
        """A view of anything with these members: a set as read from the kernel, or as compiled."""
        userdata = getattr(source, "userdata", b"")
        return cls(
            source.name,
            source.flags,
            source.key_type,
            source.key_length,
            source.data_type,
            source.data_length or 0,
            source.object_type or 0,
            tuple(source.fields),
            source.elements,
            getattr(source, "size", 0),
            userdata() if callable(userdata) else userdata,
        )

    def key_values(self) -> list[Value]:
        """The type of its keys, of each part of them."""
        return _key_types(self)

    def data_values(self) -> list[Value]:
        """The type of a map's values, of each part of them."""
        return _data_types(self)

    @property
    def anonymous(self) -> bool:
        """Whether it belongs to a rule."""
        return bool(self.flags & uapi.NFT_SET_ANONYMOUS)

    @property
    def interval(self) -> bool:
        """Whether its elements are points at which membership changes."""
        return bool(self.flags & uapi.NFT_SET_INTERVAL)


def decode_elements(
    view: SetView, key: Value | None = None, data: Value | None = None, exact: bool = False
) -> list[Any]:
    """The elements of a set as JSON: keys, or ``[key, value]`` pairs for a map.

    ``key`` and ``data`` say what the elements are compared with and used for;
    without them the set's own type does. An element with more than a key is
    ``{"elem": {"val": …, "timeout": …}}``, its times in whole seconds as nft has them, or
    with ``exact`` as texts in milliseconds. Raises ValueError for bytes that are no elements.
    """
    if view.key_length > _LONGEST:
        raise ValueError("a key longer than all registers")
    types = [key] if key is not None and not key.parts else key.parts if key is not None else []
    if not types:
        types = _key_types(view)
    values = data.parts or [data] if data is not None else []
    if not values and view.data_type is not None and view.data_type != uapi.NFT_DATA_VERDICT:
        values = _data_types(view)
    entries = [_Entry(payload) for payload in view.elements]
    joined = len(types) > 1
    if view.interval and not joined and not any(one.end_key for one in entries):
        rows = _intervals(view, types[0], entries)
    else:
        rows = [(one, _key_json(types, one)) for one in entries if not one.catchall]
        if not view.interval:
            rows.reverse()
            rows.sort(key=lambda row: _order(types, row[0].key))
    rows += [(one, "*") for one in entries if one.catchall]
    is_map = bool(view.flags & (uapi.NFT_SET_MAP | uapi.NFT_SET_OBJECT))
    return [_row(one, shown, values, view, is_map, exact) for one, shown in rows]


class _Entry:
    """One element's attributes."""

    __slots__ = ("attributes", "end_key", "flags", "key")

    def __init__(self, payload: bytes) -> None:
        self.attributes = table(payload)
        self.key = self._bytes(uapi.NFTA_SET_ELEM_KEY)
        self.end_key = self._bytes(uapi.NFTA_SET_ELEM_KEY_END)
        self.flags = int.from_bytes(self.attributes.get(uapi.NFTA_SET_ELEM_FLAGS, b""), "big")
        if not self.key and not self.catchall:
            raise ValueError("a set element without a key")

    def _bytes(self, kind: int) -> bytes:
        data = DATA.unpack(self.attributes[kind]) if kind in self.attributes else b""
        if isinstance(data, Verdict):
            raise ValueError("a verdict as a set's key")
        return data

    @property
    def catchall(self) -> bool:
        """Whether it stands for every other key."""
        return bool(self.flags & uapi.NFT_SET_ELEM_CATCHALL)

    @property
    def ends(self) -> bool:
        """Whether it is the first key behind an interval."""
        return bool(self.flags & uapi.NFT_SET_ELEM_INTERVAL_END)


def _byteorder(view: SetView, kind: int) -> str | None:
    """The byte order that nft noted for types that have none of their own."""
    data = view.userdata
    at = 0
    while at + 2 <= len(data):
        number, length = data[at], data[at + 1]
        if number == kind and length == 4:
            return "host" if int.from_bytes(data[at + 2 : at + 6], sys.byteorder) == _HOST_ORDER else "big"
        at += 2 + length
    return None


def _key_types(view: SetView) -> list[Value]:
    types = _typed(view.key_type, view.key_length, view.fields, _byteorder(view, _KEY_BYTEORDER))
    return _noted(types, noted_types(view.userdata, KEY, view.key_length), bool(view.fields))


def _data_types(view: SetView) -> list[Value]:
    number = view.data_type or 0
    types = _typed(number, view.data_length, (), _byteorder(view, _DATA_BYTEORDER))
    return _noted(types, noted_types(view.userdata, VALUE, view.data_length), False)


def _noted(types: list[Value], selectors: list[Selector], bounds: bool) -> list[Value]:
    """The types of a concatenation, those without a size as nft noted them of a ``typeof``."""
    if len(types) < 2 or len(types) != len(selectors):
        return types
    return [
        one
        if one.datatype.bits
        else Value(None, noted.datatype, noted.width, "big" if bounds else noted.byteorder)
        for one, noted in zip(types, selectors)
    ]


def _typed(number: int, length: int, fields: tuple[int, ...], byteorder: str | None) -> list[Value]:
    """The parts of a set's type, by nft's number of it."""
    numbers = []
    while number:
        numbers.append(number & ((1 << _TYPE_BITS) - 1))
        number >>= _TYPE_BITS
    numbers.reverse()
    types = [BY_NUMBER.get(one, INTEGER) for one in numbers] or [INTEGER]
    known = sum((one.bits + 31) & ~31 for one in types)
    values = []
    for index, one in enumerate(types):
        bits = one.bits
        if len(types) == 1:
            bits = bits if bits and length * 4 == bits else length * 8  # ranges of data take both ends
        elif not bits:
            bits = fields[index] * 8 if index < len(fields) else max(length * 8 - known, 8)
        order = one.byteorder
        if byteorder and not one.bits and len(types) == 1 and not constants.is_text(one):
            order = byteorder
        # bounds of concatenations, which alone have fields, are in network order
        values.append(Value(None, one, bits, "big" if fields else order))
    return values


def _order(types: list[Value], data: bytes) -> int:
    """What nft sorts by: a value's number, of texts and concatenations that of their bytes in host order.

    Of flags the lowest one counts; where it is the same, the kernel's order is reversed.
    """
    if len(types) > 1:
        return int.from_bytes(b"".join(_parts(types, data)), sys.byteorder)
    if constants.is_text(types[0].datatype):
        return int.from_bytes(data, sys.byteorder)
    number = types[0].number(data)
    return number & -number if types[0].datatype.bitmask else number


def _parts(types: list[Value], data: bytes) -> list[bytes]:
    """A concatenated key in pieces, without their padding."""
    pieces = []
    at = 0
    for one in types:
        size = one.width // 8
        pieces.append(data[at : at + size])
        at += (size + 3) & ~3
    return pieces


def _key_json(types: list[Value], entry: _Entry) -> Any:
    lows = _parts(types, entry.key)
    highs = _parts(types, entry.end_key) if entry.end_key else lows
    shown = [
        constants.interval(one.datatype, one.number(low), one.number(high), one.bits)
        for one, low, high in zip(types, lows, highs)
    ]
    return {"concat": shown} if len(shown) > 1 else shown[0]


def _intervals(view: SetView, value: Value, entries: list[_Entry]) -> list[tuple[_Entry, Any]]:
    """The ranges between the points of an interval set, which the kernel keeps in network order."""
    width = view.key_length * 8
    points = sorted(
        ((int.from_bytes(one.key, "big"), not one.ends, one) for one in entries if not one.catchall),
        key=lambda point: point[:2],
    )
    rows = []
    for index, (low, starts, entry) in enumerate(points):
        if not starts:
            continue
        high = points[index + 1][0] - 1 if index + 1 < len(points) else (1 << width) - 1
        bits = value.bits if value.shift else width
        shown = constants.interval(value.datatype, low >> value.shift, high >> value.shift, bits)
        rows.append((entry, shown))
    return rows


def _row(entry: _Entry, shown: Any, values: list[Value], view: SetView, is_map: bool, exact: bool) -> Any:
    more: dict[str, Any] = {"val": shown}
    attributes = entry.attributes
    for name, kind in (("timeout", uapi.NFTA_SET_ELEM_TIMEOUT), ("expires", uapi.NFTA_SET_ELEM_EXPIRATION)):
        if kind in attributes:
            milliseconds = int.from_bytes(attributes[kind], "big")
            if not milliseconds and name == "timeout":
                more[name] = NEVER
            else:
                more[name] = "%dms" % milliseconds if exact else milliseconds // 1000
    comment = _comment(attributes.get(uapi.NFTA_SET_ELEM_USERDATA, b""))
    if comment is not None:
        more["comment"] = comment
    expressions = []
    if uapi.NFTA_SET_ELEM_EXPR in attributes:
        expressions = [decode_one(attributes[uapi.NFTA_SET_ELEM_EXPR])]
    elif uapi.NFTA_SET_ELEM_EXPRESSIONS in attributes:
        expressions = [decode_one(one) for _unused, one in walk(attributes[uapi.NFTA_SET_ELEM_EXPRESSIONS])]
    for one in expressions:
        more.update(attached(one))
    left = {"elem": more} if len(more) > 1 else shown
    return [left, _data_json(entry, values, view)] if is_map else left


def _data_json(entry: _Entry, values: list[Value], view: SetView) -> Any:
    attributes = entry.attributes
    if uapi.NFTA_SET_ELEM_OBJREF in attributes:
        return attributes[uapi.NFTA_SET_ELEM_OBJREF].rstrip(b"\0").decode("utf-8", "surrogateescape")
    if uapi.NFTA_SET_ELEM_DATA not in attributes:
        return None
    data = DATA.unpack(attributes[uapi.NFTA_SET_ELEM_DATA])
    if isinstance(data, Verdict):
        return verdict_json(data)
    if not values:
        return int.from_bytes(data, "big")
    size = sum((one.width // 8 + 3) & ~3 for one in values) if len(values) > 1 else values[0].width // 8
    lows = _parts(values, data)
    highs = _parts(values, data[size:]) if len(data) >= 2 * size else lows
    shown = [
        constants.interval(one.datatype, one.number(low), one.number(high), one.bits)
        for one, low, high in zip(values, lows, highs)
    ]
    return {"concat": shown} if len(shown) > 1 else shown[0]


def _comment(userdata: bytes) -> str | None:
    at = 0
    while at + 2 <= len(userdata):
        kind, length = userdata[at], userdata[at + 1]
        if kind == _COMMENT:
            return userdata[at + 2 : at + 2 + length].rstrip(b"\0").decode("utf-8", "surrogateescape")
        at += 2 + length
    return None


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """``{"accept": null}``, ``{"jump": {"target": "chain"}}``."""
    return {verdict.name: None if verdict.chain is None else {"target": verdict.chain}}
