# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of a connection that a filter may ask about: what each is called and where it lies."""

from __future__ import annotations

from . import uapi
from .conditions import ANY, Field, Side
from .layouts import Path

V4, V6 = 4, 6
"""The kinds of addresses and of ICMP types."""


def _ip(direction: int, v4: int, v6: int) -> Field:
    nest = (direction, uapi.CTA_TUPLE_IP)
    return Field({V4: (*nest, v4), V6: (*nest, v6)}, sizes={V4: 4, V6: 16})


def _proto(direction: int, kind: int, size: int = 2) -> Field:
    return Field({ANY: (direction, uapi.CTA_TUPLE_PROTO, kind)}, sizes={ANY: size})


def _icmp(direction: int, v4: int, v6: int) -> Field:
    nest = (direction, uapi.CTA_TUPLE_PROTO)
    return Field({V4: (*nest, v4), V6: (*nest, v6)})


def _plain(kind: int, size: int, default: int | None = None) -> Field:
    return Field({ANY: (kind,)}, default, sizes={ANY: size})


def _end(direction: int, port: int) -> Field:
    """The port of an end; of ICMP the id, which is the same in both directions."""
    nest = (direction, uapi.CTA_TUPLE_PROTO)
    return Field(
        {
            ANY: (*nest, port),
            V4: (*nest, uapi.CTA_PROTO_ICMP_ID),
            V6: (*nest, uapi.CTA_PROTO_ICMPV6_ID),
        }
    )


FAMILY = Field({ANY: ()})
PROTOCOL = _proto(uapi.CTA_TUPLE_ORIG, uapi.CTA_PROTO_NUM, 1)
SADDR = _ip(uapi.CTA_TUPLE_ORIG, uapi.CTA_IP_V4_SRC, uapi.CTA_IP_V6_SRC)
DADDR = _ip(uapi.CTA_TUPLE_ORIG, uapi.CTA_IP_V4_DST, uapi.CTA_IP_V6_DST)
REPLY_SADDR = _ip(uapi.CTA_TUPLE_REPLY, uapi.CTA_IP_V4_SRC, uapi.CTA_IP_V6_SRC)
REPLY_DADDR = _ip(uapi.CTA_TUPLE_REPLY, uapi.CTA_IP_V4_DST, uapi.CTA_IP_V6_DST)
SPORT = _proto(uapi.CTA_TUPLE_ORIG, uapi.CTA_PROTO_SRC_PORT)
DPORT = _proto(uapi.CTA_TUPLE_ORIG, uapi.CTA_PROTO_DST_PORT)
REPLY_SPORT = _proto(uapi.CTA_TUPLE_REPLY, uapi.CTA_PROTO_SRC_PORT)
REPLY_DPORT = _proto(uapi.CTA_TUPLE_REPLY, uapi.CTA_PROTO_DST_PORT)
ICMP_TYPE = _icmp(uapi.CTA_TUPLE_ORIG, uapi.CTA_PROTO_ICMP_TYPE, uapi.CTA_PROTO_ICMPV6_TYPE)
ICMP_CODE = _icmp(uapi.CTA_TUPLE_ORIG, uapi.CTA_PROTO_ICMP_CODE, uapi.CTA_PROTO_ICMPV6_CODE)
ICMP_ID = _icmp(uapi.CTA_TUPLE_ORIG, uapi.CTA_PROTO_ICMP_ID, uapi.CTA_PROTO_ICMPV6_ID)
STATE = Field(
    {
        6: (uapi.CTA_PROTOINFO, uapi.CTA_PROTOINFO_TCP, uapi.CTA_PROTOINFO_TCP_STATE),
        33: (uapi.CTA_PROTOINFO, uapi.CTA_PROTOINFO_DCCP, uapi.CTA_PROTOINFO_DCCP_STATE),
        132: (uapi.CTA_PROTOINFO, uapi.CTA_PROTOINFO_SCTP, uapi.CTA_PROTOINFO_SCTP_STATE),
    }
)
STATUS = _plain(uapi.CTA_STATUS, 4)
MARK = _plain(uapi.CTA_MARK, 4, 0)
ZONE = _plain(uapi.CTA_ZONE, 2, 0)
ORIG_ZONE = Field({ANY: (uapi.CTA_TUPLE_ORIG, uapi.CTA_TUPLE_ZONE)}, 0, sizes={ANY: 2})
REPLY_ZONE = Field({ANY: (uapi.CTA_TUPLE_REPLY, uapi.CTA_TUPLE_ZONE)}, 0, sizes={ANY: 2})
LABELS = Field({ANY: (uapi.CTA_LABELS,)}, 0, little=True)
TIMEOUT = _plain(uapi.CTA_TIMEOUT, 4)
ID = _plain(uapi.CTA_ID, 4)

ADDRESSES: dict[str, tuple[Field, ...]] = {
    "saddr": (SADDR,),
    "daddr": (DADDR,),
    "reply_saddr": (REPLY_SADDR,),
    "reply_daddr": (REPLY_DADDR,),
    "address": (SADDR, DADDR, REPLY_SADDR, REPLY_DADDR),
}
PORTS: dict[str, tuple[Field, ...]] = {
    "sport": (SPORT,),
    "dport": (DPORT,),
    "reply_sport": (REPLY_SPORT,),
    "reply_dport": (REPLY_DPORT,),
    "port": (SPORT, DPORT, REPLY_SPORT, REPLY_DPORT),
}
ICMP: dict[str, Field] = {"icmp_type": ICMP_TYPE, "icmp_code": ICMP_CODE, "icmp_id": ICMP_ID}
ZONES: dict[str, Field] = {"zone": ZONE, "orig_zone": ORIG_ZONE, "reply_zone": REPLY_ZONE}

_SOURCE = Side(
    SADDR,
    REPLY_DADDR,
    _end(uapi.CTA_TUPLE_ORIG, uapi.CTA_PROTO_SRC_PORT),
    _end(uapi.CTA_TUPLE_REPLY, uapi.CTA_PROTO_DST_PORT),
    uapi.IPS_SRC_NAT_DONE,
)
_DESTINATION = Side(DADDR, REPLY_SADDR, DPORT, REPLY_SPORT, uapi.IPS_DST_NAT_DONE)
NAT: dict[str, tuple[Side, ...]] = {
    "snat": (_SOURCE,),
    "dnat": (_DESTINATION,),
    "nat": (_SOURCE, _DESTINATION),
}

TEXTS: dict[str, Path] = {
    "helper": (uapi.CTA_HELP, uapi.CTA_HELP_NAME),
    "secctx": (uapi.CTA_SECCTX, uapi.CTA_SECCTX_NAME),
}

_COUNTERS = {"packets": uapi.CTA_COUNTERS_PACKETS, "bytes": uapi.CTA_COUNTERS_BYTES}
_DIRECTIONS = {"original": uapi.CTA_COUNTERS_ORIG, "reply": uapi.CTA_COUNTERS_REPLY}
TOTALS: dict[str, tuple[Path, ...]] = {
    what: tuple((nest, kind) for nest in _DIRECTIONS.values()) for what, kind in _COUNTERS.items()
}
COUNTERS: dict[str, Field] = {
    "%s_%s" % (what, direction): Field({ANY: (nest, kind)})
    for what, kind in _COUNTERS.items()
    for direction, nest in _DIRECTIONS.items()
}
