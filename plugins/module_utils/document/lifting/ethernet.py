# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``ether_saddr``, ``ether_daddr`` and ``ether_type``."""

from __future__ import annotations

from .draft import Lifter, Selector, under

MATCHES: dict[Selector, Lifter] = {
    ("meta", "pkttype"): under("pkttype"),
    ("payload", "ether", "saddr"): under("ether_saddr"),
    ("payload", "ether", "daddr"): under("ether_daddr"),
    ("payload", "arp", "saddr ether"): under("ether_saddr"),
    ("payload", "arp", "daddr ether"): under("ether_daddr"),
    ("payload", "ether", "type"): under("ether_type"),
}
