# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many connections there are of each kind: by protocol, by state, translated, without an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from . import names, uapi
from .columns import Columns

_PATHS = (
    (uapi.CTA_TUPLE_ORIG, uapi.CTA_TUPLE_PROTO, uapi.CTA_PROTO_NUM),
    (uapi.CTA_PROTOINFO, uapi.CTA_PROTOINFO_TCP, uapi.CTA_PROTOINFO_TCP_STATE),
    (uapi.CTA_PROTOINFO, uapi.CTA_PROTOINFO_SCTP, uapi.CTA_PROTOINFO_SCTP_STATE),
    (uapi.CTA_PROTOINFO, uapi.CTA_PROTOINFO_DCCP, uapi.CTA_PROTOINFO_DCCP_STATE),
    (uapi.CTA_STATUS,),
    (),
)
_STATES = (names.STATES[6], names.STATES[132], names.STATES[33])
_NAMES = {number: name for name, number in names.PROTOCOLS.items()}
_FAMILIES = {2: "ip", 10: "ip6"}  # AF_INET, AF_INET6

STATUS = {
    "assured": uapi.IPS_ASSURED,
    "expected": uapi.IPS_EXPECTED,
    "snat": uapi.IPS_SRC_NAT,
    "dnat": uapi.IPS_DST_NAT,
    "translated": uapi.IPS_SRC_NAT | uapi.IPS_DST_NAT,
}
"""The bits of a connection's status that are counted, beside ``unreplied``."""


class Census:
    """``families``, ``protocols``, ``states`` (by protocol and state) and ``status``, each with how many."""

    __slots__ = ("families", "protocols", "states", "status")

    def __init__(self, bodies: Iterable[bytes]) -> None:
        self.families: Counter[str] = Counter(dict.fromkeys(_FAMILIES.values(), 0))
        self.protocols: Counter[str] = Counter()
        self.states: Counter[tuple[str, str]] = Counter()
        self.status: Counter[str] = Counter(dict.fromkeys((*STATUS, "unreplied"), 0))
        kinds: Counter[tuple[int | None, ...]] = Counter(map(Columns(_PATHS).read, bodies))
        for (number, tcp, sctp, dccp, status, family), count in kinds.items():
            protocol = _NAMES.get(number or 0, "unknown")
            self.protocols[protocol] += count
            self.families[_FAMILIES.get(family or 0, "unknown")] += count
            for words, state in zip(_STATES, (tcp, sctp, dccp)):
                if state is not None:
                    word = words[state] if state < len(words) else str(state)
                    self.states[protocol, word] += count
            for word, bit in STATUS.items():
                if (status or 0) & bit:
                    self.status[word] += count
            if not (status or 0) & uapi.IPS_SEEN_REPLY:
                self.status["unreplied"] += count
