# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flows between hosts whose both ends the test holds, so that it can tell what each end sees."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import threading
import time

from tests.support.namespaces import Namespace
from tests.support.traffic import family_of

ENDED = (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE)
"""What a socket reports of a connection that was ended for it."""

PATIENCE = 0.3  # seconds that a packet is given to arrive
_TICK = 0.002
_ECHO = {4: (socket.IPPROTO_ICMP, 8, 0), 6: (socket.IPPROTO_ICMPV6, 128, 129)}


class Tcp:
    """A TCP connection: ``near`` is the socket of who began it, ``far`` the other end's.

    ``address`` is what the beginner connects to; the far end listens on ``port`` of any address, or on
    ``listen_on``.
    """

    def __init__(
        self,
        client: Namespace,
        server: Namespace,
        address: str,
        port: int,
        source: str = "",
        listen_on: int = 0,
        sport: int = 0,
    ) -> None:
        family = family_of(address)
        with server.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", listen_on or port))
            listener.listen()
            self.near = client.socket(family, socket.SOCK_STREAM)
            self.near.settimeout(2)
            self.near.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if source or sport:
                self.near.bind((source, sport))
            self.near.connect((address, port))
            self.far, _ = listener.accept()
        for one in (self.near, self.far):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sport: int = self.near.getsockname()[1]
        assert self.exchange()

    def exchange(self) -> bool:
        """Whether a byte goes through each way."""
        return passes(self.near, self.far) and passes(self.far, self.near)

    def ended(self, timeout: float = 2.0) -> list[str]:
        """The errors of both ends, near and far, within the time; "" for an end that reports none."""
        end = time.monotonic() + timeout
        return [error_of(one, end) for one in (self.near, self.far)]

    def close(self) -> None:
        """Close both ends without a word to anybody."""
        for one in (self.near, self.far):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()

    def __enter__(self) -> Tcp:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def passes(sender: socket.socket, receiver: socket.socket, timeout: float = PATIENCE) -> bool:
    """Whether a byte sent at one end comes out at the other."""
    mark = os.urandom(4)
    try:
        sender.send(mark)
    except OSError:
        return False
    found = b""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        ready, _, _ = select.select([receiver], [], [], max(0, end - time.monotonic()))
        if not ready:
            break
        try:
            piece = receiver.recv(65536)
        except OSError:
            return False
        if not piece:
            return False
        found = (found + piece)[-8:]
        if mark in found:
            return True
    return False


def error_of(one: socket.socket, end: float) -> str:
    """The name of the error by which a connection ends at a socket until a time; "" where it lives."""
    while True:
        ready, _, _ = select.select([one], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return ""
        try:
            if not one.recv(65536):
                return "closed"
        except BlockingIOError:
            continue
        except OSError as error:
            return errno.errorcode[error.errno or 0]


class Pump:
    """Data that goes both ways over a TCP connection, a little at a time, while the block runs.

    ``received`` counts bytes by end (near, far); ``errors`` are the names of what ended each end, or "".
    """

    def __init__(self, flow: Tcp) -> None:
        self._ends = (flow.near, flow.far)
        self.received = [0, 0]
        self.errors = ["", ""]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set() and not all(self.errors):
            for index, one in enumerate(self._ends):
                if self.errors[index]:
                    continue
                try:
                    with contextlib.suppress(BlockingIOError):
                        one.send(b"x" * 1400)
                    with contextlib.suppress(BlockingIOError):
                        data = one.recv(1 << 20)
                        self.received[index] += len(data)
                        if not data:
                            self.errors[index] = "closed"
                except OSError as error:
                    self.errors[index] = errno.errorcode[error.errno or 0]
            time.sleep(_TICK)

    def flowing(self) -> bool:
        """Whether bytes come in at both ends."""
        before = list(self.received)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if all(now > then for now, then in zip(self.received, before)):
                return True
            time.sleep(_TICK)
        return False

    def ended(self, timeout: float = 2.0) -> list[str]:
        """The errors of both ends within the time."""
        end = time.monotonic() + timeout
        while not all(self.errors) and time.monotonic() < end:
            time.sleep(_TICK)
        return list(self.errors)

    def __enter__(self) -> Pump:
        self._thread.start()
        assert self.flowing()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


class Udp:
    """A UDP flow between two sockets, each knowing the other's address as it sees it."""

    def __init__(self, client: Namespace, server: Namespace, address: str, port: int, far_port: int) -> None:
        family = family_of(address)
        self.near = client.socket(family, socket.SOCK_DGRAM)
        self.far = server.socket(family, socket.SOCK_DGRAM)
        for one in (self.near, self.far):
            one.settimeout(1)
        self.far.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", far_port))
        self.near.connect((address, port))
        self.near.send(b"begin")
        _, self.peer = self.far.recvfrom(64)
        self.far.sendto(b"answer", self.peer)
        assert self.near.recv(64) == b"answer"
        self.sport: int = self.near.getsockname()[1]

    def there(self, timeout: float = PATIENCE) -> bool:
        """Whether a datagram from near arrives."""
        return self._goes(self.near, self.far, timeout)

    def back(self, timeout: float = PATIENCE) -> bool:
        """Whether a datagram to near arrives."""
        return self._goes(self.far, self.near, timeout)

    def _goes(self, sender: socket.socket, receiver: socket.socket, timeout: float) -> bool:
        mark = os.urandom(8)
        receiver.settimeout(timeout)
        try:
            if sender is self.far:
                sender.sendto(mark, self.peer)
            else:
                sender.send(mark)
            return receiver.recv(64) == mark
        except OSError:
            return False

    def close(self) -> None:
        """Close both sockets."""
        self.near.close()
        self.far.close()

    def __enter__(self) -> Udp:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Echo:
    """ICMP echo requests of one id."""

    def __init__(self, client: Namespace, address: str, id: int) -> None:
        self.version = 6 if ":" in address else 4
        self.protocol, self._request, self._reply = _ECHO[self.version]
        self._socket = client.socket(family_of(address), socket.SOCK_RAW, self.protocol)
        self._address = address
        self.id = id
        self._number = 0
        assert self.answered()

    def answered(self, timeout: float = PATIENCE) -> bool:
        """Whether the next request is answered."""
        self._number += 1
        head = struct.pack("!BBHHH", self._request, 0, 0, self.id, self._number)
        checksum = 0 if self.version == 6 else _checksum(head)  # of ICMPv6 the kernel makes it
        try:
            self._socket.sendto(head[:2] + checksum.to_bytes(2, "big") + head[4:], (self._address, 0))
        except PermissionError:
            return False
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            ready, _, _ = select.select([self._socket], [], [], max(0, end - time.monotonic()))
            if not ready:
                break
            data = self._socket.recv(2048)
            start = (data[0] & 15) * 4 if self.version == 4 else 0
            kind, _, _, id, number = struct.unpack_from("!BBHHH", data, start)
            if (kind, id, number) == (self._reply, self.id, self._number):
                return True
        return False

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Echo:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
