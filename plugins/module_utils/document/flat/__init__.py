# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flat keys to libnftables-JSON statements, one file for each family of keys."""

from __future__ import annotations

from .lowering import COMMENT_LENGTH, KEYS, MATCHES, STATEMENTS, lower

__all__ = ["COMMENT_LENGTH", "KEYS", "MATCHES", "STATEMENTS", "lower"]
