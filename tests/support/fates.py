# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of packets on a host, whoever loaded its rules: to compare two firewalls packet by packet.

The host has the devices ``eth0`` and ``ppp0``, and sends what is not for itself through ``ppp0``. A packet
is a mapping, as test data has it:

``way``        ``in`` (to the host), ``forward``, ``out`` (from the host) or ``lo`` (from the host to itself)
``iif``        the device that it comes by, eth0 if it is not said
``protocol``   tcp, udp, icmp or a number
``saddr`` ``daddr`` ``sport`` ``dport`` ``flags`` ``type`` ``code`` ``tos``
``listen``     true: a socket waits for it, so that the host answers no TCP packet with a reset
``fragment``   which fragment of a larger packet, 1 or 2
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from tests.support import packets
from tests.support.namespaces import Namespace, namespaces, veth
from tests.support.nflog import Logged, log_group
from tests.support.packets import Seen

DEVICES = ("eth0", "ppp0")
LAST = 64999
"""The identification of the packet after which all others have been judged."""

_NUMBERS = {"tcp": packets.TCP, "udp": packets.UDP, "icmp": packets.ICMP}
_ERRORS = (3, 5, 11)  # ICMP: destination-unreachable, redirect, time-exceeded

WITNESS = (
    """
table inet witness {
  counter arrived { }
  chain first { type filter hook prerouting priority -2147483648; ip id %d counter name "arrived"; }
  chain input { type filter hook input priority 400; ip id 1-1000 log prefix "in" group 9 queue-threshold 1; }
  chain leaving { type filter hook postrouting priority 400
    ip id 1-1000 log prefix "out" group 9 queue-threshold 1; }
  chain answers { type filter hook output priority 400
    icmp type destination-unreachable log prefix "answer" group 9 queue-threshold 1
    tcp flags rst log prefix "answer" group 9 queue-threshold 1; }
}
"""
    % LAST
)


class Fate(NamedTuple):
    """``verdict`` is accept, drop or reject; the rest is the packet as it left, or came to a socket.

    ``answer`` is what a reject was answered with: ``icmp TYPE CODE`` or ``reset``.
    """

    verdict: str
    tos: int = 0
    mark: int = 0
    saddr: str = ""
    daddr: str = ""
    sport: int = 0
    dport: int = 0
    answer: str = ""


class Host:
    """The host under judgement, and what is around it."""

    def __init__(self, around: Namespace, host: Namespace) -> None:
        self.around, self.host = around, host
        for one in (around, host):
            one.up()
            one.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        for key in ("conf.all.rp_filter", "conf.default.rp_filter", "icmp_ratelimit"):
            host.sysctl("net.ipv4." + key, 0)
        host.sysctl("net.ipv4.ip_forward", 1)
        self._wires = {}
        for number, device in enumerate(DEVICES):
            near, far = "172.31.%d.1" % number, "172.31.%d.2" % number
            veth(around, host, far + "/24", near + "/24", "to_" + device, device)
            mac = host.run("cat", "/sys/class/net/%s/address" % device).stdout.strip()
            peer = around.run("cat", "/sys/class/net/to_%s/address" % device).stdout.strip()
            host.run("ip", "neighbour", "add", far, "lladdr", peer, "dev", device, "nud", "permanent")
            wire = around.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            wire.bind(("to_" + device, 0))
            self._wires[device] = wire, bytes.fromhex((mac + peer).replace(":", "")) + b"\x08\0"
        host.run("ip", "route", "add", "default", "via", "172.31.1.2", "dev", "ppp0")
        self._own = host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def close(self) -> None:
        """Close the sockets that packets are sent by."""
        for wire, _ in self._wires.values():
            wire.close()
        self._own.close()

    def fates(self, sent: Sequence[Mapping[str, Any]]) -> list[Fate]:
        """Send the packets, each alone, and tell what became of each."""
        self.host.nft(WITNESS)
        built = [build(one, number) for number, one in enumerate(sent, 1)]
        for one in sent:
            if one["way"] == "in":
                self.host.run("ip", "route", "replace", "local", one["daddr"], "dev", "lo")
        with log_group(self.host, 9) as log, contextlib.ExitStack() as held:
            for one in sent:
                if one.get("listen"):
                    held.enter_context(self._listening(one["dport"]))
            for one, packet in zip(sent, built):
                self._send(one, packet)
            self._wait()
            logged = log.read(3 * len(sent) + 1, timeout=0.05)
        self.host.nft("delete table inet witness")
        for one in sent:
            if one["way"] == "in":
                self.host.run("ip", "route", "del", "local", one["daddr"], "dev", "lo", check=False)
        return [_fate(one, packet, logged) for one, packet in zip(sent, built)]

    def _listening(self, port: int) -> socket.socket:
        made = self.host.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.bind(("0.0.0.0", port))
        made.listen(8)
        return made

    def _send(self, one: Mapping[str, Any], packet: bytes) -> None:
        if one["way"] in ("in", "forward"):
            wire, head = self._wires[one.get("iif", "eth0")]
            wire.send(head + packet)
        else:
            with contextlib.suppress(PermissionError):  # dropped on output
                self._own.sendto(packet, (one["daddr"], 0))

    def _wait(self) -> None:
        """Wait until all have been judged: a device's packets come one after another, so one more tells."""
        for wire, head in self._wires.values():
            wire.send(head + packets.udp("172.31.9.9", "172.31.0.1", dport=1, identification=LAST))
        end = time.monotonic() + 5
        while True:
            (found,) = self.host.nft_json("counter", "inet", "witness", "arrived")
            if found["counter"]["packets"] == len(DEVICES):
                return
            assert time.monotonic() < end, "packets were sent and have not arrived"


def build(one: Mapping[str, Any], number: int) -> bytes:
    """The packet of a mapping, with ``number`` for its identification."""
    header = {"identification": number, "tos": one.get("tos", 0)}
    source, target = one["saddr"], one["daddr"]
    # Each from a port of its own, so that a reset tells which packet it answers.
    ports = {"sport": one.get("sport", 4000 + number), "dport": one.get("dport", 9)}
    data = b"x" * 64 if "fragment" in one else b"rempart"
    if one["protocol"] == "tcp":
        whole = packets.tcp(source, target, **ports, flags=one.get("flags", "syn"), data=data, **header)
    elif one["protocol"] == "udp":
        whole = packets.udp(source, target, **ports, data=data, **header)
    elif one["protocol"] == "icmp":
        whole = packets.icmp(source, target, one["type"], one.get("code", 0), b"\0\1\0\1" + data, **header)
    else:
        whole = packets.ip(source, target, int(one["protocol"]), data, **header)
    return packets.fragments(whole, 32)[one["fragment"] - 1] if "fragment" in one else whole


def _fate(one: Mapping[str, Any], packet: bytes, logged: Sequence[Logged]) -> Fate:
    """What the witness noted of one packet."""
    place = {"in": "in", "lo": "in", "forward": "out", "out": "out"}[one["way"]]
    sent = Seen(packet)
    for found in logged:
        if found.prefix == place and _identification(found.packet) == _identification(packet):
            seen = Seen(found.packet)
            if seen.protocol == sent.protocol and seen.code == sent.code:
                addresses = (seen.saddr, seen.daddr, seen.sport, seen.dport)
                return Fate("accept", seen.tos, found.mark, *addresses)
    for found in logged:
        if found.prefix != "answer":
            continue
        seen = Seen(found.packet)
        if seen.code and seen.code[0] in _ERRORS and _identification(seen.inner) == _identification(packet):
            return Fate("reject", answer="icmp %d %d" % seen.code)
        if "rst" in seen.flags and (seen.saddr, seen.sport, seen.dport) == (
            sent.daddr,
            sent.dport,
            sent.sport,
        ):
            return Fate("reject", answer="reset")
    return Fate("drop")


def _identification(packet: bytes) -> int:
    found: int = struct.unpack_from("!H", packet, 4)[0]
    return found


@contextlib.contextmanager
def host() -> Iterator[Host]:
    """A host without rules, while the block runs."""
    if os.geteuid():
        pytest.skip("needs root for network namespaces")
    with namespaces(2) as (around, one):
        made = Host(around, one)
        try:
            yield made
        finally:
            made.close()
