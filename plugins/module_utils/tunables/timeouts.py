# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every timeout of connection tracking: its protocol and state, its sysctl key, its netlink attribute.

Source: net/netfilter/nf_conntrack_standalone.c (keys) and linux/netfilter/nfnetlink_cttimeout.h
(attributes), Linux 4.18 to 6.18. A state has the name that nft's ``ct timeout`` and cttimeout give it.
Where the sysctl key calls it something else, that name is understood too.
"""

from __future__ import annotations

from ..conntrack.names import PROTOCOLS as NUMBERS
from .kinds import Seconds

GENERIC = 255
"""cttimeout's number for whatever protocol has no timeouts of its own (IPPROTO_RAW)."""

SECONDS = Seconds()

ONLY = "timeout"
"""The state of a protocol that has no other; it may be left out."""


class State:
    """One timeout: ``name`` is that of the setting, such as ``timeouts.tcp.established``.

    ``attribute`` is its CTA_TIMEOUT_* number within the protocol, 0 where netlink does not have it;
    ``key`` its file below /proc/sys/net/netfilter, empty where there is none. ``since``, ``until``
    and ``needs`` as of ``table.Tunable``.
    """

    __slots__ = ("attribute", "cure", "key", "kind", "name", "needs", "number", "since", "until", "word")

    def __init__(
        self,
        protocol: str,
        word: str,
        attribute: int,
        key: str,
        since: str = "",
        until: str = "",
        needs: str = "",
    ) -> None:
        self.name = "timeouts.%s" % (protocol if word == ONLY else "%s.%s" % (protocol, word))
        self.number = NUMBERS.get(protocol, GENERIC)
        self.word = word
        self.attribute = attribute
        self.key = key
        self.kind = SECONDS
        self.since = since
        self.until = until
        self.needs = needs
        self.cure = ""


def _states(protocol: str, words: str, needs: str = "", until: str = "") -> list[State]:
    """States whose attributes count from 1, with keys made of their words."""
    return [
        State(
            protocol,
            word,
            attribute,
            "nf_conntrack_%s_timeout_%s" % (protocol, word),
            needs=needs,
            until=until,
        )
        for attribute, word in enumerate(words.split(), 1)
    ]


def _pair(protocol: str, keys: str, needs: str = "") -> list[State]:
    """Of a protocol without connections: nothing came back yet, or something did."""
    return [
        State(protocol, "unreplied", 1, "nf_conntrack_%s_timeout" % keys, needs=needs),
        State(protocol, "replied", 2, "nf_conntrack_%s_timeout_stream" % keys, needs=needs),
    ]


def _offload(protocol: str) -> State:
    """How long a flowtable keeps a flow that sends nothing."""
    return State(
        protocol, "offload", 0, "nf_flowtable_%s_timeout" % protocol, "5.14", needs="CONFIG_NF_FLOW_TABLE"
    )


_TCP = "nf_conntrack_tcp_timeout_"
_SCTP = "CONFIG_NF_CT_PROTO_SCTP"

_ALL: dict[str, list[State]] = {
    "tcp": [
        *_states("tcp", "syn_sent syn_recv established fin_wait close_wait last_ack time_wait close"),
        State("tcp", "syn_sent2", 9, "", needs="CONFIG_NF_CT_NETLINK_TIMEOUT"),
        State("tcp", "retrans", 10, _TCP + "max_retrans"),
        State("tcp", "unack", 11, _TCP + "unacknowledged"),
        _offload("tcp"),
    ],
    "udp": [*_pair("udp", "udp"), _offload("udp")],
    # In the kernel UDP-Lite has no timeouts but UDP's (udp_get_timeouts)
    "udplite": _pair("udplite", "udp"),
    "icmp": [State("icmp", ONLY, 1, "nf_conntrack_icmp_timeout")],
    "icmpv6": [State("icmpv6", ONLY, 1, "nf_conntrack_icmpv6_timeout")],
    "gre": _pair("gre", "gre", "CONFIG_NF_CT_PROTO_GRE"),
    "sctp": [
        *_states(
            "sctp",
            "closed cookie_wait cookie_echoed established shutdown_sent shutdown_recd shutdown_ack_sent "
            "heartbeat_sent",
            _SCTP,
        ),
        State(
            "sctp",
            "heartbeat_acked",
            9,
            "nf_conntrack_sctp_timeout_heartbeat_acked",
            until="6.1",
            needs=_SCTP,
        ),
    ],
    "dccp": _states(
        "dccp",
        "request respond partopen open closereq closing timewait",
        "CONFIG_NF_CT_PROTO_DCCP",
        until="6.17",
    ),
    "generic": [State("generic", ONLY, 1, "nf_conntrack_generic_timeout")],
}

TIMEOUTS = {protocol: {one.word: one for one in states} for protocol, states in _ALL.items()}
"""By protocol and state. ``generic`` is every protocol that is not named."""


def understood(protocol: str) -> dict[str, State]:
    """The states of a protocol by every name that is understood: nft's, and those of the sysctl keys."""
    found = dict(TIMEOUTS[protocol])
    for state in TIMEOUTS[protocol].values():
        _unused, _unused, suffix = state.key.partition("_timeout_")
        if suffix:
            found.setdefault(suffix, state)
    return found
