# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of the packet's connection: the ``ct`` keys."""

from __future__ import annotations

from .. import uapi
from ..datatypes import TYPES
from ..expressions.loads import Ct as CtExpression
from .base import Selector
from .program import Program, wire_register

#: key: (number, data type, bits, byte order), as in nft's ct keys
KEYS: dict[str, tuple[int, str, int, str]] = {
    "state": (uapi.NFT_CT_STATE, "ct_state", 32, "host"),
    "direction": (uapi.NFT_CT_DIRECTION, "ct_dir", 8, "host"),
    "status": (uapi.NFT_CT_STATUS, "ct_status", 32, "host"),
    "mark": (uapi.NFT_CT_MARK, "mark", 32, "host"),
    "secmark": (uapi.NFT_CT_SECMARK, "integer", 32, "host"),
    "expiration": (uapi.NFT_CT_EXPIRATION, "time", 32, "host"),
    "helper": (uapi.NFT_CT_HELPER, "string", 128, "big"),
    "l3proto": (uapi.NFT_CT_L3PROTOCOL, "nf_proto", 8, "big"),
    "ip saddr": (uapi.NFT_CT_SRC_IP, "ipv4_addr", 32, "big"),
    "ip daddr": (uapi.NFT_CT_DST_IP, "ipv4_addr", 32, "big"),
    "ip6 saddr": (uapi.NFT_CT_SRC_IP6, "ipv6_addr", 128, "big"),
    "ip6 daddr": (uapi.NFT_CT_DST_IP6, "ipv6_addr", 128, "big"),
    "protocol": (uapi.NFT_CT_PROTOCOL, "inet_proto", 8, "big"),
    "proto-src": (uapi.NFT_CT_PROTO_SRC, "inet_service", 16, "big"),
    "proto-dst": (uapi.NFT_CT_PROTO_DST, "inet_service", 16, "big"),
    "label": (uapi.NFT_CT_LABELS, "ct_label", 128, "host"),
    "bytes": (uapi.NFT_CT_BYTES, "integer", 64, "host"),
    "packets": (uapi.NFT_CT_PKTS, "integer", 64, "host"),
    "avgpkt": (uapi.NFT_CT_AVGPKT, "integer", 64, "host"),
    "zone": (uapi.NFT_CT_ZONE, "integer", 16, "host"),
    "event": (uapi.NFT_CT_EVENTMASK, "ct_event", 32, "host"),
    "id": (uapi.NFT_CT_ID, "integer", 32, "big"),
}

DIRECTIONS = {"original": 0, "reply": 1}  # enum ip_conntrack_dir
DIRECTION_NAMES = {number: name for name, number in DIRECTIONS.items()}

NAMES = {row[0]: key for key, row in KEYS.items()}


#: keys that nft takes with a direction, and the kernel without (nft_ct_get_dump() in nft_ct.c)
_OF_BOTH = ("l3proto", "protocol")


class Ct(Selector):
    """One ct key, of one direction where the key has directions."""

    def __init__(self, key: str, direction: int | None = None) -> None:
        self.key = key
        self.direction = None if key in _OF_BOTH else direction
        self.number, datatype, self.bits, self.byteorder = KEYS[key]
        self.datatype = TYPES[datatype]

    def load(self, program: Program, register: int) -> None:
        """``ct load``."""
        program.add(CtExpression(dreg=wire_register(register), key=self.number, direction=self.direction))

    def store(self, program: Program, register: int) -> None:
        """``ct set``."""
        program.add(CtExpression(sreg=wire_register(register), key=self.number, direction=self.direction))
