# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packets built byte by byte, with right checksums, and what is read from received ones.

``saddr`` and ``daddr`` say whether a packet is IPv4 or IPv6. ``header`` stands for
the keywords of :func:`ip`: ``ttl``, ``tos``, ``identification``.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

ICMP = socket.IPPROTO_ICMP
ICMPV6 = socket.IPPROTO_ICMPV6
TCP = socket.IPPROTO_TCP
UDP = socket.IPPROTO_UDP
FRAGMENT = socket.IPPROTO_FRAGMENT

# RFC 9293 section 3.1
TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}


def checksum(data: bytes) -> int:
    """The ones' complement of the ones' complement sum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def ip(
    saddr: str,
    daddr: str,
    protocol: int,
    payload: bytes,
    ttl: int = 64,
    tos: int = 0,
    identification: int = 1,
    fragment: int = 0,
) -> bytes:
    """An IP packet; ``ttl`` and ``tos`` are hop limit and traffic class in IPv6.

    ``fragment`` is the 16-bit word of flags and offset; IPv4 only.
    """
    if ":" in saddr:
        head = struct.pack("!IHBB", 6 << 28 | tos << 20, len(payload), protocol, ttl)
        return head + _packed(saddr) + _packed(daddr) + payload
    words = (0x45, tos, 20 + len(payload), identification, fragment, ttl, protocol)
    addresses = _packed(saddr) + _packed(daddr)
    total = checksum(struct.pack("!BBHHHBBH", *words, 0) + addresses)
    return struct.pack("!BBHHHBBH", *words, total) + addresses + payload


def _segment(saddr: str, daddr: str, protocol: int, segment: bytes, at: int, **header: Any) -> bytes:
    """The packet around a segment whose checksum, with the pseudo header, belongs at ``at``."""
    if ":" in saddr:
        pseudo = struct.pack("!II", len(segment), protocol)
    else:
        pseudo = struct.pack("!HH", protocol, len(segment))
    total = checksum(_packed(saddr) + _packed(daddr) + pseudo + segment)
    if protocol == UDP:
        total = total or 0xFFFF  # RFC 768: 0 would mean no checksum
    segment = segment[:at] + struct.pack("!H", total) + segment[at + 2 :]
    return ip(saddr, daddr, protocol, segment, **header)


def udp(
    saddr: str, daddr: str, sport: int = 4000, dport: int = 9, data: bytes = b"rempart", **header: Any
) -> bytes:
    """A UDP datagram."""
    segment = struct.pack("!4H", sport, dport, 8 + len(data), 0) + data
    return _segment(saddr, daddr, UDP, segment, 6, **header)


def tcp(
    saddr: str,
    daddr: str,
    sport: int = 4000,
    dport: int = 9,
    flags: str = "syn",
    seq: int = 1,
    ack: int = 0,
    data: bytes = b"",
    **header: Any,
) -> bytes:
    """A TCP segment without options; ``flags`` such as ``syn,ack``, empty for none."""
    bits = sum(TCP_FLAGS[name] for name in flags.split(",") if name)
    segment = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, bits, 8192, 0, 0) + data
    return _segment(saddr, daddr, TCP, segment, 16, **header)


def icmp(saddr: str, daddr: str, kind: int, code: int = 0, data: bytes = b"\0\1\0\1", **header: Any) -> bytes:
    """An ICMP or ICMPv6 message; ``data`` follows the checksum."""
    if ":" in saddr:
        return _segment(saddr, daddr, ICMPV6, struct.pack("!BBH", kind, code, 0) + data, 2, **header)
    message = struct.pack("!BBH", kind, code, 0) + data
    message = message[:2] + struct.pack("!H", checksum(message)) + data
    return ip(saddr, daddr, ICMP, message, **header)


def fragments(packet: bytes, size: int) -> list[bytes]:
    """The packet in pieces of ``size`` bytes (a multiple of 8), the last one shorter."""
    six = packet[0] >> 4 == 6
    head, payload = (packet[:40], packet[40:]) if six else (packet[:20], packet[20:])
    pieces = []
    for start in range(0, len(payload), size):
        piece = payload[start : start + size]
        more = start + size < len(payload)
        if six:
            # RFC 8200 section 4.5: next header, reserved, offset and M flag, identification
            piece = struct.pack("!BBHI", head[6], 0, start | more, 1) + piece
            pieces.append(head[:4] + struct.pack("!HB", len(piece), FRAGMENT) + head[7:] + piece)
        else:
            source, target = socket.inet_ntoa(head[12:16]), socket.inet_ntoa(head[16:20])
            word = more << 13 | start >> 3
            identification = struct.unpack_from("!H", head, 4)[0]
            pieces.append(ip(source, target, head[9], piece, head[8], head[1], identification, fragment=word))
    return pieces


class Seen:
    """What a received packet says; ``code`` is (type, code) of ICMP, ``inner`` the packet an error quotes."""

    __slots__ = ("code", "daddr", "dport", "flags", "inner", "payload", "protocol", "saddr", "sport", "tos")

    def __init__(self, packet: bytes) -> None:
        if packet[0] >> 4 == 6:
            start, self.protocol = 40, packet[6]
            self.saddr = socket.inet_ntop(socket.AF_INET6, packet[8:24])
            self.daddr = socket.inet_ntop(socket.AF_INET6, packet[24:40])
            self.tos = (packet[0] & 0x0F) << 4 | packet[1] >> 4
        else:
            start, self.protocol = (packet[0] & 0x0F) * 4, packet[9]
            self.saddr, self.daddr = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
            self.tos = packet[1]
        body = packet[start:]
        self.sport = self.dport = 0
        self.code: tuple[int, int] | None = None
        self.flags: set[str] = set()
        self.payload = self.inner = b""
        if self.protocol in (ICMP, ICMPV6):
            self.code = (body[0], body[1])
            self.inner = body[8:]
        elif self.protocol in (TCP, UDP):
            self.sport, self.dport = struct.unpack_from("!HH", body)
            if self.protocol == TCP:
                self.flags = {name for name, bit in TCP_FLAGS.items() if body[13] & bit}
            else:
                self.payload = body[8:]
