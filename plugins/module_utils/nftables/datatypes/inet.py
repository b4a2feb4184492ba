# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types of the Internet protocols: protocols, ports, ICMP, TCP flags, DSCP, Ethernet types, ARP."""

from __future__ import annotations

import socket

from ...errors import nearest
from .base import DataType, DatatypeError, Flags
from .lookups import looked_up
from .services import SERVICES


class _Protocol(DataType):
    """An IP protocol: a name in any case, or a number."""

    __slots__ = ()

    def named(self, word: str) -> int | None:
        """From the built-in table, else from the host's /etc/protocols."""
        lower = word.lower()
        found = super().named(lower)
        if found is None and not lower[:1].isdecimal():
            try:
                found = socket.getprotobyname(lower)
            except (OSError, UnicodeError, ValueError):
                return None
            if found > 255:
                return None
            looked_up(self.name, word, found, checked_here=True)
        return found

    def allowed(self, bits: int = 0) -> str:
        return "a protocol such as tcp, udp or icmp, or a number from 0 to 255"

    def _called(self) -> str:
        return "a protocol"

    def _unknown(self, word: str) -> DatatypeError:
        lower = word.lower()
        cure = nearest(lower, _COMMON) or nearest(lower, [*self.constants, *self.aliases])
        return DatatypeError("unknown protocol", word, self.allowed(), cure)


class _Service(DataType):
    """A port: a service name or a number. nft prints numbers."""

    __slots__ = ()

    def named(self, word: str) -> int | None:
        """From the built-in table, else from the host's /etc/services."""
        lower = word.lower()
        found = SERVICES.get(lower)
        if found is None and not lower[:1].isdecimal():
            try:
                found = socket.getservbyname(word)
            except (OSError, UnicodeError, ValueError):
                return None
            looked_up(self.name, word, found, checked_here=True)
        return found

    def allowed(self, bits: int = 0) -> str:
        return "a service such as ssh, or a port from 0 to 65535"

    def _called(self) -> str:
        return "a port"

    def _unknown(self, word: str) -> DatatypeError:
        return DatatypeError("unknown service", word, self.allowed(), nearest(word.lower(), SERVICES))


# What a mistyped protocol is most likely meant to be
_COMMON = ("tcp", "udp", "icmp", "icmpv6", "sctp", "gre", "esp", "ah", "igmp", "ospf", "vrrp")

# IANA "Assigned Internet Protocol Numbers", under the names that nft prints: netbase's /etc/protocols.
INET_PROTO = _Protocol(
    "inet_proto",
    12,
    8,
    {
        "ip": 0,
        "icmp": 1,
        "igmp": 2,
        "ggp": 3,
        "ipencap": 4,
        "st": 5,
        "tcp": 6,
        "egp": 8,
        "igp": 9,
        "pup": 12,
        "udp": 17,
        "hmp": 20,
        "xns-idp": 22,
        "rdp": 27,
        "iso-tp4": 29,
        "dccp": 33,
        "xtp": 36,
        "ddp": 37,
        "idpr-cmtp": 38,
        "ipv6": 41,
        "ipv6-route": 43,
        "ipv6-frag": 44,
        "idrp": 45,
        "rsvp": 46,
        "gre": 47,
        "esp": 50,
        "ah": 51,
        "skip": 57,
        "ipv6-icmp": 58,
        "ipv6-nonxt": 59,
        "ipv6-opts": 60,
        "rspf": 73,
        "vmtp": 81,
        "eigrp": 88,
        "ospf": 89,
        "ax.25": 93,
        "ipip": 94,
        "etherip": 97,
        "encap": 98,
        "pim": 103,
        "ipcomp": 108,
        "vrrp": 112,
        "l2tp": 115,
        "isis": 124,
        "sctp": 132,
        "fc": 133,
        "mobility-header": 135,
        "udplite": 136,
        "mpls-in-ip": 137,
        "manet": 138,
        "hip": 139,
        "shim6": 140,
        "wesp": 141,
        "rohc": 142,
        "ethernet": 143,
    },
    # 'comp' is nft's word for IPComp, 'icmpv6' for the protocol itself
    aliases={
        "hopopt": 0,
        "icmpv6": 58,
        "icmp6": 58,
        "comp": 108,
        "ip-encap": 4,
        "ospfigp": 89,
        "ipsec-esp": 50,
        "ipsec-ah": 51,
        "udp-lite": 136,
        "mh": 135,
    },
)

INET_SERVICE = _Service("inet_service", 13, 16)

# RFC 792, 950, 1256; the aliases are those of ipchains and iptables.
ICMP_TYPE = DataType(
    "icmp_type",
    14,
    8,
    {
        "echo-reply": 0,
        "destination-unreachable": 3,
        "source-quench": 4,
        "redirect": 5,
        "echo-request": 8,
        "router-advertisement": 9,
        "router-solicitation": 10,
        "time-exceeded": 11,
        "parameter-problem": 12,
        "timestamp-request": 13,
        "timestamp-reply": 14,
        "info-request": 15,
        "info-reply": 16,
        "address-mask-request": 17,
        "address-mask-reply": 18,
    },
    aliases={"pong": 0, "ping": 8, "ttl-exceeded": 11},
)

# RFC 4443, 4861, 2710, 3810, 2894, 3122; the aliases are those of ip6tables.
ICMPV6_TYPE = DataType(
    "icmpv6_type",
    29,
    8,
    {
        "destination-unreachable": 1,
        "packet-too-big": 2,
        "time-exceeded": 3,
        "parameter-problem": 4,
        "echo-request": 128,
        "echo-reply": 129,
        "mld-listener-query": 130,
        "mld-listener-report": 131,
        "mld-listener-done": 132,
        "mld-listener-reduction": 132,
        "nd-router-solicit": 133,
        "nd-router-advert": 134,
        "nd-neighbor-solicit": 135,
        "nd-neighbor-advert": 136,
        "nd-redirect": 137,
        "router-renumbering": 138,
        "ind-neighbor-solicit": 141,
        "ind-neighbor-advert": 142,
        "mld2-listener-report": 143,
    },
    aliases={
        "ping": 128,
        "pong": 129,
        "ttl-exceeded": 3,
        "router-solicitation": 133,
        "router-advertisement": 134,
        "neighbor-solicitation": 135,
        "neighbour-solicitation": 135,
        "neighbor-advertisement": 136,
        "neighbour-advertisement": 136,
        "redirect": 137,
    },
)

# RFC 792 and 1812: the codes of destination-unreachable.
ICMP_CODE = DataType(
    "icmp_code",
    32,
    8,
    {
        "net-unreachable": 0,
        "host-unreachable": 1,
        "prot-unreachable": 2,
        "port-unreachable": 3,
        "net-prohibited": 9,
        "host-prohibited": 10,
        "admin-prohibited": 13,
        "frag-needed": 4,
    },
    aliases={
        "network-unreachable": 0,
        "protocol-unreachable": 2,
        "proto-unreachable": 2,
        "fragmentation-needed": 4,
        "network-prohibited": 9,
        "communication-prohibited": 13,
    },
)

# RFC 4443: the codes of destination-unreachable.
ICMPV6_CODE = DataType(
    "icmpv6_code",
    33,
    8,
    {
        "no-route": 0,
        "admin-prohibited": 1,
        "addr-unreachable": 3,
        "port-unreachable": 4,
        "policy-fail": 5,
        "reject-route": 6,
    },
    aliases={"address-unreachable": 3},
)

# linux/netfilter/nf_tables.h, enum nft_reject_inet_code
ICMPX_CODE = DataType(
    "icmpx_code",
    34,
    8,
    {"port-unreachable": 1, "admin-prohibited": 3, "no-route": 0, "host-unreachable": 2},
)

# RFC 1112, 2236, 3376
IGMP_TYPE = DataType(
    "igmp_type",
    42,
    8,
    {
        "membership-query": 17,
        "membership-report-v1": 18,
        "membership-report-v2": 22,
        "membership-report-v3": 34,
        "leave-group": 23,
    },
)

# RFC 6275, 5568, 5096, 5142
MH_TYPE = DataType(
    "mh_type",
    17,
    8,
    {
        "binding-refresh-request": 0,
        "home-test-init": 1,
        "careof-test-init": 2,
        "home-test": 3,
        "careof-test": 4,
        "binding-update": 5,
        "binding-acknowledgement": 6,
        "binding-error": 7,
        "fast-binding-update": 8,
        "fast-binding-acknowledgement": 9,
        "fast-binding-advertisement": 10,
        "experimental-mobility-header": 11,
        "home-agent-switch-message": 12,
    },
)

# RFC 4340, section 5.1
DCCP_PKTTYPE = DataType(
    "dccp_pkttype",
    16,
    4,
    {
        "request": 0,
        "response": 1,
        "data": 2,
        "ack": 3,
        "dataack": 4,
        "closereq": 5,
        "close": 6,
        "reset": 7,
        "sync": 8,
        "syncack": 9,
    },
)

# RFC 9293 and 3168 (nft calls ECE "ecn")
TCP_FLAG = Flags(
    "tcp_flag",
    15,
    8,
    {"fin": 0x01, "syn": 0x02, "rst": 0x04, "psh": 0x08, "ack": 0x10, "urg": 0x20, "ecn": 0x40, "cwr": 0x80},
    "big",
)

# RFC 2474, 2597, 3246, 5865 (va), 8622 (lephb)
DSCP = DataType(
    "dscp",
    36,
    6,
    {
        "cs0": 0x00,
        "cs1": 0x08,
        "cs2": 0x10,
        "cs3": 0x18,
        "cs4": 0x20,
        "cs5": 0x28,
        "cs6": 0x30,
        "cs7": 0x38,
        "df": 0x00,
        "be": 0x00,
        "lephb": 0x01,
        "af11": 0x0A,
        "af12": 0x0C,
        "af13": 0x0E,
        "af21": 0x12,
        "af22": 0x14,
        "af23": 0x16,
        "af31": 0x1A,
        "af32": 0x1C,
        "af33": 0x1E,
        "af41": 0x22,
        "af42": 0x24,
        "af43": 0x26,
        "va": 0x2C,
        "ef": 0x2E,
    },
    aliases={"le": 0x01},
    form="0x%02x",
)

# RFC 3168
ECN = DataType("ecn", 37, 2, {"not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3}, form="0x%x")

# linux/if_ether.h (ETH_P_*)
ETHER_TYPE = DataType(
    "ether_type",
    10,
    16,
    {"ip": 0x0800, "arp": 0x0806, "ip6": 0x86DD, "8021q": 0x8100, "8021ad": 0x88A8, "vlan": 0x8100},
    form="0x%04x",
)

# linux/if_arp.h (ARPOP_*)
ARP_OP = DataType(
    "arp_op",
    11,
    16,
    {"request": 1, "reply": 2, "rrequest": 3, "rreply": 4, "inrequest": 8, "inreply": 9, "nak": 10},
)

TYPES = (
    ETHER_TYPE,
    ARP_OP,
    INET_PROTO,
    INET_SERVICE,
    ICMP_TYPE,
    TCP_FLAG,
    DCCP_PKTTYPE,
    MH_TYPE,
    ICMPV6_TYPE,
    ICMP_CODE,
    ICMPV6_CODE,
    ICMPX_CODE,
    DSCP,
    ECN,
    IGMP_TYPE,
)


def resolve_abbreviation(type: DataType, word: str) -> str:
    """The full name that ``word`` shortens: ``echo-req`` is ``echo-request``.

    A full name or an alias gives nft's name for it; a number stays as it is.
    Several names for one and the same number are no ambiguity. Raises
    DatatypeError, naming the candidates, where more than one number is meant,
    and with the nearest name where none is.
    """
    lower = word.lower()
    exact = type.named(lower)
    if exact is not None:
        return type.name_of(exact) or lower
    if not lower or lower[0].isdecimal():
        type.number_of(word)
        return word
    names = {**type.constants, **type.aliases}
    candidates = [name for name in names if name.startswith(lower)]
    numbers = {names[name] for name in candidates}
    if len(numbers) > 1:
        raise DatatypeError(
            "ambiguous abbreviation", word, ", ".join(candidates), "write enough of one name to tell it apart"
        )
    for number in numbers:
        return type.name_of(number) or candidates[0]
    raise DatatypeError(
        "unknown value for data type %s" % type.name, word, type.allowed(), nearest(lower, names)
    )
