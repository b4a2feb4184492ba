# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tunnels that the kernel looks into: what their packets begin with, and how it is told of them."""

from __future__ import annotations

from .. import uapi

_WHOLE = uapi.NFT_INNER_LL | uapi.NFT_INNER_NH | uapi.NFT_INNER_TH


class Tunnel:
    """One kind of tunnel.

    ``number`` is NFTA_INNER_TYPE, ``header_size`` the bytes before the packet inside, ``flags``
    NFT_INNER_*: what stands there. ``carrier`` is the header around it, ``own`` whether the
    tunnel's header has fields of its own, behind the carrier's.
    """

    __slots__ = ("carrier", "flags", "header_size", "name", "number", "own")

    def __init__(self, name: str, number: int, header_size: int, flags: int, carrier: str, own: bool) -> None:
        self.name = name
        self.number = number
        self.header_size = header_size
        self.flags = flags
        self.carrier = carrier
        self.own = own

    @property
    def link(self) -> bool:
        """Whether a link header stands inside."""
        return bool(self.flags & uapi.NFT_INNER_LL)


TUNNELS: dict[str, Tunnel] = {
    one.name: one
    for one in (
        # RFC 7348, 8926: eight bytes, for Geneve and its options the kernel reads how many
        Tunnel("vxlan", uapi.NFT_INNER_VXLAN, 8, uapi.NFT_INNER_HDRSIZE | _WHOLE, "udp", True),
        Tunnel("geneve", uapi.NFT_INNER_GENEVE, 8, uapi.NFT_INNER_HDRSIZE | _WHOLE, "udp", True),
        # RFC 2784: four bytes. The kernel gives these no numbers; they are the ones that nft takes
        Tunnel("gre", 3, 4, uapi.NFT_INNER_NH | uapi.NFT_INNER_TH, "gre", False),
        Tunnel("gretap", 4, 4, _WHOLE, "gre", False),
    )
}
"""By libnftables-json(5)'s name."""

BY_NUMBER = {one.number: one for one in TUNNELS.values()}
