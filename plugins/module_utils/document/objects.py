# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named objects: the document's forms to libnftables JSON."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Callable

from ..errors import DocumentError, Problem, nearest
from ..nftables.datatypes import TYPES, DatatypeError
from .declared import DeclaredObject
from .fields import note_unknown, read_comment, read_name, tried
from .flat.limits import limit_of
from .flat.offloads import synproxy_of
from .flat.quotas import quota_of
from .flat.values import integer
from .times import milliseconds
from .tunnels import KEYS as TUNNEL_KEYS
from .tunnels import tunnel_of

HIGHEST_COUNT = (1 << 63) - 1

L3_PROTOCOLS = ("ip", "ip6", "inet")

TIMEOUT_STATES: dict[str, tuple[str, ...]] = {
    "tcp": (
        "syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack", "time_wait", "close",
        "syn_sent2", "retrans", "unack",
    ),
    "udp": ("unreplied", "replied"),
}  # fmt: skip
"""The states of nft(8), "ct timeout", by protocol."""

LONGEST_TIMEOUT = 0x7FFFFFFF // 1000
"""Seconds, almost 25 days. The kernel counts in ticks of up to 1/1000 of a second and 31 bits: a connection
with a longer timeout would be over at once, or soon (nf_ct_expires() of net/netfilter/nf_conntrack.h)."""

CONTEXT_LENGTH = 256
"""NFT_SECMARK_CTX_MAXLEN of linux/netfilter/nf_tables.h, the closing NUL included."""

Make = Callable[[dict[str, Any], str], Mapping[str, Any]]


def _required(value: dict[str, Any], key: str, allowed: str) -> Any:
    if key not in value:
        raise DocumentError("the key %r is missing" % key, allowed=allowed)
    return value[key]


def _whole(
    value: dict[str, Any], key: str, low: int, high: int, what: str, default: int | None = None
) -> int:
    found = value.get(key, default)
    if found is None:
        raise DocumentError("the key %r is missing" % key, allowed="%d to %d" % (low, high))
    return integer(found, low, high, what, key)


def _word(value: dict[str, Any], key: str, known: tuple[str, ...], default: str | None) -> str:
    found = value.get(key, default)
    if found is None:
        raise DocumentError("the key %r is missing" % key, allowed=", ".join(known))
    if not isinstance(found, str) or found not in known:
        raise DocumentError("unknown word", key, found, ", ".join(known), nearest(str(found), known))
    return found


def _protocol(value: dict[str, Any], known: tuple[str, ...]) -> str:
    """The transport protocol by the name nft prints."""
    given = _required(value, "protocol", ", ".join(known))
    try:
        if isinstance(given, bool):
            raise DatatypeError("no protocol")
        found = TYPES["inet_proto"].json_of(TYPES["inet_proto"].number_of(given))
    except DatatypeError as error:
        raise DocumentError(error.message, "protocol", given, ", ".join(known), error.cure) from None
    if found not in known:
        raise DocumentError("not for this protocol", "protocol", given, ", ".join(known))
    return str(found)


def _l3proto(value: dict[str, Any], family: str, known: tuple[str, ...] = L3_PROTOCOLS) -> str:
    """The network protocol: the table's, where the table has one that fits."""
    found = _word(value, "l3proto", known, family if family in known else None)
    if family in ("ip", "ip6") and found != family:
        raise DocumentError("not in a table of family %s" % family, "l3proto", found, family)
    return found


def _counter(value: dict[str, Any], family: str) -> Mapping[str, Any]:
    return {key: _whole(value, key, 0, HIGHEST_COUNT, "count", 0) for key in ("packets", "bytes")}


def _quota(value: dict[str, Any], family: str) -> Mapping[str, Any]:
    given = _required(value, "quota", 'a text such as "over 10 mbytes", or a mapping of bytes, used, over')
    try:
        found = quota_of(given)
    except DocumentError as error:
        raise error.at("quota") from None
    return {"bytes": found.bytes, "used": found.used, "inv": found.over}


def _limit(value: dict[str, Any], family: str) -> Mapping[str, Any]:
    given = _required(value, "rate", 'a text such as "10/second burst 5 packets"')
    try:
        found: dict[str, Any] = limit_of(given)["limit"]
    except DocumentError as error:
        raise error.at("rate") from None
    return found


def _ct_helper(value: dict[str, Any], family: str) -> Mapping[str, Any]:
    name = _required(value, "type", "the helper's name, such as ftp")
    if (
        not isinstance(name, str)
        or not 0 < len(name.encode("utf-8", "surrogatepass")) < 16
        or not name.isprintable()
    ):
        raise DocumentError("no name of a helper", "type", name, "1 to 15 bytes, such as ftp")
    return {"type": name, "protocol": _protocol(value, ("tcp", "udp")), "l3proto": _l3proto(value, family)}


def _ct_timeout(value: dict[str, Any], family: str) -> Mapping[str, Any]:
    protocol = _protocol(value, tuple(TIMEOUT_STATES))
    states = TIMEOUT_STATES[protocol]
    policy = _required(value, "policy", "a mapping of states to times")
    if not isinstance(policy, dict) or not policy:
        raise DocumentError("no policy", "policy", policy, "a mapping of %s to times" % ", ".join(states))
    problems = [
        Problem(
            "no state of %s" % protocol,
            "policy.%s" % state,
            policy[state],
            ", ".join(states),
            nearest(str(state), states),
        )
        for state in policy
        if state not in states
    ]
    seconds = {
        state: tried(partial(_timeout, policy[state]), "policy.%s" % state, problems)
        for state in states
        if state in policy
    }
    if problems:
        raise DocumentError.of(problems)
    return {"protocol": protocol, "l3proto": _l3proto(value, family), "policy": seconds}


def _timeout(given: Any) -> int:
    """The seconds of a time in a policy."""
    found = milliseconds(given)
    if found % 1000:
        raise DocumentError("no whole number of seconds", found=given)
    if found // 1000 > LONGEST_TIMEOUT:
        raise DocumentError(
            "longer than every kernel can count",
            found=given,
            allowed="up to %d seconds (24 days)" % LONGEST_TIMEOUT,
        )
    return found // 1000


def _ct_expectation(value: dict[str, Any], family: str) -> Mapping[str, Any]:
    try:
        lasting = milliseconds(_required(value, "timeout", "seconds, or a text such as 1h30m"))
        if lasting > 0xFFFFFFFF:
            raise DocumentError("a time out of range", found=value["timeout"], allowed="up to 49 days")
    except DocumentError as error:
        raise error.at("timeout" if "timeout" in value else "") from None
    return {
        "protocol": _protocol(value, ("tcp", "udp", "sctp", "dccp", "udplite")),
        "l3proto": _l3proto(value, family, ("ip", "ip6")),
        "dport": _port(value),
        "timeout": lasting,
        "size": _whole(value, "size", 1, 255, "number of expectations", 1),
    }


def _port(value: dict[str, Any]) -> int:
    given = _required(value, "dport", "0 to 65535")
    try:
        return TYPES["inet_service"].number_of(given)
    except DatatypeError as error:
        raise DocumentError(error.message, "dport", given, error.allowed, error.cure) from None


def _synproxy(value: dict[str, Any], family: str) -> Mapping[str, Any]:
    return synproxy_of(value)


def _secmark(value: dict[str, Any], family: str) -> Mapping[str, Any]:
    context = _required(value, "context", "a security context")
    if (
        not isinstance(context, str)
        or not 0 < len(context.encode("utf-8", "surrogatepass")) < CONTEXT_LENGTH
        or '"' in context
    ):
        raise DocumentError("no security context", "context", context, "a text of at most 255 bytes")
    return {"context": context}


ROUTED = ("inet", "ip", "ip6")
EVERY = ("inet", "ip", "ip6", "arp", "bridge", "netdev")

KINDS: dict[str, tuple[Make, tuple[str, ...], tuple[str, ...]]] = {
    "counter": (_counter, ("packets", "bytes"), EVERY),
    "quota": (_quota, ("quota",), EVERY),
    "limit": (_limit, ("rate",), EVERY),
    "ct helper": (_ct_helper, ("type", "protocol", "l3proto"), ROUTED),
    "ct timeout": (_ct_timeout, ("protocol", "l3proto", "policy"), ROUTED),
    "ct expectation": (_ct_expectation, ("protocol", "l3proto", "dport", "timeout", "size"), ROUTED),
    "synproxy": (_synproxy, ("mss", "wscale", "flags"), ROUTED),
    "secmark": (_secmark, ("context",), EVERY),
    "tunnel": (tunnel_of, TUNNEL_KEYS, ("netdev",)),
}
"""By libnftables' word: what makes the JSON, the keys beside name and comment, the table families."""


def read_object(
    value: Any, kind: str, family: str, place: str, problems: list[Problem]
) -> DeclaredObject | None:
    """One item of a table's objects."""
    make, keys, families = KINDS[kind]
    known = ("name", *keys, "comment")
    if not isinstance(value, dict):
        problems.append(Problem("a %s is a mapping" % kind, place, value, ", ".join(known)))
        return None
    note_unknown(value, known, place, problems)
    json: dict[str, Any] = {"name": read_name(value, kind, place, problems)}
    if family not in families:
        problems.append(
            Problem(
                "not in a table of family %s" % family,
                place,
                kind,
                "a table of family %s" % ", ".join(families),
            )
        )
        return None
    comment = read_comment(value, place, problems)
    if comment:
        json["comment"] = comment
    made = tried(lambda: make(value, family), place, problems)
    if made is None:
        return None
    json.update(made)
    return DeclaredObject(kind, json, place)
