# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions that load packet and connection properties into a register, or set them."""

from __future__ import annotations

from typing import Any

from ...netlink.attributes import BE32, U8
from .. import uapi
from .base import Attribute, Expression
from .codecs import ONE_EXPRESSION


class Payload(Expression):
    """Loads packet bytes (``dreg``), or writes them (``sreg``) and mends the checksum."""

    name = "payload"
    attributes = (
        Attribute("dreg", uapi.NFTA_PAYLOAD_DREG, BE32),
        Attribute("sreg", uapi.NFTA_PAYLOAD_SREG, BE32),
        Attribute("base", uapi.NFTA_PAYLOAD_BASE, BE32),
        Attribute("offset", uapi.NFTA_PAYLOAD_OFFSET, BE32),
        Attribute("len", uapi.NFTA_PAYLOAD_LEN, BE32),
        Attribute("csum_type", uapi.NFTA_PAYLOAD_CSUM_TYPE, BE32),
        Attribute("csum_offset", uapi.NFTA_PAYLOAD_CSUM_OFFSET, BE32),
        Attribute("csum_flags", uapi.NFTA_PAYLOAD_CSUM_FLAGS, BE32),
    )


class Inner(Expression):
    """Runs one payload or meta expression on the packet inside a tunnel (Linux 6.2)."""

    name = "inner"
    attributes = (
        Attribute("num", uapi.NFTA_INNER_NUM, BE32),
        Attribute("type", uapi.NFTA_INNER_TYPE, BE32),
        Attribute("flags", uapi.NFTA_INNER_FLAGS, BE32),
        Attribute("hdrsize", uapi.NFTA_INNER_HDRSIZE, BE32),
        Attribute("expr", uapi.NFTA_INNER_EXPR, ONE_EXPRESSION),
    )

    @property
    def dreg(self) -> Any:
        """The register that the inner expression loads."""
        return self.expr.__dict__.get("dreg") if self.expr is not None else None


class Exthdr(Expression):
    """Loads, writes or strips an IPv6 extension header, an option or a chunk."""

    name = "exthdr"
    attributes = (
        Attribute("dreg", uapi.NFTA_EXTHDR_DREG, BE32),
        Attribute("sreg", uapi.NFTA_EXTHDR_SREG, BE32),
        Attribute("type", uapi.NFTA_EXTHDR_TYPE, U8),
        Attribute("offset", uapi.NFTA_EXTHDR_OFFSET, BE32),
        Attribute("len", uapi.NFTA_EXTHDR_LEN, BE32),
        Attribute("flags", uapi.NFTA_EXTHDR_FLAGS, BE32),
        Attribute("op", uapi.NFTA_EXTHDR_OP, BE32),
    )


class Meta(Expression):
    """Loads or sets a property of the packet's passage (``key``: NFT_META_*)."""

    name = "meta"
    attributes = (
        Attribute("key", uapi.NFTA_META_KEY, BE32),
        Attribute("dreg", uapi.NFTA_META_DREG, BE32),
        Attribute("sreg", uapi.NFTA_META_SREG, BE32),
    )


class Ct(Expression):
    """Loads or sets a property of the packet's connection (``key``: NFT_CT_*)."""

    name = "ct"
    attributes = (
        Attribute("sreg", uapi.NFTA_CT_SREG, BE32),
        Attribute("dreg", uapi.NFTA_CT_DREG, BE32),
        Attribute("key", uapi.NFTA_CT_KEY, BE32),
        Attribute("direction", uapi.NFTA_CT_DIRECTION, U8),
    )


class Rt(Expression):
    """Loads a property of the packet's route."""

    name = "rt"
    attributes = (Attribute("key", uapi.NFTA_RT_KEY, BE32), Attribute("dreg", uapi.NFTA_RT_DREG, BE32))


class Socket(Expression):
    """Loads a property of the local socket that the packet belongs to."""

    name = "socket"
    attributes = (
        Attribute("key", uapi.NFTA_SOCKET_KEY, BE32),
        Attribute("dreg", uapi.NFTA_SOCKET_DREG, BE32),
        Attribute("level", uapi.NFTA_SOCKET_LEVEL, BE32),
    )


class Fib(Expression):
    """Asks the routing table about the packet's addresses."""

    name = "fib"
    attributes = (
        Attribute("dreg", uapi.NFTA_FIB_DREG, BE32),
        Attribute("result", uapi.NFTA_FIB_RESULT, BE32),
        Attribute("flags", uapi.NFTA_FIB_FLAGS, BE32),
    )


class Numgen(Expression):
    """Loads a counted-up or random number below ``modulus``, plus ``offset``."""

    name = "numgen"
    attributes = (
        Attribute("dreg", uapi.NFTA_NG_DREG, BE32),
        Attribute("modulus", uapi.NFTA_NG_MODULUS, BE32),
        Attribute("type", uapi.NFTA_NG_TYPE, BE32),
        Attribute("offset", uapi.NFTA_NG_OFFSET, BE32),
    )


class Hash(Expression):
    """Loads a hash of a register (jhash) or of the flow (symhash) below ``modulus``."""

    name = "hash"
    attributes = (
        Attribute("sreg", uapi.NFTA_HASH_SREG, BE32),
        Attribute("dreg", uapi.NFTA_HASH_DREG, BE32),
        Attribute("len", uapi.NFTA_HASH_LEN, BE32),
        Attribute("modulus", uapi.NFTA_HASH_MODULUS, BE32),
        Attribute("seed", uapi.NFTA_HASH_SEED, BE32),
        Attribute("offset", uapi.NFTA_HASH_OFFSET, BE32),
        Attribute("type", uapi.NFTA_HASH_TYPE, BE32),
    )


class Osf(Expression):
    """Loads the name of the operating system that a SYN packet looks like."""

    name = "osf"
    attributes = (
        Attribute("ttl", uapi.NFTA_OSF_TTL, U8),
        Attribute("flags", uapi.NFTA_OSF_FLAGS, BE32),
        Attribute("dreg", uapi.NFTA_OSF_DREG, BE32),
    )


class Xfrm(Expression):
    """Loads a property of the IPsec transformation of the packet."""

    name = "xfrm"
    attributes = (
        Attribute("dreg", uapi.NFTA_XFRM_DREG, BE32),
        Attribute("key", uapi.NFTA_XFRM_KEY, BE32),
        Attribute("dir", uapi.NFTA_XFRM_DIR, U8),
        Attribute("spnum", uapi.NFTA_XFRM_SPNUM, BE32),
    )


class Tunnel(Expression):
    """Loads a property of the tunnel that the packet came through."""

    name = "tunnel"
    attributes = (
        Attribute("key", uapi.NFTA_TUNNEL_KEY, BE32),
        Attribute("dreg", uapi.NFTA_TUNNEL_DREG, BE32),
        Attribute("mode", uapi.NFTA_TUNNEL_MODE, BE32),
    )


EXPRESSIONS = (Payload, Inner, Exthdr, Meta, Ct, Rt, Socket, Fib, Numgen, Hash, Osf, Xfrm, Tunnel)
