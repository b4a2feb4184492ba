# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``typeof``: nft's text for what a packet is asked, as libnftables JSON.

Only what a set's key can be made of: header fields, options, and the keys of
meta, ct, rt, socket and osf. Anything else is given as JSON.
"""

from __future__ import annotations

from typing import Any

from ..errors import DocumentError, nearest
from ..nftables.headers import EXTHDRS, HEADERS, IP_OPTIONS, TCP_OPTIONS
from ..nftables.selectors.conntrack import DIRECTIONS
from ..nftables.selectors.conntrack import KEYS as CT_KEYS
from ..nftables.selectors.environment import RT_KEYS, SOCKET_KEYS
from ..nftables.selectors.meta import KEYS as META_KEYS
from ..nftables.selectors.payload import BASES

ALLOWED = 'a text such as "ip saddr . tcp dport", or libnftables-JSON expressions'

UNQUALIFIED = frozenset(
    ("mark", "iif", "iifname", "iiftype", "oif", "oifname", "oiftype", "skuid", "skgid", "nftrace",
     "rtclassid", "ibrname", "obrname", "pkttype", "cpu", "iifgroup", "oifgroup", "cgroup")
)  # fmt: skip
"""The meta keys that stand without the word meta (nft(8), "meta expressions")."""

_OPTIONS = {"tcp": ("tcp option", TCP_OPTIONS), "ip": ("ip option", IP_OPTIONS)}


def expression_of(value: Any) -> dict[str, Any]:
    """The JSON of one expression or of a concatenation. Raises DocumentError."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        parts: list[Any] = [_parse(part.split(), value) for part in value.split(" . ")]
    elif isinstance(value, list) and value:
        parts = [expression_of(part) for part in value]
    else:
        raise DocumentError("no expression", found=value, allowed=ALLOWED)
    return parts[0] if len(parts) == 1 else {"concat": parts}


def _parse(words: list[str], text: str) -> dict[str, Any]:
    if not words:
        raise DocumentError("a part that is empty", found=text, allowed=ALLOWED)
    first, rest = words[0], " ".join(words[1:])
    if first in UNQUALIFIED and not rest:
        return {"meta": {"key": first}}
    if first == "meta":
        return {"meta": {"key": _one_of(META_KEYS, rest, "meta key", text)}}
    if first == "ct":
        return _ct(words[1:], text)
    if first.startswith("@"):
        return _raw(words, text)
    if words[1:2] == ["option"] and first in _OPTIONS:
        kind, options = _OPTIONS[first]
        return {kind: _option(options, words[2:], text)}
    if first in EXTHDRS and rest in EXTHDRS[first].fields:
        return {"exthdr": {"name": first, "field": rest}}
    if first == "rt":
        return _route(words[1:], text)
    if first == "socket":
        return _socket(words[1:], text)
    if first == "osf" and rest == "name":
        return {"osf": {"key": "name"}}
    if first in HEADERS:
        fields = {field.text: field.name for field in HEADERS[first].fields.values()}
        return {
            "payload": {
                "protocol": first,
                "field": fields[_one_of(fields, rest, "field of %s" % first, text)],
            }
        }
    known = [*HEADERS, "meta", "ct", "rt", "socket", "osf"]
    raise DocumentError("no expression", found=text, allowed=ALLOWED, cure=nearest(first, known))


def _one_of(known: Any, word: str, what: str, text: str) -> str:
    if word in known:
        return word
    raise DocumentError("no %s" % what, found=text, allowed=", ".join(known), cure=nearest(word, known))


def _ct(words: list[str], text: str) -> dict[str, Any]:
    direction = words[0] if words and words[0] in DIRECTIONS else None
    key = _one_of(CT_KEYS, " ".join(words[1:] if direction else words), "ct key", text)
    return {"ct": {"key": key, "dir": direction} if direction else {"key": key}}


def _route(words: list[str], text: str) -> dict[str, Any]:
    key = _one_of(RT_KEYS, " ".join(words), "rt key", text)
    family, _unused, name = key.rpartition(" ")
    return {"rt": {"key": name, "family": family} if family else {"key": name}}


def _socket(words: list[str], text: str) -> dict[str, Any]:
    key = _one_of(SOCKET_KEYS, words[0] if words else "", "socket key", text)
    if key != "cgroupv2":
        return {"socket": {"key": key}}
    if words[1:2] != ["level"] or len(words) != 3 or not words[2].isdecimal():
        raise DocumentError("cgroupv2 without a level", found=text, allowed="socket cgroupv2 level 1")
    return {"socket": {"key": key, "level": int(words[2])}}


def _option(options: Any, words: list[str], text: str) -> dict[str, Any]:
    name = _one_of(options, words[0] if words else "", "option", text)
    field = " ".join(words[1:])
    return {"name": name, "field": _one_of(options[name].fields, field, "field of %s" % name, text)}


def _raw(words: list[str], text: str) -> dict[str, Any]:
    base, _unused, numbers = words[0][1:].partition(",")
    offset, _unused, length = numbers.partition(",")
    if len(words) != 1 or base not in BASES or not (offset.isdecimal() and length.isdecimal()):
        raise DocumentError("no raw payload", found=text, allowed="such as @nh,96,32")
    return {"payload": {"base": base, "offset": int(offset), "len": int(length)}}
