# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proof that packets of a connection still pass, in both directions.

The kernel is asked for keepalive probes (tcp(7)): segments that carry nothing, and that the other
end's kernel must acknowledge (RFC 9293 3.8.4). No program at either end notices. One that went out,
and one that came in after it, have passed the ruleset.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable

from ..netlink.socket import NetlinkSocket
from . import guard
from .carrier import Carrier

_STEP = 0.02  # seconds

_PROBING = (
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    # Without an answer the connection shall not end for that: the probes go on until they are called off.
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 127),
    # Last, since this sets the timer.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
)


def silent(kernel: NetlinkSocket, carriers: Iterable[Carrier], seconds: float) -> list[Carrier]:
    """The connections, as the guard's table has them, that were not heard of for so many seconds.

    Returns at once when all of them were heard of.
    """
    waiting = dict(enumerate(carriers))
    bases = guard.passed(kernel)
    before = []
    try:
        for one in waiting.values():
            for level, name, value in _PROBING:
                before.append((one.socket, level, name, one.socket.getsockopt(level, name)))
                one.socket.setsockopt(level, name, value)
        end = time.monotonic() + seconds
        while waiting and time.monotonic() < end:
            time.sleep(_STEP)
            for index, now in enumerate(guard.passed(kernel)):
                if now.outgoing == bases[index].outgoing:
                    bases[index] = now  # nothing has gone out: what comes in is no answer
                elif now.incoming > bases[index].incoming:
                    waiting.pop(index, None)
        return list(waiting.values())
    finally:
        for connection, level, name, number in reversed(before):
            connection.setsockopt(level, name, number)
