# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transport protocol and its ports: ``protocol``, ``sport`` and ``dport``.

``protocol`` is what the kernel found behind all headers. ``ip_protocol`` and ``ip6_nexthdr`` are
the bytes of the network header: behind the latter there may be an extension header first.
"""

from __future__ import annotations

from typing import Any

from .key import PORT_PROTOCOLS, ROUTED, Draft, Key
from .values import Statement, match, match_values, numeric, right_of, spanning, symbolic

_port = spanning(numeric("inet_service"), 0, 65535)


def port_of(item: Any) -> Any:
    """The statement form of a port, a service name or a range. Raises DatatypeError, DocumentError."""
    return _port(item)


def bind_protocol(names: list[str | int], negated: bool = False) -> Statement:
    """The match on the transport protocol by itself."""
    return match({"meta": {"key": "l4proto"}}, right_of(list(names)), negated)


def _lower_protocol(value: Any, draft: Draft) -> list[Statement]:
    values = draft.protocol
    if values is None:
        return []
    implied = draft.payload_protocol()
    if implied is not None and not values.negated and draft.protocols() == [implied]:
        return []
    return [bind_protocol([item for _unused, item in values.items], values.negated)]


def _ports(field: str) -> Key:
    def lower(value: Any, draft: Draft) -> list[Statement]:
        draft.needs_protocol("a port", PORT_PROTOCOLS)
        bound = draft.protocols()
        header = bound[0] if len(bound) == 1 else "th"
        return [
            match_values(
                {"payload": {"protocol": header, "field": field}}, value, _port, draft.refer("inet_service")
            )
        ]

    return Key(lower, families=ROUTED)


_protocol_name = symbolic("inet_proto")


def _header_field(network: str, field: str) -> Key:
    left = {"payload": {"protocol": network, "field": field}}

    def lower(value: Any, draft: Draft) -> list[Statement]:
        return [match_values(left, value, _protocol_name)]

    def networks(value: Any, draft: Draft) -> tuple[str, ...]:
        return (network,)

    return Key(lower, networks=networks, implies=True, families=ROUTED)


MATCHES = {
    "ip_protocol": _header_field("ip", "protocol"),
    "ip6_nexthdr": _header_field("ip6", "nexthdr"),
    "protocol": Key(_lower_protocol, families=ROUTED),
    "sport": _ports("sport"),
    "dport": _ports("dport"),
}
