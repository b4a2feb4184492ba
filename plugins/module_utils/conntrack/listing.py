# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connections that a filter means, decoded; if asked for, with their counters zeroed as they are read."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from ..errors import KernelError
from ..netlink.socket import NetlinkSocket
from . import entries, requests, scan, table
from .filters import Filter


def listed(kernel: NetlinkSocket, filter: Filter, zero: bool = False) -> Iterator[dict[str, Any]]:
    """Each connection as of entries.py, as it is read; the whole is no picture of one instant.

    With ``zero`` the kernel sets the counters of these connections, and of no others, to nothing
    in the step that reads them: no packet is counted twice or missed. Raises KernelError,
    HostError without the privilege.
    """
    if not zero:
        return map(entries.decode, scan.matching(kernel, filter))
    if filter.empty:
        return map(entries.decode, table.read(kernel, zero=True))
    return _zeroed(kernel, filter)


def _zeroed(kernel: NetlinkSocket, filter: Filter) -> Iterator[dict[str, Any]]:
    """One by one: a dump that zeroes would zero what only this side can tell apart as well."""
    with kernel.another() as second:
        for body in scan.matching(kernel, filter):
            try:
                answers = second.request(requests.GET_AND_ZERO, body[0], table.found_by(body))
            except KernelError as error:
                if error.code == errno.ENOENT:
                    continue  # it has ended meanwhile
                raise
            yield from map(entries.decode, answers)
