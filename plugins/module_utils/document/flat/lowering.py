# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One flat rule to one or more lists of statements, in the form nft prints them.

A rule becomes several where nft cannot say it in one: values of both IPv4 and
IPv6, a host name with several addresses, ``bidirectional``, a change of the
type-of-service byte for both protocols.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ...errors import DocumentError, Problem, nearest
from ..declared import Declared
from . import (
    addresses,
    changes,
    clock,
    conntrack,
    ethernet,
    fib,
    fragments,
    icmp,
    interfaces,
    log,
    lookups,
    marks,
    nat,
    network,
    offloads,
    owners,
    ports,
    stateful,
    statements,
    tcp,
    tos,
    updates,
    verdicts,
)
from .key import NETWORKS, PROTOCOL_KEYS, Draft, Key
from .values import Statement, switched_on, text

MATCHES: dict[str, Key] = {
    "nfproto": network.MATCHES["nfproto"],
    **interfaces.MATCHES,
    **ethernet.MATCHES,
    **addresses.MATCHES,
    **network.MATCHES,
    **tos.MATCHES,
    **fib.MATCHES,
    **fragments.MATCHES,
    **ports.MATCHES,
    **icmp.MATCHES,
    **tcp.MATCHES,
    **conntrack.MATCHES,
    **marks.MATCHES,
    **owners.MATCHES,
    **clock.MATCHES,
    **lookups.MATCHES,
}
"""What a packet is tested for, in the order of the statements."""

STATEMENTS: dict[str, Key] = {
    **stateful.LIMITING,
    **updates.STATEMENTS,
    **stateful.COUNTING,
    **log.STATEMENTS,
    **changes.STATEMENTS,
    **tos.STATEMENTS,
    **conntrack.STATEMENTS,
    **offloads.STATEMENTS,
    **nat.STATEMENTS,
    **lookups.STATEMENTS,
    **verdicts.STATEMENTS,
}
"""What is done with a packet that matches, in the order of the statements."""

KEYS: dict[str, Key] = {**MATCHES, **STATEMENTS}

ORDER = {name: index for index, name in enumerate(KEYS)}

ENDINGS = ("verdict", "jump", "goto", "masquerade", "redirect", "snat", "dnat", "synproxy")
"""The keys of which a rule has at most one."""

COMMENT_LENGTH = 128
"""NFTNL_UDATA_COMMENT_MAXLEN of libnftnl/udata.h: nft reads and writes no longer comment."""

SWAPPED = {
    "saddr": "daddr",
    "daddr": "saddr",
    "sport": "dport",
    "dport": "sport",
    "ether_saddr": "ether_daddr",
    "ether_daddr": "ether_saddr",
}
"""What ``bidirectional`` exchanges."""

NO_ADDRESSES: Mapping[str, list[str]] = MappingProxyType({})
NOTHING_KNOWN = Declared()


def lower(
    rule: Mapping[str, Any],
    family: str,
    addresses: Mapping[str, list[str]] = NO_ADDRESSES,
    declared: Declared = NOTHING_KNOWN,
    inner: bool = False,
) -> list[list[Statement]]:
    """The rules, each a list of statements, that one rule stands for in a table of ``family``.

    ``addresses`` are those of the host names in the document (``hosts.resolve``),
    ``declared`` what the table has beside its chains (``Table.declared``), ``inner`` is a
    rule of an inline chain.
    A value that nft takes as it is (an address, a port number, a mark, an interface
    name, a chain) goes into the statements as the same object. Raises DocumentError
    with every problem of the rule, their places relative to the rule.
    """
    if not isinstance(rule, dict):
        raise DocumentError("a rule is a mapping of keys", found=rule)
    problems: list[Problem] = []
    _try(problems, lambda: _comment(rule))
    if "expr" in rule:
        given = _try(problems, lambda: statements.lower(rule, declared))
        if problems or given is None:
            raise DocumentError.of(problems)
        return [given]
    known = _known_keys(rule, family, problems)
    _try(problems, lambda: _one_ending(rule))
    if not rule.keys() & KEYS.keys() and not problems:
        raise DocumentError("a rule that says nothing", found=rule, cure="say at least counter: true")
    draft = Draft(
        rule,
        family,
        addresses,
        declared,
        None if inner else lambda rule: lower(rule, family, addresses, declared, True),
    )
    draft.first = next((name for name in known if name in STATEMENTS and rule[name] is not False), "")
    rows: list[list[Statement]] = []
    if "protocol" not in rule and verdicts.resets_tcp(draft) and rule.keys().isdisjoint(PROTOCOL_KEYS):
        known = sorted([*known, "protocol"], key=ORDER.__getitem__)
        draft.rule = rule = {**rule, "protocol": "tcp"}
    if _try(problems, draft.read_protocol):
        rows = _alternatives(draft, known, problems)
    both_ways = _try(problems, lambda: switched_on(rule.get("bidirectional", False)), "bidirectional")
    if problems:
        raise DocumentError.of(problems)
    if both_ways:
        reverse = _reversed(rule)
        if any(reverse.get(key) != rule.get(key) for key in rule if key != "bidirectional"):
            rows += lower(reverse, family, addresses, declared, inner)
    return rows


def _reversed(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The flat rule for packets of the other direction."""
    reverse = {SWAPPED.get(key, key): _swapped(rule[key]) for key in rule if key != "bidirectional"}
    if "fib" in reverse:
        reverse["fib"] = fib.swapped(reverse["fib"])
    return reverse


def _swapped(value: Any) -> Any:
    """A rule's value with source and destination exchanged in what it looks up, or in its rules."""
    if isinstance(value, list):
        return [_reversed(one) if isinstance(one, dict) and "expr" not in one else one for one in value]
    if not isinstance(value, dict):
        return value
    if "key" in value:
        key = value["key"]
        names = [SWAPPED.get(name, name) for name in (key if isinstance(key, list) else [key])]
        return {**value, "key": names if isinstance(key, list) else names[0]}
    if "map" in value:
        return {**value, "map": _swapped(value["map"])}
    return {name: _swapped(inner) for name, inner in value.items()}


def _try(problems: list[Problem], step: Any, place: str = "") -> Any:
    """What ``step`` returns; None where it raised, its problems noted at ``place``."""
    try:
        return step()
    except DocumentError as error:
        problems.extend(error.at(place).problems)
        return None


def _comment(rule: Mapping[str, Any]) -> None:
    if "comment" not in rule:
        return
    try:
        text(rule["comment"], COMMENT_LENGTH, "the comment")
    except DocumentError as error:
        raise error.at("comment") from None


def _known_keys(rule: Mapping[str, Any], family: str, problems: list[Problem]) -> list[str]:
    """The rule's keys in the order of their statements; the others become problems."""
    known = []
    for name in rule:
        key = KEYS.get(name)
        if key is None:
            if name not in ("comment", "bidirectional"):
                cure = nearest(name, [*KEYS, "comment", "bidirectional", "expr"])
                problems.append(Problem("unknown key", str(name), rule[name], cure=cure))
        elif family in key.families:
            known.append(name)
        else:
            allowed = ", ".join(one for one in NETWORKS if one in key.families)
            problems.append(
                Problem(
                    "not in a table of family %s" % family, name, rule[name], "a table of family %s" % allowed
                )
            )
    return sorted(known, key=ORDER.__getitem__)


def _one_ending(rule: Mapping[str, Any]) -> None:
    endings = [name for name in ENDINGS if name in rule and rule[name] is not False]
    if "reject" in rule and "verdict" not in endings:
        endings.append("reject")
    if "vmap" in rule and endings:
        raise DocumentError(
            "%s beside vmap is never reached: where the map has no verdict the rule ends" % endings[0],
            endings[0],
            rule[endings[0]],
            cure='give the map an element "*", or write a second rule',
        )
    if len(endings) > 1:
        raise DocumentError(
            "%s beside %s: the second is never reached" % (endings[1], endings[0]),
            endings[1],
            rule[endings[1]],
            "one of %s" % ", ".join((*ENDINGS, "reject")),
        )


def _alternatives(draft: Draft, known: list[str], problems: list[Problem]) -> list[list[Statement]]:
    """Every rule the draft comes to: by network, then by the alternatives of its keys in their order."""
    possible = _possible_networks(draft, known, problems)
    if problems:
        # without its networks the rule's keys can still be looked at one by one, for what else is wrong
        draft.network = possible[0] if draft.bound else None
        seen = {problem.place.partition(".")[0].partition("[")[0] for problem in problems}
        for name in known:
            if name not in seen and KEYS[name].networks is None:
                _rows(draft, name, problems)
        return []
    result: list[list[Statement]] = []
    for choice in _choices(draft, known, possible):
        draft.network = choice
        rows: list[list[Statement]] = [_binding(draft, known)]
        for name in known:
            more = _rows(draft, name, problems)
            rows = [row + one for row in rows for one in more]
        if problems:
            return []
        result += rows
    return result


def _rows(draft: Draft, name: str, problems: list[Problem]) -> list[list[Statement]]:
    rows: list[list[Statement]] | None = _try(
        problems, lambda: KEYS[name].rows(draft.rule[name], draft), name
    )
    return rows or []


def _possible_networks(draft: Draft, known: list[str], problems: list[Problem]) -> tuple[str, ...]:
    """The networks that every key leaves possible."""
    possible = NETWORKS[draft.family]
    by = ""
    for name in known:
        find = KEYS[name].networks
        if find is None:
            continue
        value = draft.rule[name]
        found: tuple[str, ...] | None = _try(
            problems, lambda find=find, value=value: find(value, draft), name
        )
        if found is None:
            continue
        narrowed = tuple(one for one in possible if one in found)
        if not narrowed:
            kinds = [" and ".join(addresses.KIND[one] for one in some) for some in (found, possible)]
            problems.append(
                Problem(
                    "no packet can match: this is %s, but %s is %s" % (kinds[0], by or "the table", kinds[1]),
                    name,
                    value,
                )
            )
            continue
        if len(narrowed) < len(possible):
            by = name
        possible = narrowed
    draft.bound = len(possible) == 1
    return possible


def _choices(draft: Draft, known: list[str], possible: tuple[str, ...]) -> tuple[str | None, ...]:
    """One network for each rule to make; (None,) for one rule that is bound to no network."""
    if len(possible) == 1:
        return possible
    if any(KEYS[name].splits(draft.rule[name], draft) for name in known):
        return possible
    return (None,)


def _binding(draft: Draft, known: list[str]) -> list[Statement]:
    """The match on the network, unless a match of the rule brings it along.

    It stands first: a counter or a log before it would see the other network's packets as well.
    """
    if draft.network is None or any(
        name in MATCHES and KEYS[name].binds(draft.rule[name], draft) for name in known
    ):
        return []
    wanting = [name for name in known if name in STATEMENTS and draft.rule[name] is not False]
    if draft.first and KEYS[draft.first].carries(draft.rule[draft.first], draft):
        return []
    if "nfproto" in known or any(
        KEYS[name].splits(draft.rule[name], draft) or KEYS[name].binds(draft.rule[name], draft)
        for name in wanting
    ):
        return network.bind(draft.network, draft.family)
    return []
