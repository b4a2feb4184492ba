# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``protocol``, ``ip_protocol``, ``ip6_nexthdr``, ``sport`` and ``dport``."""

from __future__ import annotations

from typing import Any

from ..flat.key import PORT_PROTOCOLS
from .draft import Draft, Lifter, NotFlat, Selector, named, under, written


def _port(header: str, key: str) -> Lifter:
    def lift(draft: Draft, op: str, right: Any) -> None:
        if header != "th" and draft.rule.setdefault("protocol", header) != header:
            raise NotFlat("protocol")
        draft.put(key, written(op, right))

    return lift


MATCHES: dict[Selector, Lifter] = {
    ("meta", "l4proto"): under("protocol"),
    ("payload", "ip", "protocol"): named("ip_protocol", "ip"),
    ("payload", "ip6", "nexthdr"): named("ip6_nexthdr", "ip6"),
    **{
        ("payload", header, key): _port(header, key)
        for header in (*PORT_PROTOCOLS, "th")
        for key in ("sport", "dport")
    },
}
