# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements, by their JSON name, and rules made of them."""

from __future__ import annotations

import re
from typing import Any, Callable

from ..datatypes import TYPES
from .expressions import (
    BINARY,
    VERDICTS,
    is_binary,
    map_text,
    selector,
    value_text,
)
from .stateful import STATEFUL
from .translation import dup, fwd, queue, tproxy, translation
from .values import Kind, json_text, quoted, range_end_text, scalar_text

_FLAG_TYPES = frozenset(("tcp_flag", "ct_state", "ct_status", "ct_label"))
"""Types of flags, where a bare value means any of these bits."""


def render_statement(statement: dict[str, Any], family: str = "inet") -> str:
    """One statement as nft text; one that is not known is shown as JSON.

    ``family`` is the table's: a few statements print shorter in ip and ip6 tables.
    """
    try:
        for name, body in statement.items():
            return STATEMENTS[name](body, family)
    except Exception:  # a diff must show whatever the kernel or a person has written
        pass
    return json_text(statement)


def render_rule(statements: list[dict[str, Any]], comment: str | None = None, family: str = "inet") -> str:
    """A rule on one line, as it stands in a chain."""
    parts = [render_statement(one, family) for one in statements]
    if comment is not None:
        parts.append("comment " + quoted(comment))
    return " ".join(parts)


# matches


def _match(body: dict[str, Any], family: str) -> str:
    left = body["left"]
    text, kind = selector(left, family)
    operator = body.get("op", "==")
    right = body["right"]
    if kind in _FLAG_TYPES:
        return _match_flags(left, text, str(kind), operator, right, family)
    if operator == "in" or (operator == "==" and not is_binary(left)):
        return "%s %s" % (text, value_text(right, kind, family))
    return "%s %s %s" % (text, operator, value_text(right, kind, family))


def _match_flags(left: Any, text: str, kind: str, operator: str, right: Any, family: str) -> str:
    """Flags: ``syn,ack`` (any), ``! syn`` (none), ``== syn`` (exactly), ``syn / syn,ack`` (of the mask)."""
    if _is_reference(right):
        word = "" if operator in ("==", "in") else operator + " "
        return "%s %s%s" % (text, word, value_text(right, kind, family))
    if "&" in left:
        inner, mask = selector(left["&"][0], family)[0], _flag_words(left["&"][1], kind)
        if right == 0:
            return "%s %s%s" % (inner, "! " if operator == "==" else "", ",".join(mask))
        if len(mask) > 1:
            word = "" if operator == "==" else operator + " "
            return "%s %s%s / %s" % (inner, word, ",".join(_flag_words(right, kind)), ",".join(mask))
    words = _flag_words(right, kind)
    if operator == "in":
        return "%s %s" % (text, ",".join(words))
    if operator == "!":
        return "%s ! %s" % (text, ",".join(words))
    return "%s %s %s" % (text, operator, _exact_flags(words, kind))


def _is_reference(right: Any) -> bool:
    """A set or a selector on the right: compared as it is."""
    if right.__class__ is dict:
        return not any(name in BINARY for name in right)
    return right.__class__ is str and right[:1] == "@"


def _flag_words(value: Any, kind: str) -> list[str]:
    """The single flags of a value, however the JSON joins them, lowest bit first."""
    words = _joined_flags(value, kind)
    if len(words) < 2:
        return words
    bits = TYPES[kind].constants
    return sorted(dict.fromkeys(words), key=lambda word: bits.get(word, 0))


def _joined_flags(value: Any, kind: str) -> list[str]:
    if value.__class__ is dict and "|" in value:
        value = value["|"]
    if value.__class__ is list:
        return [word for one in value for word in _joined_flags(one, kind)]
    return scalar_text(value, kind).split(",")


def _exact_flags(words: list[str], kind: str) -> str:
    """Several flags that must be exactly these: nft prints a number for TCP's, names for others."""
    if kind == "tcp_flag" and len(words) > 1:
        flags = TYPES[kind]
        return "0x%x" % sum([flags.number_of(word) for word in words])
    return " | ".join(words)


def _vmap(body: dict[str, Any], family: str) -> str:
    return map_text(body, "verdict", family, "vmap")


# changes to the packet and its metadata


# nft prints the names of protocols here too, but reads them as keywords, which may not stand here
_NAMED_BY_KEYWORDS = frozenset(("inet_proto", "ether_type"))


def _mangle(body: dict[str, Any], family: str) -> str:
    text, kind = selector(body["key"], family)
    value = body["value"]
    if kind == "ct_event" and not _is_reference(value):
        return "%s set %s" % (text, ",".join(_flag_words(value, kind)))
    if kind in _NAMED_BY_KEYWORDS and not isinstance(value, dict):
        return "%s set %s" % (text, range_end_text(value, kind))
    return "%s set %s" % (text, value_text(value, kind, family))


def _tos(body: dict[str, Any], family: str) -> str:
    """Both masks over the whole byte; nft has no words for it, so this is for people only."""
    return "tos set tos & 0x%02x ^ 0x%02x" % (body.get("and", 0xFF), body.get("xor", 0))


def _reset(body: Any, family: str) -> str:
    return "reset " + selector(body, family)[0]


# sets and maps filled by packets


def _set(body: dict[str, Any], family: str) -> str:
    return "%s %s { %s }" % (body["op"], body["set"], _dynamic_element(body["elem"], body, family))


def _map(body: dict[str, Any], family: str) -> str:
    key = _dynamic_element(body["elem"], body, family)
    return "%s %s { %s : %s }" % (body["op"], body["map"], key, value_text(body["data"], None, family))


def _meter(body: dict[str, Any], family: str) -> str:
    size = " size %d" % body["size"] if "size" in body else ""
    return "meter %s%s { %s }" % (body["name"], size, _dynamic_element(body["key"], body, family))


def _dynamic_element(element: Any, body: dict[str, Any], family: str) -> str:
    text = value_text(element, None, family)
    attached = body.get("stmt") or []
    for one in [attached] if attached.__class__ is dict else attached:
        text += " " + render_statement(one, family)
    return text


# objects and state


def _referring(word: str, kind: Kind = "string") -> Callable[[Any, str], str]:
    """A statement that names an object, or a map of objects."""

    def render(body: Any, family: str) -> str:
        return "%s %s" % (word, value_text(body, kind, family))

    return render


def _stateful(name: str) -> Callable[[Any, str], str]:
    """A counter, limit or quota: its own state, or an object's name."""
    own, named = STATEFUL[name], _referring(name + " name")

    def render(body: Any, family: str) -> str:
        if body.__class__ is str or (body.__class__ is dict and "map" in body):
            return named(body, family)
        return own(body)

    return render


def _synproxy(body: Any, family: str) -> str:
    if body.__class__ is str or (body and "map" in body):
        return "synproxy name " + value_text(body, "string", family)
    return " ".join(["synproxy", *synproxy_options(body or {})])


def synproxy_options(body: dict[str, Any]) -> list[str]:
    """A synproxy's settings, each as one phrase."""
    words = ["%s %d" % (name, body[name]) for name in ("mss", "wscale") if name in body]
    flags = body.get("flags") or []
    both = " ".join([flags] if isinstance(flags, str) else flags)
    return [*words, both] if both else words


def _tunnel(body: Any, family: str) -> str:
    return "tunnel name " + value_text(body, "string", family)


# what a person sees of a packet


def _log(body: Any, family: str) -> str:
    body = body or {}
    text = "log"
    if "prefix" in body:
        text += " prefix " + quoted(body["prefix"])
    for key in ("group", "snaplen", "queue-threshold"):
        if key in body:
            text += " %s %d" % (key, body[key])
    if body.get("level", "warn") != "warn":
        text += " level " + body["level"]
    return text + _log_flags(body.get("flags"))


_LOG_FLAGS = ("tcp sequence", "tcp options", "ip options", "skuid", "ether")


def _log_flags(flags: Any) -> str:
    given = [flags] if isinstance(flags, str) else flags or []
    if "all" in given or all(one in given for one in _LOG_FLAGS):
        return " flags all"
    tcp = [one[4:] for one in _LOG_FLAGS[:2] if one in given]
    text = " flags tcp " + ",".join(tcp) if tcp else ""
    return text + "".join([" flags " + one for one in _LOG_FLAGS[2:] if one in given])


# nft's defaults, which it leaves out
_PLAIN_REJECTS = {"ip": "icmp", "ip6": "icmpv6"}


def _reject(body: Any, family: str) -> str:
    if not body:
        return "reject"
    kind = body.get("type", "icmpx")
    if kind == "tcp reset":
        return "reject with tcp reset"
    reason = scalar_text(body.get("expr", "port-unreachable"), kind + "_code")
    if reason == "port-unreachable" and kind == _PLAIN_REJECTS.get(family, "icmpx"):
        return "reject"
    return "reject with %s %s" % (kind, reason)


def _flow(body: dict[str, Any], family: str) -> str:
    return "flow %s %s" % (body.get("op", "add"), body["flowtable"])


def _xt(body: Any, family: str) -> str:
    """An iptables extension: nft shows its name alone, and cannot load it."""
    return "xt %s %s" % (body["type"], quoted(body["name"])) if body else "xt"


_CLASS = re.compile(r" [0-9a-f]+:[0-9a-f]+$")


def _verdict(name: str) -> Callable[[Any, str], str]:
    def render(body: Any, family: str) -> str:
        if body and "rules" in body:
            rules = [render_rule(one["expr"], one.get("comment"), family) for one in body["rules"]]
            # nft takes a class such as 1:10 for one only where a space, comma or the like follows.
            ended = [one + (" ;" if _CLASS.search(one) else ";") for one in rules]
            return "%s { %s }" % (name, " ".join(ended))
        return "%s %s" % (name, body["target"]) if body else name

    return render


def _word(name: str) -> Callable[[Any, str], str]:
    return lambda body, family: name


STATEMENTS: dict[str, Callable[[Any, str], str]] = {
    "match": _match,
    **{name: _verdict(name) for name in VERDICTS},
    "vmap": _vmap,
    "counter": _stateful("counter"),
    "quota": _stateful("quota"),
    "limit": _stateful("limit"),
    "ct count": _stateful("ct count"),
    "last": _stateful("last"),
    "log": _log,
    "reject": _reject,
    "masquerade": translation("masquerade"),
    "redirect": translation("redirect"),
    "snat": translation("snat"),
    "dnat": translation("dnat"),
    "tproxy": tproxy,
    "dup": dup,
    "fwd": fwd,
    "queue": queue,
    "synproxy": _synproxy,
    "notrack": _word("notrack"),
    "mangle": _mangle,
    "tos": _tos,
    "reset": _reset,
    "ct helper": _referring("ct helper set"),
    "ct timeout": _referring("ct timeout set"),
    "ct expectation": _referring("ct expectation set"),
    "secmark": _referring("meta secmark set"),
    "tunnel": _tunnel,
    "flow": _flow,
    "set": _set,
    "map": _map,
    "meter": _meter,
    "xt": _xt,
}
"""By JSON name; each takes the statement's body and the table's family."""
