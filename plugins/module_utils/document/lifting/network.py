# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``nfproto``, ``ttl``, ``hoplimit`` and ``length``."""

from __future__ import annotations

from typing import Any

from .draft import Draft, Lifter, NotFlat, Selector, named, under

NFPROTO = {"ip": "ipv4", "ip6": "ipv6"}
_NETWORKS = {name: network for network, name in NFPROTO.items()}


def _nfproto(draft: Draft, op: str, right: Any) -> None:
    network = right if draft.family in ("bridge", "netdev") else _NETWORKS.get(str(right))
    if op != "==" or network not in NFPROTO:
        raise NotFlat("nfproto")
    draft.put("nfproto", NFPROTO[network])
    draft.about(network, True)


def _by_ether_type(draft: Draft, op: str, right: Any) -> None:
    if draft.family not in ("bridge", "netdev"):
        raise NotFlat("protocol")
    _nfproto(draft, op, right)


MATCHES: dict[Selector, Lifter] = {
    ("meta", "nfproto"): _nfproto,
    ("meta", "protocol"): _by_ether_type,
    ("meta", "length"): under("length"),
    ("payload", "ip", "ttl"): named("ttl", "ip"),
    ("payload", "ip6", "hoplimit"): named("hoplimit", "ip6"),
}
