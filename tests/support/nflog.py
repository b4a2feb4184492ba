# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What log rules send to an nflog group, read as ulogd would (linux/netfilter/nfnetlink_log.h)."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

from rempart.netlink.attributes import attribute
from rempart.netlink.attributes import table as attributes

from tests.support.namespaces import Namespace

NETLINK_NETFILTER = 12  # linux/netlink.h
SUBSYSTEM = 4 << 8  # NFNL_SUBSYS_ULOG
PACKET, CONFIG = 0, 1
CFG_CMD, CFG_MODE, CFG_TIMEOUT = 1, 2, 4
BIND, COPY_PACKET = 1, 2
MARK, INDEV, OUTDEV, PAYLOAD, PREFIX = 2, 4, 5, 9, 10
REQUEST_ACK = 1 | 4


class Logged:
    """One logged packet: prefix, the packet's bytes, its mark, and the indexes of the devices (0: none)."""

    __slots__ = ("indev", "mark", "outdev", "packet", "prefix")

    def __init__(self, message: bytes) -> None:
        found = attributes(message, 20, len(message))
        self.prefix = found.get(PREFIX, b"").rstrip(b"\0").decode()
        self.packet = found.get(PAYLOAD, b"")
        self.mark, self.indev, self.outdev = (
            int.from_bytes(found.get(kind, b""), "big") for kind in (MARK, INDEV, OUTDEV)
        )


class LogGroup:
    """A listener to one group of a namespace."""

    def __init__(self, where: Namespace, group: int) -> None:
        self._socket = where.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._configure(group, attribute(CFG_CMD, struct.pack("B", BIND)))
        self._configure(group, attribute(CFG_MODE, struct.pack(">IBB", 0xFFFF, COPY_PACKET, 0)))
        # hundredths of a second that the kernel gathers messages for
        self._configure(group, attribute(CFG_TIMEOUT, struct.pack(">I", 1)))

    def _configure(self, group: int, attributes: bytes) -> None:
        body = struct.pack(">BBH", 0, 0, group) + attributes
        self._socket.send(struct.pack("=IHHII", 16 + len(body), SUBSYSTEM | CONFIG, REQUEST_ACK, 1, 0) + body)
        code = struct.unpack_from("=i", self._socket.recv(4096), 16)[0]
        if code:
            raise OSError(-code, "nflog group %d" % group)

    def read(self, count: int = 1, timeout: float = 1.5) -> list[Logged]:
        """Up to ``count`` packets, fewer if ``timeout`` seconds pass."""
        found: list[Logged] = []
        end = time.monotonic() + timeout
        while len(found) < count:
            self._socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(1 << 17)
            except (TimeoutError, socket.timeout):
                break
            start = 0
            while start < len(data):
                length, kind = struct.unpack_from("=IH", data, start)
                if kind == SUBSYSTEM | PACKET:
                    found.append(Logged(data[start : start + length]))
                start += (length + 3) & ~3
        return found

    def close(self) -> None:
        """Leave the group."""
        self._socket.close()


@contextlib.contextmanager
def log_group(where: Namespace, group: int) -> Iterator[LogGroup]:
    """Listen while the block runs."""
    listener = LogGroup(where, group)
    try:
        yield listener
    finally:
        listener.close()
