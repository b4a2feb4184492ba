# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of connections that no packet ever made: generated, and put into a namespace's kernel."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Union

from rempart.conntrack import entries, table
from rempart.netlink import messages
from rempart.netlink.socket import NetlinkSocket

from tests.support.batches import send
from tests.support.namespaces import Namespace

ESTABLISHED = ["seen_reply", "assured", "confirmed"]

_FLAGS = messages.NLM_F_REQUEST | messages.NLM_F_CREATE

Connection = Union[Mapping[str, Any], bytes]


def tcp(
    saddr: str = "10.0.0.1", daddr: str = "10.9.0.1", sport: int = 1024, dport: int = 443, **more: Any
) -> dict[str, Any]:
    """The entry of an established TCP connection; ``more`` are further keys of it, or others than these."""
    return {
        "family": "ip6" if ":" in saddr else "ip",
        "protocol": "tcp",
        "original": {"saddr": saddr, "daddr": daddr, "sport": sport, "dport": dport},
        "timeout": 3600,
        "state": "ESTABLISHED",
        "status": ESTABLISHED,
        **more,
    }


def udp(
    saddr: str = "10.0.0.1", daddr: str = "10.9.0.1", sport: int = 1024, dport: int = 53, **more: Any
) -> dict[str, Any]:
    """The entry of a UDP connection that was answered."""
    entry = tcp(
        saddr, daddr, sport, dport, **{"protocol": "udp", "status": ["seen_reply", "confirmed"], **more}
    )
    del entry["state"]
    return entry


def generated(count: int, family: str = "ip", **more: Any) -> Iterator[dict[str, Any]]:
    """So many established TCP connections, each of its own source address and port.

    The n-th comes from ``10.0.0.0`` + n % 65536 (``fd00::`` + the same), port 1024 + n / 65536,
    and goes to one of 256 addresses ``10.9.0.n`` (``fd09::n``), port 443. ``more`` as of :func:`tcp`.
    """
    for number in range(count):
        host, round_ = number & 0xFFFF, number >> 16
        if family == "ip6":
            source, target = "fd00::%x" % host, "fd09::%x" % (number & 0xFF)
        else:
            source, target = "10.0.%d.%d" % (host >> 8, host & 0xFF), "10.9.0.%d" % (number & 0xFF)
        yield tcp(source, target, 1024 + round_, **more)


def packed(count: int, family: str = "ip", **more: Any) -> Iterator[bytes]:
    """The messages that make what :func:`generated` generates, a few times faster than one by one.

    The first is encoded; the others are copies with other addresses and ports in them.
    """
    first = next(generated(1, family, **more))
    template = bytearray(entries.message(first, _FLAGS))
    size = 16 if family == "ip6" else 4
    places = []  # of addresses and ports, by what of them is searched
    source, target = b"\x0a\0\0\0", b"\x0a\x09\0\0"
    if family == "ip6":
        source, target = b"\xfd\0" + b"\0" * 14, b"\xfd\x09" + b"\0" * 14
    for value in (source, target, struct.pack(">H", 1024)):
        start = 20
        found = []
        header = struct.pack("=H", len(value) + 4)
        while True:
            start = template.find(value, start)
            if start < 0:
                break
            if template[start - 4 : start - 2] == header:
                found.append(start)
            start += 1
        assert len(found) == 2, "not one address, or port, a direction"
        places.append(found)
    (source_a, source_b), (target_a, target_b), (port_a, port_b) = places
    for number in range(count):
        host = _BE16.pack(number & 0xFFFF)
        template[source_a + size - 2 : source_a + size] = host
        template[source_b + size - 2 : source_b + size] = host
        template[target_a + size - 1] = template[target_b + size - 1] = number & 0xFF
        port = _BE16.pack(1024 + (number >> 16))
        template[port_a : port_a + 2] = template[port_b : port_b + 2] = port
        yield bytes(template)


_BE16 = struct.Struct(">H")


def inject(namespace: Namespace, connections: Iterable[Connection]) -> int:
    """Put connections, entries or whole CT_NEW messages, into a namespace's table; how many there were.

    AssertionError with the first that the kernel refused.
    """
    with NetlinkSocket(namespace.name) as kernel:
        return send(
            kernel, (one if isinstance(one, bytes) else entries.message(one, _FLAGS) for one in connections)
        )


def listed(namespace: Namespace) -> list[dict[str, Any]]:
    """Every connection of a namespace, as entries."""
    with NetlinkSocket(namespace.name) as kernel:
        return [entries.decode(body) for body in table.read(kernel)]
