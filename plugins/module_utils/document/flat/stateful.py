# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``limit``, ``quota``, ``ct_count``, ``counter``, ``last``: what counts, in a rule or a set's elements."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ...errors import DocumentError
from ..times import milliseconds
from .key import TRACKED, Draft, Key
from .limits import limit_of
from .lookups import Lookup
from .quotas import quota_of
from .references import check_object, reference_name
from .values import Statement, integer, mapping, switched_on

COUNT_ALLOWED = 'a number of connections, "over 20", or a mapping of count, over'


def counter_of(value: Any) -> Statement | None:
    """A counter; None where it is switched off. Raises DocumentError."""
    if isinstance(value, dict):
        mapping(value, ("packets", "bytes"))
        return {
            "counter": {
                key: integer(value.get(key, 0), 0, (1 << 63) - 1, "count", key)
                for key in ("packets", "bytes")
            }
        }
    return {"counter": None} if switched_on(value) else None


def ct_count_of(value: Any) -> Statement:
    """A bound on how many connections there are. Raises DocumentError."""
    over: Any = False
    place = ""
    if isinstance(value, dict):
        mapping(value, ("count", "over"))
        place = "count"
        value, over = value.get("count"), value.get("over", False)
        if not isinstance(over, bool):
            raise DocumentError("neither true nor false", "over", over, "true or false")
    elif isinstance(value, str) and value.split()[:1] == ["over"]:
        over, value = True, value.split(None, 1)[1:]
        value = value[0] if value else ""
    try:
        count: Statement = {"val": integer(value, 0, 0xFFFFFFFF, "number of connections", place)}
    except DocumentError as error:
        error.problems[0].allowed = error.problems[0].allowed or COUNT_ALLOWED
        raise
    if over:
        count["inv"] = True
    return {"ct count": count}


def last_of(value: Any) -> Statement | None:
    """When a packet was last met; None where it is switched off. Raises DocumentError."""
    if not isinstance(value, dict):
        return {"last": None} if switched_on(value) else None
    mapping(value, ("used",))
    try:
        return {"last": {"used": milliseconds(value.get("used"))}}
    except DocumentError as error:
        raise error.at("used") from None


def _quota(value: Any) -> Statement:
    return quota_of(value).statement()


Stateful = Callable[[Any], Optional[Statement]]

STATEFUL: dict[str, Stateful] = {
    "limit": limit_of,
    "quota": _quota,
    "ct_count": ct_count_of,
    "counter": counter_of,
    "last": last_of,
}
"""What an element can carry: the statement of each key's value, None where it is switched off."""


def object_of(value: Any, word: str, draft: Draft) -> Any:
    """A named object of a kind, or the map that gives one: what stands behind ``word`` in JSON.

    Raises DocumentError.
    """
    if not isinstance(value, dict):
        name = reference_name(value, word)
        check_object(word, name, draft.declared)
        return name
    from ..elements import read_object_name

    mapping(value, ("map",))
    try:
        lookup = Lookup(value["map"])
        found = lookup.json(read_object_name, (word,), draft)
    except DocumentError as error:
        raise error.at("map") from None
    if not lookup.name:
        for _unused, name in found["data"]["set"]:
            check_object(word, name, draft.declared)
    return {"map": found}


def _is_map(value: Any) -> bool:
    return isinstance(value, dict) and "map" in value


def _key(name: str, word: str, is_name: Callable[[Any], bool]) -> Key:
    def lower(value: Any, draft: Draft) -> list[Statement]:
        if is_name(value) or _is_map(value):
            return [{word: object_of(value, word, draft)}]
        statement = STATEFUL[name](value)
        return [statement] if statement is not None else []

    def networks(value: Any, draft: Draft) -> tuple[str, ...] | None:
        if not _is_map(value):
            return None
        try:
            return Lookup(value["map"]).networks(draft)
        except DocumentError as error:
            raise error.at("map") from None

    def splits(value: Any, draft: Draft) -> bool:
        return _is_map(value) and Lookup(value["map"]).selection.splits

    return Key(lower, networks=networks, split=splits, brings=splits)


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("@")


def _is_quota_name(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != "" and len(value.split()) == 1


LIMITING = {
    "limit": _key("limit", "limit", _is_reference),
    "quota": _key("quota", "quota", _is_quota_name),
    "ct_count": Key(lambda value, draft: [ct_count_of(value)], families=TRACKED),
}
"""Statements that end the rule where a bound is kept to, or not kept to."""

TRUTH = ("yes", "no", "on", "off", "true", "false")
"""Texts that are more likely a truth value in quotes than the name of a counter."""


def _is_counter_name(value: Any) -> bool:
    return isinstance(value, str) and value.lower() not in TRUTH


COUNTING = {"counter": _key("counter", "counter", _is_counter_name)}
