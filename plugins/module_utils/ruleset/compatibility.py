# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the extensions of iptables need beside a rule's expressions: the protocol that the rule is about.

Many extensions check that their rule is about one protocol. iptables-nft says which in
NFTA_RULE_COMPAT; the kernel takes that when a rule is made (nft_parse_compat() of
net/netfilter/nft_compat.c) and never gives it back, so it is read off the rule's matches.
"""

from __future__ import annotations

import sys

from ..netlink.attributes import BE32, attribute, nested
from ..nftables import uapi
from ..nftables.expressions import Expression, decode_list

_EXTENSIONS = (b"\x0a\x00\x01\x00match\0", b"\x0b\x00\x01\x00target\0")  # NFTA_EXPR_NAME and its header

# where a protocol stands in a header: (NFT_PAYLOAD_*, offset, bytes)
_IPV4_PROTOCOL = (uapi.NFT_PAYLOAD_NETWORK_HEADER, 9, 1)
_IPV6_NEXT_HEADER = (uapi.NFT_PAYLOAD_NETWORK_HEADER, 6, 1)
_ETHER_TYPE = (uapi.NFT_PAYLOAD_LL_HEADER, 12, 2)
_FIELDS = {
    uapi.NFPROTO_IPV4: _IPV4_PROTOCOL,
    uapi.NFPROTO_IPV6: _IPV6_NEXT_HEADER,
    uapi.NFPROTO_BRIDGE: _ETHER_TYPE,
}


def has_extensions(expressions: bytes) -> bool:
    """Whether any of a rule's expressions may be an extension of iptables."""
    return any(name in expressions for name in _EXTENSIONS)


def compatibility(family: int, expressions: bytes) -> bytes:
    """NFTA_RULE_COMPAT for a rule of these expressions; nothing for one without extensions."""
    if not has_extensions(expressions):
        return b""
    register = None
    for one in decode_list(expressions):
        if _loads_protocol(one, family):
            register = one.dreg
        elif one.name == "cmp" and register is not None and one.sreg == register:
            if one.op in (uapi.NFT_CMP_EQ, uapi.NFT_CMP_NEQ):
                # an Ethernet type stays in network order, as struct ebt_entry has it
                return _compat(int.from_bytes(one.data, sys.byteorder), one.op == uapi.NFT_CMP_NEQ)
        elif one.__dict__.get("dreg") == register:
            register = None
    return b""


def _loads_protocol(one: Expression, family: int) -> bool:
    if one.name == "meta":
        wanted = uapi.NFT_META_PROTOCOL if family == uapi.NFPROTO_BRIDGE else uapi.NFT_META_L4PROTO
        return bool(one.__dict__.get("key") == wanted and one.dreg is not None)
    if one.name == "payload":
        return one.__dict__.get("dreg") is not None and (one.base, one.offset, one.len) == _FIELDS.get(family)
    return False


def _compat(protocol: int, inverted: bool) -> bytes:
    flags = uapi.NFT_RULE_COMPAT_F_INV if inverted else 0
    return nested(
        uapi.NFTA_RULE_COMPAT,
        attribute(uapi.NFTA_RULE_COMPAT_PROTO, BE32.pack(protocol)),
        attribute(uapi.NFTA_RULE_COMPAT_FLAGS, BE32.pack(flags)),
    )
