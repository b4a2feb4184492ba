# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``fragment``: second and further fragments, or everything else.

IPv4 keeps the offset in its header (RFC 791). IPv6 has it in an extension
header that an unfragmented packet lacks (RFC 8200, section 4.5), and a match on
a header that is not there never holds: "not a further fragment" takes two rules.
"""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .key import ROUTED, Draft, Key
from .values import Statement, match

OFFSET_MASK = 0x1FFF
BEYOND_FIRST = ("sport", "dport", "icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code", "tcp_flags", "syn")


def _alternatives(value: Any, draft: Draft) -> list[list[Statement]]:
    if not isinstance(value, bool):
        raise DocumentError("neither true nor false", found=value, allowed="true or false")
    if value:
        for key in BEYOND_FIRST:
            if key in draft.rule:
                raise DocumentError(
                    "second and further fragments hold no transport header, so %s cannot match" % key,
                    found=value,
                    cure="leave out %s or fragment" % key,
                )
    if draft.network == "ip6":
        offset = {"exthdr": {"name": "frag", "field": "frag-off"}}
        if value:
            return [[match(offset, 0, True)]]
        return [[match({"exthdr": {"name": "frag"}}, False)], [match(offset, 0)]]
    left = {"&": [{"payload": {"protocol": "ip", "field": "frag-off"}}, OFFSET_MASK]}
    return [[match(left, 0, value)]]


MATCHES = {"fragment": Key(alternatives=_alternatives, split=True, implies=True, families=ROUTED)}
