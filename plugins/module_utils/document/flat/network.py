# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``nfproto``, ``ttl``, ``hoplimit`` and ``length``: the network header apart from its addresses."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .key import NETWORKS, ROUTED, Draft, Key
from .values import Scalar, Statement, integer, match, match_values, spanning

NFPROTO = {"ipv4": "ip", "ipv6": "ip6"}


def bind(network: str, family: str) -> list[Statement]:
    """The match that binds a rule to a network in a table of that family; none where the table does.

    meta nfproto knows the packet only in inet tables; bridge and netdev see the Ethernet type.
    """
    if len(NETWORKS[family]) == 1:
        return []
    if family == "inet":
        return [match({"meta": {"key": "nfproto"}}, "ipv4" if network == "ip" else "ipv6")]
    return [match({"meta": {"key": "protocol"}}, network)]


def _nfproto(value: Any, draft: Draft) -> tuple[str, ...]:
    network = NFPROTO.get(value) if isinstance(value, str) else None
    if network is None:
        raise DocumentError("no network protocol", found=value, allowed="ipv4 or ipv6")
    if network not in NETWORKS[draft.family]:
        raise DocumentError("no %s packet meets a table of family %s" % (value, draft.family), found=value)
    return (network,)


def _field(protocol: str, field: str) -> Key:
    left = {"payload": {"protocol": protocol, "field": field}}

    def number(item: Scalar) -> int:
        return integer(item, 0, 255, "number of hops")

    convert = spanning(number, 0, 255)

    def lower(value: Any, draft: Draft) -> list[Statement]:
        return [match_values(left, value, convert)]

    def networks(value: Any, draft: Draft) -> tuple[str, ...]:
        return (protocol,)

    return Key(lower, networks=networks, implies=True, families=ROUTED)


def _octets(item: Scalar) -> int:
    return integer(item, 0, 0xFFFFFFFF, "length in bytes")


_length = spanning(_octets, 0, 0xFFFFFFFF)


def _lower_length(value: Any, draft: Draft) -> list[Statement]:
    return [match_values({"meta": {"key": "length"}}, value, _length)]


MATCHES = {
    "nfproto": Key(networks=_nfproto, families=ROUTED),
    "length": Key(_lower_length),
    "ttl": _field("ip", "ttl"),
    "hoplimit": _field("ip6", "hoplimit"),
}
