# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``skuid`` and ``skgid``."""

from __future__ import annotations

from .draft import Lifter, Selector, under

MATCHES: dict[Selector, Lifter] = {("meta", "skuid"): under("skuid"), ("meta", "skgid"): under("skgid")}
