# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``icmp_type``, ``icmp_code``, ``icmpv6_type`` and ``icmpv6_code``."""

from __future__ import annotations

from .draft import Lifter, Selector, named

MATCHES: dict[Selector, Lifter] = {
    ("payload", "icmp", "type"): named("icmp_type", "ip"),
    ("payload", "icmp", "code"): named("icmp_code", "ip"),
    ("payload", "icmpv6", "type"): named("icmpv6_type", "ip6"),
    ("payload", "icmpv6", "code"): named("icmpv6_code", "ip6"),
}
