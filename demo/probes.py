# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real packets for the demonstration: small probes between network namespaces.

Every probe opens its sockets inside a namespace and ends by itself.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

from rempart.netlink.attributes import table
from rempart.netlink.namespace import Entered

_TIMEOUT = 1.5
_ETH_P_IP = 0x0800  # linux/if_ether.h
_NFNL_SUBSYS_ULOG = 4  # linux/netfilter/nfnetlink.h
_NFULA_CFG_CMD, _NFULA_CFG_MODE = 1, 2  # linux/netfilter/nfnetlink_log.h
_BIND, _PF_BIND, _COPY_PACKET = 1, 3, 2
_NFULA_PREFIX = 10


def connect(namespace: str, address: str, port: int) -> str:
    """Try a TCP connection from a namespace: "connected", "dropped" or the refusal's own words."""
    with Entered(namespace):
        client = socket.socket()
    with client:
        client.settimeout(_TIMEOUT)
        try:
            client.connect((address, port))
        except TimeoutError:
            return "dropped"
        except OSError as error:
            return (error.strerror or str(error)).lower()
        client.sendall(b"hello")
        with contextlib.suppress(OSError):
            client.recv(16)
        return "connected"


class Listener:
    """A TCP server in a namespace that answers, and remembers who came."""

    def __init__(self, namespace: str, address: str, port: int) -> None:
        with Entered(namespace):
            self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.bind((address, port))
        self._server.listen(8)
        self._server.settimeout(0.2)
        self._open = True
        self.clients: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._open:
            try:
                client, address = self._server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.clients.append(address[0])
            with client, contextlib.suppress(OSError):
                client.settimeout(_TIMEOUT)
                client.sendall(client.recv(16))

    def close(self) -> None:
        """Stop serving."""
        self._open = False
        self._thread.join()
        self._server.close()


class Packet:
    """What a capture keeps of an IPv4 packet with a TCP segment."""

    def __init__(self, raw: bytes) -> None:
        self.source = socket.inet_ntoa(raw[12:16])
        self.tos = raw[1]
        words = struct.unpack(">10H", raw[:20])
        total = sum(words)
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        self.checksum_right = total == 0xFFFF
        self.port = struct.unpack_from(">H", raw, 22)[0]


@contextlib.contextmanager
def capture(namespace: str, interface: str) -> Iterator[list[Packet]]:
    """Collect the TCP packets that come in on an interface while the block runs."""
    with Entered(namespace):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        tap.bind((interface, _ETH_P_IP))
    packets: list[Packet] = []
    with tap:
        yield packets
        time.sleep(0.1)
        tap.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                raw, origin = tap.recvfrom(2048)
                if origin[2] == socket.PACKET_HOST and raw[0] == 0x45 and raw[9] == socket.IPPROTO_TCP:
                    packets.append(Packet(raw))


def send_spoofed(namespace: str, source: str, target: str, port: int) -> None:
    """Send one UDP datagram with a source address that is not the sender's."""
    datagram = struct.pack(">4H", 4000, port, 8 + 5, 0) + b"spoof"
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(datagram),
        1,
        0,
        64,
        socket.IPPROTO_UDP,
        0,
        socket.inet_aton(source),
        socket.inet_aton(target),
    )
    with Entered(namespace):
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with sender:
        sender.sendto(head + datagram, (target, 0))


class LogReader:
    """Reads what log rules send to an nflog group of a namespace."""

    def __init__(self, namespace: str, group: int) -> None:
        with Entered(namespace):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
        self._socket.settimeout(_TIMEOUT)
        self._configure(0, _NFULA_CFG_CMD, struct.pack("B", _PF_BIND), socket.AF_INET)
        self._configure(group, _NFULA_CFG_CMD, struct.pack("B", _BIND))
        self._configure(group, _NFULA_CFG_MODE, struct.pack(">IBB", 0xFFFF, _COPY_PACKET, 0))

    def _configure(self, group: int, kind: int, payload: bytes, family: int = 0) -> None:
        padded = payload.ljust((len(payload) + 3) & ~3, b"\0")
        body = struct.pack(">BBH", family, 0, group) + struct.pack("=HH", len(payload) + 4, kind) + padded
        head = struct.pack("=IHHII", 16 + len(body), _NFNL_SUBSYS_ULOG << 8 | 1, 0x5, 1, 0)
        self._socket.send(head + body)
        code = struct.unpack_from("=i", self._socket.recv(4096), 16)[0]
        if code:
            raise OSError(-code, "nflog group %d" % group)

    def prefixes(self) -> list[str]:
        """The prefixes of the messages that come within a short time."""
        found = []
        with contextlib.suppress(TimeoutError):
            while not found:
                data = self._socket.recv(65536)
                attributes = table(data, 20, struct.unpack_from("=I", data)[0])
                if _NFULA_PREFIX in attributes:
                    found.append(attributes[_NFULA_PREFIX].rstrip(b"\0").decode())
        return found

    def close(self) -> None:
        """Leave the group."""
        self._socket.close()
