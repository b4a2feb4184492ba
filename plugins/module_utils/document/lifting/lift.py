# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rule's statements as a flat rule, where one says exactly that, and as ``expr`` otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

from ...errors import DocumentError
from ..declared import Declared
from ..flat import lower
from ..flat.key import NETWORKS
from ..flat.lowering import NOTHING_KNOWN, ORDER
from ..inline import LEADING
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
    limits,
    log,
    lookups,
    marks,
    nat,
    network,
    offloads,
    owners,
    ports,
    tcp,
    tos,
    updates,
    verdicts,
)
from .draft import Action, Draft, Lifter, Masked, NotFlat, Selector, selector_of
from .selections import NO_REFERENCES

Statements = list[dict[str, Any]]

MATCHES: dict[Selector, Lifter] = {
    **interfaces.MATCHES,
    **ethernet.MATCHES,
    **addresses.MATCHES,
    **network.MATCHES,
    **tos.MATCHES,
    **fragments.MATCHES,
    **ports.MATCHES,
    **icmp.MATCHES,
    **tcp.MATCHES,
    **conntrack.MATCHES,
    **marks.MATCHES,
    **owners.MATCHES,
    **clock.MATCHES,
}
"""By what is compared, in the words of libnftables-json(5)."""

MASKED: dict[Selector, Masked] = {**fragments.MASKED, **tcp.MASKED, **marks.MASKED}
"""The same where some bits of it are."""

ACTIONS: dict[str, Action] = {
    **limits.ACTIONS,
    **updates.ACTIONS,
    **log.ACTIONS,
    **changes.ACTIONS,
    **tos.ACTIONS,
    **conntrack.ACTIONS,
    **offloads.ACTIONS,
    **nat.ACTIONS,
    **lookups.ACTIONS,
    **verdicts.ACTIONS,
}
"""By the name of the statement."""


def lift(
    statements: Statements,
    family: str,
    comment: str | None = None,
    agrees: Callable[[dict[str, Any]], bool] | None = None,
    declared: Declared = NOTHING_KNOWN,
) -> dict[str, Any]:
    """The rule of a document that stands for these statements in a table of ``family``.

    It has flat keys if they say exactly the same, in the same order, else ``expr``
    with the statements as they are. ``agrees`` decides on a flat rule; without it
    the rule must lower to equal statements, ``declared`` being what the table has
    beside its chains.
    """
    said = {} if comment is None else {"comment": comment}
    judge = agrees or (lambda rule: _lowers_to(rule, family, declared, statements))
    for rule in candidates(statements, family, declared):
        rule.update(said)
        if judge(rule):
            return rule
    return {"expr": statements, **said}


def candidates(
    statements: Statements, family: str, declared: Declared = NOTHING_KNOWN
) -> Iterator[dict[str, Any]]:
    """Flat rules that may say the same as the statements, the likeliest first."""
    draft = Draft(family, lambda inner, comment: lift(inner, family, comment, None, declared))
    try:
        for statement in statements:
            ((name, value),) = statement.items()
            if name == "match":
                _match(draft, value)
            else:
                ACTIONS[name](draft, value)
    except (NotFlat, AttributeError, LookupError, TypeError, ValueError):
        return
    rules = [draft.rule]
    if "reject" in draft.otherwise:
        rules.append({**draft.rule, **draft.otherwise})
        del rules[1]["verdict"]
    if draft.network and not draft.bound and len(NETWORKS[family]) > 1:
        rules += [{"nfproto": network.NFPROTO[draft.network], **rule} for rule in rules]
    for rule in rules:
        yield {key: rule[key] for key in sorted(rule, key=lambda key: ORDER.get(key, len(ORDER)))}


def _match(draft: Draft, value: dict[str, Any]) -> None:
    op, left, right = value["op"], value["left"], value["right"]
    if "concat" in left:
        lookups.lookup(draft, op, left, right)
        return
    if "fib" in left:
        fib.fib(draft, op, left["fib"], right)
        return
    if "&" in left:
        inner, mask = left["&"]
        MASKED[selector_of(inner)](draft, op, right, mask)
        return
    selector = selector_of(left)
    if selector in NO_REFERENCES and isinstance(right, str) and right.startswith("@"):
        lookups.lookup(draft, op, left, right)
    else:
        MATCHES[selector](draft, op, right)


def _lowers_to(rule: dict[str, Any], family: str, declared: Declared, statements: Statements) -> bool:
    try:
        return lower(rule, family, {}, declared) == [[_without_counts(one) for one in statements]]
    except DocumentError:
        return False


def _without_counts(statement: dict[str, Any]) -> dict[str, Any]:
    """A counter that starts at nought is one that starts anywhere."""
    for name in LEADING:
        if "rules" in (statement.get(name) or ()):
            rules = statement[name]["rules"]
            return {name: {"rules": [{**one, "expr": [*map(_without_counts, one["expr"])]} for one in rules]}}
    return {"counter": None} if statement.get("counter") == {"packets": 0, "bytes": 0} else statement
