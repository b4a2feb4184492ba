# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: kernel expressions and set elements to libnftables JSON.

``decode_rule`` and ``decode_elements`` are the ways in. A rule is walked once, with
registers that hold what was loaded and computed (nodes); a comparison, lookup or
action turns what it uses into JSON (naming, constants), by what the matches so far
say about the packet (protocols).
"""

from __future__ import annotations

from .rule import decode_rule
from .sets import SetView, decode_elements

__all__ = ["SetView", "decode_elements", "decode_rule"]
