# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The generation of the kernel's rulesets, apart from what reads them: often nothing else is asked."""

from __future__ import annotations

import errno

from ..errors import HostError, KernelError
from ..netlink import messages
from ..netlink.attributes import table
from ..netlink.socket import NetlinkSocket

_GETGEN = 10 << 8 | 16  # NFNL_SUBSYS_NFTABLES (linux/netfilter/nfnetlink.h), NFT_MSG_GETGEN (nf_tables.h)
_GEN_ID = 1  # NFTA_GEN_ID (linux/netfilter/nf_tables.h)


def generation(kernel: NetlinkSocket) -> int:
    """The number that every change to a ruleset of this namespace increments (32 bits, wraps)."""
    try:
        bodies = kernel.request(_GETGEN, 0)
    except KernelError as error:
        if error.code in (errno.EINVAL, errno.EOPNOTSUPP):
            raise HostError(
                "this kernel has no nf_tables",
                cure="load the module nf_tables, or use a kernel with CONFIG_NF_TABLES",
            ) from error
        raise
    for body in bodies:
        found = table(body, messages.ATTRIBUTES)
        if _GEN_ID in found:
            return int.from_bytes(found[_GEN_ID], "big")
    raise ValueError("no generation id in the kernel's answer")
