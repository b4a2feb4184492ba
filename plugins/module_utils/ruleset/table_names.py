# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables as a person names them, looked up among those that the kernel holds."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import HostError, nearest
from ..netlink.socket import NetlinkSocket
from . import kernel as state
from .desired import FAMILIES, FAMILY_NAMES

Names = tuple[str, str]
"""A table's family, empty for any, and its name."""


def find(kernel: NetlinkSocket, wanted: Sequence[Names]) -> list[tuple[int, str]]:
    """The tables that these names mean (all, if there are none), in the kernel's order. Raises HostError."""
    existing = [(one.family, one.name) for one in state.tables(kernel) if one.family in FAMILY_NAMES]
    if not wanted:
        return existing
    found: list[tuple[int, str]] = []
    for family, name in wanted:
        matching = [one for one in existing if one[1] == name and FAMILIES.get(family, one[0]) == one[0]]
        if not matching:
            known = ["%s:%s" % (FAMILY_NAMES[number], one) for number, one in existing]
            asked = "%s:%s" % (family, name) if family else name
            close = nearest(asked, known if family else [one for _unused, one in existing])
            raise HostError("no such table", found=asked, allowed=", ".join(known), cure=close)
        found += [one for one in matching if one not in found]
    return found
