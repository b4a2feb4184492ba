# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumped sets, maps, objects and flowtables in the document's forms."""

from __future__ import annotations

from typing import Any

from ..document.declared import OBJECTS
from ..document.lifting.draft import Draft, NotFlat
from ..document.lifting.elements import key_of, value_of
from ..document.lifting.limits import CARRIED, rate_text
from ..document.priorities import NAMES
from ..document.tunnels import tunnel_form
from ..document.typeof import expression_of
from ..errors import DocumentError
from ..nftables import uapi
from ..nftables.datatypes import BY_NUMBER, NEVER, milliseconds_of
from ..nftables.declared.objects import decode_object
from ..nftables.decode import SetView, decode_elements, decode_rule
from ..nftables.expressions import TABLE, decode_one
from ..nftables.render.expressions import selector
from ..nftables.sets.typeof import KEY, VALUE, noted_expression, noted_types
from ..nftables.statements.stateful import OBJECT_TYPES
from . import canonical
from .desired import FAMILY_NAMES, HOOK_NAMES
from .kernel import KernelFlowtable, KernelObject, KernelSet, KernelTable
from .userdata import comment_of, number_of

#: user data of sets (NFTNL_UDATA_SET_* of libnftnl/udata.h)
_MERGE_ELEMENTS = 2
_DATA_INTERVAL = 6
_COMMENT = 7

_TYPE_BITS = 6  # bits of nft's type number for each part of a concatenation (TYPE_BITS)

_FLAGS = {
    "constant": uapi.NFT_SET_CONSTANT,
    "dynamic": uapi.NFT_SET_EVAL,
    "interval": uapi.NFT_SET_INTERVAL,
    "timeout": uapi.NFT_SET_TIMEOUT,
}
_WORDS = {number: word for word, number in OBJECT_TYPES.items()}
_PLURALS = {word: plural for plural, word in OBJECTS.items()}

#: an expression of each type that may stand beside one which only an expression can give
_TYPICAL = {
    "ipv4_addr": "ip saddr",
    "ipv6_addr": "ip6 saddr",
    "ether_addr": "ether saddr",
    "inet_proto": "meta l4proto",
    "inet_service": "th dport",
    "mark": "meta mark",
    "ifname": "meta iifname",
    "ct_state": "ct state",
}

_UNITS = (("mbytes", 1 << 20), ("kbytes", 1 << 10), ("bytes", 1))

Mapping = dict[str, Any]


class Unsayable(Exception):
    """Something that a document has no form for; the message says what."""


def declared(table: KernelTable, state: bool, remaining: bool = False) -> Mapping:
    """The table's keys beside its chains.

    ``state``: with what packets counted and the elements that they added. ``remaining``:
    with what is left of the elements' time. Raises Unsayable: a document without what it
    has no form for would take that away where it is applied.
    """
    found: Mapping = {}
    for one in table.objects.values():
        word = _WORDS.get(one.kind, "")
        shown = _shown(one, word)
        if word not in _PLURALS or "unknown" in shown:
            raise Unsayable(
                "object %s is of a kind (%d) that a document has no form for" % (one.name, one.kind)
            )
        body = _object(one, word, shown, FAMILY_NAMES[table.family], state)
        found.setdefault(_PLURALS[word], []).append(body)
    for flowtable in table.flowtables.values():
        found.setdefault("flowtables", []).append(_flowtable(flowtable))
    for content in table.sets.values():
        if content.flags & uapi.NFT_SET_ANONYMOUS:
            continue
        is_map = bool(content.flags & (uapi.NFT_SET_MAP | uapi.NFT_SET_OBJECT))
        name = "%s %s" % ("map" if is_map else "set", content.name)
        try:
            body = _set(content, is_map, state, remaining)
        except NotFlat:
            raise Unsayable("%s has an element that a document cannot say" % name) from None
        except (Unsayable, ValueError) as error:
            raise Unsayable("%s: %s" % (name, error)) from None
        found.setdefault("maps" if is_map else "sets", []).append(body)
    order = ("sets", "maps", *OBJECTS, "flowtables")
    return {key: found[key] for key in order if key in found}


def priority(number: int, family: str, hook: str) -> Any:
    """A priority by its name, a name and a small distance, or its number, as nft prints it."""
    for name, standard in NAMES[family].items():
        if not _at_home(name, hook):
            continue
        distance = number - standard
        if not distance:
            return name
        if abs(distance) <= 10:
            return "%s %s %d" % (name, "+" if distance > 0 else "-", abs(distance))
    return number


def _at_home(name: str, hook: str) -> bool:
    """Whether nft gives the priority this name on the hook (nft(8), "standard priority names")."""
    homes = {"dstnat": ("prerouting",), "srcnat": ("postrouting",), "out": ("output",)}
    return hook in homes.get(name, (hook,))


def _object(one: KernelObject, word: str, shown: Mapping, family: str, state: bool) -> Mapping:
    body: Mapping = {"name": one.name}
    if word == "counter":
        if state and (shown["packets"] or shown["bytes"]):
            body.update(shown)
    elif word == "quota":
        body["quota"] = ("over " if shown["inv"] else "") + _volume(shown["bytes"])
        if state and shown["used"]:
            body["quota"] += " used " + _volume(shown["used"])
    elif word == "limit":
        body["rate"] = rate_text(shown)
    elif word == "tunnel":
        body.update(tunnel_form(shown))
    else:
        body.update(shown)
        if body.get("l3proto") == family:
            del body["l3proto"]
        if word == "ct expectation":
            body["timeout"] = _time(shown["timeout"])
    comment = comment_of(one.userdata)
    if comment:
        body["comment"] = comment
    return body


def _shown(one: KernelObject, word: str) -> Mapping:
    """An object's properties as libnftables JSON names them."""
    shown = decode_object(one.kind, one.data)
    if "unknown" in shown and word in TABLE:
        # these have the attributes of the statement of their name
        decoded = decode_rule([TABLE[word].decode(one.data)], "inet", lambda name: None)[0]
        return dict(decoded.get(word) or {})
    return shown


def _volume(number: int) -> str:
    for unit, size in _UNITS:
        if number % size == 0:
            return "%d %s" % (number // size, unit)
    return "%d bytes" % number


def _time(milliseconds: int) -> Any:
    return "%dms" % milliseconds if milliseconds % 1000 else milliseconds // 1000


def _flowtable(one: KernelFlowtable) -> Mapping:
    body: Mapping = {
        "name": one.name,
        "hook": HOOK_NAMES["netdev"].get(one.hook.number, str(one.hook.number)),
        "priority": priority(one.hook.priority, "netdev", "ingress"),
    }
    if one.hook.devices:
        body["devices"] = list(one.hook.devices)
    if one.flags & uapi.NFT_FLOWTABLE_HW_OFFLOAD:
        body["flags"] = ["offload"]
    if one.flags & uapi.NFT_FLOWTABLE_COUNTER:
        body["counter"] = True
    return body


def _set(one: KernelSet, is_map: bool, state: bool, remaining: bool) -> Mapping:
    body: Mapping = {"name": one.name}
    body.update(_type(one.key_type, one.key_length, one.fields, _noted(one, KEY, one.key_length)))
    if is_map:
        body["map"] = _data(one)
    flags = [name for name, bit in _FLAGS.items() if one.flags & bit]
    if flags:
        body["flags"] = flags
    if number_of(one.userdata, _MERGE_ELEMENTS):
        body["auto_merge"] = True
    for key, milliseconds in (("timeout", one.timeout), ("gc_interval", one.gc_interval)):
        if milliseconds:
            body[key] = _time(milliseconds)
    if one.size:
        body["size"] = one.size
    if one.policy == uapi.NFT_SET_POL_MEMORY:
        body["policy"] = "memory"
    comment = comment_of(one.userdata, _COMMENT)
    if comment:
        body["comment"] = comment
    carried = _stateful(one)
    body.update(carried)
    if one.flags & uapi.NFT_SET_EVAL and not state:
        body["elements"] = "keep"
    elif one.elements:
        body["elements"] = _elements(one, is_map, carried, state, remaining)
    return body


def _type(number: int, length: int, fields: tuple[int, ...], noted: Any) -> Mapping:
    """The expression noted; else ``type``, or where that has no size of its own one of the same type."""
    numbers = []
    while number:
        numbers.append(number & ((1 << _TYPE_BITS) - 1))
        number >>= _TYPE_BITS
    types = [BY_NUMBER.get(one) for one in reversed(numbers)]
    if noted is not None:
        return {"typeof": noted}
    if types and all(one is not None and one.bits for one in types):
        names = [one.name for one in types if one is not None]
        return {"type": " . ".join(names)}
    known = sum((one.bits + 31) // 32 * 4 for one in types if one is not None)
    parts = []
    for index, one in enumerate(types or [None]):
        if one is not None and one.bits:
            if one.name not in _TYPICAL:
                raise Unsayable("there is no name for its type")
            parts.append(_TYPICAL[one.name])
            continue
        if one is not None and one.name not in ("integer", "string"):
            raise Unsayable("there is no name for its type")
        size = fields[index] if index < len(fields) else length - known
        if size <= 0:
            raise Unsayable("the size of its type is not known")
        parts.append("@nh,0,%d" % (size * 8))
    return {"typeof": " . ".join(parts)}


def _noted(one: KernelSet, whose: int, length: int) -> Any:
    """What nft noted of a ``typeof``, as nft's text where a document reads it; None where it is no use."""
    json = noted_expression(one.userdata, whose)
    if json is None or not noted_types(one.userdata, whose, length):
        return None
    text = selector(json, "")[0]
    try:
        return text if expression_of(text) == json else json
    except DocumentError:
        return json


def _data(one: KernelSet) -> Any:
    """What a map gives."""
    if one.flags & uapi.NFT_SET_OBJECT:
        if one.object_type not in _WORDS:
            raise Unsayable("it gives objects of an unknown kind")
        return _WORDS[one.object_type]
    if one.data_type == uapi.NFT_DATA_VERDICT:
        return "verdict"
    ranged = bool(number_of(one.userdata, _DATA_INTERVAL))
    length = one.data_length // 2 if ranged else one.data_length
    found = _type(one.data_type or 0, length, (), _noted(one, VALUE, length))
    if "type" in found:
        return ("interval " if ranged else "") + str(found["type"])
    if ranged:
        raise Unsayable("there is no name for the type of its values")
    return found


def _stateful(one: KernelSet) -> Mapping:
    """What each element of the set counts by itself, as the keys of the set."""
    draft = Draft("inet")
    for payload in one.expressions:
        statements = decode_rule([canonical.zeroed(decode_one(payload))], "inet", lambda name: None)
        for statement in statements:
            ((name, value),) = statement.items()
            if name not in CARRIED:
                raise Unsayable("its elements carry %s" % name)
            CARRIED[name](draft, value)
    return draft.rule


def _elements(one: KernelSet, is_map: bool, carried: Mapping, state: bool, remaining: bool) -> Any:
    rows = decode_elements(SetView.of(one), exact=True)
    if not is_map:
        return [_element(row, "elem", carried, state, remaining) for row in rows]
    pairs = [(_element(key, "key", carried, state, remaining), value_of(value)) for key, value in rows]
    if any(isinstance(key, dict) for key, _unused in pairs):
        return [{**(key if isinstance(key, dict) else {"key": key}), "value": value} for key, value in pairs]
    return dict(pairs)


def _own(inner: Mapping, carried: Mapping, state: bool) -> Mapping:
    """What an element counts otherwise than the set's statements say, but for what packets alone change."""
    draft = Draft("inet")
    for name, value in inner.items():
        if name in CARRIED and name not in ("counter", "last"):
            if name == "quota" and not state:
                value = {key: value[key] for key in value if not key.startswith("used")}
            CARRIED[name](draft, value)
    return {key: value for key, value in draft.rule.items() if carried.get(key) != value}


def _element(row: Any, word: str, carried: Mapping, state: bool, remaining: bool) -> Any:
    """An element's key, or a mapping with it under ``word`` and with what else it says."""
    if not isinstance(row, dict) or "elem" not in row:
        return key_of(row)
    inner = row["elem"]
    body: Mapping = {word: key_of(inner["val"])}
    if "timeout" in inner:
        timeout = inner["timeout"]
        body["timeout"] = timeout if timeout == NEVER else _time(milliseconds_of(timeout) or 0)
    if remaining and "expires" in inner:
        # what has just run out is still there: nothing left would mean all of its time
        body["expires"] = _time(milliseconds_of(inner["expires"]) or 1)
    if "comment" in inner:
        body["comment"] = inner["comment"]
    body.update(_own(inner, carried, state))
    counter = inner.get("counter")
    if state and isinstance(counter, dict) and (counter["packets"] or counter["bytes"]):
        body["counter"] = counter
    elif counter is not None and "counter" not in carried:
        body["counter"] = True
    last = inner.get("last")
    if state and last:
        # no time at all would be none of a document
        body["last"] = {"used": _time(last["used"] or 1)}
    elif "last" in inner and "last" not in carried:
        body["last"] = True
    return body[word] if len(body) == 1 else body
