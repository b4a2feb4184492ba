# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a table declares beside its chains: sets, maps, objects, from libnftables JSON."""

from __future__ import annotations

from .objects import ObjectContent, compile_object
from .sets import compile_set

__all__ = ["ObjectContent", "compile_object", "compile_set"]
