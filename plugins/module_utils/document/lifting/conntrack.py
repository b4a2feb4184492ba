# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of connection tracking: ``ct_*`` (``ct_mark`` is with the other mark) and ``notrack``."""

from __future__ import annotations

from typing import Any

from ..flat.selections import FIELDS
from .draft import Action, Draft, Lifter, NotFlat, Selector, under, words_of, written
from .lookups import lookup_by


def _flags(key: str) -> Lifter:
    def lift(draft: Draft, op: str, right: Any) -> None:
        if isinstance(right, dict) and key in FIELDS:
            # each is an element then, and not a bit
            lookup_by(draft, op, key, right)
        else:
            draft.put(key, words_of(op, right))

    return lift


def _direction(draft: Draft, op: str, right: Any) -> None:
    if op != "==" or right not in ("original", "reply"):
        raise NotFlat("direction")
    draft.put("ct_direction", right)


def _of_tuple(direction: str, field: str, network: str = "") -> Lifter:
    def lift(draft: Draft, op: str, right: Any) -> None:
        value = written(op, right)
        fields = draft.rule.setdefault("ct_" + direction, {})
        if field in fields:
            raise NotFlat(field)
        fields[field] = value
        if network:
            draft.about(network, True)

    return lift


def _protocol(draft: Draft, op: str, right: Any) -> None:
    """The protocol is the same in both directions: it goes with the tuple that was begun last."""
    direction = "reply" if "ct_reply" in draft.rule else "original"
    _of_tuple(direction, "protocol")(draft, op, right)


MATCHES: dict[Selector, Lifter] = {
    ("ct", "state"): _flags("ct_state"),
    ("ct", "status"): _flags("ct_status"),
    ("ct", "direction"): _direction,
    ("ct", "zone"): under("ct_zone"),
    ("ct", "helper"): under("ct_helper"),
    ("ct", "protocol"): _protocol,
}
for _direction_name in ("original", "reply"):
    for _network in ("ip", "ip6"):
        for _field in ("saddr", "daddr"):
            MATCHES["ct", "%s %s" % (_network, _field), _direction_name] = _of_tuple(
                _direction_name, _field, _network
            )
    for _key, _field in (("proto-src", "sport"), ("proto-dst", "dport")):
        MATCHES["ct", _key, _direction_name] = _of_tuple(_direction_name, _field)


def _notrack(draft: Draft, value: Any) -> None:
    draft.put("notrack", True)


ACTIONS: dict[str, Action] = {"notrack": _notrack}
