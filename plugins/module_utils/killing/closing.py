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
_MOST_ADDRESSES = 64  # of a filter that asks for each; for more the whole table is looked through

End = tuple[int, Ends]
"""The protocol's number, and both addresses and ports as one end sees them."""

Which = tuple[bytes, int]
"""An end of a connection: the id of its entry, and 0 for who began it or 1 for the other."""


class LocalEnds:
    """The ends of connections that are sockets of this host, as they were when this was made.

    They are closed by :meth:`close`, but for those that may belong to another connection as well. Raises
    HostError, KernelError.
    """

    __slots__ = ("_netns", "_open", "_sole")

    def __init__(self, kernel: NetlinkSocket, netns: str | None, targets: Sequence[Target]) -> None:
        self._netns = netns
        self._open: dict[End, list[Which]] = {}
        self._sole: dict[End, Found] = {}
        protocols = {target.protonum for target in targets}.intersection(_PROTOCOLS)
        if not protocols:
            return
        with SocketDiagnostics(netns) as diagnostics:
            found = _all(diagnostics, protocols)
        if not found:
            return
        owners: dict[End, list[Target]] = {}
        for target in targets:
            if target.protonum not in protocols:
                continue
            for way, ends in enumerate(target.ends()):
                end = target.protonum, ends
                if end in found:
                    self._open.setdefault(end, []).append((target.id, way))
                    owners.setdefault(end, []).append(target)
        # Several sockets of the same ends are bound to devices, several connections have zones.
        sole = {
            end: found[end][0] for end, those in owners.items() if len(found[end]) == 1 and len(those) == 1
        }
        shared = _shared(kernel, [owners[end][0] for end in sole], sole)
        self._sole = {end: one for end, one in sole.items() if end not in shared}

    def close(self) -> list[Which]:
        """Close them; the ends whose sockets this has closed.

        None where the kernel cannot (CONFIG_INET_DIAG_DESTROY).
        """
        closed: list[Which] = []
        if not self._sole:
            return closed
        with SocketDiagnostics(self._netns) as diagnostics:
            for end, one in self._sole.items():
                try:
                    if diagnostics.destroy(one):
                        closed += self._open.pop(end)
                except KernelError as error:
                    if error.code != errno.EOPNOTSUPP:
                        raise
                    break
        return closed

    def gone(self) -> list[Which]:
        """Ends that this has not closed and that have no socket any more."""
        if not self._open:
            return []
        with SocketDiagnostics(self._netns) as diagnostics:
            found = _all(diagnostics, {protocol for protocol, _unused in self._open})
        return [one for end, which in self._open.items() if end not in found for one in which]


def _all(diagnostics: SocketDiagnostics, protocols: Collection[int]) -> dict[End, list[Found]]:
    """The connected sockets of these protocols, by their ends: as a rule far fewer than connections."""
    found: dict[End, list[Found]] = {}
    for protocol in sorted(protocols):
        for one in diagnostics.all(protocol):
            found.setdefault((protocol, one.ends), []).append(one)
    return found


def _shared(kernel: NetlinkSocket, owners: Sequence[Target], ends: Collection[End]) -> set[End]:
    """Which of these ends belong to more than one connection of the table, in different zones."""
    if not owners:
        return set()
    asked: dict[str, Any] = {"protocol": sorted({one.protonum for one in owners})}
    addresses = {end[0] for one in owners for end in one.ends()}
    if len(addresses) <= _MOST_ADDRESSES:
        asked["address"] = sorted(addresses)
    counts = dict.fromkeys(ends, 0)
    for body in scan.matching(kernel, Filter(asked)):
        other = Target(body)
        for pair in other.ends():
            end = other.protonum, pair
            if end in counts:
                counts[end] += 1
    return {end for end, count in counts.items() if count > 1}
