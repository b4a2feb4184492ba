# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets and maps: anonymous ones of rules and declared ones of tables, in one form.

``content`` is what a set is, ``elements`` how its elements are written, ``declared``
how a table's set is made from libnftables JSON.
"""

from __future__ import annotations

from .content import VERDICT_TYPE, SetContent
from .elements import Clash, check_rest, fill, number_of_elements

__all__ = ["VERDICT_TYPE", "Clash", "SetContent", "check_rest", "fill", "number_of_elements"]
