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
from collections.abc import Iterator

from tests.support.namespaces import Namespace
from tests.support.traffic import family_of

ENDED = (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE)
"""What a socket reports of a connection that was ended for it."""

PATIENCE = 0.3  # seconds that a packet is given to arrive
_TICK = 0.002
_NOW = struct.Struct("=d")
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


_PATTERN = os.urandom(65521) * 3
_MOST_READ = 2 * 65521


def _stream(start: int, length: int) -> bytes:
    """Bytes of the stream that every pump sends."""
    start %= 65521
    return _PATTERN[start : start + length]


class Pump:
    """Data that goes both ways over a TCP connection, a little at a time, while the block runs.

    By end (near, far): ``sent`` and ``received`` count bytes, ``errors`` are the names of what ended each, or
    "". ``wrong`` is whether a byte came that was not the next one that was sent.
    """

    def __init__(self, flow: Tcp) -> None:
        self._ends = (flow.near, flow.far)
        self.sent = [0, 0]
        self.received = [0, 0]
        self.errors = ["", ""]
        self.wrong = False
        self._quiet = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set() and not all(self.errors):
            for index, one in enumerate(self._ends):
                if self.errors[index]:
                    continue
                try:
                    if not self._quiet.is_set():
                        with contextlib.suppress(BlockingIOError):
                            self.sent[index] += one.send(_stream(self.sent[index], 1400))
                    with contextlib.suppress(BlockingIOError):
                        data = one.recv(_MOST_READ)
                        self.wrong |= data != _stream(self.received[index], len(data))
                        self.received[index] += len(data)
                        if not data:
                            self.errors[index] = "closed"
                except OSError as error:
                    self.errors[index] = errno.errorcode[error.errno or 0]
            time.sleep(_TICK)

    def complete(self, timeout: float = 5.0) -> bool:
        """Send no more; whether all that was sent has come to the other end, byte for byte."""
        self._quiet.set()
        end = time.monotonic() + timeout
        while self.received != self.sent[::-1] and not any(self.errors) and time.monotonic() < end:
            time.sleep(_TICK)
        return self.received == self.sent[::-1] and self.errors == ["", ""] and not self.wrong

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

    def beat(self) -> list[list[float]]:
        """Send a packet each way; when those were sent (time.monotonic()) that have come to each end.

        Raises OSError of a socket that is closed.
        """
        with contextlib.suppress(PermissionError):  # what the host's own ruleset drops is told to the sender
            self.near.send(_NOW.pack(time.monotonic()))
        with contextlib.suppress(PermissionError):
            self.far.sendto(_NOW.pack(time.monotonic()), self.peer)
        return self.rest()

    def rest(self) -> list[list[float]]:
        """When those were sent that have come to each end by now."""
        return [list(_times(one)) for one in (self.near, self.far)]

    def disturbed(self, timeout: float) -> bool:
        """Whether either socket has anything to tell, an error or a packet, within the time."""
        return any(select.select([self.near, self.far], [], [self.near, self.far], timeout))

    def close(self) -> None:
        """Close both sockets."""
        self.near.close()
        self.far.close()

    def __enter__(self) -> Udp:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _times(one: socket.socket) -> Iterator[float]:
    """The times in the packets that lie at a socket."""
    while select.select([one], [], [], 0)[0]:
        yield from _NOW.unpack(one.recv(64))


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
        try:
            self._send()
        except PermissionError:
            return False
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            ready, _, _ = select.select([self._socket], [], [], max(0, end - time.monotonic()))
            if not ready:
                break
            if any(number == self._number for number, _ in self._answers()):
                return True
        return False

    def beat(self) -> list[list[float]]:
        """Send a request; when those were sent (time.monotonic()) whose answers have come."""
        with contextlib.suppress(PermissionError):
            self._send()
        return self.rest()

    def rest(self) -> list[list[float]]:
        """When those were sent whose answers have come by now."""
        return [[sent for _, sent in self._answers()]]

    def disturbed(self, timeout: float) -> bool:
        """Whether anything that belongs to it comes within the time."""
        end = time.monotonic() + timeout
        while select.select([self._socket], [], [], max(0, end - time.monotonic()))[0]:
            if list(self._answers()):
                return True
        return False

    def _send(self) -> None:
        self._number += 1
        now = _NOW.pack(time.monotonic())
        head = struct.pack("!BBHHH", self._request, 0, 0, self.id, self._number & 0xFFFF) + now
        checksum = 0 if self.version == 6 else _checksum(head)  # of ICMPv6 the kernel makes it
        self._socket.sendto(head[:2] + checksum.to_bytes(2, "big") + head[4:], (self._address, 0))

    def _answers(self) -> Iterator[tuple[int, float]]:
        """Number and time of each request whose answer lies here."""
        while select.select([self._socket], [], [], 0)[0]:
            data = self._socket.recv(2048)
            start = (data[0] & 15) * 4 if self.version == 4 else 0
            kind, _, _, id, number = struct.unpack_from("!BBHHH", data, start)
            if (kind, id) == (self._reply, self.id):
                yield number, *_NOW.unpack_from(data, start + 8)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Echo:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Beats:
    """Packets that go on over a flow without connections, both ways, while the block runs.

    ``sent`` is how many have been sent each way, ``received`` counts them by end (of echoes, the answers);
    ``last`` is when the latest of those that came was sent; ``error`` the name of what ended it, or "".
    """

    def __init__(self, flow: Udp | Echo) -> None:
        self._flow = flow
        self.sent = 0
        self.received: list[int] = []
        self.last = 0.0
        self.error = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set() and not self.error:
            try:
                found = self._flow.beat()
            except OSError as error:
                self.error = errno.errorcode[error.errno or 0]
                return
            self.sent += 1
            before = self.received or [0] * len(found)
            self.received = [count + len(times) for count, times in zip(before, found)]
            self.last = max([self.last, *(one for times in found for one in times)])
            time.sleep(_TICK)

    def complete(self, timeout: float = 1.0) -> bool:
        """Send no more; whether every packet that was sent has come."""
        self._stop.set()
        self._thread.join()
        end = time.monotonic() + timeout
        while time.monotonic() < end and any(count != self.sent for count in self.received):
            found = self._flow.rest()
            self.received = [count + len(times) for count, times in zip(self.received, found)]
        return not self.error and all(count == self.sent for count in self.received)

    def flowing(self, timeout: float = PATIENCE) -> bool:
        """Whether packets come in at every end."""
        before = list(self.received)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            now = self.received
            if now and all(one > then for one, then in zip(now, before or [0] * len(now))):
                return True
            time.sleep(_TICK)
        return False

    def __enter__(self) -> Beats:
        self._thread.start()
        assert self.flowing(1.0)
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - int(total)
