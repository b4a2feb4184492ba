# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nft notes of a ``typeof``: the expression whose type a set has.

User data within a set's user data (nft's ``*_expr_build_udata`` functions): a
number for the kind of expression, then what that kind needs to be named again.
Without it nft lists a set of plain numbers under a type that it cannot read.
"""

from __future__ import annotations

import sys

from ..headers import HEADERS
from ..selectors.base import Concatenation, Selector, Shifted
from ..selectors.conntrack import Ct
from ..selectors.meta import Meta
from ..selectors.payload import Payload

# enum expr_types of nft: the numbers are part of what it stores
_PAYLOAD, _META, _CT, _CONCAT = 7, 9, 12, 13
_TYPE, _DATA = 0, 1  # NFTNL_UDATA_SET_TYPEOF_EXPR, NFTNL_UDATA_SET_TYPEOF_DATA
_NO_DIRECTION = 0xFFFFFFFF

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


def typeof_userdata(selector: Selector) -> bytes:
    """The description of a selector; nothing for a plain type, or one that nft has no description for."""
    if isinstance(selector, Concatenation):
        parts = [_described(part) for part in selector.parts]
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
    if isinstance(selector, Meta):
        return _field(_TYPE, _number(_META)) + _field(_DATA, _field(0, _number(selector.number)))
    if isinstance(selector, Ct):
        direction = _NO_DIRECTION if selector.direction is None else selector.direction
        data = _field(0, _number(selector.number)) + _field(1, _number(direction))
        return _field(_TYPE, _number(_CT)) + _field(_DATA, data)
    return b""


def _field(kind: int, data: bytes) -> bytes:
    return bytes((kind, len(data))) + data


def _number(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)
