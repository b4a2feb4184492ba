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


class Read(DataType):
    """Numbers with names that are read and never written, since earlier versions of nft know none of them."""

    __slots__ = ()

    def name_of(self, number: int) -> str | None:
        """None: the number is written."""
        return None


# RFC 8684, as nft has it since 1.1.2: integers, for no set can be declared of the type
MPTCP_SUBTYPE = Read(
    "mptcp_subtype",
    INTEGER.number,
    0,
    {
        "mp-capable": 0,
        "mp-join": 1,
        "dss": 2,
        "add-addr": 3,
        "remove-addr": 4,
        "mp-prio": 5,
        "mp-fail": 6,
        "mp-fastclose": 7,
        "mp-tcprst": 8,
    },
)

TYPES = (INVALID, VERDICT, BITMASK, INTEGER, STRING)
