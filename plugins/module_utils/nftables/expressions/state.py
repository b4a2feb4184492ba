# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions that keep a state between packets: counters, quotas, limits, set updates."""

from __future__ import annotations

from ...netlink.attributes import BE32, BE64, TEXT
from .. import uapi
from .base import Attribute, Expression
from .codecs import EXPRESSIONS as LIST
from .codecs import ONE_EXPRESSION


class Counter(Expression):
    """Counts packets and bytes."""

    name = "counter"
    attributes = (
        Attribute("bytes", uapi.NFTA_COUNTER_BYTES, BE64, default=0, state=True),
        Attribute("packets", uapi.NFTA_COUNTER_PACKETS, BE64, default=0, state=True),
    )


class Quota(Expression):
    """Matches until (or once) ``bytes`` bytes have passed."""

    name = "quota"
    attributes = (
        Attribute("bytes", uapi.NFTA_QUOTA_BYTES, BE64),
        Attribute("consumed", uapi.NFTA_QUOTA_CONSUMED, BE64, default=0, state=True),
        Attribute("flags", uapi.NFTA_QUOTA_FLAGS, BE32, default=0),
    )


class Limit(Expression):
    """Matches up to (or over) ``rate`` packets or bytes in ``unit`` seconds."""

    name = "limit"
    attributes = (
        Attribute("rate", uapi.NFTA_LIMIT_RATE, BE64),
        Attribute("unit", uapi.NFTA_LIMIT_UNIT, BE64),
        Attribute("burst", uapi.NFTA_LIMIT_BURST, BE32),
        Attribute("type", uapi.NFTA_LIMIT_TYPE, BE32),
        Attribute("flags", uapi.NFTA_LIMIT_FLAGS, BE32, default=0),
    )


class Connlimit(Expression):
    """Matches up to (or over) ``count`` connections."""

    name = "connlimit"
    attributes = (
        Attribute("count", uapi.NFTA_CONNLIMIT_COUNT, BE32),
        Attribute("flags", uapi.NFTA_CONNLIMIT_FLAGS, BE32),
    )


class Last(Expression):
    """Remembers when a packet last came by (``msecs`` ago, if ``set``)."""

    name = "last"
    attributes = (
        Attribute("set", uapi.NFTA_LAST_SET, BE32, default=0, state=True),
        Attribute("msecs", uapi.NFTA_LAST_MSECS, BE64, default=0, state=True),
    )


class Objref(Expression):
    """Uses a named object, or the one that a map gives for a register."""

    name = "objref"
    attributes = (
        Attribute("imm_name", uapi.NFTA_OBJREF_IMM_NAME, TEXT),
        Attribute("imm_type", uapi.NFTA_OBJREF_IMM_TYPE, BE32),
        Attribute("set_sreg", uapi.NFTA_OBJREF_SET_SREG, BE32),
        Attribute("set", uapi.NFTA_OBJREF_SET_NAME, TEXT),
        Attribute("set_id", uapi.NFTA_OBJREF_SET_ID, BE32, set_id=True),
    )


class Dynset(Expression):
    """Adds, updates or deletes a register's value in a set."""

    name = "dynset"
    attributes = (
        Attribute("sreg_key", uapi.NFTA_DYNSET_SREG_KEY, BE32),
        Attribute("sreg_data", uapi.NFTA_DYNSET_SREG_DATA, BE32),
        Attribute("op", uapi.NFTA_DYNSET_OP, BE32),
        Attribute("set", uapi.NFTA_DYNSET_SET_NAME, TEXT),
        Attribute("set_id", uapi.NFTA_DYNSET_SET_ID, BE32, set_id=True),
        Attribute("timeout", uapi.NFTA_DYNSET_TIMEOUT, BE64, default=0),
        Attribute("expr", uapi.NFTA_DYNSET_EXPR, ONE_EXPRESSION),
        Attribute("expressions", uapi.NFTA_DYNSET_EXPRESSIONS, LIST),
        Attribute("flags", uapi.NFTA_DYNSET_FLAGS, BE32, default=0, state=True),
    )


EXPRESSIONS = (Counter, Quota, Limit, Connlimit, Last, Objref, Dynset)
