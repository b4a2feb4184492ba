# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the connection table: what a filter means of it, or how many those are.

The table is read as the kernel sends it, piece by piece, so that a million connections take no
more memory than one. It changes meanwhile: what is read is no picture of one instant.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator

from ..errors import KernelError
from ..netlink.socket import NetlinkSocket
from . import kernel_filters, requests, table
from .filters import Filter
from .matching import Matcher


def matching(kernel: NetlinkSocket, filter: Filter) -> Iterator[bytes]:
    """The raw body of each connection of the kernel's table that a filter means.

    Ages count to the time of the call. A caller may stop early. Raises KernelError, ENOBUFS
    where a piece was lost; HostError without the privilege.
    """
    for data, places in pieces(kernel, filter):
        for start, stop in places:
            yield data[start:stop]


def pieces(kernel: NetlinkSocket, filter: Filter) -> Iterator[tuple[bytes, Iterator[tuple[int, int]]]]:
    """Likewise by received buffers: each with (start, stop) of the bodies wanted, found when asked for."""
    matcher = Matcher(filter, time.time_ns())
    part = kernel_filters.of_dump(filter)
    for data in _dump(kernel, part):
        if data is None:
            raise KernelError(
                "a piece of the connection table was lost on its way",
                errno.ENOBUFS,
                cure="try again; if it happens again, raise the sysctl net.core.rmem_max",
            )
        yield data, matcher.find(data)


def _dump(kernel: NetlinkSocket, part: kernel_filters.Part) -> Iterator[bytes | None]:
    """The table as the kernel narrows it; the whole where it was built without what it was asked for."""
    begun = False
    try:
        for data in kernel.pieces(requests.GET, part.family, part.attributes):
            begun = True
            yield data
    except KernelError as error:
        if begun or not part.values or error.code not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        yield from kernel.pieces(requests.GET, part.family)


def count(kernel: NetlinkSocket, filter: Filter | None = None) -> int:
    """How many connections a filter means; without one it is :func:`.table.count`."""
    if filter is None or filter.empty:
        return table.count(kernel)
    return sum(1 for _data, places in pieces(kernel, filter) for _place in places)
