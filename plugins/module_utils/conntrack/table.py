# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of connections, read piece by piece.

What a read promises: every connection that is there from its beginning to its end is in it, of
IPv4 and IPv6 alike. It is never one picture of one instant: the kernel walks a hash table that
packets go on changing and marks no dump as interrupted (NLM_F_DUMP_INTR says nothing here). One
that comes or goes meanwhile may be in it or not. Where the entry that a piece ended at has gone
before the next piece, or the kernel changes the size of its hash table, a connection may come
twice, or be missed. Whom that matters to knows twice by ``id`` (with its tuples), and missed by
reading again.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from ..errors import KernelError
from ..netlink import messages
from ..netlink.attributes import NESTED, attribute, walk
from ..netlink.socket import NetlinkSocket
from . import uapi
from .requests import GET, GET_AND_ZERO, GET_STATS


def read(kernel: NetlinkSocket, zero: bool = False, attributes: bytes = b"") -> Iterator[bytes]:
    """The body of every connection, in no order, for :func:`entries.decode`.

    With ``zero`` the kernel sets each one's counters to nothing as it reads them, in one step: no
    packet is counted twice or missed. What is read is then for the caller alone: a caller that
    stops early has zeroed more than it has seen. ``attributes`` filter in the kernel. Only one
    piece of the table (32 KiB) is held at a time. Raises KernelError ENOBUFS where a piece was lost.
    """
    return bodies(kernel, GET_AND_ZERO if zero else GET, "connections", attributes)


def bodies(kernel: NetlinkSocket, kind: int, what: str, attributes: bytes = b"") -> Iterator[bytes]:
    """The body of every message that answers such a request, one piece in memory at a time.

    ``what`` is what they are of, in words. Raises KernelError ENOBUFS where a piece was lost.
    """
    for data in kernel.pieces(kind, socket.AF_UNSPEC, attributes):
        if data is None:
            raise KernelError(
                "a part of the %s was lost on its way" % what, errno.ENOBUFS, cure="read them again"
            )
        for message, _flags, _sequence, start, stop in messages.split(data):
            if message >= 0x10:  # NLMSG_MIN_TYPE: not the NLMSG_DONE at the end
                yield data[start:stop]


def found_by(body: bytes) -> bytes:
    """The attributes of a listed connection by which the kernel finds it: its tuple, and its zone if any."""
    return b"".join(
        attribute(kind | (NESTED if kind == uapi.CTA_TUPLE_ORIG else 0), payload)
        for kind, payload in walk(body, messages.ATTRIBUTES)
        if kind in (uapi.CTA_TUPLE_ORIG, uapi.CTA_ZONE)
    )


def count(kernel: NetlinkSocket) -> int:
    """How many connections the kernel keeps, by its own count, which takes no reading of them.

    That includes connections that have run out and are not yet cleared away. Raises KernelError,
    HostError without the privilege.
    """
    (body,) = kernel.request(GET_STATS, socket.AF_UNSPEC)
    found = dict(walk(body, messages.ATTRIBUTES))
    return int.from_bytes(found[uapi.CTA_STATS_GLOBAL_ENTRIES], "big")
