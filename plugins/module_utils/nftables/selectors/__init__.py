# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Left sides of libnftables-json(5) turned into selectors: the table of their kinds.

``build(json, context)`` is the way in; the context learns which protocols the
selector presumes and puts the matches that guarantee them before the statement.
"""

from __future__ import annotations

from typing import Any, Callable

from ...errors import DocumentError, nearest
from .. import uapi
from ..headers import (
    EXTHDRS,
    HEADERS,
    IP_OPTIONS,
    SCTP_CHUNKS,
    TCP_OPTIONS,
    Field,
    Header,
    dccp_option,
)
from ..headers.tunnel import TUNNELS
from . import conntrack, environment, meta
from .base import INTEGER, Combined, Concatenation, Masked, Selector, Shifted, Widened
from .constants import number_of
from .exthdr import Exthdr
from .inner import KEYS as KEYS_INSIDE
from .inner import InnerMeta, InnerPayload
from .payload import BASES, HEADER_BASES, Payload
from .surroundings import Surroundings


def build(value: Any, context: Surroundings) -> Selector:
    """The selector that a JSON expression names. Raises DocumentError with the place inside it."""
    if not isinstance(value, dict) or len(value) != 1:
        raise DocumentError(
            "not an expression that selects something", found=value, allowed="one of %s" % ", ".join(KINDS)
        )
    ((kind, inner),) = value.items()
    maker = KINDS.get(kind)
    if maker is None:
        raise DocumentError(
            "unknown expression", found=kind, allowed=", ".join(KINDS), cure=nearest(kind, KINDS)
        )
    try:
        return maker(inner, context)
    except DocumentError as error:
        raise error.at(kind) from None


def build_for(value: Any, target: Selector, context: Surroundings) -> Selector:
    """The same for what is put into ``target``: in whose width and byte order operators compute."""
    if isinstance(value, dict) and len(value) == 1:
        ((symbol, inner),) = value.items()
        if symbol in OPERATIONS:
            try:
                return _computed(symbol, inner, context, target)
            except DocumentError as error:
                raise error.at(symbol) from None
    return build(value, context)


def is_selector(value: Any) -> bool:
    """Whether a JSON expression is one that loads something."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((kind, inner),) = value.items()
    if kind in OPERATIONS:
        return isinstance(inner, list) and bool(inner) and is_selector(inner[0])
    if kind == "concat":
        return isinstance(inner, list) and any(is_selector(part) for part in inner)
    return kind in KINDS


def _mapping(value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DocumentError("not a mapping", found=value, allowed="a mapping with %s" % ", ".join(keys))
    for key in value:
        if key not in keys:
            raise DocumentError(
                "unknown key", place=key, found=value[key], allowed=", ".join(keys), cure=nearest(key, keys)
            )
    return value


def _known(table: Any, word: Any, place: str) -> Any:
    try:
        return table[word]
    except (KeyError, TypeError):
        raise DocumentError(
            "unknown name", place=place, found=word, allowed=", ".join(table), cure=nearest(str(word), table)
        ) from None


def _whole(value: Any, place: str, top: int = 0xFFFFFFFF, default: int | None = None) -> int:
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= top:
        raise DocumentError("not a number that fits", place=place, found=value, allowed="0 to %d" % top)
    return value


def _payload(value: Any, context: Surroundings) -> Selector:
    if "base" in (value if isinstance(value, dict) else ()):
        _mapping(value, ("base", "offset", "len", "protocol", "tunnel"))
        base = _known(BASES, value["base"], "base")
        offset = _whole(value.get("offset"), "offset", 0xFFFF)
        length = _whole(value.get("len"), "len", 512)
        if not length:
            raise DocumentError("a payload of no bits", place="len", found=length, allowed="1 to 512 bits")
        raw = Payload(base, offset, length, INTEGER)
        if "tunnel" not in value:
            return raw
        tunnel = _known(TUNNELS, value["tunnel"], "tunnel")
        context.within(tunnel)
        return InnerPayload(tunnel, raw)
    _mapping(value, ("protocol", "field", "tunnel"))
    header = _known(HEADERS, value.get("protocol"), "protocol")
    field = _known(header.fields, value.get("field"), "field")
    if "tunnel" not in value and header.base != "ih":
        return _field(header, field, context)
    tunnel = _known(TUNNELS, value.get("tunnel", header.name), "tunnel")
    return InnerPayload(tunnel, _field(header, field, context.within(tunnel)))


def _field(header: Header, field: Field, context: Surroundings) -> Payload:
    shift = context.need(header, field)
    return Payload(
        HEADER_BASES[header.base], field.offset + shift, field.bits, field.datatype, header.name, field.name
    )


def _exthdr(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("name", "field", "offset"))
    header = _known(EXTHDRS, value.get("name"), "name")
    context.need_first(HEADERS["ip6"])
    return _searched(uapi.NFT_EXTHDR_OP_IPV6, header, value.get("field"))


def _searched(op: int, header: Any, field_name: Any) -> Selector:
    if field_name is None:
        return Exthdr(op, header.number, 0, 8, INTEGER, present=True)
    field = _known(header.fields, field_name, "field")
    return Exthdr(op, header.number, field.offset, field.bits, field.datatype)


def _tcp_option(value: Any, context: Surroundings) -> Selector:
    if "base" in (value if isinstance(value, dict) else ()):
        _mapping(value, ("base", "offset", "len"))
        kind = _whole(value.get("base"), "base", 255)
        offset = _whole(value.get("offset"), "offset", 320)
        length = _whole(value.get("len"), "len", 320)
        present = (offset, length) == (0, 8)
        return Exthdr(uapi.NFT_EXTHDR_OP_TCPOPT, kind, offset, length, INTEGER, present=present)
    _mapping(value, ("name", "field"))
    header = _known(TCP_OPTIONS, value.get("name"), "name")
    return _searched(uapi.NFT_EXTHDR_OP_TCPOPT, header, value.get("field"))


def _ip_option(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("name", "field"))
    context.need_first(HEADERS["ip"])
    header = _known(IP_OPTIONS, value.get("name"), "name")
    return _searched(uapi.NFT_EXTHDR_OP_IPV4, header, value.get("field"))


def _sctp_chunk(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("name", "field"))
    header = _known(SCTP_CHUNKS, value.get("name"), "name")
    return _searched(uapi.NFT_EXTHDR_OP_SCTP, header, value.get("field"))


def _dccp_option(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("type",))
    header = dccp_option(_whole(value.get("type"), "type", 255))
    return _searched(uapi.NFT_EXTHDR_OP_DCCP, header, None)


def _meta(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("key", "tunnel"))
    key = value.get("key")
    key = meta.ALIASES.get(key, key) if isinstance(key, str) else key
    if "tunnel" in value:
        tunnel = _known(TUNNELS, value["tunnel"], "tunnel")
        _known(dict.fromkeys(KEYS_INSIDE), key, "key")
        context.within(tunnel)
        return InnerMeta(tunnel, key)
    _known(meta.KEYS, key, "key")
    return meta.Meta(key)


def _ct(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("key", "family", "dir"))
    key = value.get("key")
    family = value.get("family")
    if key in ("saddr", "daddr"):
        family = family or {"ip": "ip", "ip6": "ip6"}.get(context.family) or context.network
        if family not in ("ip", "ip6"):
            raise DocumentError(
                "the address family is not known",
                place="key",
                found=key,
                allowed="'ip %s', 'ip6 %s'" % (key, key),
            )
        key = "%s %s" % (family, key)
    _known(conntrack.KEYS, key, "key")
    direction = value.get("dir")
    return conntrack.Ct(key, None if direction is None else _known(conntrack.DIRECTIONS, direction, "dir"))


def _rt(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("key", "family"))
    key = value.get("key")
    if key == "nexthop":
        family = value.get("family") or context.network or context.family
        key = "%s nexthop" % family
        if family not in ("ip", "ip6"):
            raise DocumentError(
                "the address family is not known", place="family", found=family, allowed="ip, ip6"
            )
    return environment.Rt(_known(environment.RT_KEYS, key, "key"))


def _socket(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("key", "level"))
    level = value.get("level")
    if value.get("key") == "cgroupv2" and level is None:
        raise DocumentError("cgroupv2 needs the level to compare", place="level", allowed="0 to 255")
    return environment.Socket(
        _known(environment.SOCKET_KEYS, value.get("key"), "key"),
        None if level is None else _whole(level, "level", 255),
    )


def _fib(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("result", "flags"))
    result = value.get("result")
    flags = value.get("flags", [])
    number = 0
    for one in flags if isinstance(flags, list) else [flags]:
        number |= _known(environment.FIB_FLAGS, one, "flags")
    if result == "check":
        return environment.Fib("oif", number, present=True)
    _known(environment.FIB_RESULTS, result, "result")
    return environment.Fib(result, number)


def _osf(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("key", "ttl"))
    _known({"name": 0, "version": 1}, value.get("key"), "key")
    ttl = value.get("ttl")
    return environment.Osf(
        0 if ttl is None else _known(environment.OSF_TTL, ttl, "ttl"), value["key"] == "version"
    )


def _ipsec(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("key", "family", "dir", "spnum"))
    key = value.get("key")
    if key in ("saddr", "daddr"):
        key = "%s %s" % (_known({"ip": "ip", "ip6": "ip6"}, value.get("family"), "family"), key)
    return environment.Xfrm(
        _known(environment.XFRM_KEYS, key, "key"),
        _known(environment.XFRM_DIRECTIONS, value.get("dir"), "dir"),
        _whole(value.get("spnum"), "spnum", 255, 0),
    )


def _tunnel(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("key",))
    return environment.Tunnel(_known(environment.TUNNEL_KEYS, value.get("key"), "key"))


def _numgen(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("mode", "mod", "offset"))
    return environment.Numgen(
        _known(environment.NUMGEN_MODES, value.get("mode"), "mode"),
        _whole(value.get("mod"), "mod"),
        _whole(value.get("offset"), "offset", default=0),
    )


def _jhash(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("mod", "offset", "expr", "seed"))
    seed = value.get("seed")
    return environment.Hash(
        build(value.get("expr"), context),
        _whole(value.get("mod"), "mod"),
        None if seed is None else _whole(seed, "seed"),
        _whole(value.get("offset"), "offset", default=0),
    )


def _symhash(value: Any, context: Surroundings) -> Selector:
    _mapping(value, ("mod", "offset"))
    return environment.Hash(
        None, _whole(value.get("mod"), "mod"), None, _whole(value.get("offset"), "offset", default=0)
    )


def _concat(value: Any, context: Surroundings) -> Selector:
    if not isinstance(value, list) or len(value) < 2:
        raise DocumentError("not a concatenation", found=value, allowed="a list of two or more expressions")
    parts = []
    for index, one in enumerate(value):
        try:
            parts.append(build(one, context))
        except DocumentError as error:
            raise error.at("[%d]" % index) from None
    return Concatenation(parts)


def _operands(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) < 2:
        raise DocumentError("not a pair of operands", found=value, allowed="a list of two or more operands")
    return value


def _operation(symbol: str) -> Callable[[Any, Surroundings], Selector]:
    return lambda value, context: _computed(symbol, value, context, None)


def _computed(symbol: str, value: Any, context: Surroundings, target: Selector | None) -> Selector:
    operands = _operands(value)
    left = _operand(operands[0], symbol, context, target)
    if symbol in _SHIFTS:
        return Shifted(left, _SHIFTS[symbol], _whole(operands[1], "[1]", max(left.bits - 1, 0)))
    for index, one in enumerate(operands[1:], 1):
        if is_selector(one):
            left = _combined(left, symbol, _operand(one, symbol, context, target), "[%d]" % index)
        else:
            left = _masked(left, symbol, number_of(left, one))
    return left


def _operand(value: Any, symbol: str, context: Surroundings, target: Selector | None) -> Selector:
    """An operand; wider where it would lose bits, or be shifted in the order in which it does not count."""
    if target is None:
        return build(value, context)
    selector = build_for(value, target, context)
    swapped = symbol in _SHIFTS and selector.byteorder != target.byteorder
    if target.byteorder == "host" and (selector.width < target.width or swapped):
        return Widened(selector, target)
    return selector


def _combined(left: Selector, symbol: str, right: Selector, place: str) -> Selector:
    if left.width != right.width or left.shift or right.shift:
        raise DocumentError(
            "two values of different widths",
            place=place,
            found="%d and %d bits" % (left.bits, right.bits),
            allowed="values of whole bytes, as many of both",
        )
    return Combined(left, right, COMBINATIONS[symbol])


def _masked(left: Selector, symbol: str, number: int) -> Selector:
    keep, flip = left.all_bits(), 0
    if isinstance(left, Masked):
        keep, flip, left = left.keep, left.flip, left.left
    if symbol == "&":
        keep, flip = keep & number, flip & number
    elif symbol == "|":
        keep, flip = keep & ~number, (flip & ~number) | number
    else:
        flip ^= number
    return Masked(left, keep, flip)


COMBINATIONS = {"&": uapi.NFT_BITWISE_AND, "|": uapi.NFT_BITWISE_OR, "^": uapi.NFT_BITWISE_XOR}
"""The operations on two registers."""

_SHIFTS = {"<<": uapi.NFT_BITWISE_LSHIFT, ">>": uapi.NFT_BITWISE_RSHIFT}
OPERATIONS = (*COMBINATIONS, *_SHIFTS)

KINDS: dict[str, Callable[[Any, Any], Selector]] = {
    "payload": _payload,
    "exthdr": _exthdr,
    "tcp option": _tcp_option,
    "ip option": _ip_option,
    "sctp chunk": _sctp_chunk,
    "dccp option": _dccp_option,
    "meta": _meta,
    "ct": _ct,
    "rt": _rt,
    "socket": _socket,
    "fib": _fib,
    "osf": _osf,
    "ipsec": _ipsec,
    "tunnel": _tunnel,
    "numgen": _numgen,
    "jhash": _jhash,
    "symhash": _symhash,
    "concat": _concat,
    **{symbol: _operation(symbol) for symbol in OPERATIONS},
}
