# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``flow`` and ``synproxy``: what is taken off the hands of chains and of servers."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError, nearest
from .key import TRANSLATED, Draft, Key
from .references import check_flowtable, check_object, reference_name
from .values import Statement, integer, mapping

SYNPROXY_FLAGS = ("timestamp", "sack-perm")
WIDEST_SCALE = 14
"""TCP_MAX_WSCALE of net/tcp.h (RFC 7323)."""


def synproxy_of(value: dict[str, Any]) -> dict[str, Any]:
    """What a synproxy says of TCP, as nft prints it: ``mss``, ``wscale``, ``flags``. Raises DocumentError."""
    made: dict[str, Any] = {}
    for key, high in (("mss", 0xFFFF), ("wscale", WIDEST_SCALE)):
        if key in value:
            made[key] = integer(value[key], 0, high, key, key)
    if "flags" in value:
        flags = value["flags"] if isinstance(value["flags"], list) else [value["flags"]]
        for flag in flags:
            if flag not in SYNPROXY_FLAGS:
                raise DocumentError(
                    "no flag of a synproxy",
                    "flags",
                    flag,
                    ", ".join(SYNPROXY_FLAGS),
                    nearest(str(flag), SYNPROXY_FLAGS),
                )
        listed = [flag for flag in SYNPROXY_FLAGS if flag in flags]
        if listed:
            made["flags"] = listed
    return made


def _lower_synproxy(value: Any, draft: Draft) -> list[Statement]:
    if value is False:
        return []
    draft.needs_protocol("a synproxy", ("tcp",))
    if value is True:
        return [{"synproxy": None}]
    if isinstance(value, str):
        name = reference_name(value, "synproxy")
        check_object("synproxy", name, draft.declared)
        return [{"synproxy": name}]
    return [{"synproxy": synproxy_of(mapping(value, ("mss", "wscale", "flags")))}]


def _lower_flow(value: Any, draft: Draft) -> list[Statement]:
    name = reference_name(value, "flowtable")
    check_flowtable(name, draft.declared)
    return [{"flow": {"op": "add", "flowtable": "@" + name}}]


STATEMENTS = {
    "flow": Key(_lower_flow, families=TRANSLATED),
    "synproxy": Key(_lower_synproxy, families=TRANSLATED),
}
