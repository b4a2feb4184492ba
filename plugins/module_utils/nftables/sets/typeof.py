# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nft notes of a ``typeof``: the expression whose type a set has.

User data within a set's user data (nft's ``*_expr_build_udata`` functions): a
number for the kind of expression, then what that kind needs to be named again.
Without it nft lists a set of plain numbers under a type that it cannot read.
"""

from __future__ import annotations

import sys
from typing import Any, Callable

from ...errors import DocumentError
from .. import uapi
from ..headers import EXTHDRS, HEADERS, TCP_OPTIONS, Header
from ..selectors import build
from ..selectors.base import Concatenation, Selector, Shifted
from ..selectors.conntrack import DIRECTION_NAMES, Ct
from ..selectors.conntrack import NAMES as CT_NAMES
from ..selectors.environment import (
    FIB_FLAGS,
    FIB_NAMES,
    NUMGEN_NAMES,
    RT_NAMES,
    SOCKET_NAMES,
    XFRM_DIRECTIONS,
    XFRM_NAMES,
    Osf,
)
from ..selectors.exthdr import Exthdr
from ..selectors.meta import NAMES as META_NAMES
from ..selectors.meta import Meta
from ..selectors.payload import BASES, Payload
from ..selectors.surroundings import Surroundings

KEY, VALUE = 3, 4
"""Whose type it is: NFTNL_UDATA_SET_KEY_TYPEOF, NFTNL_UDATA_SET_DATA_TYPEOF."""

# enum expr_types of nft: the numbers are part of what it stores
_PAYLOAD, _EXTHDR, _META, _SOCKET, _OSF, _CT, _CONCAT = range(7, 14)
_NUMGEN, _HASH, _RT, _FIB, _XFRM = range(23, 28)
_TYPE, _DATA = 0, 1  # NFTNL_UDATA_SET_TYPEOF_EXPR, NFTNL_UDATA_SET_TYPEOF_DATA
_NO_DIRECTION = 0xFFFFFFFF

#: the headers from which nft counts raw bytes; its own numbers (enum proto_bases) are greater by one
_BASES = {BASES[name]: name for name in ("ll", "nh", "th", "ih")}

#: enum proto_desc_id of nft
_DESCRIPTIONS = {
    name: number
    for number, name in enumerate(
        (
            "ah",
            "esp",
            "comp",
            "icmp",
            "igmp",
            "udp",
            "udplite",
            "tcp",
            "dccp",
            "sctp",
            "th",
            "ip",
            "ip6",
            "icmpv6",
            "arp",
            "vlan",
            "ether",
        ),
        1,
    )
}
_DESCRIBED = {number: name for name, number in _DESCRIPTIONS.items()}

#: enum exthdr_desc_id of nft
_EXTENSIONS = dict(enumerate(("hbh", "rt", "rt0", "rt2", "srh", "frag", "dst", "mh"), 1))


def typeof_userdata(selector: Selector) -> bytes:
    """The description of a selector; nothing for a plain type, or one that nft has no description for."""
    if isinstance(selector, Concatenation):
        parts = [_described(part) or _stand_in(part) for part in selector.parts]
        known = parts if all(parts) else []
        return _field(_TYPE, _number(_CONCAT)) + _field(
            _DATA, b"".join(_field(index, part) for index, part in enumerate(known))
        )
    return _described(selector)


def _described(selector: Selector) -> bytes:
    if isinstance(selector, Shifted):
        selector = selector.left
    if selector.tunnel is not None:
        return b""
    if isinstance(selector, Payload) and selector.header in _DESCRIPTIONS and selector.field is not None:
        fields = list(HEADERS[selector.header].fields)
        data = _field(0, _number(_DESCRIPTIONS[selector.header]))
        data += _field(1, _number(fields.index(selector.field) + 1))
        if selector.datatype.name == "integer":
            data += _field(4, _number(selector.bits))
        return _field(_TYPE, _number(_PAYLOAD)) + _field(_DATA, data)
    if isinstance(selector, Payload) and selector.header is None and selector.base in _BASES:
        return _raw(selector.base, selector.offset, selector.bits)
    if isinstance(selector, Exthdr):
        return _described_exthdr(selector)
    if isinstance(selector, Osf):
        return _field(_TYPE, _number(_OSF)) + _field(_DATA, b"")
    if isinstance(selector, Meta):
        return _field(_TYPE, _number(_META)) + _field(_DATA, _field(0, _number(selector.number)))
    if isinstance(selector, Ct):
        direction = _NO_DIRECTION if selector.direction is None else selector.direction
        data = _field(0, _number(selector.number)) + _field(1, _number(direction))
        return _field(_TYPE, _number(_CT)) + _field(_DATA, data)
    return b""


def _raw(base: int, offset: int, bits: int) -> bytes:
    """That of raw bytes."""
    numbers = (0, 0, base + 1, offset, bits)
    data = b"".join(_field(index, _number(one)) for index, one in enumerate(numbers))
    return _field(_TYPE, _number(_PAYLOAD)) + _field(_DATA, data)


def _stand_in(selector: Selector) -> bytes:
    """Raw bytes as wide as a number of which nft would not know how wide it is."""
    return b"" if selector.datatype.bits else _raw(uapi.NFT_PAYLOAD_NETWORK_HEADER, 0, selector.width)


def _described_exthdr(selector: Exthdr) -> bytes:
    """That of an extension header's or TCP option's field, as far as nft numbers it."""
    for number, header, first in _searched(selector):
        field = header.field_at(selector.offset, selector.bits)
        if field is not None:
            nth = list(header.fields).index(field.name) + first
            data = _field(1, _number(nth))
            if selector.op != uapi.NFT_EXTHDR_OP_IPV6:
                data += _field(2, _number(selector.op))
            return _field(_TYPE, _number(_EXTHDR)) + _field(_DATA, data + _field(0, _number(number)))
    return b""


def _searched(selector: Exthdr) -> list[tuple[int, Header, int]]:
    """The headers that it may be of: nft's number, and that of the first field."""
    if selector.present:
        return []
    if selector.op == uapi.NFT_EXTHDR_OP_TCPOPT:
        return [(one.number, one, 0) for one in TCP_OPTIONS.values() if one.number == selector.kind]
    if selector.op != uapi.NFT_EXTHDR_OP_IPV6:
        return []
    found = [(number, EXTHDRS[name], 1) for number, name in _EXTENSIONS.items()]
    return [row for row in found if row[1].number == selector.kind]


def noted_expression(userdata: bytes, whose: int) -> dict[str, Any] | None:
    """The JSON of the expression that a set's user data name for its keys or values.

    ``whose`` is KEY or VALUE. None where there is none, or one that is not known.
    """
    try:
        described = _fields(userdata).get(whose)
        return None if described is None else _expression(described)
    except (LookupError, ValueError):
        return None


def noted_types(userdata: bytes, whose: int, size: int) -> list[Selector]:
    """The selectors of that expression, one for each part; none where they do not fill ``size`` bytes."""
    json = noted_expression(userdata, whose)
    if json is None:
        return []
    try:
        selector = build(json, Surroundings("inet"))
    except DocumentError:
        return []
    parts = selector.parts if isinstance(selector, Concatenation) else [selector]
    each = [(part.width + 7) // 8 for part in parts]
    whole = each[0] if len(each) == 1 else sum(one + 3 & ~3 for one in each)
    return parts if whole == size else []


def _expression(described: bytes) -> dict[str, Any]:
    outer = _fields(described)
    kind, fields = _read(outer[_TYPE]), _fields(outer.get(_DATA, b""))
    if kind == _CONCAT and fields:
        return {"concat": [_expression(fields[index]) for index in sorted(fields)]}
    return _READERS[kind](fields)


def _payload(fields: dict[int, bytes]) -> dict[str, Any]:
    header = _read(fields[0])
    if not header:
        base, offset, length = (_read(fields[index]) for index in (2, 3, 4))
        return {"payload": {"base": _BASES[base - 1], "offset": offset, "len": length}}
    protocol = _DESCRIBED[header]
    return {"payload": {"protocol": protocol, "field": _nth(HEADERS[protocol].fields, _read(fields[1]))}}


def _exthdr(fields: dict[int, bytes]) -> dict[str, Any]:
    operation = _read(fields[2]) if 2 in fields else uapi.NFT_EXTHDR_OP_IPV6
    if operation == uapi.NFT_EXTHDR_OP_IPV6:
        name = _EXTENSIONS[_read(fields[0])]
        return {"exthdr": {"name": name, "field": _nth(EXTHDRS[name].fields, _read(fields[1]))}}
    if operation != uapi.NFT_EXTHDR_OP_TCPOPT:
        raise LookupError("extension %d" % operation)
    kind = _read(fields[0])
    name = next(one.name for one in TCP_OPTIONS.values() if one.number == kind)
    return {"tcp option": {"name": name, "field": _nth(TCP_OPTIONS[name].fields, _read(fields[1]) + 1)}}


def _meta(fields: dict[int, bytes]) -> dict[str, Any]:
    return {"meta": {"key": META_NAMES[_read(fields[0])]}}


def _socket(fields: dict[int, bytes]) -> dict[str, Any]:
    key = SOCKET_NAMES[_read(fields[0])]
    return {"socket": {"key": key, "level": _read(fields[1])} if key == "cgroupv2" else {"key": key}}


def _osf(fields: dict[int, bytes]) -> dict[str, Any]:
    return {"osf": {"key": "name"}}


def _ct(fields: dict[int, bytes]) -> dict[str, Any]:
    body = {"key": CT_NAMES[_read(fields[0])]}
    direction = _read(fields[1])
    if direction != _NO_DIRECTION:
        body["dir"] = DIRECTION_NAMES[direction]
    return {"ct": body}


def _numgen(fields: dict[int, bytes]) -> dict[str, Any]:
    mode, modulus, offset = (_read(fields[index]) for index in range(3))
    return {"numgen": {"mode": NUMGEN_NAMES[mode], "mod": modulus, "offset": offset}}


def _hash(fields: dict[int, bytes]) -> dict[str, Any]:
    body: dict[str, Any] = {"mod": _read(fields[2]), "offset": _read(fields[4])}
    if _read(fields[0]) == uapi.NFT_HASH_SYM:
        return {"symhash": body}
    return {"jhash": {**body, "seed": _read(fields[3]), "expr": _expression(fields[1])}}


def _rt(fields: dict[int, bytes]) -> dict[str, Any]:
    family, _unused, name = RT_NAMES[_read(fields[0])].rpartition(" ")
    return {"rt": {"key": name, "family": family} if family else {"key": name}}


def _fib(fields: dict[int, bytes]) -> dict[str, Any]:
    flags = _read(fields[1])
    named = [name for name, bit in FIB_FLAGS.items() if flags & bit]
    return {"fib": {"result": FIB_NAMES[_read(fields[0])], "flags": named}}


def _xfrm(fields: dict[int, bytes]) -> dict[str, Any]:
    family, _unused, name = XFRM_NAMES[_read(fields[0])].rpartition(" ")
    direction = {number: word for word, number in XFRM_DIRECTIONS.items()}[_read(fields[2])]
    body: dict[str, Any] = {"key": name, "dir": direction, "spnum": _read(fields[1])}
    return {"ipsec": {**body, "family": family} if family else body}


_READERS: dict[int, Callable[[dict[int, bytes]], dict[str, Any]]] = {
    _PAYLOAD: _payload,
    _EXTHDR: _exthdr,
    _META: _meta,
    _SOCKET: _socket,
    _OSF: _osf,
    _CT: _ct,
    _NUMGEN: _numgen,
    _HASH: _hash,
    _RT: _rt,
    _FIB: _fib,
    _XFRM: _xfrm,
}


def _nth(names: Any, number: int) -> str:
    """The name that an enumeration from 1 on has for a number."""
    if not 0 < number <= len(names):
        raise LookupError("field %d" % number)
    return str(list(names)[number - 1])


def _fields(data: bytes) -> dict[int, bytes]:
    found = {}
    at = 0
    while at + 2 <= len(data):
        kind, length = data[at], data[at + 1]
        found[kind] = data[at + 2 : at + 2 + length]
        at += 2 + length
    return found


def _read(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)


def _field(kind: int, data: bytes) -> bytes:
    return bytes((kind, len(data))) + data


def _number(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)
