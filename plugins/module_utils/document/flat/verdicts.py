# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``verdict``, ``reject``, ``jump`` and ``goto``: what becomes of the packet."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError, Problem, nearest
from ...nftables.datatypes import TYPES
from .key import NETWORKS, ROUTED, Draft, Key
from .values import Statement, at, mapping, scalar

VERDICTS = ("accept", "drop", "reject", "return", "continue")

REJECT_CODES = {
    "icmp": (
        "net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable",
        "net-prohibited", "host-prohibited", "admin-prohibited",
    ),
    "icmpv6": (
        "no-route", "admin-prohibited", "addr-unreachable", "port-unreachable", "policy-fail", "reject-route",
    ),
    "icmpx": ("port-unreachable", "admin-prohibited", "no-route", "host-unreachable"),
}  # fmt: skip
"""The kinds of nft(8), "reject statement"."""

_NETWORK = {"icmp": "ip", "icmpv6": "ip6"}
ALLOWED = '"tcp reset", or icmp, icmpv6 or icmpx and a code such as port-unreachable'


def _lower_verdict(value: Any, draft: Draft) -> list[Statement]:
    if not isinstance(value, str) or value not in VERDICTS:
        raise DocumentError("no verdict", found=value, allowed=", ".join(VERDICTS), cure=_cure(value))
    if value != "reject":
        return [{value: None}]
    if "reject" in draft.rule:
        return []
    if draft.family not in ROUTED:
        raise DocumentError("no reject in a table of family %s" % draft.family, found=value, cure="use drop")
    network = draft.network or (draft.family if draft.family in ("ip", "ip6") else None)
    kind = {"ip": "icmp", "ip6": "icmpv6", None: "icmpx"}[network]
    return [{"reject": {"type": kind, "expr": "port-unreachable"}}]


def _cure(value: Any) -> str:
    old = {"DENY": "drop", "MASQ": "masquerade: true", "REDIRECT": "redirect: true", "LOG": "log: true"}
    if isinstance(value, str) and value.upper() in old:
        return "use %s" % old[value.upper()]
    return nearest(str(value).lower(), VERDICTS) or (
        "use jump: %s for a chain" % value if isinstance(value, str) else ""
    )


def _parse(value: Any) -> tuple[str, str]:
    """The kind of a rejection: its type and its code, which "tcp reset" lacks."""
    if isinstance(value, dict):
        mapping(value, ("type", "expr"))
        kind, code = value.get("type"), value.get("expr", "")
        if kind is None:
            raise DocumentError("the key 'type' is missing", found=value, allowed=ALLOWED)
    else:
        words = scalar(value)
        kind, _unused, code = str(words).partition(" ")
        if kind == "tcp":
            kind, code = "tcp " + code, ""
    if kind == "tcp reset":
        if code != "":
            raise DocumentError("a TCP reset has no code", "expr", code)
        return kind, ""
    if not isinstance(kind, str) or kind not in REJECT_CODES:
        raise DocumentError("no kind of rejection", found=value, allowed=ALLOWED)
    data_type = TYPES["%s_code" % kind]
    place = "expr" if isinstance(value, dict) else ""
    known = REJECT_CODES[kind]
    word = code.strip() if isinstance(code, str) else code
    if word == "":
        raise DocumentError("%s is no whole kind of rejection" % kind, found=value, allowed=", ".join(known))
    name = at(place, lambda one: data_type.json_of(data_type.number_of(one)), scalar(word, place))
    if name not in known:
        raise DocumentError("no code of a rejection", place, code, ", ".join(known))
    return kind, str(name)


def _lower_reject(value: Any, draft: Draft) -> list[Statement]:
    if draft.rule.get("verdict", "reject") != "reject":
        raise DocumentError("a reject beside another verdict", found=value, cure="leave out the verdict")
    kind, code = _parse(value)
    if kind == "tcp reset":
        draft.needs_protocol("a TCP reset", ("tcp",))
        return [{"reject": {"type": kind}}]
    if kind == "icmpx" and len(NETWORKS[draft.family]) == 1:
        other = "icmp" if draft.family == "ip" else "icmpv6"
        raise DocumentError(
            "icmpx is for tables of both IPv4 and IPv6",
            found=value,
            cure="use %s %s" % (other, REJECT_CODES[other][0]),
        )
    return [{"reject": {"type": kind, "expr": code}}]


def _reject_networks(value: Any, draft: Draft) -> tuple[str, ...] | None:
    network = _NETWORK.get(_parse(value)[0])
    if network is None:
        return None
    if network not in NETWORKS[draft.family]:
        raise DocumentError(
            "this rejection does not go with a table of family %s" % draft.family,
            found=value,
            allowed="%s" % ("icmp" if draft.family == "ip" else "icmpv6"),
        )
    return (network,)


def resets_tcp(draft: Draft) -> bool:
    """Whether the rule says ``reject: tcp reset`` and leaves it to us to match TCP."""
    value = draft.rule.get("reject")
    return value == "tcp reset" or (isinstance(value, dict) and value.get("type") == "tcp reset")


def _names_icmp(value: Any, draft: Draft) -> bool:
    return _parse(value)[0] in _NETWORK


def _rejects_by_network(value: Any, draft: Draft) -> bool:
    return value == "reject" and draft.network is not None and "reject" not in draft.rule


def _chain(statement: str) -> Key:
    def lower(value: Any, draft: Draft) -> list[Statement]:
        if isinstance(value, list):
            return [{statement: {"rules": _inline(statement, value, draft)}}]
        if not isinstance(value, str) or not value:
            raise DocumentError(
                "no name of a chain",
                found=value,
                allowed="the name of a chain of this table, or a list of rules",
            )
        return [{statement: {"target": value}}]

    return Key(lower)


def _inline(statement: str, rules: list[Any], draft: Draft) -> list[dict[str, Any]]:
    """The rules of a chain without a name, as objects with statements and comment."""
    if draft.inner is None:
        raise DocumentError(
            "a chain without a name inside another",
            cure="give it a name: a chain of the table, and %s to it" % statement,
        )
    if not rules:
        raise DocumentError("an empty list", found=rules, allowed="at least one rule, or the name of a chain")
    found = []
    problems: list[Problem] = []
    for index, rule in enumerate(rules):
        try:
            rows = draft.inner(rule)
        except DocumentError as error:
            problems += error.at("[%d]" % index).problems
            continue
        comment = {"comment": rule["comment"]} if "comment" in rule else {}
        found += [{"expr": statements, **comment} for statements in rows]
    if problems:
        raise DocumentError.of(problems)
    return found


STATEMENTS = {
    "reject": Key(_lower_reject, networks=_reject_networks, implies=_names_icmp, families=ROUTED),
    "verdict": Key(_lower_verdict, implies=_rejects_by_network),
    "jump": _chain("jump"),
    "goto": _chain("goto"),
}
