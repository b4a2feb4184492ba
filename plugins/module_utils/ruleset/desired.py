# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document's tables compiled: what the kernel shall hold, in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..document.model import Chain, Table
from ..errors import DocumentError, Problem
from ..nftables import uapi
from ..nftables.declared import ObjectContent, compile_object, compile_set
from ..nftables.sets import Clash, SetContent
from .kernel import KernelFlowtable
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

FLOWTABLE_FLAGS = {"offload": uapi.NFT_FLOWTABLE_HW_OFFLOAD, "counter": uapi.NFT_FLOWTABLE_COUNTER}

TABLE_FLAGS = {"dormant": uapi.NFT_TABLE_F_DORMANT, "persist": uapi.NFT_TABLE_F_PERSIST}
CHAIN_FLAGS = {"offload": uapi.NFT_CHAIN_HW_OFFLOAD}


class DesiredChain:
    """One chain as it shall be; ``source`` is the document's."""

    __slots__ = ("flags", "hook", "kind", "name", "policy", "rules", "source", "userdata")

    def __init__(self, source: Chain, family: str) -> None:
        self.flags = 0
        for flag in source.flags:
            self.flags |= CHAIN_FLAGS[flag]
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


class DesiredFlowtable:
    """One flowtable as it shall be."""

    __slots__ = ("flags", "hook", "name", "place")

    def __init__(self, name: str, hook: Hook, flags: int, place: str) -> None:
        self.name = name
        self.hook = hook
        self.flags = flags
        self.place = place

    def same(self, kernel: KernelFlowtable) -> bool:
        """Whether the kernel's is as this one shall be."""
        return (
            kernel.flags == self.flags
            and kernel.hook.number == self.hook.number
            and kernel.hook.priority == self.hook.priority
            and sorted(kernel.hook.devices) == sorted(self.hook.devices)
        )


class DesiredTable:
    """One table as it shall be.

    ``chains`` by name, in the document's order. ``partial``: chains that it does not
    name stay as they are, and so does the table itself. ``kept_sets`` name the sets
    whose elements are others' business; ``places`` tells by (kind, name) where sets
    ("set"), objects (NFT_OBJECT_*) and flowtables ("flowtable") stand in the document.
    """

    __slots__ = (
        "chains",
        "compiler",
        "family",
        "flags",
        "flowtables",
        "kept_sets",
        "name",
        "number",
        "objects",
        "partial",
        "places",
        "sets",
        "source",
        "userdata",
    )

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
        self.sets: dict[str, SetContent] = {}
        self.kept_sets: set[str] = set()
        self.objects: dict[tuple[int, str], ObjectContent] = {}
        self.flowtables: dict[str, DesiredFlowtable] = {}
        self.places: dict[tuple[object, str], str] = {}

    def __str__(self) -> str:
        return "%s %s" % (self.family, self.name)


def compile_tables(
    tables: list[Table], addresses: Mapping[str, list[str]] | None = None, partial: bool = False
) -> list[DesiredTable]:
    """Compile every rule of every table; DocumentError with all problems, each at its place."""
    problems: list[Problem] = []
    compiled = []
    for source in tables:
        sets: dict[str, SetContent] = {}
        compiler = RuleCompiler(source.family, sets, addresses, source.declared())
        table = DesiredTable(source, compiler, partial)
        table.sets = sets
        _compile_declared(table, problems)
        for chain in source.chains:
            desired = DesiredChain(chain, source.family)
            table.chains[chain.name] = desired
            _compile_chain(desired, compiler, problems)
        compiled.append(table)
    if problems:
        raise DocumentError.of(problems)
    return compiled


def _compile_declared(table: DesiredTable, problems: list[Problem]) -> None:
    source = table.source
    for number, one in enumerate(source.sets, 1):
        try:
            content = compile_set(one.json, source.family, number, elements=not one.keep)
        except Clash as error:
            place, found = one.element(error.index)
            problems.append(error.placed(place, found, one.element(error.other)[0]))
            continue
        except DocumentError as error:
            problems.extend(error.at(one.place).problems)
            continue
        table.sets[content.name] = content
        table.places["set", content.name] = one.place
        if one.keep:
            table.kept_sets.add(content.name)
    for declared in source.objects:
        try:
            compiled = compile_object(declared.type, declared.json)
        except DocumentError as error:
            problems.extend(error.at(declared.place).problems)
            continue
        table.objects[compiled.kind, compiled.name] = compiled
        table.places[compiled.kind, compiled.name] = declared.place
    for flow in source.flowtables:
        hook = Hook(HOOKS["netdev"][flow.hook], flow.priority, flow.devices)
        flags = 0
        for flag in flow.flags:
            flags |= FLOWTABLE_FLAGS[flag]
        table.flowtables[flow.name] = DesiredFlowtable(flow.name, hook, flags, flow.place)
        table.places["flowtable", flow.name] = flow.place


def _compile_chain(chain: DesiredChain, compiler: RuleCompiler, problems: list[Problem]) -> None:
    chain.rules, wrong = compiler.compile(chain.source.rules, chain.source.by_keys)
    for index, error in wrong.items():
        problems.extend(error.at("%s.rules[%d]" % (chain.source.place, index)).problems)


def rule_statements(table: DesiredTable, chain: DesiredChain, rule: DesiredRule) -> list[dict[str, Any]]:
    """The JSON statements that ``rule`` was compiled from."""
    return table.compiler.statements(chain.source.rules[rule.index])[rule.part]
