# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Transport-layer headers, ICMP, the IPsec headers and the tunnels."""

from __future__ import annotations

from ..datatypes.address import IPV6_ADDR
from ..datatypes.basic import BITMASK, INTEGER
from ..datatypes.inet import (
    DCCP_PKTTYPE,
    ETHER_TYPE,
    ICMP_CODE,
    ICMP_TYPE,
    ICMPV6_CODE,
    ICMPV6_TYPE,
    IGMP_TYPE,
    INET_PROTO,
    INET_SERVICE,
    TCP_FLAG,
)
from .base import Field, Header
from .link import BY_ETHER_TYPE

_SPORT = Field("sport", 0, 16, INET_SERVICE)
_DPORT = Field("dport", 16, 16, INET_SERVICE)

# What IPsec and IPComp headers may carry, as far as nft follows it
_BEHIND_IPSEC = {
    6: "tcp",
    17: "udp",
    33: "dccp",
    50: "esp",
    51: "ah",
    108: "comp",
    132: "sctp",
    136: "udplite",
}

# The ports that TCP, UDP, UDP-Lite, SCTP and DCCP have at the same place
TH = Header("th", "th", (_SPORT, _DPORT))

# RFC 9293
TCP = Header(
    "tcp",
    "th",
    (
        _SPORT,
        _DPORT,
        Field("sequence", 32, 32, INTEGER),
        Field("ackseq", 64, 32, INTEGER),
        Field("doff", 96, 4, INTEGER),
        Field("reserved", 100, 4, INTEGER),
        Field("flags", 104, 8, TCP_FLAG),
        Field("window", 112, 16, INTEGER),
        Field("checksum", 128, 16, INTEGER),
        Field("urgptr", 144, 16, INTEGER),
    ),
    checksum="checksum",
)

# RFC 768
UDP = Header(
    "udp",
    "th",
    (_SPORT, _DPORT, Field("length", 32, 16, INTEGER), Field("checksum", 48, 16, INTEGER)),
    checksum="checksum",
)

# RFC 3828
UDPLITE = Header(
    "udplite",
    "th",
    (_SPORT, _DPORT, Field("csumcov", 32, 16, INTEGER), Field("checksum", 48, 16, INTEGER)),
)

# RFC 9260
SCTP = Header(
    "sctp",
    "th",
    (_SPORT, _DPORT, Field("vtag", 32, 32, INTEGER), Field("checksum", 64, 32, INTEGER)),
    checksum="checksum",
)

# RFC 4340
DCCP = Header("dccp", "th", (_SPORT, _DPORT, Field("type", 67, 4, DCCP_PKTTYPE)))

# RFC 4302
AH = Header(
    "ah",
    "th",
    (
        Field("nexthdr", 0, 8, INET_PROTO),
        Field("hdrlength", 8, 8, INTEGER),
        Field("reserved", 16, 16, INTEGER),
        Field("spi", 32, 32, INTEGER),
        Field("sequence", 64, 32, INTEGER),
    ),
    next=("nexthdr", _BEHIND_IPSEC),
)

# RFC 4303
ESP = Header("esp", "th", (Field("spi", 0, 32, INTEGER), Field("sequence", 32, 32, INTEGER)))

# RFC 3173
COMP = Header(
    "comp",
    "th",
    (Field("nexthdr", 0, 8, INET_PROTO), Field("flags", 8, 8, BITMASK), Field("cpi", 16, 16, INTEGER)),
    next=("nexthdr", _BEHIND_IPSEC),
)

# RFC 792, 1191
ICMP = Header(
    "icmp",
    "th",
    (
        Field("type", 0, 8, ICMP_TYPE),
        Field("code", 8, 8, ICMP_CODE),
        Field("checksum", 16, 16, INTEGER),
        Field("id", 32, 16, INTEGER, icmp_types=(0, 8)),
        Field("sequence", 48, 16, INTEGER, icmp_types=(0, 8)),
        Field("gateway", 32, 32, INTEGER, icmp_types=(5,)),
        Field("mtu", 48, 16, INTEGER, icmp_types=(3,)),
    ),
    checksum="checksum",
)

# The messages about one address: listeners to a multicast address, a neighbour, a redirect to a better one
_ABOUT_AN_ADDRESS = (130, 131, 132, 135, 136, 137)

# RFC 4443, 2710, 4861
ICMPV6 = Header(
    "icmpv6",
    "th",
    (
        Field("type", 0, 8, ICMPV6_TYPE),
        Field("code", 8, 8, ICMPV6_CODE),
        Field("checksum", 16, 16, INTEGER),
        Field("parameter-problem", 32, 32, INTEGER, icmp_types=(4,), text="param-problem"),
        Field("mtu", 32, 32, INTEGER, icmp_types=(2,)),
        Field("id", 32, 16, INTEGER, icmp_types=(128, 129)),
        Field("sequence", 48, 16, INTEGER, icmp_types=(128, 129)),
        Field("max-delay", 32, 16, INTEGER, icmp_types=(130,)),
        Field("taddr", 64, 128, IPV6_ADDR, icmp_types=_ABOUT_AN_ADDRESS),
        Field("daddr", 192, 128, IPV6_ADDR, icmp_types=(137,)),
    ),
    checksum="checksum",
)

# RFC 2236, 3376
IGMP = Header(
    "igmp",
    "th",
    (
        Field("type", 0, 8, IGMP_TYPE),
        Field("mrt", 8, 8, INTEGER),
        Field("checksum", 16, 16, INTEGER),
        Field("group", 32, 32, INTEGER),
    ),
    checksum="checksum",
)

# RFC 2784, 2890
GRE = Header(
    "gre",
    "th",
    (
        Field("flags", 0, 5, INTEGER),
        Field("version", 13, 3, INTEGER),
        Field("protocol", 16, 16, ETHER_TYPE),
    ),
    next=("protocol", {0x0800: "ip", 0x86DD: "ip6"}),
)

# An Ethernet frame in GRE: no fields of its own, only what is inside
GRETAP = Header("gretap", "th", ())

# RFC 7348
VXLAN = Header(
    "vxlan",
    "ih",
    (Field("flags", 0, 8, BITMASK), Field("vni", 32, 24, INTEGER)),
    next=("", BY_ETHER_TYPE),
)

# RFC 8926
GENEVE = Header(
    "geneve",
    "ih",
    (Field("type", 16, 16, ETHER_TYPE), Field("vni", 32, 24, INTEGER)),
    next=("type", BY_ETHER_TYPE),
)

HEADERS = (
    TH,
    TCP,
    UDP,
    UDPLITE,
    SCTP,
    DCCP,
    AH,
    ESP,
    COMP,
    ICMP,
    ICMPV6,
    IGMP,
    GRE,
    GRETAP,
    VXLAN,
    GENEVE,
)
