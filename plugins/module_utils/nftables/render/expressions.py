# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions: what is matched or set (a selector), and the values beside it.

A selector renders to its text and its data type, for the type decides how the
values beside it look: ``meta mark`` makes 42 into ``0x0000002a``.
"""

from __future__ import annotations

from typing import Any, Callable

from ..headers import EXTHDRS, HEADERS, IP_OPTIONS, SCTP_CHUNKS, TCP_OPTIONS, Header
from .stateful import STATEFUL
from .values import RAW, Kind, duration_text, json_text, quoted, range_end_text, scalar_text

Selector = tuple[str, Kind]

META_KINDS: dict[str, str] = {
    "protocol": "ether_type",
    "priority": "classid",
    "mark": "mark",
    "iif": "iface_index",
    "oif": "iface_index",
    "iifname": "ifname",
    "oifname": "ifname",
    "iiftype": "iface_type",
    "oiftype": "iface_type",
    "skuid": "uid",
    "skgid": "gid",
    "rtclassid": "realm",
    "nfproto": "nf_proto",
    "l4proto": "inet_proto",
    "ibrname": "ifname",
    "obrname": "ifname",
    "ibriport": "ifname",
    "obriport": "ifname",
    "pkttype": "pkt_type",
    "iifgroup": "devgroup",
    "oifgroup": "devgroup",
    "ipsec": "boolean",
    "iifkind": "ifname",
    "oifkind": "ifname",
    "ibrvproto": "ether_type",
    "time": "date",
    "day": "day",
    "hour": "hour",
    "sdif": "iface_index",
    "sdifname": "ifname",
    "ibrhwaddr": "ether_addr",
}
"""The data types of the meta keys that aren't plain integers."""

CT_KINDS: dict[str, str] = {
    "state": "ct_state",
    "direction": "ct_dir",
    "status": "ct_status",
    "mark": "mark",
    "expiration": "time",
    "helper": "string",
    "l3proto": "nf_proto",
    "ip saddr": "ipv4_addr",
    "ip daddr": "ipv4_addr",
    "ip6 saddr": "ipv6_addr",
    "ip6 daddr": "ipv6_addr",
    "protocol": "inet_proto",
    "proto-src": "inet_service",
    "proto-dst": "inet_service",
    "label": "ct_label",
    "event": "ct_event",
}
"""The data types of the ct keys that aren't plain integers."""

BINARY = frozenset(("&", "|", "^", "<<", ">>"))
# what is shifted is a number, which nft prints as one but for these
_SHIFTED_ALIKE = frozenset(("mark", None))
_PRECEDENCE = {"<<": 1, ">>": 1, "&": 2, "^": 3, "|": 4}
# nft prints these keys without the word meta
_UNQUALIFIED = frozenset(("iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup"))
_ADDRESS = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}


def selector(expression: Any, family: str) -> Selector:
    """Text and data type of an expression; a family of "" means unknown."""
    if expression.__class__ is dict:
        for name, body in expression.items():
            handler = SELECTORS.get(name)
            if handler is not None:
                return handler(body, family)
            if name in BINARY:
                return _binary(name, body, family)
            break
    return value_text(expression, None, family), None


def value_text(value: Any, kind: Kind, family: str) -> str:
    """A value of a data type: a scalar, a set, a range, flags, or another selector."""
    if value.__class__ is dict:
        for name, body in value.items():
            handler = VALUES.get(name)
            if handler is not None:
                return handler(body, kind, family)
            if name in BINARY:
                return _binary_value(name, body, kind, family)
            if name in SELECTORS:
                return SELECTORS[name](body, family)[0]
            break
        return json_text(value)
    if value.__class__ is list:
        return ",".join([value_text(one, kind, family) for one in value])
    if value.__class__ is str and (value[:1] == "@" or value == "*"):
        return str(value)
    return scalar_text(value, kind if isinstance(kind, str) else None)


def is_binary(expression: Any) -> bool:
    """Whether this is an operation on bits, after which nft always prints the comparison."""
    return expression.__class__ is dict and any(name in BINARY for name in expression)


# selectors


def _payload(body: dict[str, Any], family: str) -> Selector:
    protocol = body.get("protocol")
    if protocol is None:
        return _behind(body, "@%s,%d,%d" % (body["base"], body["offset"], body["len"])), RAW
    field = body["field"]
    found = _PAYLOADS.get((protocol, field))
    if found is None:
        found = "%s %s" % (protocol, field), _field_kind(HEADERS.get(protocol), field)
        if found[1] is not None:
            _PAYLOADS[protocol, field] = found
    return (found[0] if protocol == body.get("tunnel") else _behind(body, found[0])), found[1]


def _behind(body: dict[str, Any], text: str) -> str:
    """The name of the tunnel, where there is one, before what is inside it."""
    return "%s %s" % (body["tunnel"], text) if "tunnel" in body else text


def _field_kind(header: Header | None, field: str) -> Kind:
    found = header.fields.get(field) if header is not None else None
    return None if found is None else found.datatype.name


_PAYLOADS: dict[tuple[str, str], Selector] = {}


def _meta(body: dict[str, Any], family: str) -> Selector:
    text, kind = _METAS.get(body["key"]) or ("meta " + body["key"], "integer")
    return _behind(body, text), kind


_METAS: dict[str, Selector] = {
    key: (key if key in _UNQUALIFIED else "meta " + key, kind) for key, kind in META_KINDS.items()
}
_METAS["secpath"] = _METAS["ipsec"]


def _ct(body: dict[str, Any], family: str) -> Selector:
    key = body["key"]
    if key in ("saddr", "daddr") and family in _ADDRESS:
        key = "%s %s" % (family, key)
    direction = body.get("dir")
    text = "ct %s %s" % (direction, key) if direction else "ct " + key
    return text, CT_KINDS.get(key, None if key.endswith("addr") else "integer")


def _header_like(
    word: str, headers: dict[str, Header], bare: str = ""
) -> Callable[[dict[str, Any], str], Selector]:
    """An option, chunk or extension header: ``word name field``, or ``bare name`` for its presence."""

    def render(body: dict[str, Any], family: str) -> Selector:
        name = body["name"]
        field = body.get("field")
        if field is None:
            return "%s %s" % (bare or word, name), "boolean"
        kind = _field_kind(headers.get(name), field)
        return ("%s %s %s" % (word, name, field) if word else "%s %s" % (name, field)), kind

    return render


_named_tcp_option = _header_like("tcp option", TCP_OPTIONS)


def _tcp_option(body: dict[str, Any], family: str) -> Selector:
    if "base" not in body:
        return _named_tcp_option(body, family)
    if body["offset"] == 0 and body["len"] == 8:
        return "tcp option %d" % body["base"], "boolean"
    return "tcp option @%d,%d,%d" % (body["base"], body["offset"], body["len"]), "integer"


def _dccp_option(body: dict[str, Any], family: str) -> Selector:
    return "dccp option %s" % body["type"], "boolean"


def _rt(body: dict[str, Any], family: str) -> Selector:
    key = body["key"]
    version = body.get("family")
    text = "rt %s %s" % (version, key) if version else "rt " + key
    if key == "nexthop":
        return text, _ADDRESS.get(version or family)
    return text, {"classid": "realm", "ipsec": "boolean"}.get(key, "integer")


def _socket(body: dict[str, Any], family: str) -> Selector:
    key = body["key"]
    if key == "cgroupv2":
        return "socket cgroupv2 level %s" % body.get("level", 0), "cgroupsv2"
    return "socket " + key, "mark" if key == "mark" else "integer"


def _osf(body: dict[str, Any], family: str) -> Selector:
    ttl = body.get("ttl")
    return ("osf ttl %s %s" % (ttl, body["key"]) if ttl else "osf " + body["key"]), "string"


def _fib(body: dict[str, Any], family: str) -> Selector:
    flags = body.get("flags") or []
    words = [flags] if isinstance(flags, str) else flags
    result = body["result"]
    kind = {"type": "fib_addrtype", "oif": "iface_index", "oifname": "ifname"}.get(result, "boolean")
    return "fib %s %s" % (" . ".join(words), result), kind


def _numgen(body: dict[str, Any], family: str) -> Selector:
    return "numgen %s mod %d%s" % (body["mode"], body["mod"], _offset(body)), "integer"


def _jhash(body: dict[str, Any], family: str) -> Selector:
    seed = " seed 0x%x" % body["seed"] if "seed" in body else ""
    key = selector(body["expr"], family)[0]
    return "jhash %s mod %d%s%s" % (key, body["mod"], seed, _offset(body)), "integer"


def _symhash(body: dict[str, Any], family: str) -> Selector:
    return "symhash mod %d%s" % (body["mod"], _offset(body)), "integer"


def _offset(body: dict[str, Any]) -> str:
    return " offset %d" % body["offset"] if body.get("offset") else ""


def _ipsec(body: dict[str, Any], family: str) -> Selector:
    level = " spnum %d" % body["spnum"] if body.get("spnum") else ""
    version = body.get("family")
    key = "%s %s" % (version, body["key"]) if version else body["key"]
    return "ipsec %s%s %s" % (body["dir"], level, key), _ADDRESS.get(version or "", "integer")


def _tunnel(body: Any, family: str) -> Selector:
    return "tunnel " + body["key"], "boolean" if body["key"] == "path" else "integer"


def _concat(body: list[Any], family: str) -> Selector:
    parts = [selector(one, family) for one in body]
    return " . ".join([text for text, _unused in parts]), tuple([kind for _unused, kind in parts])


def _binary(operator: str, arguments: list[Any], family: str) -> Selector:
    text, kind = _operand(operator, arguments[0], None, family)
    rest: Kind = "integer" if operator in ("<<", ">>") else kind
    for one in arguments[1:]:
        text = "%s %s %s" % (text, operator, _operand(operator, one, rest, family)[0])
    return text, "integer" if rest == "integer" and kind not in _SHIFTED_ALIKE else kind


def _operand(operator: str, argument: Any, kind: Kind, family: str) -> Selector:
    if argument.__class__ is list:
        return _parenthesised(" | ".join([value_text(one, kind, family) for one in argument])), kind
    if argument.__class__ is not dict:
        return value_text(argument, kind, family), kind
    inner = next(iter(argument), "")
    if inner not in BINARY:
        text, own = selector(argument, family)
        return text, own or kind
    if kind is not None and not _has_selector(argument):
        text, own = _binary_value(inner, argument[inner], kind, family), kind
    else:
        text, own = selector(argument, family)
    return (_parenthesised(text) if _PRECEDENCE[operator] < _PRECEDENCE[inner] else text), own


def _parenthesised(text: str) -> str:
    return "(%s)" % text if " " in text else text


def _has_selector(value: Any) -> bool:
    if value.__class__ is not dict:
        return False
    return any(
        name in SELECTORS or (name in BINARY and any(_has_selector(one) for one in body))
        for name, body in value.items()
    )


def _mapped(body: dict[str, Any], family: str) -> Selector:
    return map_text(body, None, family), None


SELECTORS: dict[str, Callable[[Any, str], Selector]] = {
    "payload": _payload,
    "meta": _meta,
    "ct": _ct,
    "exthdr": _header_like("", EXTHDRS, bare="exthdr"),
    "tcp option": _tcp_option,
    "ip option": _header_like("ip option", IP_OPTIONS),
    "sctp chunk": _header_like("sctp chunk", SCTP_CHUNKS),
    "dccp option": _dccp_option,
    "rt": _rt,
    "socket": _socket,
    "osf": _osf,
    "fib": _fib,
    "numgen": _numgen,
    "jhash": _jhash,
    "symhash": _symhash,
    "ipsec": _ipsec,
    "tunnel": _tunnel,
    "concat": _concat,
    "map": _mapped,
}
"""By JSON name: text and data type."""


# values


def set_text(items: Any, kind: Kind, family: str) -> str:
    """``{ 22, 80 }``; several flags in one element are joined with ``|``."""
    return "{ %s }" % ", ".join(element_texts(items, kind, family))


def element_texts(items: Any, kind: Kind, family: str) -> list[str]:
    """The elements of a set, each as text."""
    if items.__class__ is not list:
        items = [items]
    return [_one_text(one, kind, family) for one in items]


def pair_texts(items: Any, kind: Kind, data: Kind, family: str) -> list[str]:
    """The elements of a map, each as ``key : data``."""
    return ["%s : %s" % (_one_text(one[0], kind, family), _one_text(one[1], data, family)) for one in items]


def _one_text(one: Any, kind: Kind, family: str) -> str:
    """A key or a value of a map; several flags are one only where no comma stands between them."""
    if one.__class__ is list:
        return " | ".join([value_text(flag, kind, family) for flag in one])
    return value_text(one, kind, family)


def map_text(body: dict[str, Any], data: Kind, family: str, word: str = "map") -> str:
    """``key map { key : data }``, or the named map after its sign."""
    text, kind = selector(body["key"], family)
    where = body["data"]
    if where.__class__ is dict and "set" in where:
        rendered = "{ %s }" % ", ".join(pair_texts(where["set"], kind, data, family))
    else:
        rendered = value_text(where, None, family)
    return "%s %s %s" % (text, word, rendered)


def element_text(body: dict[str, Any], kind: Kind, family: str) -> str:
    """An element with what it carries, in nft's order: statements, timeout, expiry, comment."""
    text = value_text(body["val"], kind, family)
    for name, state in body.items():
        handler = STATEFUL.get(name)
        if handler is not None:
            text += " " + handler(state)
    if "timeout" in body:
        text += " timeout " + duration_text(body["timeout"])
    if "expires" in body:
        text += " expires " + duration_text(body["expires"])
    if "comment" in body:
        text += " comment " + quoted(body["comment"])
    return text


def _prefix(body: dict[str, Any], kind: Kind, family: str) -> str:
    return "%s/%d" % (value_text(body["addr"], kind, family), body["len"])


def _range(body: list[Any], kind: Kind, family: str) -> str:
    name = kind if isinstance(kind, str) else None
    return "%s-%s" % (range_end_text(body[0], name), range_end_text(body[1], name))


def _concatenated(body: list[Any], kind: Kind, family: str) -> str:
    kinds = kind if isinstance(kind, tuple) and len(kind) == len(body) else (None,) * len(body)
    return " . ".join([value_text(one, kinds[at], family) for at, one in enumerate(body)])


def _binary_value(operator: str, arguments: list[Any], kind: Kind, family: str) -> str:
    if any(one.__class__ is dict and _has_selector(one) for one in arguments):
        return _binary(operator, arguments, family)[0]
    rest: Kind = "integer" if operator in ("<<", ">>") else kind
    parts = [_operand(operator, one, rest if at else kind, family)[0] for at, one in enumerate(arguments)]
    return (" %s " % operator).join(parts)


def verdict_text(name: str) -> Callable[[Any, Kind, str], str]:
    """A verdict's renderer: the bare word, or the word and the chain."""

    def render(body: Any, kind: Kind, family: str) -> str:
        return "%s %s" % (name, body["target"]) if body else name

    return render


VERDICTS = ("accept", "drop", "return", "continue", "break", "jump", "goto")

VALUES: dict[str, Callable[[Any, Kind, str], str]] = {
    "set": set_text,
    "prefix": _prefix,
    "range": _range,
    "concat": _concatenated,
    "elem": element_text,
    "map": map_text,
    **{name: verdict_text(name) for name in VERDICTS},
}
"""By JSON name: the text beside a selector of a data type."""
