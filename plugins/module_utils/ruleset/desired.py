# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document's tables compiled: what the kernel shall hold, in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..document.model import Chain, Table
from ..errors import DocumentError, Problem
from ..nftables import uapi
from .messages import Hook
from .rules import DesiredRule, RuleCompiler
from .userdata import comment_userdata

FAMILIES = {
    "inet": uapi.NFPROTO_INET,
    "ip": uapi.NFPROTO_IPV4,
    "arp": uapi.NFPROTO_ARP,
    "netdev": uapi.NFPROTO_NETDEV,
    "bridge": uapi.NFPROTO_BRIDGE,
    "ip6": uapi.NFPROTO_IPV6,
}
FAMILY_NAMES = {number: name for name, number in FAMILIES.items()}

#: hook numbers by family (linux/netfilter.h, netfilter_arp.h, netfilter_bridge.h)
_INET_HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
HOOKS: dict[str, dict[str, int]] = {
    "ip": _INET_HOOKS,
    "ip6": _INET_HOOKS,
    "inet": {**_INET_HOOKS, "ingress": 5},
    "bridge": _INET_HOOKS,
    "arp": {"input": 0, "output": 1},
    "netdev": {"ingress": 0, "egress": 1},
}
HOOK_NAMES = {family: {number: name for name, number in hooks.items()} for family, hooks in HOOKS.items()}

POLICIES = {"accept": 1, "drop": 0}  # NF_ACCEPT, NF_DROP (linux/netfilter.h)
POLICY_NAMES = {number: name for name, number in POLICIES.items()}

TABLE_FLAGS = {"dormant": uapi.NFT_TABLE_F_DORMANT}


class DesiredChain:
    """One chain as it shall be; ``source`` is the document's."""

    __slots__ = ("hook", "kind", "name", "policy", "rules", "source", "userdata")

    def __init__(self, source: Chain, family: str) -> None:
        self.source = source
        self.name = source.name
        self.hook: Hook | None = None
        self.kind = source.type or "filter"
        self.policy: int | None = None
        if source.hook:
            self.hook = Hook(HOOKS[family][source.hook], source.priority, source.devices)
            self.policy = POLICIES[source.policy or "accept"]
        self.userdata = comment_userdata(source.comment) if source.comment else b""
        self.rules: list[DesiredRule] = []


class DesiredTable:
    """One table as it shall be.

    ``chains`` by name, in the document's order. ``partial``: chains that it does not
    name stay as they are, and so does the table itself.
    """

    __slots__ = ("chains", "compiler", "family", "flags", "name", "number", "partial", "source", "userdata")

    def __init__(self, source: Table, compiler: RuleCompiler, partial: bool = False) -> None:
        self.source = source
        self.compiler = compiler
        self.family = source.family
        self.number = FAMILIES[source.family]
        self.name = source.name
        self.partial = partial
        self.flags = 0
        for flag in source.flags:
            self.flags |= TABLE_FLAGS[flag]
        self.userdata = comment_userdata(source.comment) if source.comment else b""
        self.chains: dict[str, DesiredChain] = {}

    def __str__(self) -> str:
        return "%s %s" % (self.family, self.name)


def compile_tables(
    tables: list[Table], addresses: Mapping[str, list[str]] | None = None, partial: bool = False
) -> list[DesiredTable]:
    """Compile every rule of every table; DocumentError with all problems, each at its place."""
    problems: list[Problem] = []
    compiled = []
    for source in tables:
        compiler = RuleCompiler(source.family, {}, addresses)
        table = DesiredTable(source, compiler, partial)
        for chain in source.chains:
            desired = DesiredChain(chain, source.family)
            table.chains[chain.name] = desired
            _compile_chain(desired, compiler, problems)
        compiled.append(table)
    if problems:
        raise DocumentError.of(problems)
    return compiled


def _compile_chain(chain: DesiredChain, compiler: RuleCompiler, problems: list[Problem]) -> None:
    rules = chain.rules
    compile_one = compiler.compile
    for index, rule in enumerate(chain.source.rules):
        try:
            rules += compile_one(rule, index)
        except DocumentError as error:
            place = "%s.rules[%d]" % (chain.source.place, index)
            problems.extend(problem.at(place) for problem in error.problems)


def rule_statements(table: DesiredTable, chain: DesiredChain, rule: DesiredRule) -> list[dict[str, Any]]:
    """The JSON statements that ``rule`` was compiled from."""
    return table.compiler.statements(chain.source.rules[rule.index])[rule.part]
