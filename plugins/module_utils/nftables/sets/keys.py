# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an element's key stands in its payload, and the marks that tell what kind of point it is."""

from __future__ import annotations

import sys

from ...netlink.attributes import attribute
from .. import uapi
from ..expressions.codecs import DATA

KEY_HEAD = 8
"""Bytes before the key's value: the headers of NFTA_SET_ELEM_KEY and of NFTA_DATA_VALUE in it."""

END = attribute(uapi.NFTA_SET_ELEM_FLAGS, uapi.NFT_SET_ELEM_INTERVAL_END.to_bytes(4, "big"))
"""Marks the first key behind an interval."""

CATCHALL = attribute(uapi.NFTA_SET_ELEM_FLAGS, uapi.NFT_SET_ELEM_CATCHALL.to_bytes(4, "big"))
"""Marks what stands for all keys that are not in the set; it has no key."""

# NFTNL_UDATA_SET_ELEM_FLAGS, NFTNL_SET_ELEM_F_INTERVAL_OPEN (libnftnl/udata.h, udata.c)
OPEN = bytes((1, 4)) + (1).to_bytes(4, sys.byteorder)
"""User data by which nft marks an interval up to the last key, which has no end."""

OPENED = attribute(uapi.NFTA_SET_ELEM_USERDATA, OPEN)
"""The same as an attribute."""


def key_attribute(data: bytes, kind: int = uapi.NFTA_SET_ELEM_KEY) -> bytes:
    """A key, or with NFTA_SET_ELEM_KEY_END the last one of a range of concatenations."""
    return attribute(kind, DATA.pack(data))
