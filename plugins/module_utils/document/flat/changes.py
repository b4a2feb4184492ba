# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``set``: what a rule writes into the packet, its metadata or its connection."""

from __future__ import annotations

from typing import Any, Callable

from ...errors import DocumentError
from .key import ROUTED, TRACKED, Draft, Key
from .marks import CT_MARK, META_MARK, changed
from .tos import field
from .values import Statement, at, integer, mapping, scalar, symbolic

_class_id = symbolic("classid")
_dscp = symbolic("dscp")
_ecn = symbolic("ecn")


def _mark(value: Any, draft: Draft) -> Statement:
    return _mangle(META_MARK, changed(value, "mark", META_MARK, "ct_mark", CT_MARK))


def _ct_mark(value: Any, draft: Draft) -> Statement:
    return _mangle(CT_MARK, changed(value, "ct_mark", CT_MARK, "mark", META_MARK))


def _set_dscp(value: Any, draft: Draft) -> Statement:
    return _mangle(field("dscp", draft), at("", _dscp, scalar(value)))


def _set_ecn(value: Any, draft: Draft) -> Statement:
    return _mangle(field("ecn", draft), at("", _ecn, scalar(value)))


def _priority(value: Any, draft: Draft) -> Statement:
    return _mangle({"meta": {"key": "priority"}}, at("", _class_id, scalar(value)))


def _zone(value: Any, draft: Draft) -> Statement:
    return _mangle({"ct": {"key": "zone"}}, integer(value, 0, 0xFFFF, "conntrack zone"))


def _mangle(key: Statement, value: Any) -> Statement:
    return {"mangle": {"key": key, "value": value}}


FIELDS: dict[str, tuple[Callable[[Any, Draft], Statement], frozenset[str]]] = {
    "mark": (_mark, ROUTED | {"arp"}),
    "ct_mark": (_ct_mark, TRACKED),
    "dscp": (_set_dscp, ROUTED),
    "ecn": (_set_ecn, ROUTED),
    "priority": (_priority, ROUTED | {"arp"}),
    "ct_zone": (_zone, TRACKED),
}
"""The keys under ``set`` in the order in which they are carried out, with the families that know them."""


def _lower(value: Any, draft: Draft) -> list[Statement]:
    mapping(value, tuple(FIELDS))
    statements = []
    for name, (make, families) in FIELDS.items():
        if name not in value:
            continue
        if draft.family not in families or ("ct_mark" in (name, value[name]) and draft.family not in TRACKED):
            raise DocumentError("not in a table of family %s" % draft.family, name, value[name])
        try:
            statements.append(make(value[name], draft))
        except DocumentError as error:
            raise error.at(name) from None
    return statements


def _touches_tos(value: Any, draft: Draft) -> bool:
    """Whether a ``set`` writes the type-of-service byte, which stands elsewhere in IPv6."""
    return isinstance(value, dict) and ("dscp" in value or "ecn" in value)


STATEMENTS = {"set": Key(_lower, split=_touches_tos, implies=_touches_tos)}
