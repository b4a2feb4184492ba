# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of connection tracking: ``ct_*`` (``ct_mark`` is with the other mark) and ``notrack``."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from ...nftables.datatypes import TYPES
from .addresses import KIND, literal
from .key import NETWORKS, PORT_PROTOCOLS, TRACKED, Draft, Key
from .ports import bind_protocol, port_of
from .values import (
    Scalar,
    Statement,
    at,
    integer,
    mapping,
    match,
    match_values,
    right_of,
    size_of,
    spanning,
    switched_on,
    symbolic,
    values_of,
)

TUPLE_KEYS = ("saddr", "daddr", "protocol", "sport", "dport")


def _flags(key: str, type_name: str) -> Key:
    data_type = TYPES[type_name]
    left = {"ct": {"key": key}}

    def lower(value: Any, draft: Draft) -> list[Statement]:
        values = values_of(value)
        number = 0
        for place, item in values.items:
            number |= at(place, data_type.number_of, item)
        if not number:
            raise DocumentError("no flag to look for", found=value, allowed=data_type.allowed())
        op = "!" if values.negated else "in"
        return [{"match": {"op": op, "left": left, "right": data_type.json_of(number)}}]

    return Key(lower, families=TRACKED)


def _lower_direction(value: Any, draft: Draft) -> list[Statement]:
    if value not in ("original", "reply"):
        raise DocumentError("no direction", found=value, allowed="original or reply")
    return [match({"ct": {"key": "direction"}}, value)]


def _zone_number(item: Scalar) -> int:
    return integer(item, 0, 0xFFFF, "conntrack zone")


_zone = spanning(_zone_number, 0, 0xFFFF)


def _lower_zone(value: Any, draft: Draft) -> list[Statement]:
    return [match_values({"ct": {"key": "zone"}}, value, _zone)]


def _helper_name(item: Scalar) -> str:
    if not isinstance(item, str) or size_of(item) > 15 or not item.isprintable():
        raise DocumentError(
            "no name of a helper", found=item, allowed="a name such as ftp, of at most 15 bytes"
        )
    return item


def _lower_helper(value: Any, draft: Draft) -> list[Statement]:
    return [match_values({"ct": {"key": "helper"}}, value, _helper_name)]


def _tuple(direction: str) -> Key:
    """The connection's addresses, protocol and ports as the packets of one direction carry them."""

    def lower(value: Any, draft: Draft) -> list[Statement]:
        mapping(value, TUPLE_KEYS)
        statements = []
        for field in ("saddr", "daddr"):
            if field in value:
                values, networks = _addresses(value, field)
                network = draft.network or NETWORKS[draft.family][0]
                left = {"ct": {"key": "%s %s" % (network, field), "dir": direction}}
                statements.append(match(left, right_of(networks[network]), values.negated))
        statements += _protocol(value, draft)
        for field, key in (("sport", "proto-src"), ("dport", "proto-dst")):
            if field in value:
                left = {"ct": {"key": key, "dir": direction}}
                try:
                    statements.append(match_values(left, value[field], port_of))
                except DocumentError as error:
                    raise error.at(field) from None
        return statements

    def networks(value: Any, draft: Draft) -> tuple[str, ...] | None:
        mapping(value, TUPLE_KEYS)
        possible = NETWORKS[draft.family]
        for field in ("saddr", "daddr"):
            if field in value:
                found = _addresses(value, field)[1]
                possible = tuple(network for network in possible if network in found)
                if not possible:
                    wanted = " or ".join(KIND[network] for network in NETWORKS[draft.family])
                    raise DocumentError("no address that this rule can meet", field, value[field], wanted)
        return possible

    def names_addresses(value: Any, draft: Draft) -> bool:
        return isinstance(value, dict) and ("saddr" in value or "daddr" in value)

    return Key(lower, networks=networks, split=names_addresses, families=TRACKED)


def _addresses(value: dict[str, Any], field: str) -> tuple[Any, dict[str, list[Any]]]:
    try:
        values = values_of(value[field])
        networks: dict[str, list[Any]] = {}
        for place, item in values.items:
            network, form = at(place, literal, item)
            networks.setdefault(network, []).append(form)
        if values.negated and len(networks) > 1:
            raise DocumentError("a negated list mixes IPv4 and IPv6", found=value[field])
    except DocumentError as error:
        raise error.at(field) from None
    return values, networks


_protocol_name = symbolic("inet_proto")


def _protocol(value: dict[str, Any], draft: Draft) -> list[Statement]:
    """The match on the protocol. With ports it is the packet's own, which gives nft the ports' meaning."""
    with_ports = "sport" in value or "dport" in value
    if "protocol" not in value:
        if with_ports:
            draft.needs_protocol("a port", PORT_PROTOCOLS)
        return []
    try:
        values = values_of(value["protocol"])
        names = [at(place, _protocol_name, item) for place, item in values.items]
        if not with_ports:
            return [match({"ct": {"key": "protocol"}}, right_of(names), values.negated)]
        if values.negated or not set(names).issubset(PORT_PROTOCOLS):
            raise DocumentError(
                "a port does not go with this protocol",
                found=value["protocol"],
                allowed=", ".join(PORT_PROTOCOLS),
            )
    except DocumentError as error:
        raise error.at("protocol") from None
    if draft.protocols() == names:
        return []
    return [bind_protocol(names)]


MATCHES = {
    "ct_state": _flags("state", "ct_state"),
    "ct_status": _flags("status", "ct_status"),
    "ct_direction": Key(_lower_direction, families=TRACKED),
    "ct_zone": Key(_lower_zone, families=TRACKED),
    "ct_helper": Key(_lower_helper, families=TRACKED),
    "ct_original": _tuple("original"),
    "ct_reply": _tuple("reply"),
}


def _lower_notrack(value: Any, draft: Draft) -> list[Statement]:
    return [{"notrack": None}] if switched_on(value) else []


STATEMENTS = {"notrack": Key(_lower_notrack, families=TRACKED)}
