# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The types without a protocol: integer, bitmask, string, verdict."""

from __future__ import annotations

from .base import DataType, Text

INVALID = DataType("invalid", 0, 0)

# linux/netfilter.h (NF_*) and linux/netfilter/nf_tables.h (enum nft_verdicts)
VERDICT = DataType(
    "verdict",
    1,
    0,
    {
        "accept": 1,
        "drop": 0,
        "stolen": 2,
        "queue": 3,
        "continue": -1,
        "break": -2,
        "jump": -3,
        "goto": -4,
        "return": -5,
    },
    "host",
)
BITMASK = DataType("bitmask", 3, 0, form="0x%x")
INTEGER = DataType("integer", 4, 0)
STRING = Text("string", 5, 0)

TYPES = (INVALID, VERDICT, BITMASK, INTEGER, STRING)
