# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nft text from libnftables JSON: statements, rules, chains and whole tables.

The text is what ``nft list ruleset`` of nft 1.0.6 prints, and what ``nft -f``
takes; where that version has no syntax for a thing, a newer nft's is used.
Everything here is pure: JSON in, text out. Rendering never raises: what it does
not know is shown as JSON.

``values``       one scalar after its data type; quoting, durations, units
``expressions``  what is matched or set, and the values beside it
``stateful``     counters, limits, quotas: as statements, in elements, as objects
``translation``  where a packet is sent instead: NAT, tproxy, dup, fwd, queue
``statements``   all statements by their JSON name
``containers``   tables, chains, sets, maps, objects
"""

from __future__ import annotations

from .containers import (
    render_chain,
    render_elements,
    render_object,
    render_priority,
    render_set,
    render_table,
)
from .statements import render_rule, render_statement

__all__ = [
    "render_chain",
    "render_elements",
    "render_object",
    "render_priority",
    "render_rule",
    "render_set",
    "render_statement",
    "render_table",
]
