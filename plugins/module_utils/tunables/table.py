# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every setting of connection tracking but its timeouts: its word, its sysctl key, its values.

Source: net/netfilter/nf_conntrack_standalone.c, net/netfilter/nf_conntrack_expect.c,
net/ipv6/netfilter/nf_conntrack_reasm.c (the frag6 keys) and Documentation/networking/nf_conntrack-sysctl.rst,
Linux 4.18 to 6.18. A setting's word is its key without ``nf_conntrack_``.
"""

from __future__ import annotations

from .kinds import INT_MAX, Events, Kind, Number, Protocol, Seconds, Switch

PREFIX = "net.netfilter."
"""What sysctl(8) has before each key."""


class Tunable:
    """One setting. ``key`` is its file below /proc/sys/net/netfilter.

    ``since`` and ``until`` are the first and the last Linux that has it, where that is not every one
    from 4.18 on; ``needs`` says on what else it depends, ``cure`` what to do where it is gone for good.
    """

    __slots__ = ("cure", "help", "key", "kind", "name", "needs", "since", "until")

    def __init__(
        self,
        name: str,
        kind: Kind,
        help: str,
        since: str = "",
        until: str = "",
        needs: str = "",
        cure: str = "",
    ) -> None:
        self.name = name
        self.key = "nf_conntrack_" + name
        self.kind = kind
        self.help = help
        self.since = since
        self.until = until
        self.needs = needs
        self.cure = cure


_FRAGMENTS = "the module nf_defrag_ipv6"

_ALL = (
    # Set in this order: the buckets are there before connections fill them.
    Tunable(
        "buckets",
        Number(1, INT_MAX, auto=True),
        "Buckets of the hash table; the kernel rounds them up to whole pages of memory.",
    ),
    Tunable(
        "max",
        Number(0, INT_MAX, "connections", auto=True),
        "Connections that are tracked at most; 0 sets no limit.",
    ),
    Tunable("expect_max", Number(1, INT_MAX), "Expectations that are kept at most."),
    Tunable("acct", Switch(), "Count packets and bytes of each connection."),
    Tunable(
        "timestamp",
        Switch(),
        "Note when each connection began and ended.",
        needs="CONFIG_NF_CONNTRACK_TIMESTAMP",
    ),
    Tunable(
        "events",
        Events(),
        "Tell programs of new, changed and ended connections.",
        needs="CONFIG_NF_CONNTRACK_EVENTS",
    ),
    Tunable("checksum", Switch(), "Hold packets with a wrong checksum for invalid."),
    Tunable("log_invalid", Protocol(), "Log invalid packets of this protocol."),
    Tunable("tcp_loose", Switch(), "Take up TCP connections whose beginning was not seen."),
    Tunable("tcp_be_liberal", Switch(), "Hold only resets outside of the TCP window for invalid."),
    Tunable(
        "tcp_ignore_invalid_rst",
        Switch(),
        "Do not hold resets outside of the TCP window for invalid.",
        since="5.14",
    ),
    Tunable(
        "tcp_max_retrans",
        Number(0, 255, "packets"),
        "Packets sent again without an answer before the timeout retrans of tcp counts.",
    ),
    Tunable(
        "dccp_loose",
        Switch(),
        "Take up DCCP connections whose beginning was not seen.",
        until="6.17",
        needs="CONFIG_NF_CT_PROTO_DCCP",
    ),
    Tunable(
        "frag6_low_thresh",
        Number(0, 0xFFFFFFFF, "bytes"),
        "Memory for IPv6 fragments down to which old ones go once there are too many.",
        needs=_FRAGMENTS,
    ),
    Tunable(
        "frag6_high_thresh",
        Number(1, 0xFFFFFFFF, "bytes"),
        "Memory for IPv6 fragments that wait to be put together, at most.",
        needs=_FRAGMENTS,
    ),
    Tunable("frag6_timeout", Seconds(), "How long an IPv6 fragment waits for the others.", needs=_FRAGMENTS),
    Tunable(
        "helper",
        Switch(),
        "Give connections their helper by their port.",
        until="5.19",
        cure="assign helpers by rules: set: {ct_helper: ...}",
    ),
)

TUNABLES = {one.name: one for one in _ALL}
"""By the word that the document has for each, in the order in which they are shown."""
