# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many messages of ctnetlink in few sends, each about a connection, and taking effect by itself."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable

from rempart.netlink import messages
from rempart.netlink.socket import NetlinkSocket

_SIZE = 60_000  # bytes of messages in one send
_SEQUENCE = struct.Struct("=I")


def send(kernel: NetlinkSocket, prepared: Iterable[bytes]) -> int:
    """Send messages, numbered from 0 on; how many there were.

    AssertionError with the first that the kernel refused.
    """
    sent = 0
    batch = bytearray()
    start = 0
    for one in prepared:
        if len(batch) + len(one) > _SIZE:
            _flush(kernel, batch, start)
            batch.clear()
            start = sent
        position = len(batch)
        batch += one
        _SEQUENCE.pack_into(batch, position + 8, sent)
        sent += 1
    if batch:
        _flush(kernel, batch, start)
    return sent


def _flush(kernel: NetlinkSocket, batch: bytearray, first: int) -> None:
    """Send whole messages at once; every one has been worked on when this returns."""
    kernel.socket.send(batch)
    while True:
        try:
            data = kernel.socket.recv(65536, 0x40)  # MSG_DONTWAIT
        except BlockingIOError:
            return
        except OSError as error:
            assert error.errno == errno.ENOBUFS, error
            raise AssertionError("the kernel refused more of a batch than it could say") from error
        for kind, flags, sequence, begin, stop in messages.split(data):
            if kind == messages.NLMSG_ERROR:
                answer = messages.answer(kind, flags, sequence, data[begin:stop])
                if answer.code:
                    raise AssertionError(
                        "connection %d (of the batch from %d on): %s %s"
                        % (sequence, first, os.strerror(answer.code), answer.text)
                    )
