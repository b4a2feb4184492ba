# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions that act on the packet: log, reject, translate, divert, duplicate."""

from __future__ import annotations

from ...netlink.attributes import BE16, BE32, RAW, TEXT, U8
from .. import uapi
from .base import Attribute, Expression


class Log(Expression):
    """Logs the packet to the kernel log (``level``) or to an nflog group."""

    name = "log"
    attributes = (
        Attribute("prefix", uapi.NFTA_LOG_PREFIX, TEXT),
        Attribute("level", uapi.NFTA_LOG_LEVEL, BE32),
        Attribute("flags", uapi.NFTA_LOG_FLAGS, BE32),
        Attribute("group", uapi.NFTA_LOG_GROUP, BE16),
        Attribute("snaplen", uapi.NFTA_LOG_SNAPLEN, BE32),
        Attribute("qthreshold", uapi.NFTA_LOG_QTHRESHOLD, BE16),
    )


class Reject(Expression):
    """Refuses the packet with an ICMP error or a TCP reset."""

    name = "reject"
    attributes = (
        Attribute("type", uapi.NFTA_REJECT_TYPE, BE32),
        Attribute("icmp_code", uapi.NFTA_REJECT_ICMP_CODE, U8),
    )


class Nat(Expression):
    """Translates the source or destination to what the registers hold."""

    name = "nat"
    attributes = (
        Attribute("type", uapi.NFTA_NAT_TYPE, BE32),
        Attribute("family", uapi.NFTA_NAT_FAMILY, BE32),
        Attribute("reg_addr_min", uapi.NFTA_NAT_REG_ADDR_MIN, BE32),
        Attribute("reg_addr_max", uapi.NFTA_NAT_REG_ADDR_MAX, BE32),
        Attribute("reg_proto_min", uapi.NFTA_NAT_REG_PROTO_MIN, BE32),
        Attribute("reg_proto_max", uapi.NFTA_NAT_REG_PROTO_MAX, BE32),
        Attribute("flags", uapi.NFTA_NAT_FLAGS, BE32),
    )


class Masq(Expression):
    """Translates the source to the outgoing interface's address."""

    name = "masq"
    attributes = (
        Attribute("flags", uapi.NFTA_MASQ_FLAGS, BE32),
        Attribute("reg_proto_min", uapi.NFTA_MASQ_REG_PROTO_MIN, BE32),
        Attribute("reg_proto_max", uapi.NFTA_MASQ_REG_PROTO_MAX, BE32),
    )


class Redir(Expression):
    """Translates the destination to this host."""

    name = "redir"
    attributes = (
        Attribute("reg_proto_min", uapi.NFTA_REDIR_REG_PROTO_MIN, BE32),
        Attribute("reg_proto_max", uapi.NFTA_REDIR_REG_PROTO_MAX, BE32),
        Attribute("flags", uapi.NFTA_REDIR_FLAGS, BE32),
    )


class Tproxy(Expression):
    """Hands the packet to a local transparent socket."""

    name = "tproxy"
    attributes = (
        Attribute("family", uapi.NFTA_TPROXY_FAMILY, BE32),
        Attribute("reg_addr", uapi.NFTA_TPROXY_REG_ADDR, BE32),
        Attribute("reg_port", uapi.NFTA_TPROXY_REG_PORT, BE32),
    )


class Synproxy(Expression):
    """Answers SYN packets in the server's stead until the client proves real."""

    name = "synproxy"
    attributes = (
        Attribute("mss", uapi.NFTA_SYNPROXY_MSS, BE16),
        Attribute("wscale", uapi.NFTA_SYNPROXY_WSCALE, U8),
        Attribute("flags", uapi.NFTA_SYNPROXY_FLAGS, BE32),
    )


class Queue(Expression):
    """Hands the packet to a userspace queue."""

    name = "queue"
    attributes = (
        Attribute("num", uapi.NFTA_QUEUE_NUM, BE16),
        Attribute("total", uapi.NFTA_QUEUE_TOTAL, BE16),
        Attribute("flags", uapi.NFTA_QUEUE_FLAGS, BE16),
        Attribute("sreg_qnum", uapi.NFTA_QUEUE_SREG_QNUM, BE32),
    )


class Dup(Expression):
    """Sends a copy of the packet to an address or a device."""

    name = "dup"
    attributes = (
        Attribute("sreg_addr", uapi.NFTA_DUP_SREG_ADDR, BE32),
        Attribute("sreg_dev", uapi.NFTA_DUP_SREG_DEV, BE32),
    )


class Fwd(Expression):
    """Sends the packet out of a device."""

    name = "fwd"
    attributes = (
        Attribute("sreg_dev", uapi.NFTA_FWD_SREG_DEV, BE32),
        Attribute("sreg_addr", uapi.NFTA_FWD_SREG_ADDR, BE32),
        Attribute("nfproto", uapi.NFTA_FWD_NFPROTO, BE32),
    )


class FlowOffload(Expression):
    """Moves the connection to a flowtable."""

    name = "flow_offload"
    attributes = (Attribute("table", uapi.NFTA_FLOW_TABLE_NAME, TEXT),)


class Notrack(Expression):
    """Keeps the packet away from connection tracking."""

    name = "notrack"
    bare = True


class CompatMatch(Expression):
    """An iptables match as iptables-nft writes it; its data is opaque."""

    name = "match"
    attributes = (Attribute("module", 1, TEXT), Attribute("revision", 2, BE32), Attribute("info", 3, RAW))


class CompatTarget(Expression):
    """An iptables target as iptables-nft writes it; its data is opaque."""

    name = "target"
    attributes = (Attribute("module", 1, TEXT), Attribute("revision", 2, BE32), Attribute("info", 3, RAW))


EXPRESSIONS = (
    Log,
    Reject,
    Nat,
    Masq,
    Redir,
    Tproxy,
    Synproxy,
    Queue,
    Dup,
    Fwd,
    FlowOffload,
    Notrack,
    CompatMatch,
    CompatTarget,
)
