# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``iif``, ``iifname``, ``oif`` and ``oifname``."""

from __future__ import annotations

from .draft import Lifter, Selector, under

MATCHES: dict[Selector, Lifter] = {("meta", key): under(key) for key in ("iif", "iifname", "oif", "oifname")}
