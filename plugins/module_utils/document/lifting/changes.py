# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``set``: what a rule writes into the packet, its metadata or its connection."""

from __future__ import annotations

from typing import Any

from ..flat.changes import OF_ROUTE
from ..flat.marks import CT_MARK, META_MARK
from .draft import Action, Draft, NotFlat, Selector, is_whole, plain, selector_of
from .selections import lookup_of

_FIELDS: dict[Selector, str] = {
    ("meta", "mark"): "mark",
    ("ct", "mark"): "ct_mark",
    ("meta", "priority"): "priority",
    ("ct", "zone"): "ct_zone",
    ("tcp option", "maxseg", "size"): "mss",
    **{("payload", network, name): name for network in ("ip", "ip6") for name in ("dscp", "ecn")},
}
_MARKS: dict[str, tuple[Any, str, Any]] = {
    "mark": (META_MARK, "ct_mark", CT_MARK),
    "ct_mark": (CT_MARK, "mark", META_MARK),
}
_OPERATORS = {"&": "and", "^": "xor", "|": "or"}


def _mangle(draft: Draft, value: Any) -> None:
    selector = selector_of(value["key"])
    name = _FIELDS.get(selector)
    done = draft.rule.setdefault("set", {})
    if name is None or name in done:
        raise NotFlat("mangle")
    given = value["value"]
    if isinstance(given, dict) and "map" in given:
        done[name] = {"map": lookup_of(draft, given["map"])}
    elif name == "mss" and given == {"rt": {"key": "mtu"}}:
        done[name] = OF_ROUTE
    else:
        done[name] = _mark(name, given) if name in _MARKS else plain(given)
    if selector[0] == "payload":
        draft.about(selector[1], False)


def _mark(name: str, value: Any) -> Any:
    """A number, the other mark, or the operations on its own: they are nested, the last one outermost.

    A mark set to itself is the operation that changes nothing.
    """
    own, other, other_left = _MARKS[name]
    if value == other_left:
        return other
    if not isinstance(value, dict):
        return plain(value)
    operations: dict[str, int] = {}
    while value != own:
        if not isinstance(value, dict) or len(value) != 1:
            raise NotFlat(name)
        ((symbol, parts),) = value.items()
        if symbol not in _OPERATORS or _OPERATORS[symbol] in operations or not is_whole(parts[1]):
            raise NotFlat(name)
        operations[_OPERATORS[symbol]] = parts[1]
        value = parts[0]
    return dict(reversed(operations.items())) or {"or": 0}


def _assign(name: str) -> Action:
    """A statement that gives the connection a named object."""

    def lift(draft: Draft, value: Any) -> None:
        done = draft.rule.setdefault("set", {})
        if name in done:
            raise NotFlat(name)
        done[name] = value if isinstance(value, str) else {"map": lookup_of(draft, value["map"])}

    return lift


ACTIONS: dict[str, Action] = {
    "mangle": _mangle,
    "ct helper": _assign("ct_helper"),
    "ct timeout": _assign("ct_timeout"),
    "ct expectation": _assign("ct_expectation"),
    "secmark": _assign("secmark"),
    "tunnel": _assign("tunnel"),
}
