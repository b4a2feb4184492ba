# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connection tables made up for tests: entries as Python values, and their way into the kernel.

Nothing here shares code with what is tested except the numbers of the kernel's headers and
the packing of attributes.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from rempart.conntrack import uapi
from rempart.netlink import messages
from rempart.netlink.attributes import attribute, nested
from rempart.netlink.socket import NetlinkSocket

from tests.support.batches import send

TCP, UDP, ICMP, ICMPV6, GRE, SCTP = 6, 17, 1, 58, 47, 132
WITH_PORTS = (TCP, UDP, 33, GRE, SCTP, 136)
NEW = uapi.NFNL_SUBSYS_CTNETLINK << 8 | uapi.IPCTNL_MSG_CT_NEW


@dataclass(frozen=True)
class Side:
    """One direction's tuple. ``sport`` and ``dport`` of ICMP are its id, and type * 256 + code."""

    saddr: str
    daddr: str
    sport: int = 0
    dport: int = 0
    zone: int | None = None


@dataclass(frozen=True)
class Entry:
    """A connection by its values; None is an attribute that a message of it lacks."""

    original: Side
    reply: Side
    protocol: int = TCP
    status: int | None = uapi.IPS_CONFIRMED | uapi.IPS_SEEN_REPLY | uapi.IPS_ASSURED
    timeout: int | None = 1000
    mark: int | None = 0
    zone: int | None = None
    state: int | None = None
    id: int | None = None
    helper: str | None = None
    secctx: str | None = None
    labels: int | None = None
    counters: tuple[int, int, int, int] | None = None  # packets and bytes, original then reply
    start: int | None = None  # nanoseconds since 1970
    use: int | None = None
    master: Side | None = None
    nat_src: str | None = None  # for the kernel, which sets the translation up from it
    nat_dst: str | None = None

    @property
    def family(self) -> int:
        """The nfgenmsg family: AF_INET or AF_INET6."""
        return family_of(self.original.saddr)

    def body(self) -> bytes:
        """nfgenmsg and attributes, in the order in which the kernel dumps them."""
        parts = [
            tuple_attribute(uapi.CTA_TUPLE_ORIG, self.original, self.protocol),
            tuple_attribute(uapi.CTA_TUPLE_REPLY, self.reply, self.protocol),
        ]
        if self.zone is not None:
            parts.append(attribute(uapi.CTA_ZONE, struct.pack(">H", self.zone)))
        for kind, number in ((uapi.CTA_STATUS, self.status), (uapi.CTA_MARK, self.mark)):
            if number is not None:
                parts.append(attribute(kind, struct.pack(">I", number)))
        if self.secctx is not None:
            name = attribute(uapi.CTA_SECCTX_NAME, self.secctx.encode() + b"\0")
            parts.append(nested(uapi.CTA_SECCTX, name))
        for kind, number in ((uapi.CTA_ID, self.id), (uapi.CTA_USE, self.use)):
            if number is not None:
                parts.append(attribute(kind, struct.pack(">I", number)))
        if self.master is not None:
            parts.append(tuple_attribute(uapi.CTA_TUPLE_MASTER, self.master, self.protocol))
        if self.timeout is not None:
            parts.append(attribute(uapi.CTA_TIMEOUT, struct.pack(">I", self.timeout)))
        if self.state is not None:
            parts.append(protoinfo(self.protocol, self.state))
        if self.counters is not None:
            for kind, pair in (
                (uapi.CTA_COUNTERS_ORIG, self.counters[:2]),
                (uapi.CTA_COUNTERS_REPLY, self.counters[2:]),
            ):
                parts.append(
                    nested(
                        kind,
                        attribute(uapi.CTA_COUNTERS_PACKETS, struct.pack(">Q", pair[0])),
                        attribute(uapi.CTA_COUNTERS_BYTES, struct.pack(">Q", pair[1])),
                    )
                )
        if self.start is not None:
            start = attribute(uapi.CTA_TIMESTAMP_START, struct.pack(">Q", self.start))
            parts.append(nested(uapi.CTA_TIMESTAMP, start))
        if self.helper is not None:
            name = attribute(uapi.CTA_HELP_NAME, self.helper.encode() + b"\0")
            parts.append(nested(uapi.CTA_HELP, name))
        if self.labels is not None:
            parts.append(attribute(uapi.CTA_LABELS, self.labels.to_bytes(16, "little")))
        for kind, address in ((uapi.CTA_NAT_SRC, self.nat_src), (uapi.CTA_NAT_DST, self.nat_dst)):
            if address is not None:
                v4 = family_of(address) == socket.AF_INET
                low = uapi.CTA_NAT_V4_MINIP if v4 else uapi.CTA_NAT_V6_MINIP
                high = uapi.CTA_NAT_V4_MAXIP if v4 else uapi.CTA_NAT_V6_MAXIP
                parts.append(nested(kind, attribute(low, packed(address)), attribute(high, packed(address))))
        return bytes((self.family, 0, 0, 0)) + b"".join(parts)

    def message(self, sequence: int = 0, flags: int = messages.NLM_F_MULTI) -> bytes:
        """A whole netlink message of the entry."""
        body = self.body()
        return struct.pack("=IHHII", 16 + len(body), NEW, flags, sequence, 0) + body


def family_of(address: str) -> int:
    """AF_INET or AF_INET6."""
    return int(socket.AF_INET6 if ":" in address else socket.AF_INET)


def packed(address: str) -> bytes:
    """An address as 4 or 16 bytes."""
    return socket.inet_pton(family_of(address), address)


def tuple_attribute(kind: int, side: Side, protocol: int) -> bytes:
    """One direction, as the kernel dumps it."""
    v4 = family_of(side.saddr) == socket.AF_INET
    source = uapi.CTA_IP_V4_SRC if v4 else uapi.CTA_IP_V6_SRC
    target = uapi.CTA_IP_V4_DST if v4 else uapi.CTA_IP_V6_DST
    proto = [attribute(uapi.CTA_PROTO_NUM, bytes((protocol,)))]
    if protocol in WITH_PORTS:
        proto.append(attribute(uapi.CTA_PROTO_SRC_PORT, struct.pack(">H", side.sport)))
        proto.append(attribute(uapi.CTA_PROTO_DST_PORT, struct.pack(">H", side.dport)))
    elif protocol in (ICMP, ICMPV6):
        first = uapi.CTA_PROTO_ICMP_ID if protocol == ICMP else uapi.CTA_PROTO_ICMPV6_ID
        proto.append(attribute(first, struct.pack(">H", side.sport)))
        proto.append(attribute(first + 1, bytes((side.dport >> 8,))))
        proto.append(attribute(first + 2, bytes((side.dport & 255,))))
    parts = [
        nested(
            uapi.CTA_TUPLE_IP, attribute(source, packed(side.saddr)), attribute(target, packed(side.daddr))
        ),
        nested(uapi.CTA_TUPLE_PROTO, *proto),
    ]
    if side.zone is not None:
        parts.append(attribute(uapi.CTA_TUPLE_ZONE, struct.pack(">H", side.zone)))
    return nested(kind, *parts)


def protoinfo(protocol: int, state: int) -> bytes:
    """The state of a TCP, DCCP or SCTP connection."""
    inner, number = {
        TCP: (uapi.CTA_PROTOINFO_TCP, uapi.CTA_PROTOINFO_TCP_STATE),
        33: (uapi.CTA_PROTOINFO_DCCP, uapi.CTA_PROTOINFO_DCCP_STATE),
        SCTP: (uapi.CTA_PROTOINFO_SCTP, uapi.CTA_PROTOINFO_SCTP_STATE),
    }[protocol]
    parts = [attribute(number, bytes((state,)))]
    if protocol == SCTP:
        for kind in (uapi.CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, uapi.CTA_PROTOINFO_SCTP_VTAG_REPLY):
            parts.append(attribute(kind, struct.pack(">I", 7)))
    return nested(uapi.CTA_PROTOINFO, nested(inner, *parts))


def connection(
    saddr: str, daddr: str, sport: int = 0, dport: int = 0, protocol: int = TCP, **values: object
) -> Entry:
    """An entry without translation; of ICMP the reply is the echo reply (``dport`` is type * 256)."""
    if protocol in (ICMP, ICMPV6):
        answer = {8 << 8: 0, 128 << 8: 129 << 8}.get(dport, dport)
        reply = Side(daddr, saddr, sport, answer)
    else:
        reply = Side(daddr, saddr, dport, sport)
    entry = Entry(Side(saddr, daddr, sport, dport), reply, protocol)
    if protocol in (TCP, SCTP):
        entry = replace(entry, state=3)
    return replace(entry, **values)  # type: ignore[arg-type]


def inject(kernel: NetlinkSocket, entries: Iterable[Entry]) -> int:
    """Put entries into the kernel's table; returns how many. Raises AssertionError where it refuses one."""
    flags = messages.NLM_F_REQUEST | messages.NLM_F_CREATE | messages.NLM_F_EXCL
    return send(kernel, (entry.message(flags=flags) for entry in entries))


@dataclass
class Addresses:
    """Addresses and ports by number, for tables of many entries."""

    base: str = "10.0.0.0"
    peers: Sequence[str] = field(default_factory=lambda: ("192.0.2.1", "192.0.2.2", "198.51.100.7"))

    def entry(self, number: int, protocol: int = TCP, **values: object) -> Entry:
        """The entry of a number: its own source address, a peer in turn."""
        (first,) = struct.unpack(">I", packed(self.base))
        source = socket.inet_ntop(socket.AF_INET, struct.pack(">I", first + number))
        peer = self.peers[number % len(self.peers)]
        return connection(source, peer, 1024 + number % 60000, (80, 443, 22)[number % 3], protocol, **values)
