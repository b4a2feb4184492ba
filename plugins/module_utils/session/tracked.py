# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An entry in the table of connections for one that began before connections were tracked.

The kernel tracks the packets of a network namespace once a rule there asks for it. A connection
older than that has no entry, so its next packet is ``new``, or with tcp_loose=0 ``invalid``, and a
ruleset that lets in ``established`` only drops it. An entry made over ctnetlink beforehand has the
first packet that meets the new ruleset be ``established``, from either side.

The windows of the connection are not known. The kernel takes them from the packets that it sees,
as it does with every entry that there was before its hooks were registered (nf_ct_tcp_fixup() in
net/netfilter/nf_conntrack_proto.c); ``be_liberal`` has it not hold a packet outside of them for invalid.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Any

from ..conntrack import entries, tuples, uapi
from ..errors import KernelError
from ..netlink.messages import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST
from ..netlink.socket import NetlinkSocket
from .carrier import Carrier

_GET = uapi.NFNL_SUBSYS_CTNETLINK << 8 | uapi.IPCTNL_MSG_CT_GET
_TIMEOUT = 300  # seconds; the first packet makes it that of an established connection


def track(kernel: NetlinkSocket, carrier: Carrier) -> bool:
    """Have the connection tracked; whether it had to be made so.

    Raises KernelError where the kernel takes no entry, HostError without the privilege.
    """
    original = {
        **{"saddr": carrier.remote[0], "sport": carrier.remote[1]},
        **{"daddr": carrier.local[0], "dport": carrier.local[1]},
    }
    reply = tuples.opposite(original, socket.IPPROTO_TCP)
    if _known(kernel, original) or _known(kernel, reply):
        return False
    entry: dict[str, Any] = {
        "protocol": "tcp",
        "original": {**original, "tcp_flags": ["be_liberal"]},
        "reply": {**reply, "tcp_flags": ["be_liberal"]},
        "timeout": _TIMEOUT,
        "state": "ESTABLISHED",
        "status": ["seen_reply", "assured"],
    }
    flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL
    refusals = kernel.each([entries.message(entry, flags)])
    if refusals and refusals[0].code != errno.EEXIST:  # a packet came first
        raise KernelError(
            "the kernel takes no entry for %s: %s" % (carrier, errno.errorcode.get(refusals[0].code, "?")),
            refusals[0].code,
        )
    return not refusals


def _known(kernel: NetlinkSocket, original: dict[str, Any]) -> bool:
    """Whether there is an entry one of whose tuples is this one."""
    family = socket.AF_INET6 if ":" in original["saddr"] else socket.AF_INET
    packed = tuples.encode(uapi.CTA_TUPLE_ORIG, original, family, socket.IPPROTO_TCP, [])
    with contextlib.suppress(KernelError):  # ENOENT
        return bool(kernel.request(_GET, family, packed))
    return False
