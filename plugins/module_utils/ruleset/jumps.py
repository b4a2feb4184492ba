# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rules and verdict maps lead to a chain: the reason why the kernel does not let it go."""

from __future__ import annotations

from typing import Any

from ..errors import HostError, Problem
from ..netlink.socket import NetlinkSocket
from ..nftables import uapi
from . import kernel as kernel_state
from .describe import kernel_rule_text, kernel_statements
from .desired import FAMILIES
from .kernel import KernelTable


def refuse_removal(family: str, table: str, chain: str, netns: str | None = None) -> None:
    """Raise HostError, naming what leads to the chain, if it cannot be removed for that.

    The rules in the chain itself are no obstacle, and neither is a chain that does not exist.
    """
    number = FAMILIES[family]
    with NetlinkSocket(netns) as kernel:
        found = kernel_state.read(kernel, [(number, table)]).tables.get((number, table))
    if found is None or chain not in found.chains:
        return
    target = found.chains[chain]
    if target.use <= len(target.rules):
        return
    problems = [
        Problem(
            "chain %s cannot go: a rule of chain %s leads to it" % (chain, source),
            "name",
            text,
            cure="remove that rule first (handle %d)" % handle,
        )
        for source, handle, text in rules_to(found, chain)
    ]
    problems += [
        Problem(
            "chain %s cannot go: map %s leads to it" % (chain, name),
            "name",
            chain,
            cure="empty that map first",
        )
        for name in maps_to(found, chain)
    ]
    raise HostError.of(
        problems or [Problem("chain %s cannot go: something leads to it" % chain, "name", chain)]
    )


def rules_to(table: KernelTable, chain: str) -> list[tuple[str, int, str]]:
    """The rules with a jump or goto to a chain, as (their chain, handle, nft text).

    Only rules that hold the name's bytes, themselves or in a set or inline chain of theirs,
    are decoded.
    """
    needle = _bytes(chain)
    needles = [needle]
    needles += [
        _bytes(one.name)
        for one in table.sets.values()
        if one.flags & uapi.NFT_SET_ANONYMOUS and any(needle in element for element in one.elements or ())
    ]
    needles += [
        _bytes(one.name)
        for one in table.chains.values()
        if table.inline(one.name) and any(word in rule.expressions for rule in one.rules for word in needles)
    ]
    found = []
    for source in table.named_chains():
        for rule in source.rules:
            if not any(one in rule.expressions for one in needles):
                continue
            if chain in _targets(kernel_statements(table, rule)):
                found.append((source.name, rule.handle, kernel_rule_text(table, rule)))
    return found


def maps_to(table: KernelTable, chain: str) -> list[str]:
    """The named verdict maps with an element that leads to a chain."""
    needle = _bytes(chain)
    return [
        one.name
        for one in table.sets.values()
        if not one.flags & uapi.NFT_SET_ANONYMOUS
        and one.data_type == uapi.NFT_DATA_VERDICT
        and any(needle in element for element in one.elements or ())
    ]


def _bytes(name: str) -> bytes:
    """A name as netlink carries it."""
    return name.encode("utf-8", "surrogateescape") + b"\0"


def _targets(statements: Any) -> set[str]:
    """The targets of jumps and gotos anywhere in statements."""
    found: set[str] = set()
    pending = [statements]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            for key, inner in one.items():
                if key in ("jump", "goto") and isinstance(inner, dict) and "target" in inner:
                    found.add(str(inner["target"]))
                else:
                    pending.append(inner)
        elif isinstance(one, (list, tuple)):
            pending.extend(one)
    return found
