# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""libnftables-JSON statements to flat keys: the way back of ``flat``, in files of the same names."""

from __future__ import annotations

from .lift import lift

__all__ = ["lift"]
