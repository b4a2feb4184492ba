# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sockets of this host are ends of connections that are killed; these are closed."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Sequence
from typing import Any

from ..conntrack import scan
from ..conntrack.filters import Filter
from ..errors import KernelError
from ..netlink.socket import NetlinkSocket
from .sockets import Ends, Found, SocketDiagnostics
from .targets import Target

_PROTOCOLS = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)  # those whose sockets can be listed and closed
_ENDS = (0, 1)
_MOST_ADDRESSES = 64  # of a filter that asks for each; for more the whole table is looked through

End = tuple[int, Ends]
"""The protocol's number, and both addresses and ports as one end sees them."""


def close_sockets(
    kernel: NetlinkSocket, netns: str | None, targets: Sequence[Target]
) -> set[tuple[bytes, int]]:
    """Close the sockets of this host that these connections end at.

    Returns the (id, direction) of those that were closed: direction 0 for the end that began the connection.
    What cannot be told to belong to one connection alone stays open. Raises HostError, KernelError.
    """
    owners: dict[End, list[tuple[Target, int]]] = {}
    for target in targets:
        if target.protonum in _PROTOCOLS:
            for way in _ENDS:
                owners.setdefault((target.protonum, target.ends(way)), []).append((target, way))
    closed: set[tuple[bytes, int]] = set()
    if not owners:
        return closed
    with SocketDiagnostics(netns) as diagnostics:
        found: dict[End, list[Found]] = {}
        for protocol in {protocol for protocol, _ in owners}:
            wanted = [ends for number, ends in owners if number == protocol]
            for one in diagnostics.find(protocol, wanted):
                found.setdefault((protocol, one.ends), []).append(one)
        # Several sockets of the same ends are bound to devices, several connections have zones.
        sole = {end: one[0] for end, one in found.items() if len(one) == 1 and len(owners[end]) == 1}
        shared = _shared(kernel, [owners[end][0][0] for end in sole], sole)
        for end, one in sole.items():
            if end in shared:
                continue
            try:
                if not diagnostics.destroy(one):
                    continue
            except KernelError as error:
                if error.code != errno.EOPNOTSUPP:
                    raise
                break  # this kernel cannot: they are reset as all other ends are
            target, way = owners[end][0]
            closed.add((target.id, way))
    return closed


def _shared(kernel: NetlinkSocket, owners: Sequence[Target], ends: Collection[End]) -> set[End]:
    """Which of these ends belong to more than one connection of the table, in different zones."""
    if not owners:
        return set()
    asked: dict[str, Any] = {"protocol": sorted({one.protonum for one in owners})}
    addresses = {one.ends(way)[0] for one in owners for way in _ENDS}
    if len(addresses) <= _MOST_ADDRESSES:
        asked["address"] = sorted(addresses)
    counts = dict.fromkeys(ends, 0)
    for body in scan.matching(kernel, Filter(asked)):
        other = Target(body)
        for way in _ENDS:
            end = other.protonum, other.ends(way)
            if end in counts:
                counts[end] += 1
    return {end for end, count in counts.items() if count > 1}
