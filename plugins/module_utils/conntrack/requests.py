# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of netlink messages that ctnetlink takes: a subsystem's number, then a message's within it.

Source: linux/netfilter/nfnetlink.h and linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

from . import uapi

_CONNECTIONS = uapi.NFNL_SUBSYS_CTNETLINK << 8
_EXPECTATIONS = uapi.NFNL_SUBSYS_CTNETLINK_EXP << 8

NEW = _CONNECTIONS | uapi.IPCTNL_MSG_CT_NEW
GET = _CONNECTIONS | uapi.IPCTNL_MSG_CT_GET
DELETE = _CONNECTIONS | uapi.IPCTNL_MSG_CT_DELETE
GET_AND_ZERO = _CONNECTIONS | uapi.IPCTNL_MSG_CT_GET_CTRZERO
GET_STATS = _CONNECTIONS | uapi.IPCTNL_MSG_CT_GET_STATS
GET_STATS_CPU = _CONNECTIONS | uapi.IPCTNL_MSG_CT_GET_STATS_CPU

GET_EXPECTED = _EXPECTATIONS | uapi.IPCTNL_MSG_EXP_GET
DELETE_EXPECTED = _EXPECTATIONS | uapi.IPCTNL_MSG_EXP_DELETE
GET_EXPECTED_STATS_CPU = _EXPECTATIONS | uapi.IPCTNL_MSG_EXP_GET_STATS_CPU
