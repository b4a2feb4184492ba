# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words for connections' protocols, states and status: those that conntrack(8) prints and takes."""

from __future__ import annotations

from collections.abc import Mapping

from . import uapi

PROTOCOLS = {
    "icmp": 1,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "gre": 47,
    "icmpv6": 58,
    "sctp": 132,
    "udplite": 136,
}
"""Protocols that connection tracking knows, by their IANA numbers; any other is tracked as ``unknown``."""

TCP_STATES = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)
"""By number: enum tcp_conntrack of linux/netfilter/nf_conntrack_tcp.h."""

SCTP_STATES = (
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
    "HEARTBEAT_ACKED",
)
"""By number: enum sctp_conntrack of linux/netfilter/nf_conntrack_sctp.h."""

DCCP_STATES = (
    "NONE",
    "REQUEST",
    "RESPOND",
    "PARTOPEN",
    "OPEN",
    "CLOSEREQ",
    "CLOSING",
    "TIMEWAIT",
    "IGNORE",
    "INVALID",
)
"""By number: enum ct_dccp_states, in the kernel up to Linux 6.17."""

STATES = {6: TCP_STATES, 33: DCCP_STATES, 132: SCTP_STATES}
"""By protocol number, for the protocols whose connections have states."""

STATUS = {
    "expected": uapi.IPS_EXPECTED,
    "seen_reply": uapi.IPS_SEEN_REPLY,
    "assured": uapi.IPS_ASSURED,
    "confirmed": uapi.IPS_CONFIRMED,
    "snat": uapi.IPS_SRC_NAT,
    "dnat": uapi.IPS_DST_NAT,
    "seq_adjust": uapi.IPS_SEQ_ADJUST,
    "snat_done": uapi.IPS_SRC_NAT_DONE,
    "dnat_done": uapi.IPS_DST_NAT_DONE,
    "dying": uapi.IPS_DYING,
    "fixed_timeout": uapi.IPS_FIXED_TIMEOUT,
    "helper": uapi.IPS_HELPER,
    "offload": uapi.IPS_OFFLOAD,
    "hw_offload": uapi.IPS_HW_OFFLOAD,
}
"""The bits of a connection's status by the word for each, as nft's ``ct status`` has them where it does."""


def words_of(bits: int, words: Mapping[str, int]) -> list[str]:
    """The words for the bits that are set; those without a word as one number at the end, ``0x10000``."""
    found = [word for word, bit in words.items() if bits & bit]
    for bit in words.values():
        bits &= ~bit
    if bits:
        found.append("0x%x" % bits)
    return found
