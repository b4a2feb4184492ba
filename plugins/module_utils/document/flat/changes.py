# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``set``: what a rule writes into the packet, its metadata or its connection."""

from __future__ import annotations

from typing import Any, Callable

from ...errors import DocumentError
from ...nftables.datatypes import TYPES
from .key import ROUTED, TRACKED, Draft, Key
from .lookups import Lookup
from .marks import CT_MARK, META_MARK, changed
from .stateful import object_of
from .tos import field
from .values import Statement, at, integer, mapping, scalar, symbolic

SEGMENT_SIZE = {"tcp option": {"name": "maxseg", "field": "size"}}
OF_ROUTE = "rt mtu"
"""The largest segment that fits into packets of the route's size, in nft's words."""

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


def _segment_size(value: Any, draft: Draft) -> Statement:
    if draft.protocol is not None:
        draft.needs_protocol("a segment size", ("tcp",))
    if value == OF_ROUTE:
        return _mangle(SEGMENT_SIZE, {"rt": {"key": "mtu"}})
    if isinstance(value, str) and not value.isdecimal():
        raise DocumentError("no segment size", found=value, allowed='1 to 65535, or "%s"' % OF_ROUTE)
    return _mangle(SEGMENT_SIZE, integer(value, 1, 0xFFFF, "segment size"))


def _mangle(key: Statement, value: Any) -> Statement:
    return {"mangle": {"key": key, "value": value}}


def _object(word: str) -> Callable[[Any, Draft], Statement]:
    def make(value: Any, draft: Draft) -> Statement:
        return {word: object_of(value, word, draft)}

    return make


MAPPED: dict[str, tuple[str, Callable[[Draft], Statement]]] = {
    "mark": ("mark", lambda draft: META_MARK),
    "ct_mark": ("mark", lambda draft: CT_MARK),
    "priority": ("classid", lambda draft: {"meta": {"key": "priority"}}),
    "dscp": ("dscp", lambda draft: field("dscp", draft)),
    "ecn": ("ecn", lambda draft: field("ecn", draft)),
}
"""What can be taken from a map: the data type, and the left side."""


def _from_map(name: str, value: dict[str, Any], draft: Draft) -> Statement:
    from ..elements import Part, value_reader

    type_name, left = MAPPED[name]
    mapping(value, ("map",))
    try:
        found = Lookup(value["map"]).json(value_reader([Part(TYPES[type_name])]), (type_name,), draft)
    except DocumentError as error:
        raise error.at("map") from None
    return _mangle(left(draft), {"map": found})


FIELDS: dict[str, tuple[Callable[[Any, Draft], Statement], frozenset[str]]] = {
    "mark": (_mark, ROUTED | {"arp"}),
    "ct_mark": (_ct_mark, TRACKED),
    "dscp": (_set_dscp, ROUTED),
    "ecn": (_set_ecn, ROUTED),
    "priority": (_priority, ROUTED | {"arp"}),
    "mss": (_segment_size, ROUTED),
    "ct_zone": (_zone, TRACKED),
    "ct_helper": (_object("ct helper"), TRACKED),
    "ct_timeout": (_object("ct timeout"), TRACKED),
    "ct_expectation": (_object("ct expectation"), TRACKED),
    "secmark": (_object("secmark"), ROUTED | {"arp"}),
    "tunnel": (_object("tunnel"), frozenset(("netdev",))),
}
"""The keys under ``set`` in the order in which they are carried out, with the families that know them."""


def _lower(value: Any, draft: Draft) -> list[Statement]:
    mapping(value, tuple(FIELDS))
    statements = []
    for name, (make, families) in FIELDS.items():
        if name not in value:
            continue
        given = value[name]
        if draft.family not in families or ("ct_mark" in (name, given) and draft.family not in TRACKED):
            raise DocumentError("not in a table of family %s" % draft.family, name, given)
        try:
            if name in MAPPED and isinstance(given, dict) and "map" in given:
                statements.append(_from_map(name, given, draft))
            else:
                statements.append(make(given, draft))
        except DocumentError as error:
            raise error.at(name) from None
    return statements


def _touches_tos(value: Any, draft: Draft) -> bool:
    """Whether a ``set`` writes the type-of-service byte, which stands elsewhere in IPv6."""
    return isinstance(value, dict) and ("dscp" in value or "ecn" in value)


def _lookups(value: Any) -> list[tuple[str, Lookup]]:
    """The maps from which a ``set`` takes its values, with their places."""
    found = []
    for name, given in value.items() if isinstance(value, dict) else ():
        if name in FIELDS and isinstance(given, dict) and "map" in given:
            place = "%s.map" % name
            try:
                found.append((place, Lookup(given["map"])))
            except DocumentError as error:
                raise error.at(place) from None
    return found


def _networks(value: Any, draft: Draft) -> tuple[str, ...] | None:
    possible: tuple[str, ...] | None = None
    for place, lookup in _lookups(value):
        try:
            found = lookup.networks(draft)
            if found is not None:
                possible = tuple(one for one in possible or found if one in found)
                if not possible:
                    raise DocumentError("no packet can match: the maps are of different address families")
        except DocumentError as error:
            raise error.at(place) from None
    return possible


def _splits(value: Any, draft: Draft) -> bool:
    return _touches_tos(value, draft) or any(lookup.selection.splits for _unused, lookup in _lookups(value))


def _brings(value: Any, draft: Draft) -> bool:
    return len(value) == 1 and not _touches_tos(value, draft) and bool(_lookups(value))


STATEMENTS = {"set": Key(_lower, networks=_networks, split=_splits, implies=_touches_tos, brings=_brings)}
