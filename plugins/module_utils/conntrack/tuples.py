# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tuple: the addresses and ports, or whatever a protocol has in their place, of one direction.

As a dictionary: ``saddr`` and ``daddr`` in text, and by protocol ``sport`` and ``dport``;
``icmp_type``, ``icmp_code`` and ``icmp_id`` (ICMP and ICMPv6); ``srckey`` and ``dstkey`` (GRE);
nothing more for a protocol that the kernel knows by its number alone: DCCP is one since Linux 6.18,
and any whose tracking it was built without. ``zone`` where the zone is this
direction's alone (linux/netfilter/nfnetlink_conntrack.h, enum ctattr_tuple).
"""

from __future__ import annotations

import functools
import socket
import struct
from collections.abc import Mapping
from typing import Any

from ..errors import Problem, nearest
from ..netlink.attributes import attribute, nested, table
from . import uapi
from .decoding import Field, Fields, Fixed, Nest
from .names import PROTOCOLS

FAMILIES = {"ip": socket.AF_INET, "ip6": socket.AF_INET6}
"""nft's word for a family, to its number in a message (the same as NFPROTO_)."""

FAMILY_NAMES = {int(number): word for word, number in FAMILIES.items()}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}

GRE = 47
_PORTS = frozenset((6, 17, 33, 132, 136))  # TCP, UDP, DCCP, SCTP, UDPlite
_ICMP = frozenset((1, 58))

# The answer to each kind of request: linux/icmp.h, linux/icmpv6.h (nf_conntrack_proto_icmp.c, invmap).
_ANSWERS = {1: {8: 0, 13: 14, 15: 16, 17: 18}, 58: {128: 129, 139: 140}}
_OPPOSITES = {
    protocol: {**pairs, **{answer: request for request, answer in pairs.items()}}
    for protocol, pairs in _ANSWERS.items()
}
_SWAPPED = {"saddr": "daddr", "sport": "dport", "srckey": "dstkey"}
_SWAPPED.update({second: first for first, second in _SWAPPED.items()})


@functools.lru_cache(4096)
def _ip6(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, packed)


_ADDRESSES: Fields = {
    uapi.CTA_IP_V4_SRC: Field("saddr", "4s", socket.inet_ntoa),
    uapi.CTA_IP_V4_DST: Field("daddr", "4s", socket.inet_ntoa),
    uapi.CTA_IP_V6_SRC: Field("saddr", "16s", _ip6),
    uapi.CTA_IP_V6_DST: Field("daddr", "16s", _ip6),
}
_NUMBER: Fields = {uapi.CTA_PROTO_NUM: Fixed("protonum", "B")}
_PROTOCOL: Fields = {
    **_NUMBER,
    uapi.CTA_PROTO_SRC_PORT: Field("sport", "H"),
    uapi.CTA_PROTO_DST_PORT: Field("dport", "H"),
    uapi.CTA_PROTO_ICMP_TYPE: Field("icmp_type", "B"),
    uapi.CTA_PROTO_ICMP_CODE: Field("icmp_code", "B"),
    uapi.CTA_PROTO_ICMP_ID: Field("icmp_id", "H"),
    uapi.CTA_PROTO_ICMPV6_TYPE: Field("icmp_type", "B"),
    uapi.CTA_PROTO_ICMPV6_CODE: Field("icmp_code", "B"),
    uapi.CTA_PROTO_ICMPV6_ID: Field("icmp_id", "H"),
}
_PROTOCOL_GRE: Fields = {
    **_NUMBER,
    uapi.CTA_PROTO_SRC_PORT: Field("srckey", "H"),
    uapi.CTA_PROTO_DST_PORT: Field("dstkey", "H"),
}


def _protocol_fields(body: bytes, start: int, stop: int) -> Fields:
    """GRE's keys travel in the attributes of ports."""
    number = table(body, start, stop).get(uapi.CTA_PROTO_NUM)
    return _PROTOCOL_GRE if number == bytes((GRE,)) else _PROTOCOL


FIELDS: Fields = {
    uapi.CTA_TUPLE_IP: Nest("", _ADDRESSES),
    uapi.CTA_TUPLE_PROTO: Nest("", _protocol_fields),
    uapi.CTA_TUPLE_ZONE: Field("zone", "H"),
}
"""The attributes in a tuple's nest; ``protonum`` is among what they make, for the caller to take out."""

KEYS = (
    *("saddr", "daddr", "sport", "dport", "srckey", "dstkey"),
    *("icmp_type", "icmp_code", "icmp_id", "zone"),
)
"""Every key that a tuple can have, in the order that they are shown."""

# What an entry says of a direction besides its tuple (entries.py).
_BESIDES = frozenset(("zone", "packets", "bytes", "wscale", "tcp_flags", "vtag", "seq_adj"))
_BYTE = struct.Struct("B")
_WORD = struct.Struct(">H")
_MOST = {"icmp_type": 0xFF, "icmp_code": 0xFF}  # of any other part 0xFFFF

_KEYS = {
    **dict.fromkeys(_PORTS, ("sport", "dport")),
    **dict.fromkeys(_ICMP, ("icmp_type", "icmp_code", "icmp_id")),
    GRE: ("srckey", "dstkey"),
}


def keys_of(protonum: int) -> tuple[str, ...]:
    """The keys that a tuple of this protocol has besides its addresses."""
    return _KEYS.get(protonum, ())


def check(tree: Mapping[str, Any], keys: tuple[str, ...], family: int) -> None:
    """Raise ValueError where a message lacks one of the tuples that it must have, or its family is none."""
    if family not in FAMILY_NAMES:
        raise ValueError("family %d" % family)
    for key in keys:
        found = tree.get(key)
        if not isinstance(found, dict) or not {"saddr", "daddr", "protonum"} <= found.keys():
            raise ValueError("no %s tuple" % key)


def opposite(one: Mapping[str, Any], protonum: int) -> dict[str, Any]:
    """The tuple of the answers to what has this tuple, where nothing is translated."""
    made = {_SWAPPED.get(key, key): value for key, value in one.items() if key in KEYS and key != "zone"}
    if "icmp_type" in made:
        made["icmp_type"] = _OPPOSITES.get(protonum, {}).get(made["icmp_type"], made["icmp_type"])
    return {key: made[key] for key in KEYS if key in made}


def encode(kind: int, one: Mapping[str, Any], family: int, protonum: int, problems: list[Problem]) -> bytes:
    """The nest of type ``kind`` that stands for a tuple; what is wrong with it goes to ``problems``."""
    wanted = keys_of(protonum)
    packed = [_address(one, key, family, problems) for key in ("saddr", "daddr")]
    numbers = [number(one, key, _MOST.get(key, 0xFFFF), problems) for key in wanted]
    known = ("saddr", "daddr", *wanted)
    for key in one:
        if key not in known and key not in _BESIDES:
            problems.append(
                Problem(
                    "not a part of this protocol's tuple",
                    key,
                    one[key],
                    ", ".join(known),
                    nearest(key, known),
                )
            )
    if problems:
        return b""
    four = family == socket.AF_INET
    source, target = (
        (uapi.CTA_IP_V4_SRC, uapi.CTA_IP_V4_DST) if four else (uapi.CTA_IP_V6_SRC, uapi.CTA_IP_V6_DST)
    )
    parts = [attribute(uapi.CTA_PROTO_NUM, _BYTE.pack(protonum))]
    if protonum in _ICMP:
        first = uapi.CTA_PROTO_ICMP_ID if protonum == 1 else uapi.CTA_PROTO_ICMPV6_ID
        parts += [
            attribute(first, _WORD.pack(numbers[2])),
            attribute(first + 1, _BYTE.pack(numbers[0])),
            attribute(first + 2, _BYTE.pack(numbers[1])),
        ]
    elif numbers:
        parts += [
            attribute(uapi.CTA_PROTO_SRC_PORT, _WORD.pack(numbers[0])),
            attribute(uapi.CTA_PROTO_DST_PORT, _WORD.pack(numbers[1])),
        ]
    inner = [
        nested(uapi.CTA_TUPLE_IP, attribute(source, packed[0]), attribute(target, packed[1])),
        nested(uapi.CTA_TUPLE_PROTO, *parts),
    ]
    if "zone" in one:
        zone = number(one, "zone", 0xFFFF, problems)
        if problems:
            return b""
        inner.append(attribute(uapi.CTA_TUPLE_ZONE, _WORD.pack(zone)))
    return nested(kind, *inner)


def _address(one: Mapping[str, Any], key: str, family: int, problems: list[Problem]) -> bytes:
    value = one.get(key)
    try:
        return socket.inet_pton(family, value)  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError):
        word = "IPv4" if family == socket.AF_INET else "IPv6"
        problems.append(Problem("not an %s address" % word, key, value, "an %s address" % word))
    return b""


def number(one: Mapping[str, Any], key: str, most: int, problems: list[Problem]) -> int:
    """``one[key]``, a number from 0 to ``most``; else 0 and a problem."""
    value = one.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        problems.append(Problem("not a number for %s" % key, key, value, "0 to %d" % most))
        return 0
    return value
