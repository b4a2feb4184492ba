# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of the packet's passage through the host: the ``meta`` keys."""

from __future__ import annotations

from .. import uapi
from ..datatypes import TYPES
from ..expressions.loads import Meta as MetaExpression
from .base import Selector
from .program import Program, wire_register

#: key: (number, data type, bits, byte order), as in nft's meta keys
KEYS: dict[str, tuple[int, str, int, str]] = {
    "length": (uapi.NFT_META_LEN, "integer", 32, "host"),
    "protocol": (uapi.NFT_META_PROTOCOL, "ether_type", 16, "big"),
    "priority": (uapi.NFT_META_PRIORITY, "classid", 32, "host"),
    "mark": (uapi.NFT_META_MARK, "mark", 32, "host"),
    "iif": (uapi.NFT_META_IIF, "iface_index", 32, "host"),
    "oif": (uapi.NFT_META_OIF, "iface_index", 32, "host"),
    "iifname": (uapi.NFT_META_IIFNAME, "ifname", 128, "big"),
    "oifname": (uapi.NFT_META_OIFNAME, "ifname", 128, "big"),
    "iiftype": (uapi.NFT_META_IIFTYPE, "iface_type", 16, "host"),
    "oiftype": (uapi.NFT_META_OIFTYPE, "iface_type", 16, "host"),
    "skuid": (uapi.NFT_META_SKUID, "uid", 32, "host"),
    "skgid": (uapi.NFT_META_SKGID, "gid", 32, "host"),
    "nftrace": (uapi.NFT_META_NFTRACE, "integer", 1, "host"),
    "rtclassid": (uapi.NFT_META_RTCLASSID, "realm", 32, "host"),
    "secmark": (uapi.NFT_META_SECMARK, "integer", 32, "host"),
    "nfproto": (uapi.NFT_META_NFPROTO, "nf_proto", 8, "host"),
    "l4proto": (uapi.NFT_META_L4PROTO, "inet_proto", 8, "big"),
    "ibrname": (uapi.NFT_META_BRI_IIFNAME, "ifname", 128, "big"),
    "obrname": (uapi.NFT_META_BRI_OIFNAME, "ifname", 128, "big"),
    "pkttype": (uapi.NFT_META_PKTTYPE, "pkt_type", 8, "host"),
    "cpu": (uapi.NFT_META_CPU, "integer", 32, "host"),
    "iifgroup": (uapi.NFT_META_IIFGROUP, "devgroup", 32, "host"),
    "oifgroup": (uapi.NFT_META_OIFGROUP, "devgroup", 32, "host"),
    "cgroup": (uapi.NFT_META_CGROUP, "integer", 32, "host"),
    "random": (uapi.NFT_META_PRANDOM, "integer", 32, "big"),
    "ipsec": (uapi.NFT_META_SECPATH, "boolean", 1, "host"),
    "iifkind": (uapi.NFT_META_IIFKIND, "ifname", 128, "big"),
    "oifkind": (uapi.NFT_META_OIFKIND, "ifname", 128, "big"),
    "ibrpvid": (uapi.NFT_META_BRI_IIFPVID, "integer", 16, "host"),
    "ibrvproto": (uapi.NFT_META_BRI_IIFVPROTO, "ether_type", 16, "big"),
    "time": (uapi.NFT_META_TIME_NS, "time", 64, "host"),
    "day": (uapi.NFT_META_TIME_DAY, "day", 8, "host"),
    "hour": (uapi.NFT_META_TIME_HOUR, "hour", 32, "host"),
    "sdif": (uapi.NFT_META_SDIF, "iface_index", 32, "host"),
    "sdifname": (uapi.NFT_META_SDIFNAME, "ifname", 128, "big"),
    "broute": (uapi.NFT_META_BRI_BROUTE, "integer", 1, "host"),
    "ibrhwaddr": (uapi.NFT_META_BRI_IIFHWADDR, "ether_addr", 48, "big"),
}

#: names that mean the same key
ALIASES = {"ibriport": "ibrname", "obriport": "obrname", "secpath": "ipsec"}
_TYPES = {"time": "date"}

NAMES = {row[0]: key for key, row in KEYS.items()}


class Meta(Selector):
    """One meta key."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.number, datatype, self.bits, self.byteorder = KEYS[key]
        self.datatype = TYPES[_TYPES.get(key, datatype)]

    def load(self, program: Program, register: int) -> None:
        """``meta load``."""
        program.add(MetaExpression(key=self.number, dreg=wire_register(register)))

    def store(self, program: Program, register: int) -> None:
        """``meta set``."""
        program.add(MetaExpression(key=self.number, sreg=wire_register(register)))
