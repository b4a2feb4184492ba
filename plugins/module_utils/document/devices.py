# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network devices that a chain or a flowtable is bound to."""

from __future__ import annotations

from typing import Any

from ..errors import DocumentError, Problem
from .flat.interfaces import ALLOWED, name_of

DEVICES = 256
"""NFT_NETDEVICE_MAX of net/netfilter/nf_tables_api.c."""


def read_devices(devices: Any, what: str, place: str, problems: list[Problem]) -> tuple[str, ...]:
    """The names of a list; a lone name stands for a list of one."""
    listed = devices if isinstance(devices, list) else [devices]
    if not 0 < len(listed) <= DEVICES:
        problems.append(Problem("no devices", place, devices, "a list of 1 to %d names" % DEVICES))
        return ()
    for index, device in enumerate(listed):
        where = "%s[%d]" % (place, index) if isinstance(devices, list) else place
        try:
            if name_of(device).endswith("*"):
                raise DocumentError("a %s is bound to whole names" % what, found=device, allowed=ALLOWED)
        except DocumentError as error:
            problems.extend(error.at(where).problems)
            continue
        if device in listed[:index]:
            problems.append(Problem("the same device twice", where, device))
    return tuple(str(device) for device in listed)
