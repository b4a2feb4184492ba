# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nft's data types: the value a person writes, its integer, and how nft prints it.

Names and numbers are nft's (``nft describe``, nft(8) "data types"); files are by family.
"""

from __future__ import annotations

from . import address, basic, conntrack, inet, meta
from .address import address_family, mask_to_prefix
from .base import DataType, DatatypeError, Flags
from .inet import resolve_abbreviation
from .meta import NEVER, interface_prefix, interface_wildcard, milliseconds_of

__all__ = [
    "BY_NUMBER",
    "FIELD_TYPES",
    "NEVER",
    "TYPES",
    "DataType",
    "DatatypeError",
    "Flags",
    "address_family",
    "interface_prefix",
    "interface_wildcard",
    "mask_to_prefix",
    "milliseconds_of",
    "resolve_abbreviation",
]

BY_NUMBER: dict[int, DataType] = {
    one.number: one for family in (basic, address, inet, meta, conntrack) for one in family.TYPES
}
"""By the id that a set's NFTA_SET_KEY_TYPE carries."""

TYPES: dict[str, DataType] = {one.name: one for one in BY_NUMBER.values()}
"""By name."""

FIELD_TYPES: dict[str, DataType] = {
    **TYPES,
    **{one.name: one for one in (basic.MPTCP_SUBTYPE, address.OPTION_ADDR)},
}
"""By name, with those that no set can be declared of: they are one field's."""
