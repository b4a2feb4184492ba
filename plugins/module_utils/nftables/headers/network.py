# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network-layer headers: IPv4 and IPv6."""

from __future__ import annotations

from ..datatypes.address import IPV4_ADDR, IPV6_ADDR
from ..datatypes.basic import INTEGER
from ..datatypes.inet import DSCP, ECN, INET_PROTO
from .base import Field, Header

# IANA protocol numbers of the headers nft knows
BY_PROTOCOL = {
    1: "icmp",
    2: "igmp",
    6: "tcp",
    17: "udp",
    33: "dccp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    108: "comp",
    132: "sctp",
    136: "udplite",
}

# RFC 791
IP = Header(
    "ip",
    "nh",
    (
        Field("version", 0, 4, INTEGER),
        Field("hdrlength", 4, 4, INTEGER),
        Field("dscp", 8, 6, DSCP),
        Field("ecn", 14, 2, ECN),
        Field("length", 16, 16, INTEGER),
        Field("id", 32, 16, INTEGER),
        Field("frag-off", 48, 16, INTEGER),
        Field("ttl", 64, 8, INTEGER),
        Field("protocol", 72, 8, INET_PROTO),
        Field("checksum", 80, 16, INTEGER),
        Field("saddr", 96, 32, IPV4_ADDR),
        Field("daddr", 128, 32, IPV4_ADDR),
    ),
    next=("protocol", BY_PROTOCOL),
    checksum="checksum",
)

# RFC 8200
IP6 = Header(
    "ip6",
    "nh",
    (
        Field("version", 0, 4, INTEGER),
        Field("dscp", 4, 6, DSCP),
        Field("ecn", 10, 2, ECN),
        Field("flowlabel", 12, 20, INTEGER),
        Field("length", 32, 16, INTEGER),
        Field("nexthdr", 48, 8, INET_PROTO),
        Field("hoplimit", 56, 8, INTEGER),
        Field("saddr", 64, 128, IPV6_ADDR),
        Field("daddr", 192, 128, IPV6_ADDR),
    ),
    next=("nexthdr", BY_PROTOCOL),
)

HEADERS = (IP, IP6)
