# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``ether_saddr``, ``ether_daddr`` and ``ether_type``: the Ethernet header.

In a table of family arp the addresses are those the ARP message speaks of.
"""

from __future__ import annotations

from typing import Any

from .key import ROUTED, Draft, Key
from .values import Statement, match_values, symbolic


def _address(field: str) -> Key:
    convert = symbolic("ether_addr")

    def lower(value: Any, draft: Draft) -> list[Statement]:
        payload = (
            {"protocol": "arp", "field": field + " ether"}
            if draft.family == "arp"
            else {"protocol": "ether", "field": field}
        )
        return [match_values({"payload": payload}, value, convert, draft.refer("ether_addr"))]

    return Key(lower)


_type = symbolic("ether_type")


def _lower_type(value: Any, draft: Draft) -> list[Statement]:
    return [match_values({"payload": {"protocol": "ether", "field": "type"}}, value, _type)]


_packet_type = symbolic("pkt_type")


def _lower_packet_type(value: Any, draft: Draft) -> list[Statement]:
    return [match_values({"meta": {"key": "pkttype"}}, value, _packet_type)]


MATCHES = {
    "pkttype": Key(_lower_packet_type),
    "ether_saddr": _address("saddr"),
    "ether_daddr": _address("daddr"),
    "ether_type": Key(_lower_type, families=ROUTED),
}
