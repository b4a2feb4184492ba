# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``iifname`` and ``oifname``."""

from __future__ import annotations

from .draft import Lifter, Selector, under

MATCHES: dict[Selector, Lifter] = {
    ("meta", "iifname"): under("iifname"),
    ("meta", "oifname"): under("oifname"),
}
