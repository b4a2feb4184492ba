# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network devices that a chain or a flowtable is bound to."""

from __future__ import annotations

from typing import Any

from ..errors import DocumentError, Problem
from .flat.interfaces import ALLOWED, name_of

DEVICES = 256
"""NFT_NETDEVICE_MAX of net/netfilter/nf_tables_api.c."""


def read_devices(devices: Any, place: str, problems: list[Problem]) -> tuple[str, ...]:
    """The names and prefixes of a list, ``ppp+`` as ``ppp*``; a lone name stands for a list of one."""
    listed = devices if isinstance(devices, list) else [devices]
    if not 0 < len(listed) <= DEVICES:
        problems.append(Problem("no devices", place, devices, "a list of 1 to %d names" % DEVICES))
        return ()
    names: list[str] = []
    for index, device in enumerate(listed):
        where = "%s[%d]" % (place, index) if isinstance(devices, list) else place
        try:
            if device in ("*", "+"):
                raise DocumentError("every device", found=device, allowed=ALLOWED, cure="name the devices")
            name = name_of(device)
        except DocumentError as error:
            problems.extend(error.at(where).problems)
            continue
        if name in names:
            problems.append(Problem("the same device twice", where, device))
        names.append(name)
    return tuple(names)


def is_prefix(device: str) -> bool:
    """Whether it stands for every device whose name begins so; ``\\*`` is a star in a name."""
    return device.endswith(("*", "+")) and not device.endswith("\\*")
