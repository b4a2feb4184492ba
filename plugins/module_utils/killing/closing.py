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


Which = tuple[bytes, int]
"""An end of a connection: the id of its entry, and 0 for who began it or 1 for the other."""


class Closed:
    """``closed`` are the ends whose sockets were closed, ``left`` those whose sockets could not be.

    A socket is left where it may belong to another connection as well, or where this kernel cannot close any
    (CONFIG_INET_DIAG_DESTROY).
    """

    __slots__ = ("closed", "left")

    def __init__(self) -> None:
        self.closed: set[Which] = set()
        self.left: dict[End, Which] = {}


def close_sockets(kernel: NetlinkSocket, netns: str | None, targets: Sequence[Target]) -> Closed:
    """Close the sockets of this host that these connections end at. Raises HostError, KernelError."""
    owners: dict[End, list[tuple[Target, int]]] = {}
    for target in targets:
        if target.protonum in _PROTOCOLS:
            for way in _ENDS:
                owners.setdefault((target.protonum, target.ends(way)), []).append((target, way))
    result = Closed()
    if not owners:
        return result
    with SocketDiagnostics(netns) as diagnostics:
        found = _find(diagnostics, owners)
        result.left = {end: (owners[end][0][0].id, owners[end][0][1]) for end in found}
        # Several sockets of the same ends are bound to devices, several connections have zones.
        sole = {end: one[0] for end, one in found.items() if len(one) == 1 and len(owners[end]) == 1}
        shared = _shared(kernel, [owners[end][0][0] for end in sole], sole)
        for end, one in sole.items():
            if end in shared:
                continue
            try:
                # One that is gone already, reset by its peer that was closed before, no_longer() sees.
                if diagnostics.destroy(one):
                    result.closed.add(result.left.pop(end))
            except KernelError as error:
                if error.code != errno.EOPNOTSUPP:
                    raise
                break
    return result


def no_longer(netns: str | None, left: dict[End, Which]) -> list[Which]:
    """Of ends whose sockets were left, those that have none any more."""
    if not left:
        return []
    with SocketDiagnostics(netns) as diagnostics:
        found = _find(diagnostics, left)
    return [which for end, which in left.items() if end not in found]


def _find(diagnostics: SocketDiagnostics, ends: Collection[End]) -> dict[End, list[Found]]:
    found: dict[End, list[Found]] = {}
    for protocol in sorted({protocol for protocol, _ in ends}):
        for one in diagnostics.find(protocol, [pair for number, pair in ends if number == protocol]):
            found.setdefault((protocol, one.ends), []).append(one)
    return found


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
