# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The elements of sets and maps: what a person writes, as libnftables JSON.

Plain addresses go through as the very texts they were: a block list may have
hundreds of thousands, and all they need here is one look.
"""

from __future__ import annotations

import socket
from collections import deque
from functools import partial
from typing import Any, Callable

from ..errors import DocumentError, Problem
from ..nftables.datatypes import NEVER, DataType, DatatypeError
from ..nftables.sets import check_rest
from .flat.addresses import KIND, host_name, literal
from .flat.interfaces import name_of
from .flat.ports import port_of
from .flat.stateful import STATEFUL
from .flat.values import text
from .times import lifetime, milliseconds, seconds

COMMENT_LENGTH = 127
"""NFTNL_UDATA_SET_ELEM_COMMENT: a comment and its closing NUL in what nft reads back (libnftnl/udata.h)."""

MOST_PROBLEMS = 10
"""So many problems of one list are reported one by one."""

CATCH_ALL = "*"

ADDRESS_ALLOWED = "an address, a network 192.0.2.0/24 or 192.0.2.0/255.255.255.0, or a range a-b"

Read = Callable[[Any], Any]

_NETWORKS = {"ipv4_addr": "ip", "ipv6_addr": "ip6"}
_SOCKETS = {"ipv4_addr": socket.AF_INET, "ipv6_addr": socket.AF_INET6}

VERDICTS = ("accept", "drop", "continue", "return")
VERDICT_ALLOWED = '%s, "jump chain", "goto chain", {jump: chain} or {goto: chain}' % ", ".join(VERDICTS)


class Part:
    """One part of a key or of a value: its data type, and its width where that is the expression's."""

    __slots__ = ("bits", "read", "type")

    def __init__(self, type: DataType, bits: int = 0) -> None:
        self.type = type
        self.bits = bits or type.bits
        self.read: Read = _READERS.get(type.name) or partial(_of_type, type, self.bits)
        if type.name in _NETWORKS:
            self.read = partial(_address, type.name)


class Elements:
    """What a list of elements comes to: the JSON, and what it asks of its set.

    ``wide``    some key is a network, a range or a prefix of a name
    ``timed``   some element has a timeout of its own
    ``spread``  some value of a map is a network or a range

    ``timeout`` is the set's own in milliseconds, None where that is not known yet.
    """

    __slots__ = ("json", "spread", "timed", "timeout", "wide")

    def __init__(self, timeout: int | None = None) -> None:
        self.json: list[Any] = []
        self.timeout = timeout
        self.wide = False
        self.timed = False
        self.spread = False


def read_elements(
    value: Any,
    key: list[Part],
    data: Read | None,
    place: str,
    problems: list[Problem],
    timeout: int | None = None,
) -> Elements:
    """The elements of a set (``data`` None) or a map (``data`` reads its values).

    ``timeout`` is the set's, as of ``Elements``.
    """
    elements = Elements(timeout)
    if data is not None:
        _read_map(elements, value, key, data, place, problems)
        return elements
    if not isinstance(value, list):
        problems.append(Problem("no elements", place, value, "a list, or keep"))
        return elements
    if _all_plain(value, key):
        elements.json = value
        return elements
    read = partial(_element, elements, key)
    _each(value, read, elements.json, place, problems)
    return elements


def _all_plain(value: list[Any], key: list[Part]) -> bool:
    """Whether a set of addresses has nothing but single ones."""
    family = _SOCKETS.get(key[0].type.name) if len(key) == 1 else None
    if family is None:
        return False
    try:
        deque(map(partial(socket.inet_pton, family), value), maxlen=0)
    except (OSError, TypeError, ValueError):
        return False
    return True


def _each(items: list[Any], read: Read, found: list[Any], place: str, problems: list[Problem]) -> None:
    wrong = 0
    append = found.append
    for index, item in enumerate(items):
        try:
            append(read(item))
        except DocumentError as error:
            wrong += 1
            if wrong <= MOST_PROBLEMS:
                problems.extend(error.at("%s[%d]" % (place, index)).problems)
    if wrong > MOST_PROBLEMS:
        problems.append(Problem("%d more elements are wrong" % (wrong - MOST_PROBLEMS), place))


_OPTIONS = ("timeout", "expires", "comment", *STATEFUL)


def _element(elements: Elements, key: list[Part], item: Any) -> Any:
    if isinstance(item, dict) and item.keys().isdisjoint(_EXPRESSIONS):
        inner = item.get("elem", item.get("value"))
        if isinstance(inner, dict) and "val" in inner:
            # as libnftables lists it
            item = {"elem": inner["val"], **{one: inner[one] for one in inner if one != "val"}}
        return _with_options(elements, key, item, ("elem", "value"), _OPTIONS)
    return read_key(elements, key, item)


def _with_options(
    elements: Elements, key: list[Part], item: dict[str, Any], keys: tuple[str, ...], known: tuple[str, ...]
) -> Any:
    names = [one for one in keys if one in item]
    if len(names) != 1:
        raise DocumentError("an element without a value", found=item, allowed=" or ".join(keys))
    for one in item:
        if one not in known and one not in keys:
            raise DocumentError("unknown key", str(one), item[one], ", ".join((*keys, *known)))
    try:
        options = {"val": read_key(elements, key, item[names[0]])}
    except DocumentError as error:
        raise error.at(names[0]) from None
    for one in item:
        if one not in _OPTIONS:
            continue
        try:
            if one == "timeout":
                options[one] = lifetime(item[one])
                elements.timed = elements.timed or options[one] != NEVER
            elif one == "expires":
                options[one] = seconds(item[one])
            elif one == "comment":
                options[one] = text(item[one], COMMENT_LENGTH, "the comment")
            else:
                options.update(_state(one, item[one]))
        except DocumentError as error:
            raise error.at(one) from None
    if "expires" in options and elements.timeout is not None:
        own = elements.timeout
        if "timeout" in item:
            own = 0 if item["timeout"] == NEVER else milliseconds(item["timeout"])
        check_rest(milliseconds(item["expires"]), own)
    return options["val"] if len(options) == 1 else {"elem": options}


def _state(name: str, value: Any) -> dict[str, Any]:
    """What an element counts by itself; nothing where it is switched off."""
    statement = STATEFUL[name](value)
    if statement is None:
        return {}
    return {"counter": {"packets": 0, "bytes": 0}} if statement == {"counter": None} else statement


_EXPRESSIONS = frozenset(("prefix", "range", "concat"))


def read_key(elements: Elements, key: list[Part], item: Any) -> Any:
    """One key as JSON; notes where it is wider than one value. Raises DocumentError."""
    if item == CATCH_ALL:
        return CATCH_ALL
    if len(key) == 1:
        form = _read_part(key[0], item)
        if is_wide(form):
            elements.wide = True
        return form
    items = parts_of(item)
    if len(items) != len(key):
        types = " . ".join(part.type.name for part in key)
        raise DocumentError(
            "%d parts where %d are due" % (len(items), len(key)),
            found=item,
            allowed='%s: a text with " . " between the parts, or a list' % types,
        )
    forms = []
    for index, part in enumerate(key):
        try:
            form = _read_part(part, items[index])
        except DocumentError as error:
            raise error.at("[%d]" % index if isinstance(item, list) else "") from None
        if is_wide(form):
            elements.wide = True
        forms.append(form)
    return {"concat": forms}


def parts_of(item: Any) -> list[Any]:
    """The parts of a concatenation: a list, a text with dots between them, or JSON."""
    if isinstance(item, str):
        return [part.strip() for part in item.split(" . ")]
    if isinstance(item, dict) and isinstance(item.get("concat"), list):
        return list(item["concat"])
    return item if isinstance(item, list) else [item]


def is_wide(form: Any) -> bool:
    """Whether a key is more than one value: a network, a range, or the beginning of names."""
    if isinstance(form, str):
        return form[-1:] == "*" and form[-2:] != "\\*"
    return isinstance(form, dict)


def _read_part(part: Part, item: Any) -> Any:
    if isinstance(item, dict):
        return _json(part, item)
    if isinstance(item, bool) or not isinstance(item, (str, int)):
        raise DocumentError(
            "neither a text nor a whole number", found=item, allowed=part.type.allowed(part.bits)
        )
    try:
        return part.read(item)
    except DatatypeError as error:
        raise DocumentError(
            error.message, found=error.found, allowed=error.allowed, cure=error.cure
        ) from None


def _json(part: Part, item: dict[str, Any]) -> Any:
    """A prefix or range that is JSON already: its ends are checked, the rest is the compiler's."""
    if len(item) == 1 and isinstance(item.get("range"), list) and len(item["range"]) == 2:
        return {"range": [_read_part(part, one) for one in item["range"]]}
    if len(item) == 1 and isinstance(item.get("prefix"), dict):
        prefix = item["prefix"]
        return _read_part(part, "%s/%s" % (prefix.get("addr"), prefix.get("len")))
    raise DocumentError("no element", found=item, allowed=part.type.allowed(part.bits))


def _address(type_name: str, item: Any) -> Any:
    if isinstance(item, str) and host_name(item):
        raise DocumentError(
            "host names do not go into sets",
            found=item,
            cure="write its addresses, or saddr: %s in a rule" % item,
        )
    try:
        network, form = literal(item)
    except DocumentError as error:
        error.problems[0].allowed = ADDRESS_ALLOWED
        raise
    if network != _NETWORKS[type_name]:
        raise DocumentError(
            "an %s address in a set of %s" % (KIND[network], type_name),
            found=item,
            cure="declare another set for it, of type %s"
            % ("ipv4_addr" if type_name == "ipv6_addr" else "ipv6_addr"),
        )
    return form


def _of_type(type: DataType, bits: int, item: Any) -> Any:
    """A value by its name or number, ``a-b``, ``value/bits`` where the type has a width, ``a | b``."""
    try:
        if type.bitmask and isinstance(item, str) and "|" in item:
            number = 0
            for one in item.split("|"):
                number |= type.number_of(one.strip(), bits)
            return type.json_of(number)
        return type.json_of(type.number_of(item, bits))
    except DatatypeError as error:
        complaint = error
    if isinstance(item, str):
        for index in [index for index, letter in enumerate(item) if letter == "-"]:
            try:
                ends = [type.number_of(end.strip(), bits) for end in (item[:index], item[index + 1 :])]
            except DatatypeError:
                continue
            if ends[0] > ends[1]:
                raise DocumentError("a range upside down: its end is below its start", found=item)
            return {"range": [type.json_of(end) for end in ends]}
        start, slash, length = item.partition("/")
        if slash and bits and length.isdecimal() and length.isascii() and 0 < int(length) <= bits:
            number = type.number_of(start.strip(), bits)
            kept = number >> (bits - int(length)) << (bits - int(length))
            return {"prefix": {"addr": type.json_of(kept), "len": int(length)}}
    raise complaint


_READERS: dict[str, Read] = {"inet_service": port_of, "ifname": name_of}


def _read_map(
    elements: Elements, value: Any, key: list[Part], data: Read, place: str, problems: list[Problem]
) -> None:
    def put(item_key: Any, item_value: Any, form: Any, value_place: str) -> list[Any]:
        try:
            found = data(item_value)
        except DocumentError as error:
            raise error.at(value_place) from None
        if is_spread(found):
            elements.spread = True
        plain = form["elem"]["val"] if isinstance(form, dict) and "elem" in form else form
        known = repr(plain)
        if seen.setdefault(known, found) != found:
            raise DocumentError("a second value for this key", found=item_key)
        return [form, found]

    seen: dict[str, Any] = {}
    if isinstance(value, dict):
        for item_key, item_value in value.items():
            where = "%s.%s" % (place, item_key)
            try:
                elements.json.append(put(item_key, item_value, read_key(elements, key, item_key), ""))
            except DocumentError as error:
                problems.extend(error.at(where).problems)
        return
    if not isinstance(value, list):
        problems.append(Problem("no elements", place, value, "a mapping of keys to values, a list, or keep"))
        return

    def read(item: Any) -> Any:
        if isinstance(item, list) and len(item) == 2:
            return put(item[0], item[1], _element(elements, key, item[0]), "[1]")
        if not isinstance(item, dict) or "key" not in item or "value" not in item:
            raise DocumentError(
                "no element of a map", found=item, allowed="a mapping of key, value, %s" % ", ".join(_OPTIONS)
            )
        form = _with_options(elements, key, item, ("key",), ("value", *_OPTIONS))
        return put(item["key"], item["value"], form, "value")

    _each(value, read, elements.json, place, problems)


def is_spread(form: Any) -> bool:
    """Whether a value of a map, or a part of it, is a network or a range."""
    if not isinstance(form, dict):
        return False
    if "concat" in form:
        return any(is_spread(part) for part in form["concat"])
    return "prefix" in form or "range" in form


def read_verdict(value: Any) -> dict[str, Any]:
    """The verdict of a verdict map as JSON. Raises DocumentError."""
    if isinstance(value, str):
        if value in VERDICTS:
            return {value: None}
        word, _unused, chain = value.partition(" ")
        if word in ("jump", "goto") and chain.strip():
            return {word: {"target": chain.strip()}}
    elif isinstance(value, dict) and len(value) == 1:
        ((word, target),) = value.items()
        if word in VERDICTS and target is None:
            return value
        if word in ("jump", "goto"):
            name = target.get("target") if isinstance(target, dict) else target
            if isinstance(name, str) and name:
                return {word: {"target": name}}
    raise DocumentError("no verdict", found=value, allowed=VERDICT_ALLOWED)


def read_object_name(value: Any) -> str:
    """The name of an object that a map gives. Raises DocumentError."""
    if isinstance(value, str) and value:
        return value
    raise DocumentError("no name of an object", found=value, allowed="the name of an object of this table")


def value_reader(parts: list[Part]) -> Read:
    """What reads the values of a map to these types."""
    return partial(read_key, Elements(), parts)
