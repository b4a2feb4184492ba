# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The default timeouts of a protocol over netlink (linux/netfilter/nfnetlink_cttimeout.h).

Nothing but cttimeout has all states, and it sets those of a protocol in one step. What is not in a
message keeps its time.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping

from ..errors import KernelError
from ..netlink.attributes import BE16, BE32, U8, attribute, nested, table, walk
from ..netlink.messages import ATTRIBUTES
from ..netlink.socket import NetlinkSocket
from .timeouts import ONLY, TIMEOUTS

NFNL_SUBSYS_CTNETLINK_TIMEOUT = 8  # linux/netfilter/nfnetlink.h
IPCTNL_MSG_TIMEOUT_DEFAULT_SET = 3
IPCTNL_MSG_TIMEOUT_DEFAULT_GET = 4
CTA_TIMEOUT_L3PROTO = 2
CTA_TIMEOUT_L4PROTO = 3
CTA_TIMEOUT_DATA = 4

_SET = NFNL_SUBSYS_CTNETLINK_TIMEOUT << 8 | IPCTNL_MSG_TIMEOUT_DEFAULT_SET
_GET = NFNL_SUBSYS_CTNETLINK_TIMEOUT << 8 | IPCTNL_MSG_TIMEOUT_DEFAULT_GET

_ICMPV6 = TIMEOUTS["icmpv6"][ONLY].number

# nfnetlink_rcv_msg() says EINVAL where it knows no such subsystem, cttimeout EOPNOTSUPP of a protocol.
_NOT_OFFERED = (errno.EINVAL, errno.EOPNOTSUPP)


def read(kernel: NetlinkSocket, protocol: int) -> dict[int, int] | None:
    """A protocol's timeouts in seconds by their attributes; None where the kernel does not offer that.

    Raises KernelError where it refuses for another reason, HostError without the privilege.
    """
    try:
        bodies = kernel.request(_GET, socket.AF_UNSPEC, _named(protocol))
    except KernelError as error:
        if error.code in _NOT_OFFERED:
            return None
        raise
    for body in bodies:
        data = table(body, ATTRIBUTES).get(CTA_TIMEOUT_DATA)
        if data is not None:
            return {kind: BE32.unpack(payload) for kind, payload in walk(data)}
    return None


def write(kernel: NetlinkSocket, protocol: int, timeouts: Mapping[int, int]) -> None:
    """Set some of a protocol's timeouts. Raises KernelError, HostError."""
    times = [attribute(kind, BE32.pack(seconds)) for kind, seconds in timeouts.items()]
    kernel.request(_SET, socket.AF_UNSPEC, _named(protocol) + nested(CTA_TIMEOUT_DATA, *times))


def _named(protocol: int) -> bytes:
    """Before Linux 4.20 ICMPv6 is found only beside IPv6; every other protocol beside either."""
    family = socket.AF_INET6 if protocol == _ICMPV6 else socket.AF_INET
    return attribute(CTA_TIMEOUT_L3PROTO, BE16.pack(family)) + attribute(
        CTA_TIMEOUT_L4PROTO, U8.pack(protocol)
    )
