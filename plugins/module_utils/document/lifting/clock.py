# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``time``, ``day`` and ``hour``."""

from __future__ import annotations

from .draft import Lifter, Selector, under

MATCHES: dict[Selector, Lifter] = {("meta", key): under(key) for key in ("time", "day", "hour")}
