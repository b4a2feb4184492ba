# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``fib``: what the routing table says of an address of the packet, in nft's words.

``saddr . iif oif missing``: the source is not reached by the interface that the packet came
in by. ``daddr type local``: the destination is an address of this host.
"""

from __future__ import annotations

import re
from typing import Any

from ...errors import DocumentError, nearest
from .interfaces import existing, name_of
from .key import Draft, Key
from .values import Convert, Scalar, Statement, match, right_of, symbolic, values_of
from .values import at as converted

FLAGS = ("saddr", "daddr", "mark", "iif", "oif")
"""What the question is about, in the order of nft."""

ALLOWED = (
    '"saddr . iif oif missing", "daddr type local" and the like: saddr or daddr, perhaps with mark, '
    "iif or oif, then oif, oifname or type and its value; ! before it negates"
)

_QUESTION = re.compile(r"([a-z]+(?: \. [a-z]+)*) +(oif|oifname|type) +(?:(==|!=) *)?(\S.*)")
_PRESENCE = {"exists": True, "missing": False}
_FAMILIES = frozenset(("ip", "ip6", "inet", "netdev"))
_type = symbolic("fib_addrtype")


def _lower(value: Any, draft: Draft) -> list[Statement]:
    if not isinstance(value, str):
        raise DocumentError("a question to the routing table is a text", found=value, allowed=ALLOWED)
    negated = value.startswith("!")
    found = _QUESTION.fullmatch(value[negated:].strip())
    if found is None:
        raise DocumentError("no question to the routing table", found=value, allowed=ALLOWED)
    flags, result, operator, answer = found.groups()
    if operator == "!=":
        if negated:
            raise DocumentError("negated twice", found=value, allowed=ALLOWED)
        negated = True
    left = {"fib": {"result": result, "flags": _flags(flags.split(" . "), result, value)}}
    if result == "oif" and answer in _PRESENCE:
        return [match(left, _PRESENCE[answer] is not negated)]
    return [match(left, _answer(answer, result), negated)]


def _flags(words: list[str], result: str, value: str) -> list[str]:
    """The words in the order of nft. Raises DocumentError for what the kernel does not take."""
    for word in words:
        if word not in FLAGS:
            raise DocumentError(
                "unknown word %r" % word, found=value, allowed=ALLOWED, cure=nearest(word, FLAGS)
            )
    if ("saddr" in words) == ("daddr" in words):
        raise DocumentError("one address is asked for", found=value, allowed="saddr or daddr, not both")
    if "oif" in words and ("iif" in words or result != "type"):
        raise DocumentError(
            "oif does not go with this question", found=value, allowed="oif only before type, and without iif"
        )
    return [word for word in FLAGS if word in words]


def _answer(text: str, result: str) -> Any:
    """The right side of the comparison. Raises DocumentError."""
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    values = values_of(text.replace('"', ""), False)
    return right_of([converted("", _CONVERT[result], item) for _unused, item in values.items])


def _interface(item: Scalar) -> Scalar:
    """0 is nft's old word for missing."""
    return item if item == "0" else existing(item, "oif")


def _interface_name(item: Scalar) -> str:
    if item in _PRESENCE:
        raise DocumentError("%s is said of oif" % item, found=item, cure="write oif %s" % item)
    return name_of(item)


_CONVERT: dict[str, Convert] = {"oif": _interface, "oifname": _interface_name, "type": _type}

MATCHES = {"fib": Key(_lower, families=_FAMILIES)}


def swapped(value: Any) -> Any:
    """The question about the packet's other address; a value that is no text as it is."""
    exchanged = {"saddr": "daddr", "daddr": "saddr"}
    return re.sub(r"\b[sd]addr\b", lambda one: exchanged[one[0]], value) if isinstance(value, str) else value
