# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real packets between test namespaces, few and bounded in time.

Every helper takes the :class:`Namespace` it works in and uses plain sockets
that were made there, so no program is started except ``ping``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

from tests.support.namespaces import Namespace

ETH_P_ALL = 0x0003  # linux/if_ether.h
PACKET_OUTGOING = 4  # linux/if_packet.h
IP_RECVERR = 11  # linux/in.h
IPV6_RECVERR = 25  # linux/in6.h

# What connect() reports for a reset and for the ICMP errors (icmp_err_convert in net/ipv4/icmp.c).
REFUSALS = (
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EACCES,
    errno.ENOPROTOOPT,
)


def family_of(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6 of an address in text."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp_connect(
    namespace: Namespace,
    address: str,
    port: int,
    timeout: float = 0.5,
    source: tuple[str, int] | None = None,
) -> str:
    """What a TCP connection meets: ``connected``, ``refused`` (reset, ICMP error) or ``timeout``."""
    family = family_of(address)
    with namespace.socket(family, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        # An ICMP error that comes back while connect() still holds the socket, as it does over a
        # veth pair, is not the connection's end: TCP would try again a second later. The error
        # queue has it at once (ip(7), ipv6(7)).
        if family == socket.AF_INET6:
            client.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            client.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        if source:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind(source)
        code = client.connect_ex((address, port))
        if code == errno.EINPROGRESS:
            poll = select.poll()
            poll.register(client, select.POLLOUT)
            if not poll.poll(timeout * 1000):
                return "timeout"
            code = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            with contextlib.suppress(BlockingIOError):
                client.recvmsg(0, 512, socket.MSG_ERRQUEUE)
                return "refused"
        if code == 0:
            return "connected"
        if code in REFUSALS:
            return "refused"
        raise OSError(code, os.strerror(code))


def tcp_exchange(
    namespace: Namespace, address: str, port: int, data: bytes, timeout: float = 1.0
) -> tuple[bytes, tuple[str, int]]:
    """Send ``data`` to an echo server; returns what came back and the (address, port) it was sent from."""
    with namespace.socket(family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        client.connect((address, port))
        here = client.getsockname()
        client.sendall(data)
        received = b""
        while len(received) < len(data):
            piece = client.recv(65536)
            if not piece:
                break
            received += piece
        return received, (here[0], here[1])


def udp_send(
    namespace: Namespace,
    address: str,
    port: int,
    data: bytes = b"rempart",
    timeout: float = 0.5,
    source: tuple[str, int] | None = None,
    tos: int = 0,
) -> bytes | str:
    """Send one datagram; returns the reply, ``refused`` (ICMP error) or ``timeout`` (silence)."""
    family = family_of(address)
    with namespace.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        if tos:
            if family == socket.AF_INET:
                client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
            else:
                client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
        if source:
            client.bind(source)
        client.connect((address, port))
        try:
            client.send(data)
            return client.recv(65536)
        except (TimeoutError, socket.timeout):
            return "timeout"
        except OSError as error:
            if error.errno == errno.EPERM:  # dropped on this namespace's own output hook
                return "timeout"
            if error.errno in REFUSALS:
                return "refused"
            raise


def ping(namespace: Namespace, address: str, count: int = 1, timeout: float = 0.5) -> bool:
    """Whether every one of ``count`` echo requests was answered within ``timeout`` seconds."""
    done = namespace.run(
        "ping",
        "-n",
        "-q",
        "-c",
        str(count),
        "-i",
        "0.01",
        "-W",
        str(timeout),
        address,
        check=False,
        timeout=count + 10 * timeout + 5,
    )
    return " %d received" % count in done.stdout


class EchoServer:
    """A TCP and UDP echo server; ``peers`` are the (protocol, address, port) that it saw, in order."""

    def __init__(self, namespace: Namespace, address: str, port: int, protocols: tuple[str, ...]) -> None:
        self.address = address
        self.peers: list[tuple[str, str, int]] = []
        self._selector = selectors.DefaultSelector()
        self._stop, self._wake = socket.socketpair()
        self._selector.register(self._stop, selectors.EVENT_READ)
        family = family_of(address)
        for protocol in protocols:
            kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
            server = namespace.socket(family, kind)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((address, port))
            port = server.getsockname()[1]
            if protocol == "tcp":
                server.listen(64)
            server.setblocking(False)
            act = self._accept if protocol == "tcp" else self._answer
            self._selector.register(server, selectors.EVENT_READ, act)
        self.port = port
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                with contextlib.suppress(BlockingIOError):
                    key.data(key.fileobj)

    def _accept(self, server: socket.socket) -> None:
        client, peer = server.accept()
        self.peers.append(("tcp", peer[0], peer[1]))
        self._selector.register(client, selectors.EVENT_READ, self._echo)

    def _echo(self, client: socket.socket) -> None:
        try:
            data = client.recv(65536)
            if data:
                client.sendall(data)
        except BlockingIOError:
            raise
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(client)
            client.close()

    def _answer(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            data, peer = server.recvfrom(65536)
            self.peers.append(("udp", peer[0], peer[1]))
            server.sendto(data, peer)

    def close(self) -> None:
        """Stop serving and close every socket."""
        self._wake.send(b"x")
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        self._wake.close()


@contextlib.contextmanager
def echo_server(
    namespace: Namespace, address: str = "0.0.0.0", port: int = 0, protocols: tuple[str, ...] = ("tcp", "udp")
) -> Iterator[EchoServer]:
    """Serve on one port (``port`` 0: a free one, see ``EchoServer.port``) while the block runs."""
    server = EchoServer(namespace, address, port, protocols)
    try:
        yield server
    finally:
        server.close()


class Capture:
    """The IP packets that a device receives, from the moment this is made."""

    def __init__(self, namespace: Namespace, interface: str, outgoing: bool = False) -> None:
        self._outgoing = outgoing
        # Bound to no protocol at first: nothing of another device may slip in.
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.bind((interface, ETH_P_ALL))
        self._socket.setblocking(False)

    def packets(
        self, count: int = 1, timeout: float = 1.0, wanted: Callable[[bytes], bool] | None = None
    ) -> list[bytes]:
        """Up to ``count`` packets that are ``wanted``, each from its IP header on.

        Fewer if ``timeout`` seconds pass. Only received packets, or only sent ones if so made.
        """
        found: list[bytes] = []
        end = time.monotonic() + timeout
        while len(found) < count:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                break
            packet, (_, _, kind, _, _) = self._socket.recvfrom(65536)
            if (kind == PACKET_OUTGOING) != self._outgoing:
                continue
            if wanted is None or wanted(packet):
                found.append(packet)
        return found

    def close(self) -> None:
        """Stop capturing."""
        self._socket.close()


@contextlib.contextmanager
def capture(namespace: Namespace, interface: str, outgoing: bool = False) -> Iterator[Capture]:
    """Capture on a device while the block runs."""
    taken = Capture(namespace, interface, outgoing)
    try:
        yield taken
    finally:
        taken.close()


def ip_protocol(packet: bytes) -> int:
    """The protocol number of an IPv4 packet, the next header of an IPv6 one."""
    return packet[9] if packet[0] >> 4 == 4 else packet[6]


def tos(packet: bytes) -> int:
    """All eight bits: the IPv4 TOS byte, or the IPv6 traffic class."""
    if packet[0] >> 4 == 4:
        return packet[1]
    return (packet[0] & 0x0F) << 4 | packet[1] >> 4


def ipv4_checksum_ok(packet: bytes) -> bool:
    """Whether the header checksum is right: the ones' complement sum of the header is all ones (RFC 1071)."""
    header = packet[: (packet[0] & 0x0F) * 4]
    total = sum(struct.unpack("!%dH" % (len(header) // 2), header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return bool(total == 0xFFFF)
