# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``icmp_type``, ``icmp_code``, ``icmpv6_type`` and ``icmpv6_code``."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from ...nftables.datatypes import TYPES, resolve_abbreviation
from .key import NETWORKS, ROUTED, Draft, Key
from .values import Scalar, Statement, match_values

_OTHER = {"icmp": "icmpv6", "icmpv6": "icmp"}


def _key(protocol: str, field: str) -> Key:
    """``protocol`` "icmp" or "icmpv6", ``field`` "type" or "code"."""
    data_type = TYPES["%s_%s" % (protocol, field)]
    network = "ip" if protocol == "icmp" else "ip6"
    name = "icmp" if protocol == "icmp" else "ipv6-icmp"
    left = {"payload": {"protocol": protocol, "field": field}}

    def convert(item: Scalar) -> Any:
        if isinstance(item, str) and item[:1].isalpha():
            item = resolve_abbreviation(data_type, item)
        return data_type.json_of(data_type.number_of(item))

    def lower(value: Any, draft: Draft) -> list[Statement]:
        if draft.protocol is not None and draft.protocols() != [name]:
            raise DocumentError(
                "an %s %s does not go with this protocol" % (protocol, field),
                found={draft.protocol_key: draft.rule[draft.protocol_key]},
                allowed="protocol %s, or none" % protocol,
            )
        for key in (
            "sport",
            "dport",
            "tcp_flags",
            "syn",
            "%s_type" % _OTHER[protocol],
            "%s_code" % _OTHER[protocol],
        ):
            if key in draft.rule:
                raise DocumentError(
                    "no packet has both an %s %s and %s" % (protocol, field, key), found=value
                )
        return [match_values(left, value, convert, draft.refer(data_type.name))]

    def networks(value: Any, draft: Draft) -> tuple[str, ...]:
        if network not in NETWORKS[draft.family]:
            raise DocumentError(
                "%s in a table of family %s" % ("ICMP" if network == "ip" else "ICMPv6", draft.family),
                found=value,
                cure="use %s_%s" % (_OTHER[protocol], field),
            )
        return (network,)

    return Key(lower, networks=networks, implies=True, families=ROUTED)


MATCHES = {
    "icmp_type": _key("icmp", "type"),
    "icmp_code": _key("icmp", "code"),
    "icmpv6_type": _key("icmpv6", "type"),
    "icmpv6_code": _key("icmpv6", "code"),
}
