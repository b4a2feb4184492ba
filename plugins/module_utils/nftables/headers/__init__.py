# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Protocol headers as nft names them: payload headers, extension headers, options and chunks."""

from __future__ import annotations

from . import extensions, link, network, transport
from .base import Field, Header
from .extensions import dccp_option, tcp_option
from .link import BY_ETHER_TYPE
from .network import BY_PROTOCOL

__all__ = [
    "BY_ETHER_TYPE",
    "BY_PROTOCOL",
    "EXTHDRS",
    "HEADERS",
    "IP_OPTIONS",
    "NEXT_BY_META",
    "SCTP_CHUNKS",
    "TCP_OPTIONS",
    "Field",
    "Header",
    "dccp_option",
    "tcp_option",
]

HEADERS: dict[str, Header] = {
    one.name: one for family in (link, network, transport) for one in family.HEADERS
}
"""Payload headers by name."""

EXTHDRS: dict[str, Header] = {one.name: one for one in extensions.EXTHDRS}
"""IPv6 extension headers by name; ``number`` is the IPv6 next header."""

TCP_OPTIONS: dict[str, Header] = {one.name: one for one in extensions.TCP_OPTIONS}
"""TCP options by name; ``number`` is the kind."""

IP_OPTIONS: dict[str, Header] = {one.name: one for one in extensions.IP_OPTIONS}
"""IPv4 options by name; ``number`` is the type."""

SCTP_CHUNKS: dict[str, Header] = {one.name: one for one in extensions.SCTP_CHUNKS}
"""SCTP chunks by name; ``number`` is the type."""

# NFPROTO_* of linux/netfilter.h for nfproto
NEXT_BY_META: dict[str, dict[int, str]] = {
    "nfproto": {2: "ip", 10: "ip6"},
    "protocol": BY_ETHER_TYPE,
    "l4proto": BY_PROTOCOL,
    "iiftype": {1: "ether"},
}
"""What a match on metadata says about the packet: meta key, its value, the header that is there."""
