# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Link-layer headers: Ethernet, VLAN, ARP."""

from __future__ import annotations

from ..datatypes.address import ETHER_ADDR, IPV4_ADDR
from ..datatypes.basic import INTEGER
from ..datatypes.inet import ARP_OP, ETHER_TYPE
from .base import Field, Header

# linux/if_ether.h (ETH_P_*)
BY_ETHER_TYPE = {0x0800: "ip", 0x0806: "arp", 0x86DD: "ip6", 0x8100: "vlan", 0x88A8: "vlan"}

# IEEE 802.3
ETHER = Header(
    "ether",
    "ll",
    (
        Field("daddr", 0, 48, ETHER_ADDR),
        Field("saddr", 48, 48, ETHER_ADDR),
        Field("type", 96, 16, ETHER_TYPE),
    ),
    next=("type", BY_ETHER_TYPE),
    bits=112,
)

# IEEE 802.1Q: the four bytes after the outer EtherType; cfi is dei's older name
VLAN = Header(
    "vlan",
    "ll",
    (
        Field("pcp", 0, 3, INTEGER),
        Field("dei", 3, 1, INTEGER),
        Field("cfi", 3, 1, INTEGER),
        Field("id", 4, 12, INTEGER),
        Field("type", 16, 16, ETHER_TYPE),
    ),
    next=("type", BY_ETHER_TYPE),
    bits=32,
)

# RFC 826, for Ethernet and IPv4
ARP = Header(
    "arp",
    "nh",
    (
        Field("htype", 0, 16, INTEGER),
        Field("ptype", 16, 16, ETHER_TYPE),
        Field("hlen", 32, 8, INTEGER),
        Field("plen", 40, 8, INTEGER),
        Field("operation", 48, 16, ARP_OP),
        Field("saddr ether", 64, 48, ETHER_ADDR),
        Field("saddr ip", 112, 32, IPV4_ADDR),
        Field("daddr ether", 144, 48, ETHER_ADDR),
        Field("daddr ip", 192, 32, IPV4_ADDR),
    ),
)

HEADERS = (ETHER, VLAN, ARP)
