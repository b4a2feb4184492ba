# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is searched for in a packet: IPv6 extension headers, TCP and IP options, SCTP chunks, DCCP options."""

from __future__ import annotations

from ..datatypes.address import IPV6_ADDR, OPTION_ADDR
from ..datatypes.basic import INTEGER, MPTCP_SUBTYPE
from ..datatypes.inet import INET_PROTO, MH_TYPE
from .base import Field, Header

_ROUTING = 43

_NEXTHDR = Field("nexthdr", 0, 8, INET_PROTO)
_HDRLENGTH = Field("hdrlength", 8, 8, INTEGER)

# IPv6 extension headers: RFC 8200; rt0 RFC 2460; rt2 and mh RFC 6275; srh RFC 8754.
# Four spellings of the routing header stand in the order in which a decoder tries them.
EXTHDRS = (
    Header("hbh", "", (_NEXTHDR, _HDRLENGTH), number=0),
    Header(
        "rt",
        "",
        (_NEXTHDR, _HDRLENGTH, Field("type", 16, 8, INTEGER), Field("seg-left", 24, 8, INTEGER)),
        number=_ROUTING,
    ),
    Header(
        "srh",
        "",
        (
            Field("last-entry", 32, 8, INTEGER),
            Field("flags", 40, 8, INTEGER),
            Field("tag", 48, 16, INTEGER),
            Field("sid[1]", 64, 128, IPV6_ADDR),
            Field("sid[2]", 192, 128, IPV6_ADDR),
        ),
        number=_ROUTING,
    ),
    Header(
        "rt0",
        "",
        (Field("addr[1]", 64, 128, IPV6_ADDR), Field("addr[2]", 192, 128, IPV6_ADDR)),
        number=_ROUTING,
    ),
    Header("rt2", "", (Field("addr", 64, 128, IPV6_ADDR),), number=_ROUTING),
    Header(
        "frag",
        "",
        (
            _NEXTHDR,
            Field("reserved", 8, 8, INTEGER),
            Field("frag-off", 16, 13, INTEGER),
            Field("reserved2", 29, 2, INTEGER),
            Field("more-fragments", 31, 1, INTEGER),
            Field("id", 32, 32, INTEGER),
        ),
        number=44,
    ),
    Header("dst", "", (_NEXTHDR, _HDRLENGTH), number=60),
    Header(
        "mh",
        "",
        (
            _NEXTHDR,
            _HDRLENGTH,
            Field("type", 16, 8, MH_TYPE),
            Field("reserved", 24, 8, INTEGER),
            Field("checksum", 32, 16, INTEGER),
        ),
        number=135,
    ),
)

_KIND = Field("kind", 0, 8, INTEGER)
_LENGTH = Field("length", 8, 8, INTEGER)


def _sack(name: str, block: int) -> Header:
    """One block of a selective acknowledgement; nft has the option's head with the first only."""
    start = 16 + 64 * block
    edges = (Field("left", start, 32, INTEGER), Field("right", start + 32, 32, INTEGER))
    return Header(name, "th", edges if block else (_KIND, _LENGTH, *edges), number=5)


# TCP options: IANA "TCP Option Kind Numbers". nft prints sack0 as sack.
TCP_OPTIONS = (
    Header("eol", "th", (_KIND,), number=0),
    Header("nop", "th", (_KIND,), number=1),
    Header("maxseg", "th", (_KIND, _LENGTH, Field("size", 16, 16, INTEGER)), number=2),
    Header("window", "th", (_KIND, _LENGTH, Field("count", 16, 8, INTEGER)), number=3),
    Header("sack-perm", "th", (_KIND, _LENGTH), number=4),
    _sack("sack", 0),
    _sack("sack0", 0),
    _sack("sack1", 1),
    _sack("sack2", 2),
    _sack("sack3", 3),
    Header(
        "timestamp",
        "th",
        (_KIND, _LENGTH, Field("tsval", 16, 32, INTEGER), Field("tsecr", 48, 32, INTEGER)),
        number=8,
    ),
    Header("md5sig", "th", (_KIND, _LENGTH), number=19),
    Header("mptcp", "th", (_KIND, _LENGTH, Field("subtype", 16, 4, MPTCP_SUBTYPE)), number=30),
    Header("fastopen", "th", (_KIND, _LENGTH), number=34),
)

_TYPE = Field("type", 0, 8, INTEGER)
_ROUTE = (_TYPE, _LENGTH, Field("ptr", 16, 8, INTEGER), Field("addr", 24, 32, OPTION_ADDR))

# IP options: RFC 791, RFC 2113 (ra)
IP_OPTIONS = (
    Header("lsrr", "nh", _ROUTE, number=131),
    Header("ra", "nh", (_TYPE, _LENGTH, Field("value", 16, 16, INTEGER)), number=148),
    Header("rr", "nh", _ROUTE, number=7),
    Header("ssrr", "nh", _ROUTE, number=137),
)

_CHUNK = (_TYPE, Field("flags", 8, 8, INTEGER), Field("length", 16, 16, INTEGER))


def _chunk(name: str, number: int, *fields: tuple[str, int]) -> Header:
    """A chunk: after the common four bytes, fields (name, bits) one behind the other."""
    offset, own = 32, []
    for field, bits in fields:
        own.append(Field(field, offset, bits, INTEGER))
        offset += bits
    return Header(name, "th", (*_CHUNK, *own), number=number)


_INIT = (
    ("init-tag", 32),
    ("a-rwnd", 32),
    ("num-outbound-streams", 16),
    ("num-inbound-streams", 16),
    ("initial-tsn", 32),
)

# SCTP chunks: RFC 9260; ecne and cwr its appendix; forward-tsn RFC 3758; asconf RFC 5061
SCTP_CHUNKS = (
    _chunk("data", 0, ("tsn", 32), ("stream", 16), ("ssn", 16), ("ppid", 32)),
    _chunk("init", 1, *_INIT),
    _chunk("init-ack", 2, *_INIT),
    _chunk("sack", 3, ("cum-tsn-ack", 32), ("a-rwnd", 32), ("num-gap-ack-blocks", 16), ("num-dup-tsns", 16)),
    _chunk("heartbeat", 4),
    _chunk("heartbeat-ack", 5),
    _chunk("abort", 6),
    _chunk("shutdown", 7, ("cum-tsn-ack", 32)),
    _chunk("shutdown-ack", 8),
    _chunk("error", 9),
    _chunk("cookie-echo", 10),
    _chunk("cookie-ack", 11),
    _chunk("ecne", 12, ("lowest-tsn", 32)),
    _chunk("cwr", 13, ("lowest-tsn", 32)),
    _chunk("shutdown-complete", 14),
    _chunk("asconf-ack", 0x80, ("seqno", 32)),
    _chunk("forward-tsn", 0xC0, ("new-cum-tsn", 32)),
    _chunk("asconf", 0xC1, ("seqno", 32)),
)


def tcp_option(kind: int) -> Header:
    """A TCP option nft has no name for, by its kind: ``tcp option 42 length``."""
    return Header(str(kind), "th", (_KIND, _LENGTH), number=kind)


def dccp_option(kind: int) -> Header:
    """A DCCP option by its kind, 0 to 255; nft has no names for them: ``dccp option 42 exists``."""
    return Header(str(kind), "th", (_TYPE,), number=kind)
