# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``saddr`` and ``daddr``."""

from __future__ import annotations

from typing import Any

from .draft import Draft, Lifter, Selector, written


def _address(key: str, network: str) -> Lifter:
    def lift(draft: Draft, op: str, right: Any) -> None:
        value = written(op, right)
        draft.put(key, value)
        # a reference does not tell of which network its addresses are
        draft.about(network, not (isinstance(value, str) and value.lstrip("!").startswith("@")))

    return lift


MATCHES: dict[Selector, Lifter] = {
    ("payload", "ip", "saddr"): _address("saddr", "ip"),
    ("payload", "ip", "daddr"): _address("daddr", "ip"),
    ("payload", "ip6", "saddr"): _address("saddr", "ip6"),
    ("payload", "ip6", "daddr"): _address("daddr", "ip6"),
    ("payload", "arp", "saddr ip"): _address("saddr", "ip"),
    ("payload", "arp", "daddr ip"): _address("daddr", "ip"),
}
