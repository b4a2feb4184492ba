# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Forged handshake packets, by which an idle end of a TCP connection is made to speak.

An end that has a connection answers a packet with SYN, whatever its numbers, with a challenge ACK (RFC 5961
section 4, RFC 9293 section 3.10.7.4), which carries its true sequence numbers. Who has none answers with a
reset, or as a listener with SYN and ACK: by that it is known to have none.

To the end that was connected to goes what the other end once sent, a SYN; to the end that began it, a
SYN and ACK. So connection tracking knows both for repetitions of the handshake: it passes them on as
part of the connection and changes nothing (TCP_CONNTRACK_IGNORE in nf_conntrack_proto_tcp.c). They carry
the addresses that their sender would write, and are translated as its packets are. A ruleset that accepts
established connections accepts them.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Mapping
from typing import Any

from ..errors import HostError
from ..netlink import namespace
from .cut_table import OWN

SYN, RST, ACK = 0x02, 0x04, 0x10  # RFC 9293 section 3.1

ORIGINAL, REPLY = 0, 1
"""The directions of a connection's packets, as enum ip_conntrack_dir has them."""

_HOP_LIMIT = 255  # what a receiver accepts that wants packets of its neighbours only (RFC 5082)
_WINDOW = 65535
_IP_PKTINFO, _IPV6_PKTINFO, _IPV6_FREEBIND = 8, 50, 78  # linux/in.h, linux/in6.h
_SO_MARK = 36  # asm-generic/socket.h
_SO_PRIORITY = 12

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_TCP = struct.Struct("!HHIIBBHHH")
_PSEUDO4 = struct.Struct("!4s4sxBH")
_PSEUDO6 = struct.Struct("!16s16sI3xB")

# The packet's own: no way there, or a rule of the output hook that drops it.
_UNSENT = (
    errno.EPERM,
    errno.EACCES,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EINVAL,
    errno.ENOBUFS,
    errno.EADDRNOTAVAIL,
    errno.ENODEV,
)


def packet(source: str, sport: int, target: str, dport: int, flags: int, seq: int, ack: int = 0) -> bytes:
    """A TCP packet without data, its IP header before it. Addresses in text, both of one version."""
    header = _TCP.pack(sport, dport, seq, ack, 5 << 4, flags, _WINDOW, 0, 0)
    if ":" in source:
        ends = [socket.inet_pton(socket.AF_INET6, one) for one in (source, target)]
        pseudo = _PSEUDO6.pack(*ends, len(header), socket.IPPROTO_TCP)
        outer = _IPV6.pack(6 << 28, len(header), socket.IPPROTO_TCP, _HOP_LIMIT, *ends)
    else:
        ends = [socket.inet_aton(one) for one in (source, target)]
        pseudo = _PSEUDO4.pack(*ends, socket.IPPROTO_TCP, len(header))
        length = _IPV4.size + len(header)
        # The kernel fills in the identification and the checksum (raw(7)).
        outer = _IPV4.pack(0x45, 0, length, 0, 0, _HOP_LIMIT, socket.IPPROTO_TCP, 0, *ends)
    checksum = _checksum(pseudo + header)
    return outer + header[:16] + checksum.to_bytes(2, "big") + header[18:]


def _checksum(data: bytes) -> int:
    """RFC 1071, of an even number of bytes."""
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - int(total)


def mark_of(entry: Mapping[str, Any]) -> int:
    """The mark to route a forged packet by: the connection's, if it has a zone, else none.

    With zones an address alone may mean several hosts; rulesets that have such tell them apart by the
    connection's mark. Without zones a mark need not say the same for both directions.
    """
    zoned = zone_of(entry, ORIGINAL) or zone_of(entry, REPLY)
    return int(entry.get("mark", 0)) if zoned else 0


def zone_of(entry: Mapping[str, Any], direction: int) -> int:
    """The zone that a connection's packets of this direction are in."""
    return int(entry.get("zone") or entry["reply" if direction else "original"].get("zone", 0))


class Prober:
    """Raw sockets that forged packets are sent by, in a namespace. ``with Prober(netns) as prober:``

    Raises HostError without the privilege (CAP_NET_RAW, and CAP_NET_ADMIN for the priority).
    """

    __slots__ = ("_set", "_sockets")

    def __init__(self, netns: str | None = None) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._set: dict[int, tuple[int, int]] = {}
        try:
            with namespace.Entered(netns):
                for family in (socket.AF_INET, socket.AF_INET6):
                    try:
                        made = socket.socket(
                            family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW
                        )
                    except OSError as error:
                        if error.errno != errno.EAFNOSUPPORT:  # a kernel without IPv6 has no such connections
                            raise
                        continue
                    self._sockets[family] = made
            if socket.AF_INET6 in self._sockets:
                # Since Linux 4.15: the packet's source, by which it may be routed, is no address of ours.
                self._sockets[socket.AF_INET6].setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        except OSError as error:
            self.close()
            raise HostError(
                "cannot open a raw socket: %s" % error.strerror,
                cure="run as root, or with the capabilities CAP_NET_ADMIN and CAP_NET_RAW",
            ) from error

    def __enter__(self) -> Prober:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets."""
        for one in self._sockets.values():
            one.close()

    def probe(self, entry: Mapping[str, Any], direction: int) -> bool:
        """Send what a packet of this direction would be; its receiver answers. False where it cannot go."""
        one = entry["reply" if direction == REPLY else "original"]
        # Numbers that no connection has but by chance: what is out of its window is answered all the same.
        seq, ack = struct.unpack("=II", os.urandom(8))
        flags = SYN | ACK if direction == REPLY else SYN
        data = packet(
            one["saddr"],
            one["sport"],
            one["daddr"],
            one["dport"],
            flags,
            seq,
            ack if flags & ACK else 0,
        )
        return self._send(data, one["saddr"], one["daddr"], zone_of(entry, direction), mark_of(entry))

    def _send(self, data: bytes, source: str, target: str, zone: int, mark: int) -> bool:
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        by = self._sockets.get(family)
        if by is None:
            return False
        if family == socket.AF_INET:
            level, kind = socket.IPPROTO_IP, _IP_PKTINFO
            information = struct.pack("=i4s4x", 0, socket.inet_aton(source))
        else:
            level, kind = socket.IPPROTO_IPV6, _IPV6_PKTINFO
            information = struct.pack("=16si", socket.inet_pton(family, source), 0)
        try:
            if self._set.get(family) != (zone, mark):
                by.setsockopt(socket.SOL_SOCKET, _SO_PRIORITY, OWN | zone)
                by.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)
                self._set[family] = (zone, mark)
            by.sendmsg([data], [(level, kind, information)], 0, (target, 0))
        except OSError as error:
            if error.errno in _UNSENT:
                return False
            raise HostError("cannot send a packet: %s" % error.strerror, found=target) from error
        return True
